"""Ad creative signaling in an HLS asset list: whom a player that knows it tells of each ad (SVTA 2053-2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from cuepoint.models.vast_document import LINEAR_EVENTS

_KEY = "X-AD-CREATIVE-SIGNALING"
_NAMES = {ours: name for name, ours in LINEAR_EVENTS.items()} | {
    "impression": "impression",
    "click": "clickTracking",
    "error": "error",
    "break_start": "podStart",
    "break_end": "podEnd",
}
_UNKNOWN = frozenset(("rewind", "close"))  # VAST has them, the signaling's closed list has not
Addresses = Mapping[str, Sequence[str]]


class SignaledAsset(NamedTuple):
    """A playlist with its seconds; ``identifiers`` by scheme; ``tracking``: addresses by our names of events."""

    uri: str
    length_s: float
    identifiers: Mapping[str, str]
    tracking: Addresses
    click_url: str | None = None


def signaled_list(assets: Sequence[SignaledAsset], tracking: Addresses) -> dict[str, Any]:
    """What X-ASSET-LIST answers with: the playlists in the order they are played, a slot beside each, which begins
    where it begins in the break, and the break (a pod) beside them all. Without assets, the empty list.

    >>> spot = SignaledAsset("https://a.example/1.m3u8", 15.0, {"x:id": "c"}, {"impression": ["https://t.example/i"]})
    >>> signaled_list([spot], {})["ASSETS"][0]["X-AD-CREATIVE-SIGNALING"]["payload"][0]["tracking"]
    [{'type': 'impression', 'urls': ['https://t.example/i']}]
    """
    if not assets:
        return {"ASSETS": []}
    entries, at_s = [], 0.0
    for asset in assets:
        slot = {
            "type": "linear",
            "start": at_s,
            "duration": asset.length_s,
            "identifiers": [{"scheme": scheme, "value": value} for scheme, value in asset.identifiers.items() if value],
            "tracking": _events(asset.tracking),
        }
        slot |= {"clickThrough": asset.click_url} if asset.click_url else {}
        entries.append({"URI": asset.uri, "DURATION": asset.length_s, _KEY: _envelope("slot", slot)})
        at_s += asset.length_s
    pod = {"start": 0.0, "duration": at_s, "tracking": _events(tracking)}
    return {"ASSETS": entries, _KEY: _envelope("pod", pod)}


def _envelope(kind: str, payload: dict[str, Any]) -> dict[str, Any]:
    return {"version": 2, "type": kind, "payload": [payload]}


def _events(tracking: Addresses) -> list[dict[str, Any]]:
    told = {name: urls for name, urls in tracking.items() if name in _NAMES and name not in _UNKNOWN and urls}
    return [{"type": _NAMES[name], "urls": list(urls)} for name, urls in told.items()]

"""A break as JSON, with the addresses to be told of each event: for ``cuepoint-player.js``, and as the asset list of an
HLS interstitial."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from cuepoint.models.hls_signaling import SignaledAsset, signaled_list
from cuepoint.models.line_item_select import hls_url
from cuepoint.models.vast_document import LINEAR_EVENTS, Tracking
from cuepoint.models.vast_read import Trackers
from cuepoint.ops.ad_breaks import Filled, FilledAd
from cuepoint.schemas.ads import MediaFile
from cuepoint.schemas.rules import AdType

_OF_AD = ("impression", "creative_view", *LINEAR_EVENTS.values(), "click")
_OF_BREAK = ("break_start", "break_end", "break_error")


class PlayerAd(msgspec.Struct, frozen=True, kw_only=True):
    """An ad of a break. ``tracking``: the addresses to be asked for at each event, once each; in an error's,
    VAST's number goes in place of ``[ERRORCODE]``."""

    title: str
    advertiser: str
    type: AdType
    length_s: float
    skip_after_s: float | None
    media: list[MediaFile]
    image_url: str | None
    click_url: str | None
    tracking: dict[str, list[str]]


class PlayerBreak(msgspec.Struct, frozen=True, kw_only=True):
    """A break; without ads, nothing is to be shown."""

    break_id: str
    rule_id: str
    decision_id: str
    ads: list[PlayerAd]
    tracking: dict[str, list[str]]


def player_break(filled: Filled, tracking: Callable[[int], Tracking]) -> PlayerBreak:
    """``tracking`` makes the addresses of the ad in a slot (from 1), or of the break (0)."""
    ads = [
        PlayerAd(
            title=ad.creative.title or ad.title or ad.line_item_id,
            advertiser=ad.advertiser,
            type=ad.creative.type,
            length_s=ad.creative.length_s,
            skip_after_s=ad.creative.skip_after_s,
            media=ad.creative.media,
            image_url=ad.creative.image_url,
            click_url=ad.creative.click_url,
            tracking=_addresses(tracking(slot), ad.beside),
        )
        for slot, ad in enumerate(filled.ads, 1)
    ]
    return PlayerBreak(
        break_id=filled.break_id,
        rule_id=filled.rule_id,
        decision_id=filled.decision_id,
        ads=ads,
        tracking=_of_break(tracking(0)),
    )


def break_assets(filled: Filled, tracking: Callable[[int], Tracking]) -> dict[str, Any]:
    """The asset list: of each ad the HLS rendition, and whom to tell of it."""
    assets = [
        SignaledAsset(
            uri=hls_url(ad.creative) or "",
            length_s=ad.creative.length_s,
            identifiers=_identifiers(filled, ad),
            tracking=_addresses(tracking(slot), ad.beside),
            click_url=ad.creative.click_url,
        )
        for slot, ad in enumerate(filled.ads, 1)
    ]
    return signaled_list(assets, _of_break(tracking(0)))


def _identifiers(filled: Filled, ad: FilledAd) -> dict[str, str]:
    own = {
        "creative_id": ad.creative.creative_id,
        "line_item_id": ad.line_item_id,
        "ad_type": ad.creative.type,
        "rule_id": filled.rule_id,
        "decision_id": filled.decision_id,
    }
    return {"ad-id.org": ad.creative.ad_id} | {f"cuepoint:{name}": value for name, value in own.items()}


def _of_break(own: Tracking) -> dict[str, list[str]]:
    return {event: [own.url(event)] for event in _OF_BREAK}


def _addresses(own: Tracking, beside: Trackers) -> dict[str, list[str]]:
    """Ours first, then those of an outside ad server."""
    told = {event: [own.url(event)] for event in _OF_AD}
    told["error"] = [own.url("error") + "&code=[ERRORCODE]", *beside.errors]
    told["impression"] += beside.impressions
    told["click"] += beside.clicks
    for name, _, url in beside.events:
        if name in LINEAR_EVENTS:
            told[LINEAR_EVENTS[name]].append(url)
    return told

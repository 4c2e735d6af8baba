"""Which alerts a subscriber wants, and what one is as an event (pure)."""

from __future__ import annotations

import datetime as dt
import hashlib
from typing import Annotated, Any, Literal, NamedTuple

import msgspec

from cuepoint.schemas.base import Identifier, Text
from cuepoint.schemas.trends import Change

Kind = Literal["rapid", "gradual"]
Direction = Literal["up", "down"]
ChangeStatus = Literal["opened", "updated", "closed", "withdrawn"]
_Many = msgspec.Meta(max_length=10_000)


class AlertFilter(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """An empty list wants all. Sizes are magnitudes: a drop of 40 per cent has a size of 40."""

    assets: Annotated[list[Identifier], _Many] = []
    owners: Annotated[list[Text], _Many] = []
    kinds: list[Kind] = []
    directions: list[Direction] = []
    statuses: list[ChangeStatus] = []
    least_size_per_day: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    least_size_percent: Annotated[float, msgspec.Meta(ge=0)] = 0.0

    def wants(self, change: Change, owner: str, *, told: bool = False) -> bool:
        """``told``: the subscriber has heard of the region, so hears of it to its end, however small it becomes.

        >>> base = {"change_id": "c", "revision": 1, "status": "opened", "asset_id": "a", "kind": "rapid",
        ...     "direction": "down", "start": dt.date(2026, 1, 1), "day": dt.date(2026, 1, 1), "probability": 1.0,
        ...     "size_per_day": -50.0, "size_percent": -20.0, "count": 200.0, "expected": 250.0,
        ...     "lower_80": 1.0, "upper_80": 1.0, "lower_95": 1.0, "upper_95": 1.0}
        >>> change = Change(**base)
        >>> AlertFilter(least_size_percent=15).wants(change, ""), AlertFilter(least_size_per_day=51).wants(change, "")
        (True, False)
        """
        large = (
            abs(change.size_per_day) >= self.least_size_per_day and abs(change.size_percent) >= self.least_size_percent
        )
        return (
            (told or large)
            and (not self.assets or change.asset_id in self.assets)
            and (not self.owners or owner in self.owners)
            and (not self.kinds or change.kind in self.kinds)
            and (not self.directions or change.direction in self.directions)
            and (not self.statuses or change.status in self.statuses)
        )


class Event(NamedTuple):
    """``id`` is the same for the same content however often it is told; ``subject`` is what later events are about
    too; of one subject a higher ``revision`` replaces the lower ones."""

    id: str
    subject: str
    revision: int
    body: bytes


def change_event(change: Change, at_ms: int, title: str, artist: str, owner: str) -> Event:
    """A revision of a region as a webhook's event, in the payload form of Standard Webhooks 1.0.0."""
    data: dict[str, Any] = msgspec.to_builtins(change) | {"title": title, "artist": artist, "owner": owner}
    return _event(f"change.{change.status}", change.change_id, change.revision, at_ms, data)


def ping_event(webhook_id: str, at_ms: int, number: str) -> Event:
    """A test: says only whose it is."""
    return _event("webhook.ping", f"ping/{webhook_id}/{number}", 1, at_ms, {"webhook_id": webhook_id})


def _event(kind: str, subject: str, revision: int, at_ms: int, data: dict[str, Any]) -> Event:
    at = dt.datetime.fromtimestamp(at_ms / 1000, dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    digest = hashlib.sha256(f"{kind}\0{subject}\0{revision}".encode()).hexdigest()[:32]
    body = msgspec.json.encode({"type": kind, "timestamp": at, "data": data})
    return Event(f"msg_{digest}", subject, revision, body)

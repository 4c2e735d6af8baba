"""Which alerts a subscriber wants, and what one is as an event (pure)."""

from __future__ import annotations

import datetime as dt
import hashlib
from typing import Annotated, Any, Literal, NamedTuple

import msgspec

from cuepoint.schemas.base import Identifier, Text
from cuepoint.schemas.opportunities import Opportunity
from cuepoint.schemas.trends import Change

Alert = Change | Opportunity
EventKind = Literal["change", "opportunity"]
Kind = Literal["rapid", "gradual"]
Direction = Literal["up", "down"]
ChangeStatus = Literal["opened", "updated", "closed", "withdrawn"]
_Many = msgspec.Meta(max_length=10_000)


class AlertFilter(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """An empty list wants all. ``events``: changes alone where not given. Sizes are magnitudes: a drop of 40 per cent
    has a size of 40; they, ``kinds``, ``directions`` and ``statuses`` are asked of changes only."""

    events: Annotated[list[EventKind], msgspec.Meta(min_length=1)] = msgspec.field(default_factory=lambda: ["change"])
    assets: Annotated[list[Identifier], _Many] = []
    owners: Annotated[list[Text], _Many] = []
    kinds: list[Kind] = []
    directions: list[Direction] = []
    statuses: list[ChangeStatus] = []
    least_size_per_day: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    least_size_percent: Annotated[float, msgspec.Meta(ge=0)] = 0.0

    def wants(self, alert: Alert, owner: str, *, told: bool = False) -> bool:
        """``told``: the subscriber has heard of the region (or opportunity), so hears of it to its end, however small
        it becomes.

        >>> base = {"change_id": "c", "revision": 1, "status": "opened", "asset_id": "a", "kind": "rapid",
        ...     "direction": "down", "start": dt.date(2026, 1, 1), "day": dt.date(2026, 1, 1), "probability": 1.0,
        ...     "size_per_day": -50.0, "size_percent": -20.0, "count": 200.0, "expected": 250.0,
        ...     "lower_80": 1.0, "upper_80": 1.0, "lower_95": 1.0, "upper_95": 1.0}
        >>> change = Change(**base)
        >>> AlertFilter(least_size_percent=15).wants(change, ""), AlertFilter(least_size_per_day=51).wants(change, "")
        (True, False)
        """
        if (self.assets and alert.asset_id not in self.assets) or (self.owners and owner not in self.owners):
            return False
        if isinstance(alert, Opportunity):
            return "opportunity" in self.events and (told or alert.opportunity)
        return "change" in self.events and self._wants_change(alert, told)

    def _wants_change(self, change: Change, told: bool) -> bool:
        large = (
            abs(change.size_per_day) >= self.least_size_per_day and abs(change.size_percent) >= self.least_size_percent
        )
        return (
            (told or large)
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


def alert_event(alert: Alert, at_ms: int, title: str, artist: str, owner: str) -> Event:
    """A revision of a region, or of what it is worth, as a webhook's event, in the payload form of Standard Webhooks
    1.0.0. An opportunity is ``found``, ``lost`` when it no longer is one, or ``withdrawn`` with its region."""
    data: dict[str, Any] = msgspec.to_builtins(alert) | {"title": title, "artist": artist, "owner": owner}
    if isinstance(alert, Change):
        return _event(f"change.{alert.status}", alert.change_id, alert.revision, at_ms, data)
    became = "withdrawn" if alert.status == "withdrawn" else "found" if alert.opportunity else "lost"
    subject = f"opportunity/{alert.change_id}"
    return _event(f"opportunity.{became}", subject, alert.revision, at_ms, data, edition=alert.edition)


def ping_event(webhook_id: str, at_ms: int, number: str) -> Event:
    """A test: says only whose it is."""
    return _event("webhook.ping", f"ping/{webhook_id}/{number}", 1, at_ms, {"webhook_id": webhook_id})


def _event(kind: str, subject: str, revision: int, at_ms: int, data: dict[str, Any], *, edition: str = "") -> Event:
    at = dt.datetime.fromtimestamp(at_ms / 1000, dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    named = f"{kind}\0{subject}\0{revision}" + (f"\0{edition}" if edition else "")
    digest = hashlib.sha256(named.encode()).hexdigest()[:32]
    body = msgspec.json.encode({"type": kind, "timestamp": at, "data": data})
    return Event(f"msg_{digest}", subject, revision, body)

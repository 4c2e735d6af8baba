"""What players tell at tracking addresses: onto the topic of ad events, once each, and into the counters."""

from __future__ import annotations

import hashlib
import time
from typing import Any, cast, get_args

from starlette.responses import Response

from cuepoint.ops.ad_breaks import Watching
from cuepoint.ops.ad_tokens import AdClaim, AdTokens
from cuepoint.ops.api_problems import Problem
from cuepoint.ops.event_stamps import EventStamps
from cuepoint.schemas.ads import AdEvent, AdEventKind
from cuepoint.schemas.errors import Unavailable
from cuepoint.schemas.playback import PlayerEvent, PlayerEventKind
from cuepoint.schemas.rules import AdType
from cuepoint.schemas.topics import AD_EVENTS, PLAYER_EVENTS
from cuepoint.streams.ad_counters import AdCounters
from cuepoint.streams.ad_store import AdStore
from cuepoint.streams.outgoing import Outgoing
from cuepoint.streams.producer import AsyncProducer, Placed

_KINDS = frozenset(get_args(AdEventKind)) - {"handed_out"}  # which we tell ourselves
_OF_BREAK = frozenset(("error", "break_start", "break_end", "break_error"))
_AS_SESSION: dict[str, PlayerEventKind] = {
    "start": "ad_started",
    "complete": "ad_completed",
    "skip": "ad_skipped",
    "click": "ad_clicked",
    "error": "ad_failed",
}
_PIXEL = bytes.fromhex("47494638396101000100800000000000ffffff21f90401000000002c00000000010001000002024401003b")
_HEADERS = {"cache-control": "no-store", "access-control-allow-origin": "*"}


class AdTracking:
    """Methods raise Unavailable; then the player may tell it again."""

    def __init__(
        self, store: AdStore, counters: AdCounters, producer: AsyncProducer, tokens: AdTokens, stamps: EventStamps
    ) -> None:
        self._store, self._counters, self._producer = store, counters, producer
        self._tokens, self._stamps = tokens, stamps

    async def hear(self, event: str, token: str, code: str) -> Response:
        """A pixel, once the broker has the event. Raises 401 for a forged token, 404 for an event there is not, 409 for
        one that was told before."""
        claim = self._tokens.read(token)
        if event not in _KINDS or (claim.slot == 0 and event not in _OF_BREAK):
            raise Problem(404, "not-found", f"There is no event {event[:40]} of this.")
        mark = f"{claim.break_id}:{claim.slot}:{event}"
        if not await self._store.first_time(claim.session_id, mark):
            raise Problem(409, "told-before", "This was told before, and counts once.")
        placed: Placed = {}
        try:
            await self._producer.deliver(await self._messages(claim, cast(AdEventKind, event), code), placed=placed)
        except Unavailable:
            await self._store.unheard(claim.session_id, mark)
            raise
        if event == "impression" and claim.line_item_id:
            (place,) = (place for place in placed.items() if place[0][0].endswith(AD_EVENTS.name))
            (_, partition), offset = place
            await self._counters.confirm(claim.line_item_id, claim.reservation, partition, offset)
        return Response(_PIXEL, media_type="image/gif", headers=_HEADERS)

    async def begin(self, session_id: str, watching: Watching) -> None:
        """Say that the video began, on behalf of a player that sends no events: once a video."""
        if not await self._store.first_time(session_id, f"video:{watching.video_id}"):
            return
        more: dict[str, Any] = {
            "video_id": watching.video_id,
            "duration_s": watching.duration_s,
            "viewer_id": watching.viewer or None,
        }
        outgoing = await self._event(session_id, "video_started", more | watching.facts)
        if not await self._stamps.add([cast(PlayerEvent, outgoing.message)]):
            await self._producer.deliver([outgoing])

    async def _messages(self, claim: AdClaim, kind: AdEventKind, code: str) -> list[Outgoing]:
        name = f"{claim.session_id}\0{claim.break_id}\0{claim.slot}\0{kind}"
        event_id = hashlib.sha256(name.encode()).hexdigest()[:32]
        told = AdEvent(
            event_id=event_id,
            session_id=claim.session_id,
            kind=kind,
            at=_now_ms(),
            break_id=claim.break_id,
            rule_id=claim.rule_id or None,
            decision_id=claim.decision_id or None,
            line_item_id=claim.line_item_id or None,
            creative_id=claim.creative_id or None,
            ad_type=cast(AdType, claim.ad_type) if claim.ad_type else None,
            slot=claim.slot,
            code=int(code) if code.isascii() and code.isdecimal() and len(code) <= 3 else None,
        )
        messages = [Outgoing(AD_EVENTS, told.session_id, told, event_id)]
        if claim.told == "server" and claim.slot and kind in _AS_SESSION:
            ad = {"decision_id": told.decision_id, "rule_id": told.rule_id, "ad_type": told.ad_type}
            messages.append(await self._event(claim.session_id, _AS_SESSION[kind], ad))
        return messages

    async def _event(self, session_id: str, kind: PlayerEventKind, more: dict[str, Any]) -> Outgoing:
        seq, now_ms = await self._store.next_seq(session_id), _now_ms()
        event_id = hashlib.sha256(f"{session_id}\0{seq}".encode()).hexdigest()[:32]
        event = PlayerEvent(
            event_id=event_id, session_id=session_id, seq=seq, kind=kind, at=now_ms, received_at=now_ms, **more
        )
        return Outgoing(PLAYER_EVENTS, session_id, event, event_id)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000

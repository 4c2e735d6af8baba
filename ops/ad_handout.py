"""Ads out of line items' goals: reserved in Redis, and written down in the topic before the player has them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

from cuepoint.models.line_item_select import Chosen, Slot
from cuepoint.schemas.ads import AdEvent
from cuepoint.schemas.errors import Unavailable
from cuepoint.schemas.topics import AD_EVENTS
from cuepoint.streams.ad_counters import AdCounters, is_bounded, reservation_of
from cuepoint.streams.outgoing import Outgoing
from cuepoint.streams.producer import AsyncProducer


class Taker(NamedTuple):
    """A break that is filled; ``viewer`` "" for nobody known, whose caps are then the session's."""

    session_id: str
    break_id: str
    rule_id: str
    decision_id: str
    viewer: str


class HandOut:
    """What is written down survives Redis: it is from there that reservations and caps are counted anew."""

    def __init__(self, counters: AdCounters, producer: AsyncProducer) -> None:
        self._counters, self._producer = counters, producer

    async def take(self, candidates: Sequence[Chosen], slot: Slot, taker: Taker, now_ms: int) -> list[Chosen]:
        """Ads for the break, none of which would be forgotten were Redis emptied now. Raises Unavailable."""
        reservation = reservation_of(taker.session_id, taker.break_id)
        viewer = taker.viewer or taker.session_id
        ads, epoch = await self._counters.take(candidates, slot, viewer, reservation, now_ms)
        try:
            await self._producer.deliver([_handed_out(each, taker, now_ms) for each in ads])
        except Unavailable:
            await self._counters.give_back(ads, reservation)
            raise
        if any(map(is_bounded, ads)) and await self._counters.epoch() != epoch:
            # Redis was emptied meanwhile: whoever counts anew may have read the topic before these stood in it
            return [each for each in ads if not is_bounded(each)]
        return ads


def _handed_out(each: Chosen, taker: Taker, now_ms: int) -> Outgoing:
    item = each.item
    name = f"{taker.session_id}\0{taker.break_id}\0{item.line_item_id}\0handed_out"
    event = AdEvent(
        event_id=hashlib.sha256(name.encode()).hexdigest()[:32],
        session_id=taker.session_id,
        kind="handed_out",
        at=now_ms,
        break_id=taker.break_id,
        rule_id=taker.rule_id or None,
        decision_id=taker.decision_id or None,
        line_item_id=item.line_item_id,
        creative_id=each.creative.creative_id,
        ad_type=each.creative.type,
        viewer_id=(taker.viewer or None) if item.frequency_day is not None else None,
    )
    return Outgoing(AD_EVENTS, taker.session_id, event, event.event_id)

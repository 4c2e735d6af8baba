"""Counters of line items, made anew where Redis has lost them: from the history, and what the topic has beyond."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import Counter, defaultdict
from collections.abc import Mapping

import sqlalchemy
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, TopicPartition

from cuepoint.ops.settings import Settings
from cuepoint.schemas.ads import AdEvent
from cuepoint.schemas.codec import UNREADABLE, decoder
from cuepoint.schemas.errors import Unavailable
from cuepoint.schemas.topics import AD_EVENTS
from cuepoint.streams.ad_counters import AdCounters, Recount, day_of, reservation_of
from cuepoint.streams.ad_history import (
    handed_to_viewers,
    impressions_by_item,
    read_up_to,
    reservation_events,
    unrecorded,
)
from cuepoint.streams.database import snapshot
from cuepoint.streams.document_store import ORDERS, DocumentStore
from cuepoint.streams.metrics import LINE_ITEMS_HELD
from cuepoint.streams.topics_admin import partition_count

_log = logging.getLogger("cuepoint.api")
_decode = decoder(AdEvent).decode
_ANSWER_S = 5.0
_DAY_MS, _SKEW_MS = 86_400_000, 300_000  # how far clocks of replicas may differ


async def recount(settings: Settings, engine: sqlalchemy.Engine, counters: AdCounters) -> Recount | None:
    """Make the counters complete, if they are not; None if they are. Raises Unavailable."""
    name = await counters.begin_recount()
    LINE_ITEMS_HELD.set(name is not None)
    if name is None:
        return None
    counted = await asyncio.to_thread(_counted, settings, engine, counters.reserve_ms, time.time_ns() // 1_000_000)
    if not await counters.restore(name, counted):
        return None  # another replica was faster, or Redis was emptied again
    LINE_ITEMS_HELD.set(0)
    if counted.made:
        _log.warning(
            "Redis had no counts of line items; counted anew: %d impressions, %d reservations, caps of %d viewers",
            *(sum(counted.made.values()), len(counted.reserved), len(counted.viewers)),
        )
    return counted


def _counted(settings: Settings, engine: sqlalchemy.Engine, reserve_ms: int, now_ms: int) -> Recount:
    """Of one state of the history, and of the topic behind that."""
    capped = {each.line_item_id for each in DocumentStore(engine).page(ORDERS)[0] if each.frequency_day is not None}
    since_ms = now_ms - _SKEW_MS
    viewers: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    with snapshot(engine) as history:
        read, ends = _read_beyond(settings, read_up_to(history, settings.log_id))
        beyond = [each for each in unrecorded(history, read) if each.line_item_id]
        made = Counter(impressions_by_item(history))
        recent = reservation_events(history, since_ms - reserve_ms)
        for day_ms in range(since_ms - since_ms % _DAY_MS, now_ms + 1, _DAY_MS):
            for viewer, counts in handed_to_viewers(history, day_ms, day_ms + _DAY_MS, sorted(capped)).items():
                viewers[day_of(day_ms), viewer].update(counts)
    for each in beyond:
        item = each.line_item_id or ""
        if each.kind == "impression":
            made[item] += 1
        elif each.kind == "handed_out" and item in capped and each.at >= since_ms - since_ms % _DAY_MS:
            viewers[day_of(each.at), each.viewer_id or each.session_id][item] += 1
    return Recount(ends, made, _open_reservations([*recent, *beyond], reserve_ms, now_ms), viewers)


def _open_reservations(events: list[AdEvent], reserve_ms: int, now_ms: int) -> dict[tuple[str, str], int]:
    """What was handed out and may still be shown, with the time until when."""
    shown = {_reservation(each) for each in events if each.kind == "impression"}
    handed = {_reservation(each): each.at + reserve_ms for each in events if each.kind == "handed_out"}
    return {name: until for name, until in handed.items() if until > now_ms and name not in shown}


def _reservation(event: AdEvent) -> tuple[str, str]:
    return event.line_item_id or "", reservation_of(event.session_id, event.break_id)


def _read_beyond(settings: Settings, last: Mapping[int, int]) -> tuple[list[AdEvent], dict[int, int]]:
    """The ad events behind these offsets, up to where the topic ends now; and where that is, by partition."""
    topic = settings.topic_prefix + AD_EVENTS.name
    consumer = Consumer({"bootstrap.servers": settings.broker, "group.id": "not-joined", "enable.auto.commit": False})
    try:
        count = partition_count(settings.broker, AD_EVENTS, settings.topic_prefix)
        ends = {n: consumer.get_watermark_offsets(TopicPartition(topic, n), _ANSWER_S) for n in range(count)}
        behind = {n: max(last.get(n, -1) + 1, low) for n, (low, _) in ends.items()}
        left = {n for n, (_, high) in ends.items() if behind[n] < high}
        consumer.assign([TopicPartition(topic, n, behind[n] or OFFSET_BEGINNING) for n in left])
        found: list[AdEvent] = []
        deadline = time.monotonic() + settings.broker_request_timeout_s
        while left:
            if time.monotonic() > deadline:
                raise Unavailable(f"{topic} could not be read to its end: nothing came in time")
            for record in consumer.consume(1000, 0.2):
                deadline = time.monotonic() + settings.broker_request_timeout_s
                partition, offset, value = record.partition(), record.offset(), record.value()
                if record.error() is not None or partition is None or offset is None:
                    continue
                high = ends[partition][1]
                if offset < high and value is not None:  # behind that, whoever tells it counts it
                    with contextlib.suppress(*UNREADABLE):
                        found.append(_decode(value))  # what is broken is the history's dead letter
                if offset + 1 >= high:
                    left.discard(partition)
        return found, {n: high for n, (_, high) in ends.items()}
    except KafkaException as error:
        raise Unavailable(f"{topic} cannot be read: {error}") from error
    finally:
        consumer.close()

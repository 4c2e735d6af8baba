"""Counters of line items, made anew where Redis has lost them: the history's sums and what the topic has beyond."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import Counter
from collections.abc import Mapping

import msgspec
import sqlalchemy
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, TopicPartition

from cuepoint.ops.settings import Settings
from cuepoint.schemas.ads import AdEvent
from cuepoint.schemas.errors import Unavailable
from cuepoint.schemas.topics import AD_EVENTS
from cuepoint.streams.ad_history import impressions_by_item, read_up_to, unrecorded
from cuepoint.streams.ad_store import AdStore
from cuepoint.streams.topics_admin import partition_count

_log = logging.getLogger("cuepoint.api")
_decode = msgspec.json.Decoder(AdEvent).decode
_ANSWER_S = 5.0


async def recount(settings: Settings, engine: sqlalchemy.Engine, store: AdStore) -> dict[str, int] | None:
    """Give Redis the impressions of every line item, if it does not know of any count; None if it does. Raises
    Unavailable."""
    if await store.is_counted():
        return None
    made = await asyncio.to_thread(_made, settings, engine)
    if not await store.restore(made):
        return None  # another replica was faster
    if made:
        _log.warning("Redis had no counts of line items; counted anew: %d impressions", sum(made.values()))
    return made


def _made(settings: Settings, engine: sqlalchemy.Engine) -> dict[str, int]:
    sums = Counter(impressions_by_item(engine))
    beyond = unrecorded(engine, _read_beyond(settings, read_up_to(engine, settings.log_id)))
    sums.update(each.line_item_id for each in beyond if each.kind == "impression" and each.line_item_id)
    return dict(sums)


def _read_beyond(settings: Settings, last: Mapping[int, int]) -> list[AdEvent]:
    """The ad events behind these offsets, up to where the topic ends now."""
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
                raise Unavailable(f"{topic} could not be read to its end in time")
            for record in consumer.consume(1000, 0.2):
                value, place = record.value(), (record.partition(), record.offset())
                if record.error() is not None or value is None or place[0] is None or place[1] is None:
                    continue
                with contextlib.suppress(msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                    found.append(_decode(value))  # what is broken is the history's dead letter
                if place[1] + 1 >= ends[place[0]][1]:
                    left.discard(place[0])
        return found
    except KafkaException as error:
        raise Unavailable(f"{topic} cannot be read: {error}") from error
    finally:
        consumer.close()

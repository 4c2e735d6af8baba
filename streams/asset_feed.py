"""The assets topic, read from an offset to its present end: for who needs the catalogue once."""

from __future__ import annotations

from collections.abc import Iterator
from time import monotonic

import msgspec
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from cuepoint.schemas.codec import decoder
from cuepoint.schemas.errors import Unavailable
from cuepoint.schemas.topics import ASSETS
from cuepoint.schemas.trends import Asset

_POLL_S = 0.2
_BATCH = 5_000


def read_assets(broker: str, prefix: str = "", first: int = 0, timeout_s: float = 30.0) -> tuple[Iterator[Asset], int]:
    """The assets from offset ``first`` on, oldest word first, and the offset behind the last of them.

    Records that are no assets are passed over: the history tells of them. Raises Unavailable, also while iterating,
    where the broker does not answer for ``timeout_s``.
    """
    place = TopicPartition(prefix + ASSETS.name, 0)
    consumer = Consumer(
        {
            "bootstrap.servers": broker,
            "group.id": "cuepoint-assets",  # demanded by librdkafka, not used: nothing is committed
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "fetch.wait.max.ms": 50,
            "log_level": 2,
        }
    )
    try:
        low, end = consumer.get_watermark_offsets(place, timeout=timeout_s)
    except KafkaException as error:
        consumer.close()
        raise Unavailable(f"broker {broker} does not say where the assets end: {error.args[0].str()}") from error
    begin = TopicPartition(place.topic, 0, max(low, first))
    return _between(consumer, begin, end, broker, timeout_s), max(end, first)


def _between(consumer: Consumer, begin: TopicPartition, end: int, broker: str, timeout_s: float) -> Iterator[Asset]:
    decode = decoder(Asset).decode
    try:
        heard, at = monotonic(), begin.offset
        if at < end:
            consumer.assign([begin])
        while at < end:
            for message in consumer.consume(_BATCH, _POLL_S):
                heard, fault = monotonic(), message.error()
                if fault is not None:
                    if fault.code() == KafkaError._PARTITION_EOF:
                        return  # compaction may have taken the last ones away
                    raise Unavailable(f"broker {broker}: {fault.str()}")
                at = (message.offset() or 0) + 1
                value = message.value()
                if value is None or at > end:
                    continue
                try:
                    yield decode(value)
                except msgspec.MsgspecError:
                    continue
            if monotonic() - heard > timeout_s:
                raise Unavailable(f"broker {broker} does not send the assets")
    except KafkaException as error:
        raise Unavailable(f"broker {broker}: {error.args[0].str()}") from error
    finally:
        consumer.close()

"""A small topic of one partition, read from an offset to its present end: for whoever needs what it says once."""

from __future__ import annotations

from collections.abc import Iterator
from time import monotonic
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from cuepoint.schemas.codec import UNREADABLE, decoder
from cuepoint.schemas.errors import Unavailable
from cuepoint.schemas.topics import ASSETS, TREND_PARAMS, Topic
from cuepoint.schemas.trends import Asset, TrendHyperparameters

_POLL_S = 0.2
_BATCH = 5_000


def read_assets(broker: str, prefix: str = "", first: int = 0, timeout_s: float = 30.0) -> Iterator[tuple[int, Asset]]:
    """(offset, asset) from offset ``first`` on, oldest word first. Records that are no assets are passed over: the
    history tells of them. Raises Unavailable where the broker does not answer for ``timeout_s``."""
    return _read(broker, ASSETS, prefix, first, timeout_s)


def read_trend_params(broker: str, prefix: str = "", timeout_s: float = 30.0) -> list[TrendHyperparameters]:
    """All versions of the trend filter's hyperparameters, the one that holds last. Raises Unavailable."""
    found = (message for _, message in _read(broker, TREND_PARAMS, prefix, 0, timeout_s))
    return sorted(found, key=lambda message: (message.version, message.made_at))


def _read(broker: str, topic: Topic, prefix: str, first: int, timeout_s: float) -> Iterator[tuple[int, Any]]:
    consumer = Consumer(
        {
            "bootstrap.servers": broker,
            "group.id": "cuepoint-once",  # demanded by librdkafka, not used: nothing is committed
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",  # where ``first`` is no longer there
            "enable.partition.eof": True,
            "fetch.wait.max.ms": 50,
            "log_level": 2,
        }
    )
    decode = decoder(topic.messages[0]).decode
    try:
        consumer.assign([TopicPartition(prefix + topic.name, 0, first)])
        heard = monotonic()
        while monotonic() - heard < timeout_s:
            for message in consumer.consume(_BATCH, _POLL_S):
                heard, fault, value = monotonic(), message.error(), message.value()
                if fault is not None and fault.code() == KafkaError._PARTITION_EOF:
                    return
                if fault is not None:
                    raise Unavailable(f"broker {broker}: {fault.str()}")
                try:
                    told = decode(value) if value is not None else None
                except UNREADABLE:
                    continue
                if told is not None:
                    yield message.offset() or 0, told
        raise Unavailable(f"broker {broker} does not send {topic.name}")
    except KafkaException as error:
        raise Unavailable(f"broker {broker}: {error.args[0].str()}") from error
    finally:
        consumer.close()

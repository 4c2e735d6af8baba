"""The assets topic, read from an offset to its present end: for whoever needs the catalogue once."""

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


def read_assets(broker: str, prefix: str = "", first: int = 0, timeout_s: float = 30.0) -> Iterator[tuple[int, Asset]]:
    """(offset, asset) from offset ``first`` on, oldest word first, until there is no more.

    Records that are no assets are passed over: the history tells of them. Raises Unavailable where the broker does not
    answer for ``timeout_s``.
    """
    consumer = Consumer(
        {
            "bootstrap.servers": broker,
            "group.id": "cuepoint-assets",  # demanded by librdkafka, not used: nothing is committed
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",  # where ``first`` is no longer there
            "enable.partition.eof": True,
            "fetch.wait.max.ms": 50,
            "log_level": 2,
        }
    )
    decode = decoder(Asset).decode
    try:
        consumer.assign([TopicPartition(prefix + ASSETS.name, 0, first)])
        heard = monotonic()
        while monotonic() - heard < timeout_s:
            for message in consumer.consume(_BATCH, _POLL_S):
                heard, fault, value = monotonic(), message.error(), message.value()
                if fault is not None and fault.code() == KafkaError._PARTITION_EOF:
                    return
                if fault is not None:
                    raise Unavailable(f"broker {broker}: {fault.str()}")
                try:
                    asset = decode(value) if value is not None else None
                except msgspec.MsgspecError:
                    continue
                if asset is not None:
                    yield message.offset() or 0, asset
        raise Unavailable(f"broker {broker} does not send the assets")
    except KafkaException as error:
        raise Unavailable(f"broker {broker}: {error.args[0].str()}") from error
    finally:
        consumer.close()

"""A small agent whose every message depends on all records before it, run by the real runtime.

As a program: a worker process, set up by CUEPOINT_ variables, for tests that kill it.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import signal
from collections.abc import Sequence
from typing import ClassVar

import msgspec

from cuepoint.ops.settings import Settings
from cuepoint.ops.worker import connect_redis, worker_options
from cuepoint.schemas.faults import DeadLetter
from cuepoint.schemas.topics import ASSETS, DEAD_TREND_RECORDS, TREND_RECORDS, Topic
from cuepoint.schemas.trends import Asset
from cuepoint.streams.batch import Batch
from cuepoint.streams.outgoing import Outgoing
from cuepoint.streams.redis_counters import RedisCounters
from cuepoint.streams.worker import Worker


class Chain:
    """Message of record n: a digest of records 0..n of the partition. A record lost, repeated or out of order shows in
    every later message. Values that start with ``!`` are broken."""

    name: ClassVar[str] = "chain"
    topics: ClassVar[tuple[Topic, ...]] = (TREND_RECORDS,)

    def __init__(self, pause_s: float = 0.0) -> None:
        self.digests: dict[int, bytes] = {}
        self.seen: dict[int, list[int]] = {}
        self._pause_s = pause_s

    async def process(self, batch: Batch) -> Sequence[Outgoing]:
        await asyncio.sleep(self._pause_s)
        self.seen.setdefault(batch.partition, []).extend(batch.offsets)
        return [
            message
            for value, offset, at in zip(batch.values, batch.offsets, batch.timestamps, strict=True)
            for message in self._follow(batch.partition, value, offset, at)
        ]

    def _follow(self, partition: int, value: bytes, offset: int, at: int) -> list[Outgoing]:
        id = f"{partition}/{offset}"
        if value.startswith(b"!"):
            letter = DeadLetter(topic=TREND_RECORDS.name, code="broken", reason="broken", original=value, at=at)
            return [Outgoing(DEAD_TREND_RECORDS, id, letter, id)]
        digest = hashlib.sha256(self.digests.get(partition, b"") + value).digest()
        self.digests[partition] = digest
        return [Outgoing(ASSETS, id, Asset(asset_id=id, title=digest.hex()), id)]

    def restore(self, partition: int, blob: bytes | None) -> None:
        self.digests[partition] = blob or b""

    def snapshot(self, partition: int) -> bytes:
        return self.digests.get(partition, b"")

    def forget(self, partition: int) -> None:
        self.digests.pop(partition, None)


class Count:
    """Counts records by value in Redis."""

    name: ClassVar[str] = "tally"
    topics: ClassVar[tuple[Topic, ...]] = (TREND_RECORDS,)

    def __init__(self, counters: RedisCounters) -> None:
        self._counters = counters

    async def process(self, batch: Batch) -> Sequence[Outgoing]:
        counts: dict[str, int] = {}
        for value in batch.values:
            counts[value.decode()] = counts.get(value.decode(), 0) + 1
        await self._counters.apply(self.name, batch.topic, batch.partition, batch.first, batch.last, {"values": counts})
        return []

    async def position(self, topic: str, partition: int) -> int:
        return await self._counters.position(self.name, topic, partition)


async def main() -> None:
    settings = Settings()
    redis = connect_redis(settings)
    agents = [Chain(float(os.environ.get("TALLY_PAUSE_S", "0"))), Count(RedisCounters(redis, settings.log_id))]
    worker = Worker("tally", agents, worker_options(settings))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, worker.stop)
    await worker.run()
    await redis.aclose()


def decode_title(value: bytes) -> str:
    """The digest in a message of Chain."""
    return msgspec.json.decode(value, type=Asset).title


if __name__ == "__main__":
    asyncio.run(main())

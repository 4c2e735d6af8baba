"""batch:// under plain Faust: batches beside per-event topics, timers and tables, acknowledgements kept."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import faust
import pytest
from confluent_kafka import Consumer, TopicPartition
from stream_helpers import produce

from cuepoint.ops.settings import Settings
from cuepoint.schemas.errors import ConfigurationError
from cuepoint.schemas.topics import ASSET_DAYS, TREND_RECORDS
from cuepoint.streams.batch import Batch
from cuepoint.streams.batch_transport import BatchConsumer, BatchSchema


class Seen:
    """What an app's agents were handed."""

    def __init__(self) -> None:
        self.offsets: dict[int, list[int]] = {0: [], 1: []}
        self.batches = self.ticks = 0
        self.events: list[Any] = []


def make_app(settings: Settings, folder: Path, seen: Seen) -> faust.App:
    app = faust.App(
        f"{settings.topic_prefix}plain",
        broker=f"batch://{settings.broker}",
        store="memory://",
        datadir=str(folder / "plain"),
        web_enabled=False,
        topic_disable_leader=True,
        broker_session_timeout=settings.broker_session_timeout_s,
        broker_heartbeat_interval=1.0,
        broker_commit_interval=0.2,
        stream_wait_empty=False,
    )
    batches = app.topic(settings.topic_prefix + TREND_RECORDS.name, schema=BatchSchema())
    events = app.topic(settings.topic_prefix + ASSET_DAYS.name, value_type=bytes, value_serializer="raw")

    @app.agent(batches, name="batches")
    async def take_batches(stream: Any) -> None:
        async for batch in stream:
            assert isinstance(batch, Batch)
            seen.batches += 1
            seen.offsets[batch.partition] += batch.offsets

    @app.agent(events, name="events")
    async def take_events(stream: Any) -> None:
        async for event in stream:
            seen.events.append(event)

    @app.timer(0.1)
    async def tick() -> None:
        seen.ticks += 1

    return app


@asynccontextmanager
async def running(app: faust.App) -> AsyncIterator[None]:
    await app.start()
    try:
        yield
    finally:
        await app.stop()


async def until(check: Callable[[], Any]) -> None:
    async with asyncio.timeout(90):
        while not check():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


def committed(settings: Settings, app: faust.App) -> list[int]:
    consumer = Consumer({"bootstrap.servers": settings.broker, "group.id": app.conf.id})
    places = [TopicPartition(settings.topic_prefix + TREND_RECORDS.name, partition) for partition in (0, 1)]
    found = [each.offset for each in consumer.committed(places, timeout=60)]
    consumer.close()
    return found


async def test_batches_beside_events(settings: Settings, tmp_path: Path) -> None:
    rows = [(n % 2, b"v%d" % n) for n in range(1000)]
    produce(settings, TREND_RECORDS, rows[:800])
    produce(settings, ASSET_DAYS, [(0, b"e%d" % n) for n in range(20)])
    seen = Seen()
    app = make_app(settings, tmp_path, seen)
    async with running(app):
        await until(lambda: sum(map(len, seen.offsets.values())) == 800 and len(seen.events) == 20)
        assert seen.offsets == {0: list(range(400)), 1: list(range(400))}
        assert seen.events == [b"e%d" % n for n in range(20)]
        assert seen.batches < 200
        await until(lambda: seen.ticks > 0)
        await until(lambda: committed(settings, app) == [400, 400])

    produce(settings, TREND_RECORDS, rows[800:])
    seen = Seen()
    app = make_app(settings, tmp_path, seen)
    async with running(app):
        await until(lambda: sum(map(len, seen.offsets.values())) >= 200)
    assert seen.offsets == {0: list(range(400, 500)), 1: list(range(400, 500))}


async def test_a_batch_dropped_unread_is_read_again(settings: Settings, tmp_path: Path) -> None:
    produce(settings, TREND_RECORDS, [(0, b"v%d" % n) for n in range(100)])
    seen = Seen()
    app = make_app(settings, tmp_path, seen)
    consumer: BatchConsumer = app.consumer
    hand_over, dropped = consumer.callback, []

    async def lose_the_first(message: Any) -> None:
        if message.topic.endswith(TREND_RECORDS.name) and not dropped:
            dropped.append(message.offset)
            return  # as the stream does with a message of an older generation: no acknowledgement, no word
        await hand_over(message)

    consumer.callback = lose_the_first
    async with running(app):
        await until(lambda: sorted(set(seen.offsets[0])) == list(range(100)))
    assert dropped
    assert consumer.rewinds >= 1


async def test_mixed_channels_are_refused(settings: Settings, tmp_path: Path) -> None:
    app = make_app(settings, tmp_path, Seen())
    name = settings.topic_prefix + TREND_RECORDS.name
    app.topics._topic_name_index[name] = {app.topic(name, schema=BatchSchema()), app.topic(name)}
    with pytest.raises(ConfigurationError, match="either all of its channels"):
        app.consumer.is_batch_topic(name)

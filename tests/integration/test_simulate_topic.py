"""`cuepoint simulate --topic`: the events of simulated viewers on the topic, decisions read back from Redis."""

from __future__ import annotations

import time

import pytest
from confluent_kafka import Consumer, TopicPartition
from redis.asyncio import Redis

from cuepoint.ops.settings import Settings
from cuepoint.ops.simulate import SimulationOptions, simulate_viewers
from cuepoint.ops.simulate_ports import TopicPort
from cuepoint.schemas.codec import decoder
from cuepoint.schemas.playback import AdDecision, PlayerEvent
from cuepoint.schemas.rules import AdFormat
from cuepoint.schemas.topics import PLAYER_EVENTS
from cuepoint.streams.decision_feed import DecisionFeed
from cuepoint.streams.topics_admin import create_topics

pytestmark = pytest.mark.integration


def test_events_stand_on_the_topic_once_and_in_order(settings: Settings) -> None:
    create_topics(settings.broker, settings.partitions, prefix=settings.topic_prefix)
    options = SimulationOptions(sessions=30, rate=60.0, seconds=1.5, seed=3, api=None, to_topic=True)
    before_ms = int(time.time() * 1000)
    totals = simulate_viewers(options, settings)
    assert totals.events > 30

    consumer = Consumer({"bootstrap.servers": settings.broker, "group.id": "r", "auto.offset.reset": "earliest"})
    name = settings.topic_prefix + PLAYER_EVENTS.name
    consumer.assign([TopicPartition(name, number, 0) for number in range(settings.partitions)])
    events: list[PlayerEvent] = []
    deadline = time.monotonic() + 90
    while len(events) < totals.events and time.monotonic() < deadline:
        events += [decoder(PlayerEvent).decode(m.value() or b"") for m in consumer.consume(1000, 0.5)]
    consumer.close()
    assert len({event.event_id for event in events}) == len(events) == totals.events
    assert min(event.received_at for event in events) >= before_ms
    by_session: dict[str, list[int]] = {}
    for event in events:
        by_session.setdefault(event.session_id, []).append(event.seq)
    assert all(numbers == sorted(numbers) for numbers in by_session.values())


async def test_decisions_are_read_from_redis(settings: Settings) -> None:
    redis = Redis.from_url(settings.redis_url.get_secret_value())
    feed, port = DecisionFeed(redis), TopicPort(settings)
    decision = AdDecision(
        decision_id="d1",
        session_id="s1",
        video_id="v",
        rule_id="r",
        rule_version=1,
        event_id="e",
        decided_at=1,
        number=2,
        position_s=3.0,
        format=AdFormat(),
        duration_s=15.0,
        spot_load=0.1,
        reason="because",
    )
    try:
        await feed.write([decision])
        assert await port.decisions("s1", 1) == [decision]
        assert await port.decisions("s1", 2) == []
    finally:
        await port.close()
        await feed.close()
        await redis.aclose()

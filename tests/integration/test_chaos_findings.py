"""What chaos runs have found, each in its smallest form."""

from __future__ import annotations

from pathlib import Path

import pytest
import redis
import tally_worker
from confluent_kafka import Consumer, TopicPartition
from playback_log import T0
from stream_helpers import child, environment, produce, wait_until

from cuepoint.models.count_events import FORGET_MS, DecisionCounter
from cuepoint.ops.settings import Settings
from cuepoint.ops.worker import worker_options
from cuepoint.schemas.errors import Unavailable
from cuepoint.schemas.playback import AdDecision
from cuepoint.schemas.rules import AdFormat
from cuepoint.schemas.topics import TREND_RECORDS
from cuepoint.streams.embedded_parts import free_port
from cuepoint.streams.worker import Worker, build_app

SCRIPT = tally_worker.__file__


def rows(count: int) -> list[tuple[int, bytes]]:
    """Large ones, so that reading them takes many fetches (of Apache Kafka; the embedded broker gives all at once)."""
    return [(n % 2, b"v%d" % (n % 7) * 1000) for n in range(count)]


def committed(settings: Settings) -> int:
    places = [TopicPartition(settings.topic_prefix + TREND_RECORDS.name, partition) for partition in (0, 1)]
    consumer = Consumer({"bootstrap.servers": settings.broker, "group.id": f"{settings.topic_prefix}cuepoint-tally"})
    found = sum(place.offset for place in consumer.committed(places, timeout=10))
    consumer.close()
    return found


def test_reading_begins_anew_below_what_is_committed(settings: Settings, tmp_path: Path) -> None:
    """The store loses its counts while the worker runs: it read the same batch again, for ever."""
    url = settings.redis_url.get_secret_value()
    env = environment(settings, CUEPOINT_FETCH_PARTITION_BYTES="4096")
    with redis.Redis.from_url(url) as client, child([SCRIPT], env, tmp_path / "worker.log") as worker:

        def total() -> int:
            return sum(map(int, client.hvals("cuepoint:counts:values")))  # type: ignore[arg-type, union-attr]

        produce(settings, TREND_RECORDS, rows(600), chunk=20)
        wait_until(lambda: total() == 600, "all is counted")
        wait_until(lambda: committed(settings) == 600, "all is committed")
        client.flushdb()
        produce(settings, TREND_RECORDS, rows(100), chunk=20)
        wait_until(lambda: total() == 700, "all is counted again")
        worker.terminate()
        assert worker.wait(10) == 0
    said = (tmp_path / "worker.log").read_text()
    assert "beginning again from what is stored" in said
    assert said.count("reading again") < 10


async def test_no_broker_at_the_start_is_unavailable(tmp_path: Path) -> None:
    settings = Settings(broker=f"127.0.0.1:{free_port()}", data_dir=tmp_path)
    with pytest.raises(Unavailable, match=settings.broker):
        await Worker("tally", [tally_worker.Chain()], worker_options(settings)).run()


def test_partitions_unknown_at_first_are_looked_for_soon(tmp_path: Path) -> None:
    """A group shared out while the broker did not know its topics yet owned nothing for five minutes."""
    app = build_app("tally", worker_options(Settings(data_dir=tmp_path)))
    assert app.conf.consumer_metadata_max_age_ms <= 10_000


def decision(session_id: str, number: int, at: int) -> AdDecision:
    return AdDecision(
        decision_id=f"{session_id}-{number}",
        session_id=session_id,
        video_id="v",
        rule_id="r",
        rule_version=1,
        event_id="e",
        decided_at=at,
        number=number,
        position_s=0.0,
        format=AdFormat(),
        duration_s=15.0,
        spot_load=1.0,
        reason="r",
    )


def test_decisions_told_again_after_hours_count_once() -> None:
    """A session worker that begins again from an old state says again what its readers have long forgotten."""
    told = [decision(f"s{n}", number, T0 + n * FORGET_MS // 10) for n in range(60) for number in (1, 2)]
    counter = DecisionCounter()
    total = {}
    for part in (told, told[:80], told):
        for key, fields in counter.count(part).increments.items():
            for name, amount in fields.items():
                total[key, name] = total.get((key, name), 0) + amount
    assert sum(amount for (key, _), amount in total.items() if key.startswith("total:")) == len(told)
    assert len(counter.last) < 20, "what is said again is not remembered anew"

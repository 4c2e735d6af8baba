"""The role `store` as a process on the broker: killed in the midst of reports, and the store is as if it never was."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

from confluent_kafka import Producer
from consumption_feed import DAY, cell, report
from stream_helpers import child, environment, read_topic, wait_until

from cuepoint.ops.consumption_parts import consumption_store
from cuepoint.ops.settings import Settings
from cuepoint.schemas.codec import decoder, encode
from cuepoint.schemas.faults import DeadLetter
from cuepoint.schemas.topics import CONSUMPTION, DEAD_CONSUMPTION
from cuepoint.streams.database import open_engine, upgrade

RUN_ROLE = str(Path(__file__).parent.parent / "support" / "run_role.py")
DAYS, ASSETS = 30, 40


def produce_days(producer: Producer, settings: Settings, first: int, last: int) -> None:
    for n in range(first, last):
        for partition in (0, 1):
            cells = [cell(f"p{partition}-a{k}", 1 + k) for k in range(ASSETS)]
            for message in report(cells, day=DAY + dt.timedelta(days=n)):
                producer.produce(settings.topic_prefix + CONSUMPTION.name, encode(message), b"k", partition)
    assert producer.flush(20) == 0


def test_killed_and_started_again_it_stores_everything_once(settings: Settings, tmp_path: Path) -> None:
    settings = settings.model_copy(update={"consumption_dir": tmp_path / "consumption"})
    env = environment(
        settings,
        CUEPOINT_CONSUMPTION_DIR=str(settings.consumption_dir),
        CUEPOINT_CONSUMPTION_FLUSH_S="0.3",
        CUEPOINT_CONSUMPTION_UPKEEP_S="0.5",
        CUEPOINT_LOG_LEVEL="WARNING",
    )
    producer = Producer({"bootstrap.servers": settings.broker, "enable.idempotence": True, "linger.ms": 2})
    engine = open_engine(settings.database_url.get_secret_value())
    upgrade(engine)
    store = consumption_store(settings, engine)
    with child([RUN_ROLE, "store"], env, tmp_path / "first.log") as worker:
        produce_days(producer, settings, 0, DAYS // 2)
        wait_until(lambda: store.totals(())["count"].sum() > 0, "something is stored")
        produce_days(producer, settings, DAYS // 2, DAYS)
        worker.kill()
    raw = settings.topic_prefix + CONSUMPTION.name
    producer.produce(raw, b'{"broken', b"k", 0)
    produce_days(producer, settings, 0, 3)  # repeats
    producer.flush(10)
    expected = 2 * DAYS * sum(range(1, ASSETS + 1))
    with child([RUN_ROLE, "store"], env, tmp_path / "second.log") as worker:
        wait_until(lambda: store.totals(())["count"].sum() >= expected, (tmp_path / "second.log").read_text)
        wait_until(lambda: read_topic(settings, DEAD_CONSUMPTION), "the broken record is told of")
        worker.terminate()
        assert worker.wait(60) == 0
    assert store.totals(())["count"].tolist() == [expected]
    marks = store.watermarks()
    assert len(marks) == DAYS
    assert {mark.rows for mark in marks} == {2 * ASSETS}
    [letter] = [decoder(DeadLetter).decode(message.value()) for message in read_topic(settings, DEAD_CONSUMPTION)]
    assert (letter.code, letter.original) == ("malformed", b'{"broken')
    engine.dispose()

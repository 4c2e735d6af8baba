"""Workers that are killed, joined and stopped: what comes out is what an undisturbed run gives."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import redis
import tally_worker
from confluent_kafka import Consumer, TopicPartition
from pydantic import SecretStr
from stream_helpers import child, environment, header, produce, read_topic, wait_until

from cuepoint.ops.settings import Settings
from cuepoint.schemas.topics import ASSETS, DEAD_TREND_RECORDS, TREND_RECORDS
from cuepoint.streams.batch import Batch
from cuepoint.streams.embedded_parts import start_redis
from cuepoint.streams.snapshot_store import SnapshotStore

SCRIPT = tally_worker.__file__
RECORDS = 1500


def rows(start: int = 0, count: int = RECORDS) -> list[tuple[int, bytes]]:
    """Every hundredth record is broken."""
    return [(n % 2, b"!%d" % n if n % 100 == 99 else b"v%d" % (n % 37)) for n in range(start, start + count)]


def undisturbed(sent: list[tuple[int, bytes]]) -> dict[str, str]:
    """Id and content of every message of the agent, from one pass over the records."""
    expected = {}
    agent = tally_worker.Chain()
    for partition in (0, 1):
        values = [value for at, value in sent if at == partition]
        offsets = list(range(len(values)))
        batch = Batch("", partition, 0, len(values) - 1, values, values, offsets, [0] * len(values))
        for outgoing in asyncio.run(agent.process(batch)):
            if outgoing.topic is ASSETS:
                expected[outgoing.id] = outgoing.message.title
    return expected


def contents(messages: list[Any]) -> dict[str, set[str]]:
    """All contents told under an id."""
    told: dict[str, set[str]] = {}
    for message in messages:
        told.setdefault(header(message, "ce_id"), set()).add(tally_worker.decode_title(message.value()))
    return told


def counted(url: str) -> dict[str, int]:
    with redis.Redis.from_url(url, decode_responses=True) as client:
        found: Any = client.hgetall("cuepoint:counts:values")
        return {name: int(count) for name, count in found.items()}


def check(settings: Settings, sent: list[tuple[int, bytes]]) -> None:
    """Nothing lost, nothing told twice with another content, everything counted once."""
    assert contents(read_topic(settings, ASSETS)) == {id: {title} for id, title in undisturbed(sent).items()}
    assert counted(settings.redis_url.get_secret_value()) == Counter(value.decode() for _, value in sent)
    dead = {header(message, "ce_id") for message in read_topic(settings, DEAD_TREND_RECORDS)}
    assert len(dead) == sum(value.startswith(b"!") for _, value in sent)


def committed(settings: Settings) -> list[int]:
    group = f"{settings.topic_prefix}cuepoint-tally"
    consumer = Consumer({"bootstrap.servers": settings.broker, "group.id": group})
    asked = [TopicPartition(settings.topic_prefix + TREND_RECORDS.name, partition) for partition in (0, 1)]
    found = [each.offset for each in consumer.committed(asked, timeout=60)]
    consumer.close()
    return found


def snapshots(settings: Settings) -> list[int]:
    store = SnapshotStore(settings.data_dir / "snapshots" / "tally")
    found = [store.load("chain", TREND_RECORDS.name, partition) for partition in (0, 1)]
    return [-1 if snapshot is None else snapshot.offset for snapshot in found]


def total(settings: Settings) -> int:
    return sum(counted(settings.redis_url.get_secret_value()).values())


def test_killed_in_the_middle_twice(settings: Settings, tmp_path: Path) -> None:
    sent = rows()
    env = environment(settings, CUEPOINT_SNAPSHOT_INTERVAL_S="0.1")
    log = tmp_path / "worker.log"
    for start in (0, 500):
        with child([SCRIPT], {**env, "TALLY_PAUSE_S": "0.1"}, log) as worker:
            produce(settings, TREND_RECORDS, sent[start : start + 300])
            wait_until(lambda start=start: total(settings) > start, "records are counted")
            produce(settings, TREND_RECORDS, sent[start + 300 : start + 500], chunk=20)
            worker.send_signal(signal.SIGKILL)
            worker.wait()
    produce(settings, TREND_RECORDS, sent[1000:])
    for offset, saved in zip(committed(settings), snapshots(settings), strict=True):
        assert offset - 1 <= saved, "an offset was committed that no snapshot covers"
    with child([SCRIPT], env, log) as worker:
        wait_until(
            lambda: total(settings) == RECORDS and len(contents(read_topic(settings, ASSETS))) >= 1485, "all is read"
        )
        worker.terminate()
        assert worker.wait(60) == 0
    check(settings, sent)
    assert snapshots(settings) == [RECORDS // 2 - 1] * 2, "the last snapshot is made at the stop"
    assert committed(settings) == [RECORDS // 2] * 2


def test_workers_join_and_leave(settings: Settings, tmp_path: Path) -> None:
    sent: list[tuple[int, bytes]] = []
    env = environment(settings)

    def more(count: int) -> None:
        new = rows(len(sent), count)
        produce(settings, TREND_RECORDS, new)
        sent.extend(new)

    with child([SCRIPT], env, tmp_path / "first.log") as first:
        more(400)
        wait_until(lambda: total(settings) == 400, "the first worker reads")
        with child([SCRIPT], env, tmp_path / "second.log"):
            for _ in range(8):  # the group is joined while records come
                more(50)
                wait_until(lambda: total(settings) >= len(sent) - 100, "reading goes on while a worker joins")
            wait_until(lambda: total(settings) == len(sent), "both read")
            first.terminate()
            assert first.wait(60) == 0
            more(200)
            wait_until(lambda: total(settings) == len(sent), "the second one reads all")
            wait_until(lambda: len(contents(read_topic(settings, ASSETS))) >= len(undisturbed(sent)), "all is told")
    check(settings, sent)


def test_refuses_a_broken_snapshot(settings: Settings, tmp_path: Path) -> None:
    path = SnapshotStore(settings.data_dir / "snapshots" / "tally").path("chain", TREND_RECORDS.name, 1)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"CUEPOINT but no more of it")
    log = tmp_path / "worker.log"
    with child([SCRIPT], environment(settings), log) as worker:
        assert worker.wait(60) != 0
    assert "is refused" in log.read_text()
    assert "Move it away" in log.read_text()
    assert path.read_bytes().startswith(b"CUEPOINT but")


def test_store_that_lost_its_counts_is_filled_again(settings: Settings, tmp_path: Path) -> None:
    sent = rows(count=300)
    produce(settings, TREND_RECORDS, sent)
    url = settings.redis_url.get_secret_value()
    for _ in range(2):
        with child([SCRIPT], environment(settings), tmp_path / "worker.log") as worker:
            wait_until(lambda: total(settings) == 300, "all is counted")
            worker.terminate()
            assert worker.wait(60) == 0
        assert counted(url) == Counter(value.decode() for _, value in sent)
        with redis.Redis.from_url(url) as client:
            client.flushdb()


def test_redis_restarts_empty_under_a_live_worker(settings: Settings, tmp_path: Path) -> None:
    sent = rows(count=300)
    own = start_redis(tmp_path)
    own_settings = settings.model_copy(update={"redis_url": SecretStr(own.address)})
    port = int(own.address.split(":")[2].split("/")[0])
    produce(settings, TREND_RECORDS, sent[:200])
    with child([SCRIPT], environment(own_settings), tmp_path / "worker.log") as worker:
        wait_until(lambda: total(own_settings) == 200, "all is counted")
        own.stop()
        produce(settings, TREND_RECORDS, sent[200:])
        own = start_redis(tmp_path, port)
        wait_until(lambda: total(own_settings) == 300, "all is counted again")
        worker.terminate()
        assert worker.wait(60) == 0
    assert counted(own.address) == Counter(value.decode() for _, value in sent)
    own.stop()

"""Producing to and reading from a test's topics; starting worker processes; waiting with a deadline."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition

from cuepoint.ops.settings import Settings
from cuepoint.schemas.topics import Topic
from cuepoint.streams.topics_admin import partition_count


def wait_until(check: Callable[[], Any], what: str, timeout_s: float = 90.0) -> Any:
    """The first true answer of ``check``; fails after ``timeout_s``."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        found = check()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(f"not within {timeout_s:.0f} s: {what}")


def produce(settings: Settings, topic: Topic, rows: list[tuple[int, bytes]], chunk: int = 50) -> None:
    """(partition, value) in order, in batches of at most ``chunk``."""
    producer = Producer({"bootstrap.servers": settings.broker, "enable.idempotence": True, "linger.ms": 1})
    for start in range(0, len(rows), chunk):
        for partition, value in rows[start : start + chunk]:
            producer.produce(settings.topic_prefix + topic.name, value, b"key", partition)
        assert producer.flush(20) == 0


def read_topic(settings: Settings, topic: Topic) -> list[Any]:
    """All messages that are in the topic now, by partition and offset."""
    name = settings.topic_prefix + topic.name
    partitions = partition_count(settings.broker, topic, settings.topic_prefix)
    consumer = Consumer(
        {
            "bootstrap.servers": settings.broker,
            "group.id": "read-topic",
            "enable.partition.eof": True,
            "enable.auto.commit": False,
        }
    )
    consumer.assign([TopicPartition(name, partition, OFFSET_BEGINNING) for partition in range(partitions)])
    found, ended, deadline = [], set(), time.monotonic() + 90
    while len(ended) < partitions and time.monotonic() < deadline:
        for message in consumer.consume(1000, 0.2):
            if message.error() is None:
                found.append(message)
            else:
                ended.add(message.partition())
    consumer.close()
    assert len(ended) == partitions, f"{name} could not be read to its end"
    return sorted(found, key=lambda message: (message.partition(), message.offset()))


def read_topics(settings: Settings, topics: Iterable[Topic]) -> dict[Topic, list[Any]]:
    """All messages that are in several topics now, read at once."""
    names = {settings.topic_prefix + topic.name: topic for topic in topics}
    consumer = Consumer(
        {
            "bootstrap.servers": settings.broker,
            "group.id": "read-topics",
            "enable.partition.eof": True,
            "enable.auto.commit": False,
            "fetch.wait.max.ms": 10,
        }
    )
    places = [
        TopicPartition(name, partition, OFFSET_BEGINNING)
        for name, topic in names.items()
        for partition in range(topic.partitions or settings.partitions)
    ]
    consumer.assign(places)
    found: dict[Topic, list[Any]] = {topic: [] for topic in names.values()}
    ended, deadline = set(), time.monotonic() + 30
    while len(ended) < len(places) and time.monotonic() < deadline:
        for message in consumer.consume(1000, 0.1):
            if message.error() is None:
                found[names[message.topic()]].append(message)
            else:
                ended.add((message.topic(), message.partition()))
    consumer.close()
    assert len(ended) == len(places), "not all topics could be read to their ends"
    return found


def header(message: Any, name: str) -> str:
    return dict(message.headers() or [])[name].decode()


def environment(settings: Settings, **more: str) -> dict[str, str]:
    """Variables that give a child process the same settings."""
    names = {
        "CUEPOINT_BROKER": settings.broker,
        "CUEPOINT_REDIS_URL": settings.redis_url.get_secret_value(),
        "CUEPOINT_DATABASE_URL": settings.database_url.get_secret_value(),
        "CUEPOINT_TOPIC_PREFIX": settings.topic_prefix,
        "CUEPOINT_PARTITIONS": str(settings.partitions),
        "CUEPOINT_DATA_DIR": str(settings.data_dir),
        "CUEPOINT_SNAPSHOT_INTERVAL_S": str(settings.snapshot_interval_s),
        "CUEPOINT_COMMIT_INTERVAL_S": str(settings.commit_interval_s),
        "CUEPOINT_HEARTBEAT_INTERVAL_S": str(settings.heartbeat_interval_s),
        "CUEPOINT_BROKER_SESSION_TIMEOUT_S": str(settings.broker_session_timeout_s),
        "CUEPOINT_LOG_ID": settings.log_id,
    }
    return {**os.environ, **names, **more}


@contextmanager
def child(arguments: list[str], env: dict[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A Python process of ours; killed at the end if it is still there."""
    with log.open("ab") as output:
        process = subprocess.Popen([sys.executable, *arguments], env=env, stdout=output, stderr=output)
        try:
            yield process
        finally:
            process.kill()
            process.wait()

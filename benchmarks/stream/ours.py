"""Cuepoint's own worker, started as in production (``cuepoint worker ROLE``), watched through its heartbeats."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import redis
from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition
from machine import Place
from meter import COUNT_FROM
from workload import PARTITIONS

from cuepoint.schemas.codec import decoder
from cuepoint.schemas.playback import AdDecision
from cuepoint.schemas.topics import AD_DECISIONS, CHANGES, Topic
from cuepoint.schemas.trends import Change
from cuepoint.streams import heartbeats

BEAT_S = 0.05
SHORT = 20  # heartbeats


class Sample(NamedTuple):
    """What a heartbeat said: all of one moment, however late it is read."""

    at_s: float
    received: int
    cpu_s: float


class Speed(NamedTuple):
    """Records a second of wall clock and of CPU, from the first batch to the last."""

    per_s: float
    per_cpu_s: float


@dataclass
class Worker:
    """One worker process. ``samples`` grow while it is watched."""

    process: subprocess.Popen[bytes]
    topic: str
    started_s: float
    samples: list[Sample] = field(default_factory=list)
    state: str = ""
    unsaved_s: float = 0.0

    def rss_bytes(self) -> int:
        return int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    @property
    def received(self) -> int:
        return self.samples[-1].received if self.samples else 0

    def received_at(self, at_s: float) -> int:
        """Records processed as of the last heartbeat up to then."""
        return max((sample.received for sample in self.samples if sample.at_s <= at_s), default=0)

    def speed(self, total: int) -> Speed:
        """From the first heartbeat that knows of records to the first that knows of all. Of a short run the batches in
        hand at the first are too large a part: it is taken from the last idle one on, too low rather than too high."""
        begun = next(i for i, sample in enumerate(self.samples) if sample.received > 0)
        ended = next(i for i, sample in enumerate(self.samples) if sample.received >= total)
        first, last = self.samples[begun if ended - begun >= SHORT else max(0, begun - 1)], self.samples[ended]
        done = last.received - first.received
        return Speed(done / (last.at_s - first.at_s), done / max(last.cpu_s - first.cpu_s, 1e-3))


@contextmanager
def workers(
    place: Place,
    role: str,
    topic: Topic,
    prefix: str,
    run: str,
    cores: tuple[int, ...] = (),
    settings: Mapping[str, str] | None = None,
) -> Iterator[list[Worker]]:
    """One worker process a core (the measured core if none is named), with the data folder ``run``."""
    log = (place.folder / f"{run}.log").open("ab")
    started = []
    for core in cores or place.worker_cores[:1]:
        command = place.pinned([sys.executable, "-m", "cuepoint.ops.cli", "worker", role], core)
        environment = {**_environment(place, prefix, place.folder / run), **(settings or {})}
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        started.append(Worker(process, topic.name, time.time()))
    try:
        yield started
    except BaseException:
        sys.stderr.write((place.folder / f"{run}.log").read_text()[-4000:])
        raise
    finally:
        for worker in started:
            if worker.process.poll() is None:
                worker.process.send_signal(signal.SIGKILL)
            worker.process.wait()
        log.close()


def _environment(place: Place, prefix: str, folder: Path) -> Mapping[str, str]:
    return {
        **os.environ,
        "CUEPOINT_BROKER": place.broker,
        "CUEPOINT_REDIS_URL": place.redis_url,
        "CUEPOINT_DATABASE_URL": f"sqlite:///{folder}/history.db",
        "CUEPOINT_DATA_DIR": str(folder),
        "CUEPOINT_TOPIC_PREFIX": prefix,
        "CUEPOINT_HEARTBEAT_INTERVAL_S": str(BEAT_S),
        "CUEPOINT_LOG_LEVEL": "WARNING",
    }


def watch(place: Place, running: list[Worker], timeout_s: float = 600.0) -> Iterator[list[Worker]]:
    """Yields after every look at the heartbeats. Raises TimeoutError, and RuntimeError for a worker that ended."""
    client: Any = redis.Redis.from_url(place.redis_url)
    by_pid = {worker.process.pid: worker for worker in running}
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        for beat in heartbeats.read_all_sync(client):
            worker = by_pid.get(beat.pid)
            if worker is None or (worker.samples and worker.samples[-1].at_s == beat.at / 1000):
                continue
            worker.state, worker.unsaved_s = beat.state, beat.snapshot_age_s or 0.0
            worker.samples.append(Sample(beat.at / 1000, beat.received.get(worker.topic, 0), beat.cpu_s))
        yield running
        for worker in running:
            if worker.process.poll() is not None:
                raise RuntimeError(f"a worker ended with {worker.process.returncode}")
        time.sleep(0.01)
    raise TimeoutError(f"a worker did not get through its log in {timeout_s:.0f} s")


def until_received(place: Place, running: list[Worker], total: int) -> None:
    """Watch until they have processed ``total`` records between them."""
    for seen in watch(place, running):
        if sum(worker.received for worker in seen) >= total:
            return


def until_ready(place: Place, running: list[Worker]) -> None:
    for seen in watch(place, running, 300.0):
        if all(worker.state == "ready" for worker in seen):
            return


def read_all(place: Place, topic: str) -> Iterator[bytes]:
    """All values of a topic, partition by partition."""
    consumer = Consumer(
        {"bootstrap.servers": place.broker, "group.id": "bench", "enable.auto.commit": False, "check.crcs": False}
    )
    for partition in range(PARTITIONS):
        there = TopicPartition(topic, partition, OFFSET_BEGINNING)
        _, end = consumer.get_watermark_offsets(there, timeout=10.0)
        consumer.assign([there])
        position = 0
        while position < end:
            for message in consumer.consume(10_000, timeout=1.0):
                if message.error() is None:
                    position = message.offset() + 1
                    yield message.value()
    consumer.close()


def decisions_made(place: Place, prefix: str) -> int:
    """Distinct decisions in the decisions topic."""
    decode = decoder(AdDecision).decode
    return len({decode(value).decision_id for value in read_all(place, prefix + AD_DECISIONS.name)})


def regions_opened(place: Place, prefix: str) -> int:
    """Distinct regions of change opened from ``COUNT_FROM`` on that the changes topic knows of."""
    changes = map(decoder(Change).decode, read_all(place, prefix + CHANGES.name))
    counted = (change for change in changes if change.status == "opened" and change.day.toordinal() >= COUNT_FROM)
    return len({change.change_id for change in counted})

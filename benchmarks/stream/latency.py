"""Decision latency: from an event's handing over to a producer until its decision can be read, at a steady rate."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from confluent_kafka import Producer
from machine import Place
from ours import until_ready, workers
from workload import PARTITIONS, make_player_log

from cuepoint.schemas.codec import encode
from cuepoint.schemas.playback import PlayerEvent
from cuepoint.schemas.topics import AD_DECISIONS, PLAYER_EVENTS
from cuepoint.streams.producer import headers_of

WARM_S = 2.0  # not counted: the first events of a fresh worker
LINGER_MS = 2.0  # of the producer that plays the collector; as Cuepoint's own


class Latency(NamedTuple):
    """Milliseconds from event to decision, read from the topic, and from Redis where that was asked for."""

    events_per_s: float  # reached, not wished for
    decisions: int
    topic_ms: tuple[float, float, float] | None  # p50, p95, p99
    redis_ms: tuple[float, float, float] | None


def measure(place: Place, events: Sequence[PlayerEvent], rate: float, prefix: str, *, redis: bool) -> Latency:
    """Send ``events`` at ``rate`` a second to a fresh worker; ``redis``: through the worker that feeds Redis, too."""
    make_player_log(place.broker, prefix, ())
    found = place.folder / f"{prefix}decisions.txt"
    with workers(place, "sessions", PLAYER_EVENTS, prefix, f"{prefix}sessions") as sessions:
        if not redis:
            until_ready(place, sessions)
            return _run(place, events, rate, prefix, found, sessions[0].topic)
        with workers(place, "views", PLAYER_EVENTS, prefix, f"{prefix}views", place.other_cores[:1]) as views:
            until_ready(place, sessions)
            until_ready(place, views)
            return _run(place, events, rate, prefix, found, sessions[0].topic)


def _run(place: Place, events: Sequence[PlayerEvent], rate: float, prefix: str, found: Path, topic: str) -> Latency:
    reader_script = str(Path(__file__).with_name("latency_reader.py"))
    arguments = [place.broker, prefix + AD_DECISIONS.name, str(PARTITIONS), place.redis_url, str(found)]
    reader = subprocess.Popen([sys.executable, reader_script, *arguments], stdout=subprocess.PIPE)
    assert reader.stdout is not None
    reader.stdout.readline()  # it reads from now on
    try:
        sent, reached = _send(place.broker, prefix + topic, events, rate)
        time.sleep(2.0)
    finally:
        reader.terminate()
        reader.wait(30)
    since = min(sent.values()) + WARM_S
    delays: dict[str, list[float]] = {"topic": [], "redis": []}
    for line in found.read_text().splitlines():
        where, event_id, at_s = line.split("\t")
        if sent[event_id] >= since:
            delays[where].append((float(at_s) - sent[event_id]) * 1000)
    return Latency(reached, len(delays["topic"]), _percentiles(delays["topic"]), _percentiles(delays["redis"]))


def _percentiles(delays: list[float]) -> tuple[float, float, float] | None:
    if not delays:
        return None
    p50, p95, p99 = np.percentile(delays, [50, 95, 99]).tolist()
    return p50, p95, p99


def _send(broker: str, topic: str, events: Sequence[PlayerEvent], rate: float) -> tuple[dict[str, float], float]:
    """Open loop: each event at its time, whatever the system does; when each was handed over, and the rate reached."""
    producer = Producer(
        {
            "bootstrap.servers": broker,
            "enable.idempotence": True,
            "partitioner": "murmur2_random",
            "linger.ms": LINGER_MS,
            "queue.buffering.max.messages": 1_000_000,
        }
    )
    producer.list_topics(topic, timeout=10.0)
    ready = [(e.event_id, e.session_id.encode(), encode(e), headers_of(e, "cuepoint", e.event_id)) for e in events]
    sent: dict[str, float] = {}
    clock, produce = time.time, producer.produce
    began, done = clock(), 0
    while done < len(ready):
        due = min(len(ready), int((clock() - began) * rate))
        for event_id, key, value, headers in ready[done:due]:
            sent[event_id] = clock()
            produce(topic, value, key, headers=headers)
        done = max(done, due)
        producer.poll(0)
        time.sleep(0.0005)
    reached = done / (clock() - began)
    producer.flush(30.0)
    return sent, reached

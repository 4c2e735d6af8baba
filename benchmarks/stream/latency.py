"""Decision latency: from an event until its decision can be read, at a steady rate."""

from __future__ import annotations

import asyncio
import functools
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from aiokafka import AIOKafkaProducer
from aiokafka.producer.message_accumulator import BatchBuilder
from machine import Place
from ours import until_ready, workers
from workload import PARTITIONS, make_player_log

from cuepoint.schemas.codec import encode
from cuepoint.schemas.playback import PlayerEvent
from cuepoint.schemas.topics import AD_DECISIONS, PLAYER_EVENTS
from cuepoint.streams.producer import headers_of, partition_of

WARM_S = 3.0  # not counted: broker and workers are fresh, and all viewers begin
GATHER_S = 0.002  # how long the producer that plays the collector gathers events; as Cuepoint's own
_partition = functools.lru_cache(maxsize=1 << 17)(lambda key: partition_of(key, PARTITIONS))


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
        with workers(place, "counts", PLAYER_EVENTS, prefix, f"{prefix}counts", place.other_cores[:1]) as feeding:
            until_ready(place, sessions)
            until_ready(place, feeding)
            return _run(place, events, rate, prefix, found, sessions[0].topic)


def _run(place: Place, events: Sequence[PlayerEvent], rate: float, prefix: str, found: Path, topic: str) -> Latency:
    reader_script = str(Path(__file__).with_name("latency_reader.py"))
    arguments = [place.broker, prefix + AD_DECISIONS.name, str(PARTITIONS), place.redis_url, str(found)]
    reader = subprocess.Popen([sys.executable, reader_script, *arguments], stdout=subprocess.PIPE)
    assert reader.stdout is not None
    reader.stdout.readline()  # it reads from now on
    try:
        sent, reached = asyncio.run(_send(place.broker, prefix + topic, events, rate))
    finally:
        reader.terminate()  # it goes on until nothing comes any more
        reader.wait(120)
    since = min(sent.values()) + min(WARM_S, len(events) / rate / 3)
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


async def _send(broker: str, topic: str, events: Sequence[PlayerEvent], rate: float) -> tuple[dict[str, float], float]:
    """Open loop: event i happens at i / rate, whatever the system does. When each happened, and the rate reached.

    What happens within ``GATHER_S`` goes out together at its end, as a collector's producer does it. The batches are
    built beforehand, so that a loader that shares its core with the broker keeps up.
    """
    producer = AIOKafkaProducer(bootstrap_servers=broker, acks="all", max_batch_size=1 << 20)
    await producer.start()
    per_tick = max(1, round(rate * GATHER_S))
    ticks = [_built(producer, events[at : at + per_tick]) for at in range(0, len(events), per_tick)]
    gather_s = per_tick / rate
    began, waiting = time.time() + 0.1, set()
    for number, batches in enumerate(ticks, 1):
        pause_s = began + number * gather_s - time.time()
        await asyncio.sleep(max(0.0, pause_s))
        for partition, batch in batches.items():
            waiting.add(await producer.send_batch(batch, topic, partition=partition))
    reached = len(events) / (time.time() - began)
    await asyncio.gather(*waiting)
    await producer.stop()
    return {event.event_id: began + number / rate for number, event in enumerate(events)}, reached


def _built(producer: AIOKafkaProducer, events: Sequence[PlayerEvent]) -> dict[int, BatchBuilder]:
    """A batch per partition, closed."""
    batches: dict[int, BatchBuilder] = {}
    now_ms = int(time.time() * 1000)
    for event in events:
        key = event.session_id.encode()
        partition = _partition(key)
        batch = batches.get(partition)
        if batch is None:
            batch = batches[partition] = producer.create_batch()
        headers = headers_of(event, "cuepoint", event.event_id)
        if batch.append(key=key, value=encode(event), timestamp=now_ms, headers=headers) is None:
            raise RuntimeError("a batch is full: more events a second than this loader can send")
    for batch in batches.values():
        batch.close()
    return batches

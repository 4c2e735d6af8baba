"""Notes when each decision could first be read: from the topic, and from Redis (the channel the API follows)."""

from __future__ import annotations

import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

import msgspec
import redis
from confluent_kafka import OFFSET_END, Consumer, TopicPartition


class Decision(msgspec.Struct):
    event_id: str


SILENCE_S = 2.0  # when told to stop: late decisions count, too

decode = msgspec.json.Decoder(Decision).decode


def follow_redis(url: str, lines: list[str]) -> None:
    pubsub = redis.Redis.from_url(url).pubsub(ignore_subscribe_messages=True)
    pubsub.psubscribe("cuepoint:decided:*")
    for told in pubsub.listen():
        at_s = time.time()
        lines.append(f"redis\t{decode(told['data']).event_id}\t{at_s!r}\n")


def main() -> None:
    broker, topic, partitions, redis_url, path = sys.argv[1:]
    lines: list[str] = []
    threading.Thread(target=follow_redis, args=(redis_url, lines), daemon=True).start()
    settings: dict[str, Any] = {"bootstrap.servers": broker, "group.id": "bench", "enable.auto.commit": False}
    consumer = Consumer(settings)
    ends = []
    for partition in range(int(partitions)):
        _, end = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=10.0)
        ends.append(TopicPartition(topic, partition, end if end >= 0 else OFFSET_END))
    consumer.assign(ends)
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    consumer.poll(0.5)  # connects
    print("reading", flush=True)
    at_s = time.time()
    while not stopping.is_set() or time.time() < at_s + SILENCE_S:
        message = consumer.poll(0.2)
        if message is not None and message.error() is None:
            at_s = time.time()
            lines.append(f"topic\t{decode(message.value()).event_id}\t{at_s!r}\n")
    Path(path).write_text("".join(lines))


if __name__ == "__main__":
    main()

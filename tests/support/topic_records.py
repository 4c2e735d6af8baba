"""Reading a topic from its beginning, without a consumer group."""

from __future__ import annotations

import time

from confluent_kafka import Consumer, Message, TopicPartition

from cuepoint.ops.settings import Settings
from cuepoint.schemas.topics import Topic
from cuepoint.streams.topics_admin import partition_count


def records_of(settings: Settings, topic: Topic, count: int, seconds: float = 60.0) -> list[Message]:
    """The first ``count`` records of a topic, partitions mixed. Fails when they do not come in time."""
    name = settings.topic_prefix + topic.name
    partitions = partition_count(settings.broker, topic, settings.topic_prefix)
    consumer = Consumer({"bootstrap.servers": settings.broker, "group.id": "not-joined", "enable.auto.commit": False})
    try:
        consumer.assign([TopicPartition(name, number, 0) for number in range(partitions)])
        found: list[Message] = []
        deadline = time.monotonic() + seconds
        while len(found) < count:
            assert time.monotonic() < deadline, f"{len(found)} of {count} records in {name}"
            record = consumer.poll(0.2)
            if record is not None and record.error() is None:
                found.append(record)
        return found
    finally:
        consumer.close()

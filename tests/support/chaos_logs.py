"""The topics as they stand in the broker's logs: read once, from the first offset on, and where groups are in them."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

from confluent_kafka import Consumer, KafkaException, TopicPartition

from cuepoint.schemas.errors import Unavailable
from cuepoint.schemas.topics import Topic
from cuepoint.streams.batch import Batch

T = TypeVar("T")
Place = tuple[str, int]  # topic without prefix, partition


class Record(NamedTuple):
    """As it stands in the log; ``id`` is the CloudEvents id, empty where there is none."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    id: str


def batch_of(topic: str, partition: int, records: list[Record]) -> Batch:
    """The records as the runtime would hand them to an agent."""
    return Batch(
        topic=topic,
        partition=partition,
        first=records[0].offset,
        last=records[-1].offset,
        values=[record.value for record in records],  # type: ignore[misc]
        keys=[record.key for record in records],
        offsets=[record.offset for record in records],
        timestamps=[record.timestamp for record in records],
    )


@dataclass
class Logs:
    """Reads and asks one broker; ``partitions`` of the topics that do not fix their own number."""

    broker: str
    prefix: str
    partitions: int
    read_to: dict[Place, int] = field(default_factory=lambda: defaultdict(int))
    _readers: dict[str, Consumer] = field(default_factory=dict)

    def places(self, topic: Topic) -> list[Place]:
        return [(topic.name, number) for number in range(topic.partitions or self.partitions)]

    def ends(self, topics: Iterable[Topic], timeout_s: float = 5.0) -> dict[Place, int]:
        """The end offsets now. Raises Unavailable."""
        reader, found = self._reader("chaos-reader"), {}
        for place in (place for topic in topics for place in self.places(topic)):
            found[place] = _answer(lambda place=place: reader.get_watermark_offsets(self._tp(place), timeout_s))[1]
        return found

    def committed(self, role: str, topics: Iterable[Topic], timeout_s: float = 5.0) -> dict[Place, int]:
        """What the role's group has committed; 0 for nothing. Raises Unavailable."""
        asked = [self._tp(place) for topic in topics for place in self.places(topic)]
        reader = self._reader(f"{self.prefix}cuepoint-{role}")  # asks on behalf of the group and never joins it
        return {self._place(tp): max(0, tp.offset) for tp in _answer(lambda: reader.committed(asked, timeout_s))}

    def fresh(self, topics: Iterable[Topic], timeout_s: float = 60.0) -> dict[Place, list[Record]]:
        """Everything that came since the last call, by place. Raises TimeoutError."""
        topics = tuple(topics)
        ends = self.ends(topics)
        found: dict[Place, list[Record]] = {place: [] for place in ends}
        todo = {place for place, end in ends.items() if end > self.read_to[place]}
        if not todo:
            return found
        consumer = Consumer({"bootstrap.servers": self.broker, "group.id": "chaos-reader", "enable.auto.commit": False})
        try:
            consumer.assign([self._tp(place, self.read_to[place]) for place in sorted(todo)])
            deadline = time.monotonic() + timeout_s
            while todo:
                if time.monotonic() > deadline:
                    raise TimeoutError(f"could not read {sorted(todo)} to {ends}")
                for message in consumer.consume(5000, 0.2):
                    if message.error() is not None:
                        continue
                    place = (message.topic().removeprefix(self.prefix), message.partition())
                    if message.offset() < ends[place]:
                        found[place].append(_record(message))
                        self.read_to[place] = message.offset() + 1
                        if self.read_to[place] >= ends[place]:
                            todo.discard(place)
        finally:
            consumer.close()
        return found

    def _reader(self, group: str) -> Consumer:
        # AdminClient would do both, but librdkafka 2.x was seen to crash in list_consumer_group_offsets while a
        # coordinator was looked for.
        if group not in self._readers:
            options = {"bootstrap.servers": self.broker, "group.id": group, "enable.auto.commit": False, "log_level": 0}
            self._readers[group] = Consumer(options)
        return self._readers[group]

    def _tp(self, place: Place, *offset: int) -> TopicPartition:
        return TopicPartition(self.prefix + place[0], place[1], *offset)

    def _place(self, tp: TopicPartition) -> Place:
        return tp.topic.removeprefix(self.prefix), tp.partition


def _answer(request: Callable[[], T]) -> T:
    try:
        return request()
    except KafkaException as error:
        raise Unavailable(f"the broker does not answer: {error.args[0].str()}") from error


def _record(message: Any) -> Record:
    id = next((value for name, value in message.headers() or () if name == "ce_id"), b"")
    return Record(message.offset(), message.timestamp()[1], message.key(), message.value(), id.decode())

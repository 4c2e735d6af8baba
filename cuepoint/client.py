"""Reading Cuepoint's alerts from Python: typed messages, at least once, each revision once while the reader lives.

::

    from cuepoint.client import AlertReader

    with AlertReader("127.0.0.1:9092", group="my-team") as alerts:
        for alert in alerts:
            print(alert.message.change_id, alert.message.size_percent)

A message counts as handled when the next one is asked for (or the reader is closed without an error). After a crash the
group goes on behind the last one that was handled and committed, so a few may come again: recognise them by their
``change_id`` and ``revision``. Within one reader a revision that is not newer than one seen before is left out.
"""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal

import msgspec
from confluent_kafka import OFFSET_BEGINNING, OFFSET_END, Consumer, KafkaError, KafkaException, Message, TopicPartition

from cuepoint.schemas.base import Contract
from cuepoint.schemas.errors import Unavailable
from cuepoint.schemas.topics import CHANGES, Topic

_LOG = logging.getLogger(__name__)
_POLL_S = 0.5
_REMEMBERED = 100_000


@dataclass(frozen=True, slots=True)
class Alert:
    """A message and where it stood. ``at`` is its time in milliseconds since 1970-01-01T00:00Z; ``id`` its CloudEvents
    id: the same id, the same content."""

    message: Any
    id: str
    topic: str
    partition: int
    offset: int
    at: int


class AlertReader:
    """Iterates over alerts, for ever or until none has come for ``idle_s``.

    ``group``: readers of one group share the partitions, and the group resumes where it was; a new one begins at
    ``start``. Without a group all partitions are read from ``start``, and nothing is remembered. ``topics``: any of
    cuepoint.schemas.topics. ``config``: more settings of librdkafka (TLS, SASL ...). ``on_broken`` is told of messages
    that cannot be read (topic, value, error); by default they are logged. Raises Unavailable
    where no broker has answered for ``patience_s``.
    """

    def __init__(
        self,
        broker: str,
        group: str | None,
        *,
        topics: Sequence[Topic] = (CHANGES,),
        start: Literal["earliest", "latest"] = "earliest",
        prefix: str = "",
        idle_s: float | None = None,
        patience_s: float = 60.0,
        config: Mapping[str, Any] | None = None,
        on_broken: Callable[[str, bytes, Exception], None] | None = None,
    ) -> None:
        self._names = {prefix + topic.name: topic.name for topic in topics}
        self._decoders = {prefix + topic.name: msgspec.json.Decoder(_union(topic.messages)) for topic in topics}
        self._idle_s, self._patience_s = idle_s, patience_s
        self._on_broken = on_broken or _tell
        self._seen: OrderedDict[tuple[str, str], tuple[int, str]] = OrderedDict()
        self._handed: Message | None = None
        self._down_since: float | None = None
        self._consumer = Consumer(
            {
                "bootstrap.servers": broker,
                "group.id": prefix + (group or "cuepoint-no-group"),
                "enable.auto.commit": group is not None,
                "auto.offset.reset": start,
                "enable.auto.offset.store": False,
                "log_level": 2,
                "error_cb": self._heard_of,
                **(config or {}),
            }
        )
        self._joined = group is None
        if group is None:
            self._consumer.assign(self._partitions(OFFSET_BEGINNING if start == "earliest" else OFFSET_END))
        else:
            self._consumer.subscribe(list(self._names), on_assign=self._has_joined)

    def __enter__(self) -> AlertReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close(handled=kind is None)

    def __iter__(self) -> Iterator[Alert]:
        last = time.monotonic()
        while True:
            alert = self.poll(_POLL_S if self._idle_s is None else min(_POLL_S, self._idle_s))
            if alert is not None:
                yield alert
                last = time.monotonic()
            elif not self._joined:
                last = time.monotonic()  # idle is who could have been told something
            elif self._idle_s is not None and time.monotonic() - last >= self._idle_s:
                self._handled()
                return

    def poll(self, timeout_s: float) -> Alert | None:
        """The next alert, or None if none came in time. The one given before counts as handled now."""
        self._handled()
        deadline = time.monotonic() + timeout_s
        while True:
            message = self._consumer.poll(max(0.0, deadline - time.monotonic()))
            error = None if message is None else message.error()
            if message is None:
                self._require_broker()
            elif error is None:
                self._down_since, self._handed = None, message
                alert = self._read(message)
                if alert is not None:
                    return alert
                self._handled()
            elif error.code() not in _PASSING:
                raise Unavailable(f"the broker refuses: {error.str()}")
            if time.monotonic() >= deadline:
                return None

    def close(self, *, handled: bool = True) -> None:
        """Leave the group; what was given last is committed if it was ``handled``."""
        if handled:
            self._handled()
        self._consumer.close()

    def _partitions(self, offset: int) -> list[TopicPartition]:
        try:
            known = self._consumer.list_topics(timeout=self._patience_s).topics
        except KafkaException as error:
            self._consumer.close()
            raise Unavailable(f"no broker has answered for {self._patience_s:g} s") from error
        found = {name: known[name].partitions if name in known else {} for name in self._names}
        return [TopicPartition(name, number, offset) for name, numbers in found.items() for number in numbers]

    def _handled(self) -> None:
        if self._handed is None:
            return
        try:
            self._consumer.store_offsets(self._handed)
        except KafkaException as error:  # the partition went to another reader: it will be read there, again
            _LOG.info("not committed: %s", error)
        self._handed = None

    def _read(self, message: Message) -> Alert | None:
        topic, value = str(message.topic()), message.value()
        if value is None:
            return None  # a compacted topic's mark of a key that is gone
        try:
            content = self._decoders[topic].decode(value)
        except msgspec.MsgspecError as error:
            self._on_broken(self._names[topic], value, error)
            return None
        if not self._is_news(topic, content):
            return None
        headers: dict[str, Any] = dict(message.headers() or [])
        id = (headers.get("ce_id") or b"").decode()
        partition, offset = message.partition() or 0, message.offset() or 0
        return Alert(content, id, self._names[topic], partition, offset, message.timestamp()[1])

    def _is_news(self, topic: str, message: Contract) -> bool:
        """Whether it is newer than what was seen of the same region; a message without revisions always is."""
        subject, revision = getattr(message, "change_id", None), getattr(message, "revision", None)
        if subject is None or revision is None:
            return True
        key, edition = (topic, subject), getattr(message, "edition", "")
        last, known = self._seen.get(key, (0, ""))
        if last > revision or (last == revision and known == edition):
            return False
        self._seen[key] = revision, edition
        self._seen.move_to_end(key)
        if len(self._seen) > _REMEMBERED:
            self._seen.popitem(last=False)
        return True

    def _has_joined(self, _consumer: Consumer, _partitions: Sequence[Any]) -> None:
        self._joined = True

    def _heard_of(self, error: KafkaError) -> None:
        if error.code() == KafkaError._ALL_BROKERS_DOWN and self._down_since is None:
            self._down_since = time.monotonic()

    def _require_broker(self) -> None:
        if self._down_since is not None and time.monotonic() - self._down_since > self._patience_s:
            raise Unavailable(f"no broker has answered for {self._patience_s:g} s")


# While topics or leaders are being made, librdkafka tells of it and goes on by itself.
_PASSING = frozenset({KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._PARTITION_EOF, KafkaError._TRANSPORT})


def _union(kinds: Sequence[type[Contract]]) -> Any:
    union: Any = kinds[0]
    for kind in kinds[1:]:
        union |= kind
    return union


def _tell(topic: str, value: bytes, error: Exception) -> None:
    _LOG.warning("a message of %s cannot be read (%s): %.200r", topic, error, value)

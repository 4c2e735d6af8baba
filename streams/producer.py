"""Producing messages: idempotent, batched, bounded, and done only when the broker has acknowledged."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from aiokafka.partitioner import murmur2
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka import Producer as Librdkafka

from cuepoint.schemas.base import Contract
from cuepoint.schemas.codec import encode, type_name
from cuepoint.schemas.consumption import Consumption, ConsumptionAmendment
from cuepoint.schemas.errors import Unavailable
from cuepoint.schemas.playback import PlayerEvent
from cuepoint.schemas.topics import Topic
from cuepoint.schemas.trends import ReportCompleted, ReportOpened, ReportWithdrawn, TrendAmendment, TrendRecord
from cuepoint.streams.outgoing import Encoded, Outgoing

_POLL_S = 0.1
_WAIT_S = 0.005


class Busy(Unavailable):
    """The queue of messages to send is full; the caller should slow down and try again."""


def partition_of(key: bytes, partitions: int) -> int:
    """The partition of a key, as Kafka's Java clients choose it (murmur2).

    >>> partition_of(b"21", 4) == (0x7fffffff & -973932308) % 4
    True
    """
    return int((murmur2(key) & 0x7FFFFFFF) % partitions)


Headers = list[tuple[str, str | bytes | None]]
# the volume: their values say all, headers cost most
_BARE = (
    TrendRecord,
    ReportOpened,
    ReportCompleted,
    ReportWithdrawn,
    TrendAmendment,
    Consumption,
    ConsumptionAmendment,
    PlayerEvent,
)


def headers_of(message: Contract | type[Contract], source: str, id: str) -> Headers:
    """CloudEvents attributes (binary mode) of results; none for what comes in. No time: a replay gives equal bytes."""
    fixed = _attributes(message if isinstance(message, type) else type(message), source)
    return [*fixed, ("ce_id", id.encode()), _CONTENT] if fixed and id else [*fixed, _CONTENT] if fixed else []


_CONTENT = ("content-type", b"application/json")


@lru_cache
def _attributes(contract: type[Contract], source: str) -> tuple[tuple[str, bytes], ...]:
    """Those that all messages of the contract have; none for the volume."""
    if issubclass(contract, _BARE):
        return ()
    kind = type_name(contract).encode()
    return ("ce_specversion", b"1.0"), ("ce_type", kind), ("ce_source", source.encode())


def _configuration(
    broker: str, queue_records: int, queue_bytes: int, linger_ms: float, timeout_s: float
) -> dict[str, Any]:
    return {
        "bootstrap.servers": broker,
        "enable.idempotence": True,
        "partitioner": "murmur2_random",
        "queue.buffering.max.messages": queue_records,
        "queue.buffering.max.kbytes": max(1, queue_bytes // 1024),
        "linger.ms": linger_ms,
        "batch.num.messages": 10_000,
        "delivery.timeout.ms": int(timeout_s * 1000),
        "request.timeout.ms": int(min(timeout_s, 30.0) * 1000),
        "socket.keepalive.enable": True,
        "reconnect.backoff.max.ms": 1000,
        "log_level": 2,  # what goes wrong is told by our own errors, once, and not at every try
    }


class SyncProducer:
    """For callers with no event loop. ``send`` queues; ``flush`` returns when all is acknowledged."""

    def __init__(
        self,
        broker: str,
        *,
        source: str = "cuepoint",
        prefix: str = "",
        queue_records: int = 200_000,
        queue_bytes: int = 128 << 20,
        linger_ms: float = 2.0,
        timeout_s: float = 30.0,
    ) -> None:
        self._client = Librdkafka(_configuration(broker, queue_records, queue_bytes, linger_ms, timeout_s))
        self._broker, self._source, self._prefix, self._timeout_s = broker, source, prefix, timeout_s
        self._failure: KafkaError | None = None

    def send(self, topic: Topic, key: str, message: Contract, *, id: str = "", partition: int | None = None) -> None:
        """Queue one message, waiting for room at most ``timeout_s``. Raises Unavailable."""
        place = -1 if partition is None else partition  # -1: by the key
        value, headers = encode(message), headers_of(message, self._source, id)
        deadline = time.monotonic() + self._timeout_s
        while True:
            try:
                self._client.produce(
                    self._prefix + topic.name,
                    value,
                    key.encode(),
                    place,
                    on_delivery=self._delivered,
                    headers=headers,
                )
                break
            except BufferError:
                self._client.poll(_POLL_S)
                if time.monotonic() > deadline:
                    raise Unavailable(f"broker {self._broker} takes no more messages") from None
            except KafkaException as error:
                raise Unavailable(f"broker {self._broker}: {error.args[0].str()}") from error
        self._client.poll(0)
        self._check()

    def flush(self, timeout_s: float | None = None) -> None:
        """Wait until every message is acknowledged. Raises Unavailable when one was not."""
        left = self._client.flush(self._timeout_s if timeout_s is None else timeout_s)
        self._check()
        if left:
            raise Unavailable(f"broker {self._broker} did not acknowledge {left} messages in time")

    def close(self) -> None:
        """Give up what is not acknowledged; call ``flush`` first."""
        self._client.purge()
        self._client.flush(1.0)

    def _delivered(self, error: KafkaError | None, _message: Any) -> None:
        if error is not None and self._failure is None:
            self._failure = error

    def _check(self) -> None:
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise Unavailable(f"broker {self._broker} did not acknowledge a message: {failure.str()}")


Placed = dict[tuple[str, int], int]  # the last offset by (topic, partition)


class _Delivery:
    """Counts down the acknowledgements of one ``deliver`` call; touched by the polling thread, ended in the loop."""

    __slots__ = ("_done", "_failure", "_left", "_loop", "_producer", "placed")

    def __init__(self, producer: AsyncProducer, count: int, placed: Placed | None = None) -> None:
        self._producer = producer
        self.placed = placed  # filled with the offset by topic and partition, where somebody asks
        self._loop = asyncio.get_running_loop()
        self._done: asyncio.Future[KafkaError | None] = self._loop.create_future()
        self._left = count
        self._failure: KafkaError | None = None

    def acknowledged(self, error: KafkaError | None, message: Any) -> None:
        self._left -= 1
        if self.placed is not None and error is None:
            self.placed[message.topic(), message.partition()] = message.offset()
        self._producer.settled += 1
        if error is not None:
            self._failure = error
        if self._left == 0:
            self._loop.call_soon_threadsafe(self._finish)

    def _finish(self) -> None:
        if not self._done.done():
            self._done.set_result(self._failure)

    async def wait(self, timeout_s: float) -> KafkaError | None:
        async with asyncio.timeout(timeout_s):  # wait_for of Python 3.11 may lose a cancellation
            return await self._done


class AsyncProducer:
    """For event loops: a thread polls librdkafka, ``deliver`` returns when its messages are acknowledged."""

    def __init__(
        self,
        broker: str,
        *,
        source: str = "cuepoint",
        prefix: str = "",
        queue_records: int = 200_000,
        queue_bytes: int = 128 << 20,
        linger_ms: float = 2.0,
        timeout_s: float = 30.0,
    ) -> None:
        self._client = Librdkafka(_configuration(broker, queue_records, queue_bytes, linger_ms, timeout_s))
        self._broker, self._source, self._prefix, self._timeout_s = broker, source, prefix, timeout_s
        self._queued_messages = 0  # counted by the loop only,
        self.settled = 0  # ... and by the polling thread only
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._poll, name="producer-poll", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Messages queued or on their way. Not librdkafka's own length, in which its error events count too."""
        return self._queued_messages - self.settled

    async def deliver(
        self, messages: Sequence[Outgoing | Encoded], *, wait: bool = True, placed: Placed | None = None
    ) -> None:
        """Produce all and wait for their acknowledgement; ``placed`` is told where they stand.

        With a full queue: waits for room, or with ``wait=False`` raises Busy (some of the messages may have been sent;
        ids make the repeat harmless). Raises Unavailable when the broker did not acknowledge.
        """
        if not messages:
            return
        delivery = _Delivery(self, len(messages), placed)
        deadline = time.monotonic() + self._timeout_s
        for outgoing in messages:
            if not self._offer(outgoing, delivery):
                await self._queue(outgoing, delivery, deadline if wait else None)
        await self._settle(delivery)

    async def broadcast(self, outgoing: Outgoing) -> dict[int, int]:
        """Put the message into every partition of its topic; gives its offset in each. Raises Unavailable; then some
        partitions may have it."""
        name = self._prefix + outgoing.topic.name
        try:  # of all topics: asking for one by name makes it, where brokers allow that
            found = (await asyncio.to_thread(self._client.list_topics, timeout=self._timeout_s)).topics.get(name)
        except KafkaException as error:
            raise Unavailable(f"broker {self._broker}: {error.args[0].str()}") from error
        if found is None or found.error is not None or not found.partitions:
            raise Unavailable(f"broker {self._broker} has no topic {name}")
        placed: Placed = {}
        delivery = _Delivery(self, len(found.partitions), placed)
        for partition in found.partitions:
            await self._queue(outgoing, delivery, time.monotonic() + self._timeout_s, partition)
        await self._settle(delivery)
        return {partition: offset for (_, partition), offset in placed.items()}

    async def _queue(
        self, outgoing: Outgoing | Encoded, delivery: _Delivery, deadline: float | None, partition: int = -1
    ) -> None:
        """Hand to librdkafka, waiting for room until ``deadline`` (None: not at all)."""
        while not self._offer(outgoing, delivery, partition):
            if deadline is None:
                raise Busy(f"{self.waiting} messages are waiting for broker {self._broker}")
            if time.monotonic() > deadline:
                raise Unavailable(f"broker {self._broker} takes no more messages")
            await asyncio.sleep(_WAIT_S)

    def _offer(self, outgoing: Outgoing | Encoded, delivery: _Delivery, partition: int = -1) -> bool:
        """Hand to librdkafka; False where it has no room."""
        contract = outgoing.topic.messages[0] if isinstance(outgoing, Encoded) else outgoing.message
        headers = headers_of(contract, self._source, outgoing.id)
        name, key = self._prefix + outgoing.topic.name, outgoing.key.encode()
        try:
            self._client.produce(
                name, outgoing.value, key, partition, on_delivery=delivery.acknowledged, headers=headers
            )
        except BufferError:
            return False
        except KafkaException as error:
            raise Unavailable(f"broker {self._broker}: {error.args[0].str()}") from error
        self._queued_messages += 1
        return True

    async def _settle(self, delivery: _Delivery) -> None:
        try:
            failure = await delivery.wait(self._timeout_s + 5.0)  # librdkafka's own timeout comes first
        except TimeoutError:
            raise Unavailable(f"broker {self._broker} did not acknowledge in time") from None
        if failure is not None:
            raise Unavailable(f"broker {self._broker} did not acknowledge a message: {failure.str()}")

    async def answers(self, timeout_s: float = 2.0) -> bool:
        """Whether the broker answers a request for metadata in time."""
        try:
            await asyncio.to_thread(self._client.list_topics, timeout=timeout_s)
        except KafkaException:
            return False
        return True

    async def close(self) -> None:
        """Stop; what is not acknowledged is given up."""
        self._client.purge()
        await asyncio.to_thread(self._client.flush, 1.0)
        self._stopping.set()
        await asyncio.to_thread(self._thread.join, 2.0)

    def _poll(self) -> None:
        while not self._stopping.is_set():
            self._client.poll(_POLL_S)

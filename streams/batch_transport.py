"""Micro-batch transport for Faust, ``batch://host:port``: one event carries a whole fetched range of one partition.

Faust's cost is per message, so topics whose channels have a ``BatchSchema`` get a ``Batch`` per event; all others,
changelogs included, take the stock path. A message's offset is the last one of its range. What may be committed is
asked of the app's ``ledger`` where it has one (see ledger.py), else it follows Faust's acknowledgements.
"""

from __future__ import annotations

import asyncio
import weakref
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from time import monotonic
from typing import Any, NamedTuple, Protocol, cast

from aiokafka.consumer.fetcher import FetchResult
from aiokafka.errors import ConsumerStoppedError
from faust import Schema
from faust.transport.conductor import Conductor
from faust.transport.drivers import TRANSPORTS
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, ConsumerMessage

from cuepoint.schemas.errors import ConfigurationError
from cuepoint.streams.batch import Batch
from cuepoint.streams.fetched import batch_of, drain

DEFAULT_FETCH_WAIT_MS = 5
IDLE_FETCH_WAIT_MS = 50
TRANSPORTS.aliases["batch"] = f"{__name__}:Transport"


class Ledger(Protocol):
    """Who keeps account of offsets instead of Faust's acknowledgements."""

    def assigned(self, partitions: set[TP]) -> None:
        """These partitions are ours from now on, and no other."""

    async def revoked(self, partitions: set[TP]) -> Mapping[TP, int]:
        """They go; returns the offsets to commit for them."""

    def positions(self) -> Mapping[TP, int]:
        """Where reading should go on, for the partitions where that is known."""

    def committable(self) -> Mapping[TP, int]:
        """The offsets that may be committed."""


class BatchSchema(Schema):  # type: ignore[type-arg]
    """Marks a topic as delivered in batches and skips Faust's decoding."""

    def compile(self, app: Any, **_: Any) -> Any:
        create_event = app.create_event

        async def decode(message: ConsumerMessage, *, propagate: bool = False) -> Any:
            return create_event(None, message.value, message.headers, message)

        return decode


class _InFlight(NamedTuple):
    first: int
    last: int
    message: weakref.ref[ConsumerMessage]


class BatchThread(driver.AIOKafkaConsumerThread):
    """Fetches; runs in a thread of its own."""

    consumer: BatchConsumer

    async def on_start(self) -> None:
        await super().on_start()
        wait_ms = getattr(self.app, "fetch_wait_ms", DEFAULT_FETCH_WAIT_MS)
        _wait_at_most(self._ensure_consumer()._fetcher, wait_ms)

    async def _fetch_records(
        self,
        consumer: Any,
        active_partitions: set[TP],
        timeout: float | None = None,  # noqa: ASYNC109 - Faust's signature
        max_records: int | None = None,
    ) -> Mapping[TP, Any]:
        fetcher, until = consumer._fetcher, monotonic() + (timeout or 0)
        while self.consumer.flow_active:
            if consumer._closed or fetcher._closed:
                raise ConsumerStoppedError()
            with fetcher._subscriptions.fetch_context():
                if fetcher._subscriptions.reassignment_in_progress:
                    await fetcher._subscriptions.wait_for_assignment()
                batches, others = self._take(fetcher, active_partitions)
                if batches:
                    return batches
                if others:
                    return cast(
                        Mapping[TP, Any],
                        await fetcher.fetched_records(active_partitions, timeout=0, max_records=max_records),
                    )
                if not await self._arrival(fetcher, until - monotonic()):
                    return {}
        return {}

    def _take(self, fetcher: Any, active: set[TP]) -> tuple[dict[TP, Batch], bool]:
        """Fetched ranges of the batch topics, and whether anything else is there (per-event topics, errors)."""
        batches: dict[TP, Batch] = {}
        others = False
        for tp, result in list(fetcher._records.items()):
            if active and tp not in active:
                if not fetcher._subscriptions.is_assigned(tp):
                    del fetcher._records[tp]
            elif type(result) is FetchResult and self.consumer.is_batch_topic(tp.topic):
                batch = drain(result)
                del fetcher._records[tp]
                fetcher._notify(fetcher._wait_consume_future)
                if batch is not None:
                    batches[tp] = batch
            else:
                others = True
        return batches, others

    async def _arrival(self, fetcher: Any, timeout_s: float) -> bool:
        if timeout_s <= 0:
            return False
        waiter = fetcher._create_fetch_waiter()
        done, _ = await asyncio.wait([waiter], timeout=timeout_s)
        if not done or fetcher._closed:
            waiter.cancel()
            return False
        waiter.result()
        return True


def _wait_at_most(fetcher: Any, wait_ms: int) -> None:
    """How long the broker may hold a fetch without records: Faust fixes it at 1500 ms. A fetch that leaves out a
    partition, because what came of it waits to be taken, delays that one; a fetch of all is answered as soon as
    anything comes, so that an idle worker need not ask two hundred times a second."""
    plan = fetcher._get_actions_per_node

    def planned(assignment: Any) -> Any:
        fetcher._fetch_max_wait_ms = wait_ms if fetcher._records else max(wait_ms, IDLE_FETCH_WAIT_MS)
        return plan(assignment)

    fetcher._get_actions_per_node = planned


class BatchConsumer(driver.Consumer):
    """Hands ranges to Faust's conductor and keeps account of them."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._in_flight: dict[TP, deque[_InFlight]] = defaultdict(deque)
        self._marked: dict[str, bool] = {}
        self.rewinds = 0
        super().__init__(*args, **kwargs)

    @property
    def ledger(self) -> Ledger | None:
        return cast("Ledger | None", getattr(self.app, "ledger", None))

    def _new_consumer_thread(self) -> BatchThread:
        return BatchThread(self, loop=self.loop, beacon=self.beacon)

    def is_batch_topic(self, topic: str) -> bool:
        """Whether the topic's channels take batches. Raises ConfigurationError where only some of them do."""
        marked = self._marked.get(topic)
        if marked is None:
            channels = cast(Conductor, self.app.topics)._topic_name_index.get(topic)
            if not channels:
                return False
            kinds = {isinstance(channel.schema, BatchSchema) for channel in channels}
            if len(kinds) > 1:
                raise ConfigurationError(f"topic {topic}: either all of its channels take batches or none does")
            marked = self._marked[topic] = kinds.pop()
        return marked

    # -- reading

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, ConsumerMessage]]:  # noqa: ASYNC109
        records, active = await self._wait_next_records(timeout)
        generation = self.app.consumer_generation_id
        if records is None or self.should_stop:
            return
        if not self.flow_active:
            try:
                await self.perform_seek()
            except Exception as error:  # stock behaviour: a rebalance is under way and will seek again
                self.log.warning("could not seek while the flow is stopped: %r", error)
            return
        for tp, found in records.items():
            if not self.flow_active or self.app.consumer_generation_id != generation:
                break
            if active is not None and tp not in active and tp not in self._buffered_partitions:
                continue
            self.app.monitor.track_tp_end_offset(tp, self.highwater(tp))
            for message in self._messages(tp, found, generation):
                yield tp, message

    def _messages(self, tp: TP, found: Any, generation: int) -> Iterator[ConsumerMessage]:
        if not self.is_batch_topic(tp.topic):
            yield from (self._to_message(tp, record) for record in found)
            return
        if type(found) is not Batch:  # the stock path fetched it before the topic was known
            found = batch_of(tp, found[0].offset, found[-1].offset, found, -1)
        at_s = found.timestamps[-1] / 1000 if len(found) else 0.0
        yield ConsumerMessage(
            tp.topic, tp.partition, found.last, at_s, 0, None, None, found, None, 0, 0, tp, generation_id=generation
        )

    async def _drain_messages(self, fetcher: Any) -> None:
        try:
            while not (self._stopped.is_set() or fetcher._stopped.is_set()):
                await self.sleep(0)  # getmany may return at once, again and again
                async for tp, message in self.getmany(timeout=1.0):
                    await self._hand_over(tp, message)
                    del message  # else the last one lives until the next comes, and its loss would not be noticed
        except self.consumer_stopped_errors:
            if not self.transport.app.should_stop:
                raise

    async def _hand_over(self, tp: TP, message: ConsumerMessage) -> None:
        offset, read = message.offset, self._read_offset[tp]
        if read is not None and offset < read:
            return
        if isinstance(message.value, Batch):
            if await self._rewound(tp):
                return
            self._in_flight[tp].append(_InFlight(message.value.first, offset, weakref.ref(message)))
        elif read and offset - read > 1 and self.app.topics.acks_enabled_for(tp.topic):
            await self._add_gap(tp, read + 1, offset)
        if self._commit_every is not None and self._n_acked >= self._commit_every:
            self._n_acked = 0
            await self.commit()
        await self.wait_first(self.callback(message), self.suspend_flow.wait())
        self._read_offset[tp] = offset

    def on_buffer_full(self, tp: TP) -> None:
        # The stock version takes the partition from the active ones; with none left, reading sleeps a whole second. For
        # batches the conductor's wait for room is brake enough.
        if not self.is_batch_topic(tp.topic):
            super().on_buffer_full(tp)

    # -- what was lost on the way: a stream skips messages of an older generation or a suspended flow without a word

    async def _rewound(self, tp: TP) -> bool:
        acked = self._acked_index[tp]
        for first, last, message in self._in_flight[tp]:
            if message() is None and last not in acked:
                self.log.warning(
                    "%s[%s]: a batch was dropped unread; reading again from %s", tp.topic, tp.partition, first
                )
                self.rewinds += 1
                await self.seek(tp, first)
                return True
        return False

    async def commit(self, topics: Any = None, start_new_transaction: bool = True) -> bool:
        if self.flow_active:
            for tp in list(self._in_flight):
                await self._rewound(tp)
        return await super().commit(topics, start_new_transaction)

    # -- what may be committed

    def _filter_tps_with_pending_acks(self, topics: Any = None) -> Iterator[TP]:
        pending = set(super()._filter_tps_with_pending_acks(topics))
        if self.ledger is not None:
            pending.update(tp for tp in self.ledger.committable() if not topics or tp in topics or tp.topic in topics)
        return iter(pending)

    def _new_offset(self, tp: TP) -> int | None:
        if not self.is_batch_topic(tp.topic):
            return super()._new_offset(tp)
        accepted = self._accepted(tp)
        if self.ledger is not None:
            return self.ledger.committable().get(tp)
        return accepted

    def _accepted(self, tp: TP) -> int | None:
        """The offset behind the ranges acknowledged without a gap; forgets them."""
        queue, acked, last = self._in_flight[tp], self._acked_index[tp], None
        while queue and queue[0].last in acked:
            last = queue.popleft().last
            acked.discard(last)
        if last is None:
            return None
        self._acked[tp] = [offset for offset in self._acked[tp] if offset > last]
        return last + 1

    # -- moving

    def _forget(self, partitions: Iterable[TP]) -> None:
        """Reading begins anew somewhere. Below the offset committed before, Faust would register no acknowledgement,
        and every batch there would look as if it had been dropped."""
        for tp in partitions:
            self._committed_offset.pop(tp, None)
            self._in_flight.pop(tp, None)
            self._acked.pop(tp, None)
            self._acked_index.pop(tp, None)

    async def perform_seek(self) -> None:
        self._forget(list(self._in_flight))
        await super().perform_seek()

    async def seek_to_committed(self) -> Mapping[TP, int]:
        offsets = dict(await super().seek_to_committed())
        if self.ledger is not None:
            assigned = self.assignment()
            ours = {tp: offset for tp, offset in self.ledger.positions().items() if tp in assigned}
            if ours:
                await self._thread.seek_wait(ours)
            offsets.update(ours)
        return offsets

    async def seek(self, partition: TP, offset: int) -> None:
        self._forget([partition])
        await super().seek(partition, offset)

    async def _seek(self, partition: TP, offset: int) -> None:
        await self._thread.seek_wait({partition: offset})  # the stock version calls into the other thread's loop

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        if self.ledger is not None:
            self.ledger.assigned({tp for tp in assigned if self.is_batch_topic(tp.topic)})
        await super().on_partitions_assigned(assigned, generation_id)

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        self._forget(revoked)
        offsets = await self.ledger.revoked(revoked) if self.ledger is not None else {}
        if offsets and not self.should_stop:
            await self._commit(offsets)
        await super().on_partitions_revoked(revoked)

    async def committed(self, tp: TP) -> int | None:
        """What the group has committed for the partition, None if nothing."""
        thread = self._thread
        return cast("int | None", await thread.call_thread(thread._ensure_consumer().committed, tp))


class Transport(driver.Transport):
    """``batch://``: Faust's aiokafka transport with the consumer above."""

    Consumer = BatchConsumer

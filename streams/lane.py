"""One agent on one partition: batches in order, without a gap or a repeat, and what of them may be committed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Protocol, TypeVar

from cuepoint.schemas.errors import SnapshotError, Unavailable
from cuepoint.streams import metrics
from cuepoint.streams.batch import Batch
from cuepoint.streams.outgoing import Encoded, Outgoing
from cuepoint.streams.processor import (
    ArchivingProcessor,
    GatheringProcessor,
    Processor,
    StatefulProcessor,
    StateLost,
    StoringProcessor,
    is_stateful,
)
from cuepoint.streams.snapshot_store import Overtaken, SnapshotStore

_LOG = logging.getLogger(__name__)
_FIRST_PAUSE_S = 0.05
_SEEK_PATIENCE_S = 2.0
_LOOK_S = 10.0  # how often a store is looked after while nothing comes
_GOLDEN = 0.618034
T = TypeVar("T")


class Log(Protocol):
    """The partition's log, as the consumer sees it. All raise what the consumer raises."""

    async def seek(self, topic: str, partition: int, offset: int) -> None: ...

    async def earliest(self, topic: str, partition: int) -> int: ...

    async def committed(self, topic: str, partition: int) -> int | None: ...


@dataclass(frozen=True, slots=True)
class LaneParts:
    """What all lanes share."""

    log: Log
    deliver: Callable[[str, Batch, Sequence[Outgoing | Encoded]], Awaitable[None]]
    snapshots: SnapshotStore
    snapshot_interval_s: float = 10.0
    retry_max_s: float = 5.0


class Lane:
    """Feeds ``agent`` with the partition's batches. ``done``: all records below are processed and their messages
    acknowledged; ``covered``: all below survive a crash; None until loaded."""

    def __init__(self, agent: Processor, topic: str, partition: int, parts: LaneParts) -> None:
        self.agent, self.topic, self.partition = agent, topic, partition
        self.done: int | None = None
        self.covered: int | None = None
        self.end = -1
        self.saved_at = monotonic()
        self._parts = parts
        self._waiting: Batch | None = None  # the next one
        self._arrival: asyncio.Future[None] | None = None  # done when it comes,
        self._room: asyncio.Future[None] | None = None  # ... and when it is taken; both also when the lane closes
        self._closing = False
        self._restored = self._dirty = self._missing = False
        self._back = False  # whether what is done has gone back behind the stored snapshot, on purpose
        self._writing: asyncio.Task[None] | None = None  # a snapshot on its way to the disk
        spread = 0.5 + self.partition * _GOLDEN % 1 / 2  # partitions that began together are not saved together
        self._save_at = monotonic() + spread * parts.snapshot_interval_s
        self._sought: tuple[int, float] = (-1, 0.0)
        self._stored, self._looked_at = (
            -1,
            monotonic(),
        )  # the last offset the agent's store must hold; when it was asked
        self._stateful = is_stateful(agent)
        self._told = agent.told if isinstance(agent, GatheringProcessor) else None

    def __str__(self) -> str:
        return f"{self.agent.name} on {self.topic}[{self.partition}]"

    async def put(self, batch: Batch) -> None:
        """Queue a batch, waiting for room: this slows the intake. A closing lane drops it (it is read again). Several
        callers may wait; which one comes first is not said: what then comes too early is read again."""
        while self._waiting is not None and not self._closing:
            if self._room is None or self._room.done():
                self._room = asyncio.get_running_loop().create_future()
            await asyncio.shield(self._room)  # others may wait for the same
        if not self._closing:
            self._waiting = batch
            _wake(self._arrival)

    async def run(self) -> None:
        """Load, then process until closed. Raises SnapshotError, and whatever a broken agent raises."""
        await self._load()
        while not self._closing:
            batch = await self._next()
            if batch is not None:
                self.end = max(self.end, batch.end)
                fitting = await self._fit(batch)
                if fitting is not None:
                    await self._process_or_reload(fitting)
            elif self._missing:
                await self._rewind()
            elif monotonic() - self._looked_at >= _LOOK_S:
                await self._look()
            if self._due():
                self._begin_saving()
        await self._written()

    def close(self) -> None:
        """Stop after the batch in hand; ``run`` then returns."""
        self._closing = True
        _wake(self._arrival)
        _wake(self._room)

    def forget(self) -> None:
        """Drop the agent's state of the partition."""
        if self._restored and is_stateful(self.agent):
            self.agent.forget(self.partition)
            self._restored = False

    # -- where to begin

    async def _load(self) -> None:
        await self._written()
        position = await self._persevere(self._stored_position)
        if is_stateful(self.agent):
            position = self._restore(self.agent, position)
        elif position is not None or not isinstance(self.agent, StoringProcessor):
            # A store may hold a batch whose messages were not acknowledged: those begin at what is committed.
            committed = await self._persevere(lambda: self._parts.log.committed(self.topic, self.partition))
            position = committed if position is None or committed is None else min(position, committed)
        if position is None:
            position = await self._persevere(lambda: self._parts.log.earliest(self.topic, self.partition))
        self.done = self.covered = position
        self._dirty, self._sought = False, (-1, 0.0)
        await self._rewind()

    async def _stored_position(self) -> int | None:
        """The offset behind what the agent's own store holds; None if it has none or holds nothing."""
        if not isinstance(self.agent, StoringProcessor):
            return None
        last = await self.agent.position(self.topic, self.partition)
        self._stored, self._looked_at = (-1 if last is None else last), monotonic()
        return None if last is None or last < 0 else last + 1

    def _restore(self, agent: StatefulProcessor, stored: int | None) -> int | None:
        """Begin with the snapshot. A store that lost what the snapshot takes for done means: begin anew."""
        snapshot = self._parts.snapshots.load(self.agent.name, self.topic, self.partition)
        if snapshot is not None and isinstance(agent, StoringProcessor) and (stored or 0) <= snapshot.offset:
            _LOG.warning("%s: its store lost what it held; everything is read again", self)
            snapshot, self._back = None, True
        agent.restore(self.partition, snapshot.state if snapshot else None)
        self._restored = True
        return snapshot.offset + 1 if snapshot else None

    # -- what to process

    async def _next(self) -> Batch | None:
        if self._waiting is None and not self._closing:
            loop = asyncio.get_running_loop()
            self._arrival = loop.create_future()
            wait_s = min(1.0, max(0.05, self._parts.snapshot_interval_s / 4))
            patience = loop.call_later(wait_s, _wake, self._arrival)
            try:
                await self._arrival
            finally:
                patience.cancel()
        if self._closing:
            return None
        batch, self._waiting = self._waiting, None
        _wake(self._room)
        return batch

    async def _fit(self, batch: Batch) -> Batch | None:
        """The batch without what is done already; None if nothing is left or something before it is missing."""
        assert self.done is not None
        if batch.first > self.done:
            earliest = await self._persevere(lambda: self._parts.log.earliest(self.topic, self.partition))
            if earliest > self.done:
                _LOG.error("%s: the log now begins at %s, records from %s on are gone", self, earliest, self.done)
                self.done = earliest
        self._missing = batch.first > self.done
        if self._missing:
            await self._rewind()
            return None
        held = max(self.done, self._stored + 1)
        if batch.last < held and 0 <= batch.end < held:
            raise SnapshotError(
                f"{self}: the log ends at {batch.end}, but the stored state stands for all below {held}: the "
                "broker lost its log. Remove the state of the old log, or give the new one its own CUEPOINT_LOG_ID"
            )
        if batch.last < self.done:
            return None
        return batch if batch.first == self.done else batch.since(self.done)

    async def _rewind(self) -> None:
        """Seek to where the lane stands. Batches already on their way do not ask for it again and again."""
        assert self.done is not None
        offset, at = self._sought
        if offset == self.done and monotonic() - at < _SEEK_PATIENCE_S:
            return
        if offset >= 0:
            _LOG.warning("%s: a batch is missing; reading again from %s", self, self.done)
            metrics.REWINDS.inc()
        self._sought = (self.done, monotonic())
        await self._parts.log.seek(self.topic, self.partition, self.done)

    async def _look(self) -> None:
        """Nothing comes: whether the agent's store still holds what it held. If not, begin again from what it does."""
        due = self._stored
        await self._persevere(self._stored_position)
        if self._stored < due:
            _LOG.warning("%s: its store lost what it held; beginning again from what is stored", self)
            self.forget()
            await self._load()

    async def _process_or_reload(self, batch: Batch) -> None:
        try:
            await self._process(batch)
        except StateLost as error:
            _LOG.warning("%s: %s; beginning again from what is stored", self, error)
            self.forget()
            await self._load()

    async def _process(self, batch: Batch) -> None:
        started = monotonic()
        self._dirty = True
        if len(batch):
            produced = await self._persevere(lambda: self.agent.process(batch))
            await self._persevere(lambda: self._parts.deliver(self.agent.name, batch, produced))
            if self._told is not None:
                self._told(self.partition)
            metrics.BATCH_SECONDS.labels(self.agent.name).observe(monotonic() - started)
            self._stored, self._looked_at = max(self._stored, batch.last), monotonic()
        self.done = batch.last + 1
        self._dirty = False
        if not self._stateful:
            self.covered = self.done

    async def _persevere(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """Try until a store or broker answers; meanwhile nothing more is taken in."""
        pause_s = _FIRST_PAUSE_S
        while True:
            try:
                return await attempt()
            except Unavailable as error:
                _LOG.warning("%s: %s; trying again in %.1f s", self, error, pause_s)
                await asyncio.sleep(pause_s)
                pause_s = min(pause_s * 2, self._parts.retry_max_s)

    # -- what survives a crash

    def _due(self) -> bool:
        if self._writing is not None and self._writing.done():
            self._writing.result()
            self._writing = None
        return self._stateful and self._writing is None and self.done != self.covered and monotonic() >= self._save_at

    async def save(self) -> None:
        """Snapshot the state, if it stands for a whole number of batches, and wait until it is on disk. A full disk is
        counted, and stops nothing."""
        await self._written()
        self._begin_saving()
        await self._written()

    def _begin_saving(self) -> None:
        """Take the state as it is now; the disk gets it while the lane goes on. A disk may take its time, and all
        partitions of the worker would wait for the slowest."""
        self._save_at = monotonic() + self._parts.snapshot_interval_s
        if is_stateful(self.agent) and not self._dirty and self.done is not None and self.done != self.covered:
            started = monotonic()
            writing = self._write(self.done, self.agent.snapshot(self.partition), started)
            self._writing = asyncio.create_task(writing, name=f"snapshot of {self}")

    async def _written(self) -> None:
        if self._writing is not None:
            await asyncio.shield(self._writing)  # the write goes on when the lane is given up meanwhile
            self._writing = None

    async def _write(self, done: int, state: bytes, started: float) -> None:
        save, name, back = self._parts.snapshots.save, self.agent.name, self._back
        try:
            await asyncio.to_thread(save, name, self.topic, self.partition, done - 1, state, back=back)
        except Overtaken as error:
            _LOG.warning("%s: not saved: %s", self, error)
            return
        except OSError as error:
            metrics.SNAPSHOTS_FAILED.inc()
            _LOG.error("%s: the snapshot could not be written (%s); going on, a restart will replay more", self, error)
            return
        finally:
            self.saved_at = monotonic()
        self.covered, self._back = done, False
        if isinstance(self.agent, ArchivingProcessor):
            self.agent.saved(self.partition)
        metrics.SNAPSHOT_SECONDS.observe(monotonic() - started)


def _wake(waiter: asyncio.Future[None] | None) -> None:
    if waiter is not None and not waiter.done():
        waiter.set_result(None)

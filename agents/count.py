"""Player events and decisions into counters, each counted once."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Protocol

import msgspec
import numpy as np

from cuepoint.models.count_events import DecisionCounter, PlaybackCounter
from cuepoint.models.count_tally import Tally
from cuepoint.models.report_columns import Located, locate
from cuepoint.models.session_rows import STATE_VERSION
from cuepoint.models.session_settings import SessionSettings
from cuepoint.schemas.codec import UNREADABLE, decoder, explain
from cuepoint.schemas.errors import SnapshotError
from cuepoint.schemas.playback import AdDecision
from cuepoint.schemas.topics import AD_DECISIONS, DEAD_AD_DECISIONS, PLAYER_EVENTS, Topic
from cuepoint.streams.batch import Batch
from cuepoint.streams.outgoing import Outgoing
from cuepoint.streams.processor import StateLost


class Counters(Protocol):
    """The store of the counters, which keeps with them the offset up to which each partition is counted."""

    async def apply(  # noqa: PLR0917
        self,
        group: str,
        topic: str,
        partition: int,
        first: int,
        last: int,
        increments: Mapping[str, Mapping[str, int | float]],
    ) -> bool:
        """Add and remember ``last``, in one step; False, and nothing done, where ``first`` is counted already.
        Raises Unavailable."""

    async def position(self, group: str, topic: str, partition: int) -> int:
        """The last offset counted; -1 where there is none. Raises Unavailable."""


class _Held:
    """State of one partition: what recognises repeats, the offset it stands for, and what is not yet in the store."""

    def __init__(self, counter: Any) -> None:
        self.counter = counter
        self.next_offset = -1
        self.counted: int | None = None  # the store's offset; not asked for yet
        self.waiting = Tally()
        self.waiting_from: int | None = None
        self.letters: list[Outgoing] = []


class _Count(ABC):
    """What both agents share. The state of repeats comes from a snapshot and may be older than the store: records in
    between bring the state up to date and are not counted a second time. Where the store fails, what was to be added
    waits for the retry.
    """

    name: ClassVar[str]
    topics: ClassVar[tuple[Topic, ...]]

    def __init__(self, counters: Counters) -> None:
        self._counters = counters
        self._held: dict[int, _Held] = {}

    async def process(self, batch: Batch) -> Sequence[Outgoing]:
        """Count the batch; raises Unavailable where the store does not answer, and can be called again with the
        batch, and StateLost where the store lacks what the restored state takes for counted."""
        held = self._held.get(batch.partition)
        if held is None:
            held = self._held[batch.partition] = _Held(self._new())
        if held.counted is None:
            held.counted = await self._counters.position(self.name, batch.topic, batch.partition)
            if held.counted < held.next_offset - 1:  # emptied since the state was restored
                raise StateLost(
                    f"counts of {batch.topic}[{batch.partition}] end at {held.counted}, the state after them"
                )
        start = sum(1 for offset in batch.offsets if offset < held.next_offset)
        split = max(start, sum(1 for offset in batch.offsets if offset <= held.counted))
        if split > start:
            _, letters = self._fold(held.counter, batch, start, split)
            held.letters += letters
        if split < len(batch) or batch.last > held.counted:
            tally, letters = self._fold(held.counter, batch, split, len(batch))
            held.letters += letters
            held.waiting.merge(tally)
            if held.waiting_from is None:
                held.waiting_from = max(batch.first, held.counted + 1)
        held.next_offset = max(held.next_offset, batch.last + 1)
        await self._deliver(held, batch)
        outgoing, held.letters = held.letters, []
        return outgoing

    async def position(self, topic: str, partition: int) -> int:
        """The last offset the store has counted; -1 where there is none."""
        return await self._counters.position(self.name, topic, partition)

    async def _deliver(self, held: _Held, batch: Batch) -> None:
        if held.waiting_from is None:
            return
        last = held.next_offset - 1
        done = await self._counters.apply(
            self.name, batch.topic, batch.partition, held.waiting_from, last, held.waiting.increments
        )
        if not done:
            counted = await self._counters.position(self.name, batch.topic, batch.partition)
            if counted < last:
                raise RuntimeError(f"{batch.topic}-{batch.partition}: another worker has counted up to {counted}")
        held.counted, held.waiting, held.waiting_from = last, Tally(), None

    @abstractmethod
    def _new(self) -> Any: ...

    @abstractmethod
    def _fold(self, counter: Any, batch: Batch, start: int, stop: int) -> tuple[Tally, list[Outgoing]]: ...

    @abstractmethod
    def _rows(self, counter: Any) -> dict[str, Any]: ...

    @abstractmethod
    def _load(self, counter: Any, rows: dict[str, Any]) -> None: ...

    def restore(self, partition: int, blob: bytes | None) -> None:
        """Begin with the snapshot's state; raises SnapshotError where it is of another version or broken."""
        held = self._held[partition] = _Held(self._new())
        if blob is None:
            return
        try:
            rows: dict[str, Any] = msgspec.msgpack.decode(blob)
            if rows["version"] != STATE_VERSION:
                raise SnapshotError(f"{self.name} {partition}: state version {rows['version']}, not {STATE_VERSION}")
            self._load(held.counter, rows)
            held.next_offset = rows["next_offset"]
        except (msgspec.MsgspecError, KeyError, TypeError, ValueError) as error:
            raise SnapshotError(f"{self.name} {partition}: the state cannot be read: {error}") from error

    def snapshot(self, partition: int) -> bytes:
        """The partition's state."""
        held = self._held[partition]
        state = {"version": STATE_VERSION, "next_offset": held.next_offset, **self._rows(held.counter)}
        return msgspec.msgpack.encode(state)

    def forget(self, partition: int) -> None:
        """The partition went to another worker."""
        self._held.pop(partition, None)


class CountEvents(_Count):
    """Plays, views, completions, watch seconds, and what became of the ads."""

    name: ClassVar[str] = "count_events"
    topics: ClassVar[tuple[Topic, ...]] = (PLAYER_EVENTS,)

    def __init__(self, counters: Counters, settings: SessionSettings | None = None) -> None:
        super().__init__(counters)
        self._settings = settings or SessionSettings()
        self._new().sessions.warm_up()

    def _new(self) -> PlaybackCounter:
        return PlaybackCounter(self._settings)

    def _fold(self, counter: PlaybackCounter, batch: Batch, start: int, stop: int) -> tuple[Tally, list[Outgoing]]:
        # events that do not decode are the session agent's dead letters: one record, one dead letter
        buffer, starts, ends = locate(batch.values)
        stamps = np.asarray(batch.timestamps, dtype=np.int64)
        return counter.count(Located(buffer, starts[start:stop], ends[start:stop]), stamps[start:stop]), []

    def _rows(self, counter: PlaybackCounter) -> dict[str, Any]:
        return counter.sessions.rows() | {"viewers": counter.viewers.open}

    def _load(self, counter: PlaybackCounter, rows: dict[str, Any]) -> None:
        counter.sessions.load(rows)
        counter.viewers.open = {name: (who, ads) for name, (who, ads) in rows.get("viewers", {}).items()}


class CountDecisions(_Count):
    """Ads delivered."""

    name: ClassVar[str] = "count_decisions"
    topics: ClassVar[tuple[Topic, ...]] = (AD_DECISIONS,)
    _decode = staticmethod(decoder(AdDecision).decode)

    def _new(self) -> DecisionCounter:
        return DecisionCounter()

    def _fold(self, counter: DecisionCounter, batch: Batch, start: int, stop: int) -> tuple[Tally, list[Outgoing]]:
        decisions: list[AdDecision] = []
        letters: list[Outgoing] = []
        for place in range(start, stop):
            try:
                decisions.append(self._decode(batch.values[place]))
            except UNREADABLE as error:
                letters.append(_dead_letter(batch, place, error))
        return counter.count(decisions), letters

    def _rows(self, counter: DecisionCounter) -> dict[str, Any]:
        return {"clock": counter.clock, "last": counter.last}

    def _load(self, counter: DecisionCounter, rows: dict[str, Any]) -> None:
        counter.clock = rows["clock"]
        counter.last = {session: (number, at) for session, (number, at) in rows["last"].items()}


def _dead_letter(batch: Batch, place: int, error: Exception) -> Outgoing:
    id = f"{batch.topic}-{batch.partition}-{batch.offsets[place]}"
    return Outgoing(DEAD_AD_DECISIONS, batch.topic, batch.dead_letter(place, explain(error)), id)

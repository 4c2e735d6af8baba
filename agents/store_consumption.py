"""Agent: writes consumption, as groups and never as persons, into the store, each report's newest version once."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Protocol

import msgspec

from cuepoint.models.consumption_ledger import ConsumptionLedger, Mark, ReportKey
from cuepoint.schemas.codec import UNREADABLE, decoder, explain
from cuepoint.schemas.consumption import Consumption, ConsumptionAmendment
from cuepoint.schemas.faults import Fault, Refusal
from cuepoint.schemas.topics import CONSUMPTION, DEAD_CONSUMPTION, Topic
from cuepoint.schemas.trends import ReportCompleted, ReportOpened, ReportWithdrawn
from cuepoint.streams.batch import Batch
from cuepoint.streams.consumption_files import Row
from cuepoint.streams.outgoing import Outgoing
from cuepoint.streams.processor import StateLost

_Message = Consumption | ConsumptionAmendment | ReportOpened | ReportCompleted | ReportWithdrawn
_decode = decoder(_Message).decode


class Store(Protocol):
    """Where to; used by one thread at a time. Methods raise Unavailable."""

    def position(self, partition: int) -> int | None: ...

    def settled(self, partition: int, key: ReportKey) -> int: ...

    def begun(self, partition: int) -> list[Mark]: ...

    def write(
        self, partition: int, known: int | None, last: int, rows: Sequence[Row], marks: Sequence[Mark]
    ) -> None: ...


class _Part:
    """A partition: what is stored of it, and what waits to be."""

    def __init__(self, number: int, store: Store, now_s: float) -> None:
        self.known = store.position(number)
        self.last = self.known
        self.ledger = ConsumptionLedger(lambda key: store.settled(number, key), store.begun(number))
        self.rows: list[Row] = []
        self.marks: list[Mark] = []
        self.letters: list[Outgoing] = []
        self.untold = False  # whether letters were returned of which nobody knows that they arrived
        self.flushed_s = now_s


class StoreConsumption:
    """Small batches are gathered for a moment, so that a file is worth its name. The store holds, in one transaction
    with what was added, how far the log is in; after a crash reading begins behind that, whatever was committed."""

    name: ClassVar[str] = "store_consumption"
    topics: ClassVar[tuple[Topic, ...]] = (CONSUMPTION,)

    def __init__(
        self,
        store: Store,
        log_id: str = "",
        *,
        flush_rows: int = 100_000,
        flush_interval_s: float = 2.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store, self._log_id, self._clock = store, log_id, clock
        self._flush_rows, self._flush_interval_s = flush_rows, flush_interval_s
        self._parts: dict[int, _Part] = {}
        self._turn = asyncio.Lock()

    async def position(self, topic: str, partition: int) -> int | None:
        """The last offset the store holds. Asked when a partition begins: what was gathered of it before is dropped."""
        async with self._turn:
            part = await asyncio.to_thread(_Part, partition, self._store, self._clock())
            self._parts[partition] = part
            return part.known

    async def process(self, batch: Batch) -> Sequence[Outgoing]:
        """Gathers what is new in the batch; gives dead letters for what cannot be used. Raises StateLost, Unavailable:
        then the same batch may be handed in again."""
        async with self._turn:
            return await asyncio.to_thread(self._process, batch)

    def told(self, partition: int) -> None:
        """The letters of the partition's last batch arrived: it may be stored."""
        if (part := self._parts.get(partition)) is not None:
            part.untold = False

    async def flush(self, *, only_due: bool = True) -> None:
        """Store what has waited long enough (or all of it), but no batch whose letters may not have arrived."""
        async with self._turn:
            for number, part in list(self._parts.items()):
                if not part.untold and (self._due(part) or not only_due):
                    try:
                        await asyncio.to_thread(self._flush, number, part)
                    except StateLost:
                        del self._parts[number]  # another worker has it

    def _process(self, batch: Batch) -> Sequence[Outgoing]:
        part = self._parts.get(batch.partition)
        if part is None:
            raise StateLost("its consumption was taken over by another worker")
        part.untold = False  # a lane goes on when all before has arrived
        if self._due(part):
            self._flush(batch.partition, part)
        if part.last is None or batch.last > part.last:
            new = batch if part.last is None else batch.since(part.last + 1)
            for i, value in enumerate(new.values):
                try:
                    message = _decode(value)
                except UNREADABLE as error:
                    fault: Fault | None = explain(error)
                else:
                    fault = self._take(part, batch.partition, new.offsets[i], message)
                if fault is not None:
                    part.letters.append(_letter(new, i, fault))
                part.last = new.offsets[i]  # the store may fail to answer about the next one
            part.last = batch.last
        letters, part.letters = part.letters, []
        part.untold = bool(letters)
        return letters

    def _take(self, part: _Part, number: int, offset: int, message: _Message) -> Refusal | None:
        ledger = part.ledger
        if isinstance(message, Consumption):
            found = ledger.record(message)
            if isinstance(found, Refusal):
                return found
            if found is not None:
                part.rows.append(Row(found, message))
            return None
        if isinstance(message, ReportCompleted):
            return ledger.completed(message)
        report_id = _report_id(self._log_id, number, offset)
        if isinstance(message, ReportOpened):
            ledger.opened(message, report_id)
        elif isinstance(message, ReportWithdrawn):
            ledger.withdrawn(message, report_id)
        elif ledger.amended(message, report_id) is not None:
            part.rows += [Row(report_id, cell) for cell in _cells(message)]
        return None

    def _due(self, part: _Part) -> bool:
        waited = self._clock() - part.flushed_s >= self._flush_interval_s
        return part.last != part.known and (waited or len(part.rows) >= self._flush_rows)

    def _flush(self, number: int, part: _Part) -> None:
        if part.last is None or part.last == part.known:
            return
        part.marks += part.ledger.marks()
        self._store.write(number, part.known, part.last, part.rows, part.marks)
        part.known, part.rows, part.marks = part.last, [], []
        part.flushed_s = self._clock()


def _cells(message: ConsumptionAmendment) -> list[Consumption]:
    of: dict[str, Any] = {
        "asset_id": message.asset_id,
        "day": message.day,
        "dsp": message.dsp,
        "territory": message.territory,
        "report_version": message.report_version,
    }
    return [Consumption(**of, **msgspec.structs.asdict(cell)) for cell in message.cells]


def _report_id(log_id: str, partition: int, offset: int) -> int:
    """A number for the delivery that a marker begins: a function of where it stands, so a replay gives it again."""
    digest = hashlib.blake2b(f"{log_id}/{partition}/{offset}".encode(), digest_size=8).digest()
    return int.from_bytes(digest) >> 1


def _letter(batch: Batch, i: int, fault: Fault) -> Outgoing:
    id = f"{batch.topic}/{batch.partition}/{batch.offsets[i]}"
    return Outgoing(DEAD_CONSUMPTION, batch.topic, batch.dead_letter(i, fault), id)

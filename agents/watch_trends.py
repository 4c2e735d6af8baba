"""Agent ``watch_trends``: daily counts in, significant changes out (US 11,113,707; maths.md 1)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from typing import ClassVar, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from cuepoint.models import region_kernel, report_snapshot
from cuepoint.models.asset_day_json import asset_days
from cuepoint.models.market_map import MarketMap
from cuepoint.models.region_log import Found, RegionLog
from cuepoint.models.region_params import RegionParams
from cuepoint.models.report_columns import locate
from cuepoint.models.report_ledger import ReportLedger, Revision
from cuepoint.models.report_names import Names
from cuepoint.models.snapshot_parts import Cutter, join, split
from cuepoint.models.trend_bases import Archive
from cuepoint.models.trend_params import TrendParams, params_of
from cuepoint.models.trend_state import ScoredDay, TrendState
from cuepoint.models.trend_versions import TrendVersion
from cuepoint.schemas.codec import UNREADABLE, decoder, encode, explain
from cuepoint.schemas.errors import ContractError, SnapshotError
from cuepoint.schemas.faults import Fault, Refusal
from cuepoint.schemas.topics import ASSET_DAYS, CHANGES, DEAD_TREND_RECORDS, TREND_RECORDS, Topic
from cuepoint.schemas.trends import (
    Change,
    ReportCompleted,
    ReportOpened,
    ReportWithdrawn,
    TrendHyperparameters,
    TrendMessage,
    TrendRecord,
)
from cuepoint.streams.batch import Batch
from cuepoint.streams.outgoing import Encoded, Outgoing

VERSION = 5
MOST_SINGLY = 64
FORGET_DAYS = 7  # how often all that was said is looked through for what can go
AssetDays = Literal["all", "open"]
_decode = decoder(TrendMessage).decode
_said = msgspec.msgpack.Decoder(list[tuple[int, Change, int]])


class _Partition:
    """Everything known of one partition: ledger, state, what was said."""

    def __init__(
        self,
        ledger: ReportLedger,
        params: TrendParams,
        regions: RegionParams,
        asset_days: AssetDays,
    ) -> None:
        self.ledger, self.log, self._asset_days = ledger, RegionLog(), asset_days
        self.state = TrendState(
            ledger.observe,
            params,
            regions,
            archive=ledger.archive,
            doubt=ledger.doubt,
            market_of=ledger.market_of,
            markets=ledger.markets.markets,
        )
        self.saving: set[str] = set()  # what the last snapshot refers to; it may still be on its way to the disk

    def handle(self, message: TrendMessage, at_ms: int, offset: int) -> Refusal | list[Outgoing | Encoded]:
        """One message in log order: what it causes, or why it cannot be used."""
        if isinstance(message, TrendRecord):
            return self.ledger.record(message, at_ms) or []
        if isinstance(message, ReportOpened):
            return self.ledger.opened(message, at_ms) or []
        if isinstance(message, ReportCompleted):
            verdict = self.ledger.completed(message, at_ms)
        elif isinstance(message, ReportWithdrawn):
            verdict = self.ledger.withdraw(message, at_ms)
        elif isinstance(message, TrendHyperparameters):
            verdict = self._adopt(message, at_ms)
        else:
            verdict = self.ledger.amend(message, at_ms)
        return self._told(verdict, at_ms, offset)

    def _adopt(self, message: TrendHyperparameters, at_ms: int) -> Refusal | Revision | None:
        """Take up hyperparameters; days scored with others are put right, so that it does not matter when they came."""
        refusal = self.ledger.refuse_day(message.from_day, at_ms)
        if refusal:
            return refusal._replace(field="$.from_day")
        try:
            params = params_of(message.params)
        except ContractError as error:
            return Refusal(error.code, f"$.{error.field}", error.reason)
        version = TrendVersion(message.from_day.toordinal(), message.version, message.made_at, params)
        day = self.state.adopt(version)
        return None if day is None else Revision(day, np.arange(len(self.ledger.names), dtype=np.int64))

    def _told(self, verdict: Refusal | Revision | None, at_ms: int, offset: int) -> Refusal | list[Outgoing | Encoded]:
        """What the ledger knows now, put into the state: a day put right, days that have become ready."""
        if isinstance(verdict, Refusal):
            return verdict
        out: list[Outgoing | Encoded] = []
        if isinstance(verdict, Revision):
            out += self._revise(verdict, at_ms, offset)
        while (day := self.ledger.due()) is not None:
            self.ledger.take(day)
            self.state.grow(len(self.ledger.names))
            scored = self.state.step(day, self._wanted)
            out += [_change_out(change) for change in self.log.follow(scored, self.ledger.names)]
            out += _asset_days(scored, self.ledger.names, at_ms, offset)
            if day % FORGET_DAYS == 0:
                self.log.forget(self.state.base_day)
        return out

    def _wanted(self, scored: ScoredDay, told: NDArray[np.bool_] | bool = False) -> NDArray[np.bool_]:
        """Assets of which a scored day is told: with a region that opened, went on or closed, or all with data."""
        regions: NDArray[np.bool_] = scored.regions[:, :, region_kernel.STATUS].max(axis=1) > 0
        return regions | told if self._asset_days == "open" else regions | told | (scored.counts >= 0)

    def _revise(self, revision: Revision, at_ms: int, offset: int) -> list[Outgoing | Encoded]:
        names, found = self.ledger.names, Found()
        self.state.grow(len(names))
        said = np.zeros(len(names), dtype=np.bool_)  # their days may have been told: again
        said[list(self.log.said)] = True
        replay = self.state.refilter(revision.day, revision.rows, lambda s: self._wanted(s, said[s.rows]))
        days: list[Encoded] = []
        for scored in replay.days:
            found.add(scored, names)
            days += _asset_days(scored, names, at_ms, offset)
        return [*[_change_out(change) for change in self.log.revise(replay.groups, found, names)], *days]

    def tidy(self) -> None:
        """What is saved, and what has been archived since, is all that anyone will ask of the archive."""
        if self.ledger.archive is not None:
            self.ledger.archive.keep(self._named() | self.saving)

    def _named(self) -> set[str]:
        return {*self.ledger.archived, *self.state.archived}

    def to_bytes(self) -> bytes:
        ledger, counts = report_snapshot.to_parts(self.ledger)
        state, arrays = self.state.to_parts()
        said = msgspec.msgpack.encode(self.log.to_value())
        self.saving = self._named()
        return join(msgspec.msgpack.encode((VERSION, ledger, state, said)), [*counts, *arrays])

    def load(self, blob: bytes) -> None:
        value, data = split(blob)
        try:
            version, ledger, state, said = msgspec.msgpack.decode(value, type=tuple[int, bytes, bytes, bytes])
            if version != VERSION:
                raise SnapshotError(f"watch_trends: snapshot of version {version}, this program reads {VERSION}")
            self.log = RegionLog.from_value(_said.decode(said))
        except msgspec.MsgspecError as error:
            raise SnapshotError(f"watch_trends: snapshot not readable ({error})") from error
        cut = Cutter(data)
        report_snapshot.load(self.ledger, ledger, cut)
        self.state.load(state, cut.rest())


class WatchTrends:
    """Days are scored when their reports are complete; see models/report_ledger.py for when that is.

    ``asset_days``: a scored day is told of ``all`` assets with data, or only of those with an ``open`` region (or one
    that closed that day), which is under 1 % of a large catalogue and the only way to a million records a second.
    """

    name: ClassVar[str] = "watch_trends"
    topics: ClassVar[tuple[Topic, ...]] = (TREND_RECORDS,)

    def __init__(
        self,
        *,
        params: TrendParams | None = None,
        regions: RegionParams | None = None,
        late_report_days: int = 3,
        source_active_days: int = 7,
        max_open_reports: int = 256,
        asset_days: AssetDays = "all",
        archive: Callable[[int], Archive] | None = None,
        markets: MarketMap | None = None,
    ) -> None:
        self._params, self._regions = params or TrendParams(), regions or RegionParams()
        self._limits = (late_report_days, source_active_days, max_open_reports)
        self._asset_days, self._archive, self._markets = asset_days, archive, markets or MarketMap()
        self._partitions: dict[int, _Partition] = {}

    @property
    def open_regions(self) -> int:
        """Regions open now, over the partitions held."""
        return sum(p.state.open_regions for p in self._partitions.values())

    @property
    def params_version(self) -> int:
        """The version of the hyperparameters of the last scored day, the lowest over the partitions held; 0: none."""
        return min((p.state.versions.number(p.state.day or 0) for p in self._partitions.values()), default=0)

    @property
    def repeats(self) -> int:
        """Messages ignored because they repeat a completed report."""
        return sum(p.ledger.repeats for p in self._partitions.values())

    async def process(self, batch: Batch) -> Sequence[Outgoing | Encoded]:
        """Changes, scored asset days and dead letters of a batch, in log order."""
        partition = self._partitions.get(batch.partition) or self._begin(batch.partition)
        out: list[Outgoing | Encoded] = []
        located, n = locate(batch.values), len(batch.values)
        i, singly = 0, 1  # so many records that no report's form fits are read one by one before the next try
        while i < n:
            at = partition.ledger.append(located, i)
            singly = 1 if at > i else min(2 * singly, MOST_SINGLY)
            i = min(n, at + singly)
            for k in range(at, i):
                out += _one(partition, batch, k)
        return out

    def restore(self, partition: int, blob: bytes | None) -> None:
        """Begin with a snapshot's state, or empty. Raises SnapshotError for a state it cannot read."""
        fresh = self._begin(partition)
        if blob is not None:
            del self._partitions[partition]
            fresh.load(blob)
            self._partitions[partition] = fresh

    def snapshot(self, partition: int) -> bytes:
        """The partition's state as bytes; the same state gives the same bytes."""
        held = self._partitions.get(partition) or self._begin(partition)
        return held.to_bytes()

    def saved(self, partition: int) -> None:
        """The last snapshot is stored: what only earlier ones refer to may go."""
        if partition in self._partitions:
            self._partitions[partition].tidy()

    def forget(self, partition: int) -> None:
        self._partitions.pop(partition, None)

    def _begin(self, partition: int) -> _Partition:
        late, active, most = self._limits
        ledger = ReportLedger(
            late_report_days=late,
            source_active_days=active,
            max_open_reports=most,
            archive=self._archive(partition) if self._archive else None,
            markets=self._markets,
        )
        fresh = self._partitions[partition] = _Partition(ledger, self._params, self._regions, self._asset_days)
        return fresh


def warm_up() -> None:
    """Compile all that is compiled here, or load it from numba's cache, by following a report of one record."""
    partition, day = WatchTrends()._begin(0), dt.date(1970, 1, 1)
    partition.handle(ReportOpened(dsp="d", day=day), 0, 0)
    record = TrendRecord(dsp="d", day=day, asset_id="a", count=1)
    partition.ledger.append(locate([encode(record)]), 0)
    partition.handle(record, 0, 1)
    partition.handle(ReportCompleted(dsp="d", day=day, records=2, partition_records=2), 0, 2)


def _one(partition: _Partition, batch: Batch, i: int) -> Sequence[Outgoing | Encoded]:
    """The exact path: a message that the strict decoder reads, or a dead letter."""
    try:
        message = _decode(batch.values[i])
    except UNREADABLE as error:
        return [_dead(batch, i, explain(error))]
    verdict = partition.handle(message, batch.timestamps[i], batch.offsets[i])
    return [_dead(batch, i, verdict)] if isinstance(verdict, Refusal) else verdict


def _change_out(change: Change) -> Outgoing:
    return Outgoing(CHANGES, change.asset_id, change, f"{change.change_id}:{change.revision}")


def _asset_days(scored: ScoredDay, names: Names, at_ms: int, offset: int) -> list[Encoded]:
    """One for each of the assets with data that day or in an open region."""
    which = np.flatnonzero((scored.counts >= 0) | (scored.regions[:, 1, region_kernel.STATUS] > 0))
    rows, end = scored.rows[which], f":{dt.date.fromordinal(scored.day)}:{offset}"
    values = asset_days(scored.day, at_ms, rows, scored.counts[which], scored.filtered[which], names.table)
    ids = names.of(rows)
    return [Encoded(ASSET_DAYS, name, value, name + end) for name, value in zip(ids, values, strict=True)]


def _dead(batch: Batch, i: int, fault: Fault) -> Outgoing:
    id = f"{batch.topic}:{batch.partition}:{batch.offsets[i]}"
    return Outgoing(DEAD_TREND_RECORDS, batch.topic, batch.dead_letter(i, fault), id)

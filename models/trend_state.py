"""State of all assets of a partition: filter and regions, advanced day by day, refiltered when a day is revised.

What an asset's market did is removed before it is scored; the assets of the partition speak for their market
(market_days.py). Earlier states are kept as well (trend_bases.py). A late or revised day is put right by replaying the
days since one of them for the assets concerned, and for all of a market whose effects have become others, so that the
state ends bit-equal to the state of an in-order run (maths.md 1).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from cuepoint.models import region_kernel, trend_kernel
from cuepoint.models.market_days import KEPT_DAYS, MarketDays, Value
from cuepoint.models.region_params import RegionParams
from cuepoint.models.snapshot_parts import Cutter
from cuepoint.models.trend_bases import REVISABLE_DAYS, Archive, Arrays, Bases, Rows, Stored
from cuepoint.models.trend_params import TrendParams
from cuepoint.models.trend_versions import Stated, TrendVersion, TrendVersions
from cuepoint.schemas.errors import SnapshotError

VERSION, BEFORE_VERSIONS = 8, 7  # the one before knew no versions of hyperparameters
CHUNK = 1024  # assets by which the arrays grow
BLOCK = 2048  # assets at a time: what is computed of them stays in the cache
Floats = NDArray[np.float64]
Observe = Callable[[int, Rows], Floats]
MarketOf = Callable[[int, Rows], NDArray[np.int64]]


class ScoredDay(NamedTuple):
    """What a day said of ``rows``: counts (k,), filtered (k, trend_kernel.OUT_WIDTH), regions (k, 2,
    region_kernel.OUT_WIDTH)."""

    day: int
    rows: Rows
    counts: Floats
    filtered: Floats
    regions: Floats


class Replay(NamedTuple):
    """``days`` puts days right while it is read: blocks of rows, day after day. ``groups``, when it has been read: all
    rows put right, and from which day on."""

    days: Iterator[ScoredDay]
    groups: list[tuple[int, Rows]]


_NO_DOUBT, _ONE_MARKET = np.empty(0), np.empty(0, dtype=np.int64)
_Value = tuple[int, int, int | None, int, list[Stored], int, Value, list[Stated]]
Wanted = Callable[[ScoredDay], NDArray[np.bool_]]


def everything(scored: ScoredDay) -> NDArray[np.bool_]:
    """Wanted: all assets."""
    return np.ones(len(scored.rows), dtype=np.bool_)


def certain(_day: int, _rows: Rows) -> Floats:
    """Doubt: none."""
    return _NO_DOUBT


def one_market(_day: int, _rows: Rows) -> NDArray[np.int64]:
    """Market of: there is only one."""
    return _ONE_MARKET


class TrendState:
    """Days are proleptic ordinals (``date.toordinal``). ``observe(day, rows)`` must give the counts of any day
    later than the base: NaN where unknown, negative where absent from complete reports. ``doubt(day, rows)``: variance
    in squared log units by which these counts are less sure than they look, or an array of length 0 for none.
    ``market_of(day, rows)``: which of ``markets`` an asset belongs to that day (k,) int64, of length 0 for one market.

    >>> counts = {d: 1000.0 + 10 * (d % 3) for d in range(1, 31)}
    >>> state = TrendState(lambda day, rows: np.full(len(rows), counts[day]))
    >>> state.grow(1)
    >>> for day in range(1, 31):
    ...     scored = state.step(day)
    >>> bool(scored.filtered[0, trend_kernel.LOWER_95] < 1000 < scored.filtered[0, trend_kernel.UPPER_95])
    True
    """

    def __init__(
        self,
        observe: Observe,
        params: TrendParams | None = None,
        regions: RegionParams | None = None,
        *,
        archive: Archive | None = None,
        doubt: Observe = certain,
        market_of: MarketOf = one_market,
        markets: int = 1,
    ) -> None:
        self.observe, self._doubt, self._market_of = observe, doubt, market_of
        self.versions = TrendVersions(TrendParams(*params) if params else TrendParams())
        self.regions = regions or RegionParams()
        self.assets = 0
        self.day: int | None = None  # the last day scored
        self.first_day = 0  # nothing was observed before
        self.bases, self.market = Bases(archive), MarketDays(markets, archive)
        self._now = Arrays.empty(0)
        self._in_market = _ONE_MARKET  # of every asset, on the day that is being filtered

    @property
    def base_day(self) -> int:
        """Days up to it cannot be revised."""
        return (self.day or 0) - REVISABLE_DAYS

    @property
    def open_regions(self) -> int:
        return int(np.count_nonzero(self._now.region[: self.assets, region_kernel.CODE]))

    def grow(self, assets: int) -> None:
        """Make room for ``assets`` assets, new ones unseen."""
        if assets > len(self._now.trend):
            self._now.grow(-(-assets // CHUNK) * CHUNK)
        self.assets = max(self.assets, assets)

    @property
    def archived(self) -> list[str]:
        """What must stay in the archive."""
        return [*self.bases.archived, *self.market.archived]

    def step(self, day: int, wanted: Wanted = everything) -> ScoredDay:
        """Score the next day for all assets; gives what it said of those ``wanted`` (whose argument has its forecasts
        and levels still on the log scale). Raises ValueError unless it follows the last one."""
        if self.day is not None and day != self.day + 1:
            raise ValueError(f"day {day} does not follow {self.day}")
        if self.day is None:
            self.first_day = day
        self.day = day
        rows = np.arange(self.assets, dtype=np.int64)
        counts, _ = self._hear(day, rows)
        blocks = [self._pick(scored, wanted) for scored in self._advance(day, rows, counts)]
        self.bases.take(day, self._held())
        self.market.forget(day)
        self.versions.forget(day - KEPT_DAYS)
        return ScoredDay(day, *(np.concatenate(parts) for parts in list(zip(*blocks, strict=True))[1:]))

    def adopt(self, version: TrendVersion) -> int | None:
        """Score days from its own on with these hyperparameters. The day from which on all assets must be refiltered,
        None where no scored day has others now. Raises ValueError for a day that is not later than ``base_day``."""
        if self.day is not None and version.from_day <= self.base_day:
            raise ValueError(f"day {version.from_day} is outside the revisable window")
        first = self.versions.add(version)
        return None if first is None or self.day is None or first > self.day else max(first, self.first_day)

    def refilter(self, day: int, rows: Rows, wanted: Wanted = everything) -> Replay:
        """Replay ``rows`` (in order) from an earlier state on, and whom it concerns besides: the days from ``day`` on,
        put right as they are read. Raises ValueError unless ``day`` is scored and later than ``base_day``."""
        if self.day is None or not self.base_day < day <= self.day:
            raise ValueError(f"day {day} is outside the revisable window")
        self.first_day = min(self.first_day, day)
        groups = [(day, rows)]
        return Replay(self._replay(day, self.day, groups, wanted), groups)

    def _replay(self, first: int, last: int, groups: list[tuple[int, Rows]], wanted: Wanted) -> Iterator[ScoredDay]:
        rows = groups[0][1]
        self._rewind(first, rows)
        for day in range(first, last + 1):
            counts, moved = self._hear(day, rows)
            if moved.any() and len(more := self._others(day, rows, moved)):
                self._rewind(day, more)
                groups.append((day, more))
                rows = np.union1d(rows, more)
                counts = self.observe(day, rows)
            for scored in self._advance(day, rows, counts):
                yield self._pick(scored, wanted)
            self.bases.revise(day, rows, self._now)

    def _others(self, day: int, rows: Rows, moved: NDArray[np.bool_]) -> Rows:
        """The assets of markets ``moved`` that day that are not among ``rows``."""
        others = np.setdiff1d(np.arange(self.assets, dtype=np.int64), rows, assume_unique=True)
        in_market = self._market_of(day, others)
        return others[moved[in_market]] if len(in_market) else others

    def _rewind(self, day: int, rows: Rows) -> None:
        """Put ``rows`` into the state before ``day``."""
        for part in _blocks(rows):
            block = rows[part]
            base, before = self.bases.read(day, block)
            self._now.put(block, before, np.arange(len(block)))
            for earlier in range(self.first_day if base is None else base + 1, day):
                for _ in self._advance(earlier, block, self.observe(earlier, block)):
                    pass

    def _hear(self, day: int, rows: Rows) -> tuple[Floats, NDArray[np.bool_]]:
        """The counts of the day; what they say of the market is told to it, and which markets' effects that changes."""
        counts, codes = self.observe(day, rows), np.empty(len(rows), dtype=np.int64)
        params, by_age = self.versions.on(day)
        for part in _blocks(rows):
            told = (self._now.trend, rows[part], counts[part], (day - 1) % 7, params, by_age)
            trend_kernel.innovations(*told, codes[part])
        return counts, self.market.tell(day, rows, codes, self._market_of(day, rows))

    def _held(self) -> Arrays:
        return Arrays(*(array[: self.assets] for array in self._now))

    def _advance(self, day: int, rows: Rows, counts: Floats) -> Iterator[ScoredDay]:
        """One day of ``rows``, block by block."""
        in_market = self._market_of(day, rows)
        if len(in_market):
            self._in_market = np.zeros(len(self._now.trend), dtype=np.int64)
            self._in_market[rows] = in_market
        for part in _blocks(rows):
            filtered = self._filter(day, rows[part], counts[part])
            regions = np.empty((len(filtered), 2, region_kernel.OUT_WIDTH))
            told = (self._now.region, rows[part], counts[part], float(day), filtered, self.regions)
            region_kernel.follow(*told, regions)
            yield ScoredDay(day, rows[part], counts[part], filtered, regions)

    def _filter(self, day: int, rows: Rows, counts: Floats) -> Floats:
        """One day of the filter. Rows whose counts are doubtful are taken in groups of much the same doubt, each with
        that much more observation noise (powers of two, exact: which rows come together must not matter)."""
        trend, filtered = self._now.trend, np.empty((len(rows), trend_kernel.OUT_WIDTH))
        doubt, dow = self._doubt(day, rows), (day - 1) % 7
        params, by_age = self.versions.on(day)
        market = (self._in_market, self.market.effects(day))
        if not doubt.any():
            trend_kernel.step(trend, rows, counts, dow, params, by_age, *market, filtered)
            return filtered
        scale = trend[rows, trend_kernel.SCALE].astype(np.float64) * trend[rows, trend_kernel.NOISE]
        _, power = np.frexp(np.divide(doubt, scale, out=np.zeros(len(rows)), where=scale > 0.0))
        more = np.where((doubt > 0.0) & (scale > 0.0), np.ldexp(0.75, power), 0.0)
        for variance in np.unique(more).tolist():
            group = np.flatnonzero(more == variance)
            doubtful = params._replace(observation_variance=params.observation_variance + variance)
            out = np.empty((len(group), trend_kernel.OUT_WIDTH))
            trend_kernel.step(trend, rows[group], counts[group], dow, doubtful, by_age, *market, out)
            filtered[group] = out
        return filtered

    def _pick(self, scored: ScoredDay, wanted: Wanted) -> ScoredDay:
        which = np.flatnonzero(wanted(scored))
        day, rows, counts, filtered, regions = scored
        picked = ScoredDay(day, rows[which], counts[which], filtered[which], regions[which])
        trend_kernel.to_counts(picked.filtered, self.versions.on(day)[0])
        return picked

    def to_parts(self) -> tuple[bytes, list[NDArray[Any]]]:
        """The state as a versioned value and the arrays it speaks of, to be written one after the other."""
        self.bases.settle()
        stored, arrays = self.bases.to_value()
        market, words = self.market.to_value()
        size, versions = sum(a.nbytes for a in arrays), self.versions.to_value()
        value = (VERSION, self.assets, self.day, self.first_day, stored, size, market, versions)
        return msgspec.msgpack.encode(value), [*self._held(), *arrays, *words]

    def load(self, blob: bytes | memoryview, data: NDArray[np.uint8]) -> None:
        """Take over what ``to_parts`` gave. Raises SnapshotError for another version or broken bytes."""
        try:
            fields = msgspec.msgpack.decode(blob, type=list[msgspec.Raw])
            stated = msgspec.msgpack.decode(fields[0])
            if stated == BEFORE_VERSIONS:
                blob = msgspec.msgpack.encode([*fields, []])
            elif stated != VERSION:
                raise SnapshotError(f"trend state: version {stated}, this program reads {VERSION}")
            _, assets, day, first_day, stored, size, market, versions = msgspec.msgpack.decode(blob, type=_Value)
        except (msgspec.MsgspecError, IndexError) as error:
            raise SnapshotError(f"trend state: not readable ({error})") from error
        cut = Cutter(data)
        now = Arrays.of(cut.take(np.uint8, self._now.size_of(assets)), assets).copy()
        self.bases.load(stored, cut.take(np.uint8, size))
        self.market.load(market, cut)
        self.versions.load(versions)
        if len(cut.rest()):
            raise SnapshotError("trend state: more bytes than it speaks of")
        self.assets, self.day, self.first_day, self._now = assets, day, first_day, now

    def fingerprint(self, row: int) -> bytes:
        """All bits of one asset's present state, for comparison."""
        return b"".join(a[row].tobytes() for a in self._now)


def _blocks(rows: Rows) -> list[slice]:
    """Of at least one, so that what is said of no assets has its shape."""
    return [slice(first, first + BLOCK) for first in range(0, max(1, len(rows)), BLOCK)]

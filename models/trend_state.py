"""State of all assets of a partition: filter and regions, advanced day by day, refiltered when a day is revised.

Earlier states are kept as well (trend_bases.py). A late or revised day is put right by replaying the days since one of
them for the assets concerned, so that the state ends bit-equal to the state of an in-order run (maths.md 1).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from cuepoint.models import market_factor, region_kernel, trend_kernel
from cuepoint.models.region_params import RegionParams
from cuepoint.models.trend_bases import REVISABLE_DAYS, SPACING, Archive, Arrays, Bases, Rows, States, Stored
from cuepoint.models.trend_params import TrendParams
from cuepoint.schemas.errors import SnapshotError

VERSION = 4
CHUNK = 1024  # assets by which the arrays grow
BLOCK = 2048  # assets at a time: what is computed of them stays in the cache
Floats = NDArray[np.float64]
Observe = Callable[[int, Rows], Floats]


class ScoredDay(NamedTuple):
    """What a day said of ``rows``: counts (k,), filtered (k, trend_kernel.OUT_WIDTH), regions (k, 2,
    region_kernel.OUT_WIDTH)."""

    day: int
    rows: Rows
    counts: Floats
    filtered: Floats
    regions: Floats


_NO_DOUBT = np.empty(0)
_Value = tuple[int, int, int | None, int, list[Stored], list[tuple[int, list[list[float]]]]]
Wanted = Callable[[ScoredDay], NDArray[np.bool_]]


def everything(scored: ScoredDay) -> NDArray[np.bool_]:
    """Wanted: all assets."""
    return np.ones(len(scored.rows), dtype=np.bool_)


def certain(_day: int, _rows: Rows) -> Floats:
    """Doubt: none."""
    return _NO_DOUBT


class TrendState:
    """Days are proleptic ordinals (``date.toordinal``). ``observe(day, rows)`` must give the counts of any day
    later than the base: NaN where unknown, negative where absent from complete reports. ``doubt(day, rows)``: variance
    in squared log units by which these counts are less sure than they look, or an array of length 0 for none.

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
        archive: Archive | None = None,
        doubt: Observe = certain,
    ) -> None:
        self.observe, self._doubt = observe, doubt
        self.params = TrendParams(*params) if params else TrendParams()
        self.regions = regions or RegionParams()
        self.assets = 0
        self.day: int | None = None  # the last day scored
        self.first_day = 0  # nothing was observed before
        self.bases = Bases(archive)
        self._now = Arrays.empty(0)
        self._by_age = trend_kernel.tables(self.params)
        self._in_market = np.zeros(0, dtype=np.int64)  # one market
        self._effects: dict[int, Floats] = {}  # by day, while it can be revised

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

    def sketch(self, day: int) -> market_factor.Sketch:
        """What the assets' counts of the next day say of their market (1, WIDTH); nothing changes."""
        sketch = market_factor.empty_sketch(1)
        for first in range(0, self.assets, BLOCK):
            rows = np.arange(first, min(first + BLOCK, self.assets), dtype=np.int64)
            told = (self._now.trend, rows, self.observe(day, rows), (day - 1) % 7, self.params, self._by_age)
            trend_kernel.innovations(*told, self._in_market, sketch)
        return sketch

    def step(self, day: int, wanted: Wanted = everything, effects: Floats = market_factor.NEUTRAL) -> ScoredDay:
        """Score the next day for all assets, its market's ``effects`` removed (1, 2); gives what it said of those
        ``wanted`` (whose argument has its forecasts and levels still on the log scale). The effects hold for the day
        from then on, whatever is revised. Raises ValueError unless it follows the last one."""
        if self.day is not None and day != self.day + 1:
            raise ValueError(f"day {day} does not follow {self.day}")
        if self.day is None:
            self.first_day = day
        self.day = day
        if effects is not market_factor.NEUTRAL:
            self._effects[day] = np.array(effects, dtype=np.float64)
        blocks = []
        for first in range(0, max(1, self.assets), BLOCK):
            rows = np.arange(first, min(first + BLOCK, self.assets), dtype=np.int64)
            blocks.append(self._pick(self._advance(self._now, day, rows), wanted))
        self.bases.take(day, self._held())
        for old in [d for d in self._effects if d <= self.base_day - SPACING]:
            del self._effects[old]
        return ScoredDay(day, *(np.concatenate(parts) for parts in list(zip(*blocks, strict=True))[1:]))

    def refilter(self, day: int, rows: Rows, wanted: Wanted = everything) -> list[ScoredDay]:
        """Replay ``rows`` from an earlier state on; gives the days from ``day`` on. Raises ValueError unless ``day`` is
        scored and later than ``base_day``."""
        if self.day is None or not self.base_day < day <= self.day:
            raise ValueError(f"day {day} is outside the revisable window")
        self.first_day = min(self.first_day, day)
        base, before = self.bases.read(day, rows)
        self._now.put(rows, before, np.arange(len(rows)))
        days = []
        for d in range(self.first_day if base is None else base + 1, self.day + 1):
            scored = self._advance(self._now, d, rows)
            if d >= day:
                days.append(self._pick(scored, wanted))
                self.bases.revise(d, rows, self._now)
        return days

    def _held(self) -> Arrays:
        return Arrays(*(array[: self.assets] for array in self._now))

    def _advance(self, arrays: Arrays, day: int, rows: Rows) -> ScoredDay:
        counts = self.observe(day, rows)
        filtered = self._filter(arrays.trend, day, rows, counts)
        regions = np.empty((len(rows), 2, region_kernel.OUT_WIDTH))
        region_kernel.follow(arrays.region, rows, counts, float(day), filtered, self.regions, regions)
        return ScoredDay(day, rows, counts, filtered, regions)

    def _filter(self, trend: States, day: int, rows: Rows, counts: Floats) -> Floats:
        """One day of the filter. Rows whose counts are doubtful are taken in groups of much the same doubt, each with
        that much more observation noise (powers of two, exact: which rows come together must not matter)."""
        filtered = np.empty((len(rows), trend_kernel.OUT_WIDTH))
        doubt, dow = self._doubt(day, rows), (day - 1) % 7
        market = (self._in_market, self._effects.get(day, market_factor.NEUTRAL))
        if not doubt.any():
            trend_kernel.step(trend, rows, counts, dow, self.params, self._by_age, *market, filtered)
            return filtered
        scale = trend[rows, trend_kernel.SCALE].astype(np.float64) * trend[rows, trend_kernel.NOISE]
        _, power = np.frexp(np.divide(doubt, scale, out=np.zeros(len(rows)), where=scale > 0.0))
        more = np.where((doubt > 0.0) & (scale > 0.0), np.ldexp(0.75, power), 0.0)
        for variance in np.unique(more).tolist():
            group = np.flatnonzero(more == variance)
            params = self.params._replace(observation_variance=self.params.observation_variance + variance)
            out = np.empty((len(group), trend_kernel.OUT_WIDTH))
            trend_kernel.step(trend, rows[group], counts[group], dow, params, self._by_age, *market, out)
            filtered[group] = out
        return filtered

    def _pick(self, scored: ScoredDay, wanted: Wanted) -> ScoredDay:
        which = np.flatnonzero(wanted(scored))
        day, rows, counts, filtered, regions = scored
        picked = ScoredDay(day, rows[which], counts[which], filtered[which], regions[which])
        trend_kernel.to_counts(picked.filtered, self.params)
        return picked

    def to_parts(self) -> tuple[bytes, list[NDArray[Any]]]:
        """The state as a versioned value and the arrays it speaks of, to be written one after the other."""
        self.bases.settle()
        stored, arrays = self.bases.to_value()
        effects = [(day, e.tolist()) for day, e in sorted(self._effects.items())]
        value = (VERSION, self.assets, self.day, self.first_day, stored, effects)
        return msgspec.msgpack.encode(value), [*self._held(), *arrays]

    def load(self, blob: bytes | memoryview, data: NDArray[np.uint8]) -> None:
        """Take over what ``to_parts`` gave. Raises SnapshotError for another version or broken bytes."""
        try:
            stated = msgspec.msgpack.decode(msgspec.msgpack.decode(blob, type=list[msgspec.Raw])[0])
            if stated != VERSION:
                raise SnapshotError(f"trend state: version {stated}, this program reads {VERSION}")
            _, assets, day, first_day, stored, effects = msgspec.msgpack.decode(blob, type=_Value)
        except (msgspec.MsgspecError, IndexError) as error:
            raise SnapshotError(f"trend state: not readable ({error})") from error
        size = self._now.size_of(assets)
        now = Arrays.of(data[:size], assets).copy()
        self.bases.load(stored, data[size:])
        self.assets, self.day, self.first_day, self._now = assets, day, first_day, now
        self._effects = {d: np.array(e, dtype=np.float64).reshape(-1, 2) for d, e in effects}

    def fingerprint(self, row: int) -> bytes:
        """All bits of one asset's present state, for comparison."""
        return b"".join(a[row].tobytes() for a in self._now)

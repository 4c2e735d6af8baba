"""State of all assets of a partition: filter and regions, advanced day by day, refiltered when a day is revised.

Two copies are kept: now, and as it stood ``REVISABLE_DAYS`` ago (the base). A late or revised day is put right by
replaying the days since the base for the assets concerned, so that the state ends bit-equal to the state of an in-order
run (maths.md 1).

The base follows 56 days behind, so that from then on a day costs two filter steps. Two copies taken every 56 days
instead would cost none, but a third state an asset (288 bytes) and the counts of twice as many days: memory is dearer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from cuepoint.models import region_kernel, trend_kernel
from cuepoint.models.region_params import RegionParams
from cuepoint.models.trend_params import TrendParams
from cuepoint.schemas.errors import SnapshotError

REVISABLE_DAYS = 56
VERSION = 2
BLOCK = 2048  # assets at a time: what is computed of them stays in the cache
Rows = NDArray[np.int64]
Floats = NDArray[np.float64]
States = NDArray[np.float32]
Observe = Callable[[int, Rows], Floats]


class ScoredDay(NamedTuple):
    """What a day said of ``rows``: counts (k,), filtered (k, trend_kernel.OUT_WIDTH), regions (k, 2,
    region_kernel.OUT_WIDTH)."""

    day: int
    rows: Rows
    counts: Floats
    filtered: Floats
    regions: Floats


Wanted = Callable[[ScoredDay], NDArray[np.bool_]]


def everything(scored: ScoredDay) -> NDArray[np.bool_]:
    """Wanted: all assets."""
    return np.ones(len(scored.rows), dtype=np.bool_)


class _Arrays(NamedTuple):
    """Filter and regions, (capacity, width) each."""

    trend: States
    region: States

    @classmethod
    def empty(cls, capacity: int) -> _Arrays:
        trend = np.zeros((capacity, trend_kernel.WIDTH), dtype=np.float32)
        trend[:, trend_kernel.AGE] = trend_kernel.NEVER
        return cls(trend, np.zeros((capacity, region_kernel.WIDTH), dtype=np.float32))

    def grown(self, capacity: int) -> _Arrays:
        new = _Arrays.empty(capacity)
        for source, target in zip(self, new, strict=True):
            target[: len(source)] = source
        return new


class TrendState:
    """Days are proleptic ordinals (``date.toordinal``). ``observe(day, rows)`` must give the counts of any day
    later than the base: NaN where unknown, negative where absent from complete reports.

    >>> counts = {d: 1000.0 + 10 * (d % 3) for d in range(1, 31)}
    >>> state = TrendState(lambda day, rows: np.full(len(rows), counts[day]))
    >>> state.grow(1)
    >>> for day in range(1, 31):
    ...     scored = state.step(day)
    >>> bool(scored.filtered[0, trend_kernel.LOWER_95] < 1000 < scored.filtered[0, trend_kernel.UPPER_95])
    True
    """

    def __init__(
        self, observe: Observe, params: TrendParams | None = None, regions: RegionParams | None = None
    ) -> None:
        self.observe = observe
        self.params = TrendParams(*params) if params else TrendParams()
        self.regions = regions or RegionParams()
        self.assets = 0
        self.day: int | None = None  # the last day scored
        self.first_day = 0  # nothing was observed before
        self._now, self._base = _Arrays.empty(0), _Arrays.empty(0)
        self._by_age = trend_kernel.tables(self.params)

    @property
    def base_day(self) -> int:
        """The day the base stands for; days up to it cannot be revised."""
        return (self.day or 0) - REVISABLE_DAYS

    @property
    def open_regions(self) -> int:
        return int(np.count_nonzero(self._now.region[: self.assets, region_kernel.CODE]))

    def grow(self, assets: int) -> None:
        """Make room for ``assets`` assets, new ones unseen."""
        if assets > len(self._now.trend):
            capacity = max(64, assets, len(self._now.trend) * 3 // 2)
            self._now, self._base = self._now.grown(capacity), self._base.grown(capacity)
        self.assets = max(self.assets, assets)

    def step(self, day: int, wanted: Wanted = everything) -> ScoredDay:
        """Score the next day for all assets; gives what it said of those ``wanted`` (whose argument has its forecasts
        and levels still on the log scale). Raises ValueError unless it follows the last one."""
        if self.day is not None and day != self.day + 1:
            raise ValueError(f"day {day} does not follow {self.day}")
        if self.day is None:
            self.first_day = day
        oldest = day - REVISABLE_DAYS  # leaves the revisable window
        self.day = day
        blocks = []
        for first in range(0, max(1, self.assets), BLOCK):
            rows = np.arange(first, min(first + BLOCK, self.assets), dtype=np.int64)
            if oldest >= self.first_day:
                self._advance(self._base, oldest, rows)
            blocks.append(self._pick(self._advance(self._now, day, rows), wanted))
        return ScoredDay(day, *(np.concatenate(parts) for parts in list(zip(*blocks, strict=True))[1:]))

    def refilter(self, day: int, rows: Rows, wanted: Wanted = everything) -> list[ScoredDay]:
        """Replay ``rows`` from the base; gives the days from ``day`` on. ``day`` must be later than the base."""
        if self.day is None or not self.base_day < day <= self.day:
            raise ValueError(f"day {day} is outside the revisable window")
        self.first_day = min(self.first_day, day)
        for now, base in zip(self._now, self._base, strict=True):
            now[rows] = base[rows]
        days = []
        for d in range(max(self.base_day + 1, self.first_day), self.day + 1):
            scored = self._advance(self._now, d, rows)
            if d >= day:
                days.append(self._pick(scored, wanted))
        return days

    def _advance(self, arrays: _Arrays, day: int, rows: Rows) -> ScoredDay:
        counts = self.observe(day, rows)
        filtered = np.empty((len(rows), trend_kernel.OUT_WIDTH))
        regions = np.empty((len(rows), 2, region_kernel.OUT_WIDTH))
        trend_kernel.step(arrays.trend, rows, counts, (day - 1) % 7, self.params, self._by_age, filtered)
        region_kernel.follow(arrays.region, rows, counts, float(day), filtered, self.regions, regions)
        return ScoredDay(day, rows, counts, filtered, regions)

    def _pick(self, scored: ScoredDay, wanted: Wanted) -> ScoredDay:
        which = np.flatnonzero(wanted(scored))
        day, rows, counts, filtered, regions = scored
        picked = ScoredDay(day, rows[which], counts[which], filtered[which], regions[which])
        trend_kernel.to_counts(picked.filtered, self.params)
        return picked

    def to_bytes(self) -> bytes:
        """The state as a versioned value."""
        parts = [a[: self.assets].tobytes() for pair in (self._now, self._base) for a in pair]
        return msgspec.msgpack.encode((VERSION, self.assets, self.day, self.first_day, parts))

    def load(self, blob: bytes) -> None:
        """Take over what ``to_bytes`` gave. Raises SnapshotError for another version or broken bytes."""
        try:
            version, assets, day, first_day, parts = msgspec.msgpack.decode(
                blob, type=tuple[int, int, int | None, int, tuple[bytes, bytes, bytes, bytes]]
            )
        except (msgspec.MsgspecError, ValueError) as error:
            raise SnapshotError(f"trend state: not readable ({error})") from error
        if version != VERSION:
            raise SnapshotError(f"trend state: version {version}, this program reads {VERSION}")
        arrays = []
        for part, width in zip(parts, (trend_kernel.WIDTH, region_kernel.WIDTH) * 2, strict=True):
            if len(part) != assets * width * 4:
                raise SnapshotError("trend state: truncated")
            arrays.append(np.frombuffer(part, dtype=np.float32).reshape(assets, width).copy())
        self.assets, self.day, self.first_day = assets, day, first_day
        self._now, self._base = _Arrays(*arrays[:2]), _Arrays(*arrays[2:])

    def fingerprint(self, row: int) -> bytes:
        """All bits of one asset's present state, for comparison."""
        return b"".join(a[row].tobytes() for a in self._now)

"""The filter over a history, day after day, with what the market did removed: the stream's very model, without what a
stream needs for late reports."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cuepoint.models import market_factor, region_kernel, trend_kernel
from cuepoint.models.market_factor import MarketFactor
from cuepoint.models.region_params import RegionParams
from cuepoint.models.trend_bases import Arrays
from cuepoint.models.trend_params import TrendParams
from cuepoint.models.trend_state import BLOCK, ScoredDay

Floats = NDArray[np.float64]


class TrendWalk:
    """Assets are rows; ``in_market`` (assets,) int64 numbers each one's market, of length 0 where there is one only.

    >>> walk = TrendWalk(2)
    >>> days = [walk.day(day, np.array([1000.0 + day % 3, 50.0])) for day in range(1, 31)]
    >>> bool(days[-1].filtered[0, trend_kernel.LOWER_95] < 1001 < days[-1].filtered[0, trend_kernel.UPPER_95])
    True
    """

    def __init__(
        self,
        assets: int,
        in_market: NDArray[np.int64] | None = None,
        params: TrendParams | None = None,
        regions: RegionParams | None = None,
        *,
        with_market: bool = True,
    ) -> None:
        self.params, self.regions = params or TrendParams(), regions or RegionParams()
        self._by_age = trend_kernel.tables(self.params)
        self._in_market = np.zeros(0, dtype=np.int64) if in_market is None else in_market
        self._markets = int(self._in_market.max()) + 1 if len(self._in_market) else 1
        self._factor = MarketFactor(self._markets) if with_market else None
        self._held = Arrays.empty(assets)
        self.effects = np.repeat(market_factor.NEUTRAL, self._markets, axis=0)  # of the last day

    def day(self, day: int, counts: Floats) -> ScoredDay:
        """Score the next day (date.toordinal()) of all assets by their counts (assets,): NaN where unknown, negative
        where absent from complete reports."""
        blocks = [
            np.arange(first, min(first + BLOCK, len(counts)), dtype=np.int64) for first in range(0, len(counts), BLOCK)
        ]
        dow = (day - 1) % 7
        if self._factor is not None:
            codes = np.empty(len(counts), dtype=np.int64)
            for rows in blocks:
                said = codes[rows[0] : rows[-1] + 1]
                trend_kernel.innovations(self._held.trend, rows, counts[rows], dow, self.params, self._by_age, said)
            codes = market_factor.codes_of(codes, self._in_market)
            self.effects = self._factor.day(market_factor.sketch_of(codes, self._markets))
        filtered = np.empty((len(counts), trend_kernel.OUT_WIDTH))
        regions = np.empty((len(counts), 2, region_kernel.OUT_WIDTH))
        for rows in blocks:
            part = slice(rows[0], rows[-1] + 1)
            known = (self._held.trend, rows, counts[part], dow, self.params, self._by_age)
            trend_kernel.step(*known, self._in_market, self.effects, filtered[part])
            told = (filtered[part], self.regions, regions[part])
            region_kernel.follow(self._held.region, rows, counts[part], float(day), *told)
            trend_kernel.to_counts(filtered[part], self.params)
        return ScoredDay(day, np.arange(len(counts)), counts, filtered, regions)

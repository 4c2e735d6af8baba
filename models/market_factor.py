"""What all assets of a market have in common on a day: how far they moved, and how far apart they moved.

Every partition adds its assets' one-step innovations to a sketch of whole numbers (``trend_kernel.innovations``);
sketches add up, in any order, to the same bits. The day's effects are the median innovation, shrunk towards 0 by its
own uncertainty, and the spread of the innovations about it relative to the market's usual spread. On a holiday
everything moves; on the day of a year's review everything moves differently: neither is news of one asset.

Source: maths.md 1 (market factor); median polish (Tukey 1977) for why the median; the dispersion is ours.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

BINS = 512  # of asinh(innovation / FINE), evenly; two histograms: all assets, and those whose counts are large
FINE, REACH = 0.01, 6.0  # resolution near 0: 0.00023; beyond +-2 (sevenfold) all alike
WIDTH = 2 * BINS
LEAST_ASSETS = 15  # fewer make no market
USUAL_MOVE = 0.03  # log: the prior scale of a market's move, against which its uncertainty is weighed
QUANTILE = 0.75  # of |innovation - shift|: the spread
MEMORY_DAYS = 60.0  # of the usual spread
LARGEST_SURPRISE = 0.5  # log: no day teaches the usual spread more than this
SHIFT, DISPERSION = 0, 1
NEUTRAL = np.array([[0.0, 1.0]])
Sketch = NDArray[np.int64]
Floats = NDArray[np.float64]
_CENTRES = FINE * np.sinh((np.arange(BINS) + 0.5) * (2.0 * REACH / BINS) - REACH)


def empty_sketch(markets: int) -> Sketch:
    """(markets, WIDTH) zeros."""
    return np.zeros((markets, WIDTH), dtype=np.int64)


def _quantile(values: Floats, counts: Sketch, share: float) -> float:
    """Of values in ascending order with how often each occurs, the midpoint where ``share`` is reached."""
    reached = np.cumsum(counts)
    at = share * reached[-1]
    low = int(np.searchsorted(reached, at, side="left"))
    high = int(np.searchsorted(reached, at, side="right"))
    return float(0.5 * (values[low] + values[min(high, len(values) - 1)]))


def _shift(counts: Sketch) -> float:
    """The median, shrunk by what a median of so many is uncertain by."""
    middle = _quantile(_CENTRES, counts, 0.5)
    half_width = 0.5 * (_quantile(_CENTRES, counts, 0.75) - _quantile(_CENTRES, counts, 0.25))
    variance = 0.5 * math.pi * (half_width / 0.6745) ** 2 / counts.sum()
    return float(middle / (1.0 + variance / USUAL_MOVE**2))


def _spread(counts: Sketch, shift: float) -> float:
    away = np.abs(_CENTRES - shift)
    order = np.argsort(away, kind="stable")
    return _quantile(away[order], counts[order], QUANTILE)


class MarketFactor:
    """The effects of day after day, for each market.

    >>> market = MarketFactor()
    >>> sketch = empty_sketch(1)
    >>> sketch[0, 260] += 14  # fourteen assets are no market
    >>> market.day(sketch).tolist()
    [[0.0, 1.0]]
    """

    def __init__(self, markets: int = 1) -> None:
        self._days = np.zeros(markets)
        self._usual = np.zeros(markets)  # mean log spread

    def day(self, sketch: Sketch) -> Floats:
        """(markets, 2): SHIFT in log units and DISPERSION (1 or more: times the usual spread) of the next day."""
        effects = np.repeat(NEUTRAL, len(sketch), axis=0)
        for market, row in enumerate(sketch):
            everyone, large = row[:BINS], row[BINS:]
            if everyone.sum() < LEAST_ASSETS:
                continue
            effects[market, SHIFT] = shift = _shift(everyone)
            if large.sum() < LEAST_ASSETS:
                continue
            spread = math.log(_spread(large, shift))
            if self._days[market]:
                effects[market, DISPERSION] = math.exp(max(0.0, spread - self._usual[market]))
            self._learn(market, spread)
        return effects

    def _learn(self, market: int, spread: float) -> None:
        days = self._days[market] = min(self._days[market] + 1.0, MEMORY_DAYS)
        surprise = spread - self._usual[market]
        if days > 7.0:
            surprise = min(max(surprise, -LARGEST_SURPRISE), LARGEST_SURPRISE)
        self._usual[market] += surprise / days

    def to_value(self) -> list[tuple[float, float]]:
        """For a snapshot: (days, mean log spread) of each market."""
        return list(zip(self._days.tolist(), self._usual.tolist(), strict=True))

    @classmethod
    def from_value(cls, value: list[tuple[float, float]]) -> MarketFactor:
        """What ``to_value`` gave."""
        market = cls(len(value))
        market._days[:] = [days for days, _ in value]
        market._usual[:] = [usual for _, usual in value]
        return market

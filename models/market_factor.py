"""What all assets of a market have in common on a day: how far they moved, and how far apart they moved.

The assets' one-step innovations (``trend_kernel.innovations``) are counted in a sketch of whole numbers, which is the
same in whatever order they come. The day's effects are the median innovation, shrunk towards 0 by its
own uncertainty, and the spread of the innovations about it relative to the market's usual spread. On a holiday
everything moves; on the day of a year's review everything moves differently: neither is news of one asset.

Assets young in the data speak where there are not enough older ones: in a catalogue's first week nobody is older, its
first day may have been a holiday, and assets long released do not fade as new ones are expected to.

Source: maths.md 1 (market factor); median polish (Tukey 1977) for why the median; the dispersion is ours.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

BINS = 512  # of asinh(innovation / FINE), evenly; three histograms: small counts, large counts, young assets
FINE, REACH = 0.01, 6.0  # resolution near 0: 0.00023; beyond +-2 (sevenfold) all alike
WIDTH = 3 * BINS
SHIFT_STEPS, DISPERSION_STEPS, EXTRA_STEPS = (
    1000,
    20,
    2000,
)  # in one: what a single asset says seldom moves an effect by a step
LEAST_ASSETS = 15  # fewer make no market
USUAL_MOVE = 0.03  # log: the prior scale of a market's move, against which its uncertainty is weighed
QUANTILE = 0.6  # of |innovation - shift|: the spread; what a quarter of the assets do alike does not touch it
MEMORY_DAYS = 60.0  # of the usual spread
LARGEST_SURPRISE = 0.5  # log: no day teaches the usual spread more than this
LARGEST_DISPERSION = 3.0  # where more than that moves most assets, each has news of its own (26 December)
NORMAL_QUANTILE = 0.8416  # of a standard normal innovation
SPREAD_SD = 1.04  # of the log spread of n normal innovations, by the root of n
SHIFT, DISPERSION, EXTRA = 0, 1, 2
NEUTRAL = np.array([[0.0, 1.0, 0.0]])
Sketch = NDArray[np.int64]
Floats = NDArray[np.float64]
_CENTRES = FINE * np.sinh((np.arange(BINS) + 0.5) * (2.0 * REACH / BINS) - REACH)


def codes_of(codes: NDArray[np.int64], in_market: NDArray[np.int64]) -> NDArray[np.int64]:
    """Codes of ``trend_kernel.innovations`` (k,) with the market (k,), or of length 0 for one market, in them."""
    return np.where(codes >= 0, codes + in_market * WIDTH, -1) if len(in_market) else codes


def sketch_of(codes: NDArray[np.int64], markets: int) -> Sketch:
    """(markets, WIDTH): how often each of the ``codes_of`` occurs; -1 says nothing."""
    return np.bincount(codes[codes >= 0], minlength=markets * WIDTH).reshape(markets, WIDTH)


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


def _dispersion(excess: float, assets: int) -> float:
    """From a spread ``excess`` log units above the usual, shrunk by what a spread of so many is uncertain by."""
    if excess <= 0.0:
        return 1.0
    unsure = 4.0 * SPREAD_SD**2 / assets
    return min(math.exp(excess / (1.0 + unsure / excess**2)), LARGEST_DISPERSION)


def _stepwise(value: float, steps: int) -> float:
    return round(value * steps) / steps


class MarketFactor:
    """The effects of day after day, for each market.

    >>> market = MarketFactor()
    >>> market.day(sketch_of(np.full(14, 280), markets=1)).tolist()  # fourteen assets are no market
    [[0.0, 1.0, 0.0]]
    >>> market.day(sketch_of(np.full(15, 280), markets=1)).tolist()
    [[0.006, 1.0, 0.0]]
    """

    def __init__(self, markets: int = 1) -> None:
        self._days = np.zeros(markets)
        self._usual = np.zeros(markets)  # mean log spread

    def day(self, sketch: Sketch) -> Floats:
        """(markets, 3) of the next day: SHIFT in log units; DISPERSION, 1 or more: times the usual spread; EXTRA: the
        variance, squared log units, that this adds to an asset of the usual spread, and to a noisier one at most."""
        effects = np.repeat(NEUTRAL, len(sketch), axis=0)
        for market, row in enumerate(sketch):
            small, large, young = row.reshape(3, BINS)
            everyone = small + large
            if everyone.sum() < LEAST_ASSETS:
                everyone += young
            if everyone.sum() < LEAST_ASSETS:
                continue
            effects[market, SHIFT] = shift = _stepwise(_shift(everyone), SHIFT_STEPS)
            if large.sum() < LEAST_ASSETS:
                continue
            spread = math.log(_spread(large, shift))
            if self._days[market]:
                wider = _dispersion(spread - self._usual[market], int(large.sum()))
                effects[market, DISPERSION] = wider = _stepwise(wider, DISPERSION_STEPS)
                usual = math.exp(self._usual[market]) / NORMAL_QUANTILE
                effects[market, EXTRA] = _stepwise((wider**2 - 1.0) * usual**2, EXTRA_STEPS)
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

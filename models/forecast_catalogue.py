"""Forecasts for a whole catalogue from its history alone: walk the days with the trend filter, remember, forecast."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cuepoint.models import market_factor, trend_kernel
from cuepoint.models.forecast_memory import ForecastMemory
from cuepoint.models.forecast_quantiles import quantiles_of_states
from cuepoint.models.trend_params import TrendParams

Floats = NDArray[np.float64]

QUANTILES = (0.025, 0.1, 0.5, 0.9, 0.975)


class Catalogue:
    """counts (assets, days): NaN where there is no count, which is not zero; ``first_day`` is the date.toordinal() of
    its first column. Origins are best asked for in ascending order: an earlier one walks the history anew.

    >>> days = np.arange(120)
    >>> counts = 1000.0 * 1.01 ** np.random.default_rng(1).normal(0, 1, (30, 120)) + 100 * (days % 7 == 4)
    >>> q = Catalogue(counts, first_day=738000).forecast(738000 + 99, horizon=14)
    >>> q.shape, bool(np.mean((q[:, :, 0] < counts[:, 100:114]) & (counts[:, 100:114] < q[:, :, 4])) > 0.9)
    ((30, 14, 5), True)
    """

    def __init__(self, counts: Floats, first_day: int, params: TrendParams | None = None) -> None:
        self._counts, self._first_day = np.asarray(counts, dtype=np.float64), first_day
        self._params = params or TrendParams()
        self._by_age = trend_kernel.tables(self._params)
        self._in_market = np.zeros(0, dtype=np.int64)
        self._restart()

    def _restart(self) -> None:
        self._memory = ForecastMemory(self._counts, self._first_day)
        assets = len(self._counts)
        self._rows = np.arange(assets, dtype=np.int64)
        self._states = np.zeros((assets, trend_kernel.WIDTH), dtype=np.float32)
        self._states[:, trend_kernel.AGE] = trend_kernel.NEVER
        self._walked = 0  # columns

    def _walk(self, column: int) -> None:
        """Bring the states to the end of ``column``."""
        if column + 1 < self._walked:
            self._restart()
        out = np.empty((len(self._counts), trend_kernel.OUT_WIDTH))
        for at in range(self._walked, column + 1):
            counts, day = np.ascontiguousarray(self._counts[:, at]), self._first_day + at
            known = (self._states, self._rows, counts, (day - 1) % 7, self._params, self._by_age)
            trend_kernel.step(*known, self._in_market, market_factor.NEUTRAL, out)
            self._memory.see(day, self._states)
        self._walked = column + 1

    def forecast(self, origin: int, horizon: int, quantiles: Sequence[float] = QUANTILES) -> Floats:
        """(assets, horizon, quantiles) counts of the days after ``origin`` (date.toordinal()), the last one seen.

        NaN for an asset without a count up to the origin. Raises ValueError for an origin outside the history.
        """
        self._walk(self._memory.column(origin))
        tables, own = self._memory.tables(origin, horizon)
        recent = self._memory.recent(origin)
        return quantiles_of_states(
            self._states, recent, origin, own=own, tables=tables, horizon=horizon, quantiles=quantiles
        )


def forecast(counts: Floats, first_day: int, horizon: int, quantiles: Sequence[float] = QUANTILES) -> Floats:
    """Forecast from the end of a history; see ``Catalogue``."""
    catalogue = Catalogue(counts, first_day)
    return catalogue.forecast(first_day + np.shape(counts)[1] - 1, horizon, quantiles)

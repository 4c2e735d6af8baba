"""Hyperparameters from a catalogue: the ones under which what came was most likely, a day ahead (objective O5).

Pooled one-step predictive likelihood (West & Harrison ch. 10; Harvey 1989 ch. 4), Student-t as the filter's noise is.
Days are pooled in strata of size and age, each with the same say, so that the many small assets do not decide for the
few large ones. A coordinate search in steps of a factor; half of the assets teach, the other half decide whether the
result is taken: it never is worse on them than what it replaces.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cuepoint.models import market_factor, trend_kernel
from cuepoint.models.trend_params import TrendParams

Floats = NDArray[np.float64]
SEARCHED = (
    "level_variance",
    "observation_variance",
    "trend_variance",
    "season_variance",
    "day_prior_sd",
    "young_boost",
    "young_days",
    "new_trend_sd",
)
FACTORS = (4.0, 2.0, 1.4)  # of one round after the other
SIZES = (math.log1p(30.0), math.log1p(1_000.0))  # borders of the strata: log1p(streams a day) ...
AGES = (14.0, 90.0)  # ... and days
STRATA = (len(SIZES) + 1) * (len(AGES) + 1)


class Fit(NamedTuple):
    """The hyperparameters, and their log likelihood a day on the held-out assets beside that of those they replace."""

    params: TrendParams
    held_out: float
    replaced: float


def log_likelihood(counts: Floats, first_day: int, params: TrendParams) -> float:
    """Mean over the strata that occur of the mean log density of a day, one step ahead. counts (days, assets): NaN
    where unknown; ``first_day``: date.toordinal() of the first row."""
    assets = counts.shape[1]
    state = np.zeros((assets, trend_kernel.WIDTH), dtype=np.float32)
    state[:, trend_kernel.AGE] = trend_kernel.NEVER
    rows, one_market = np.arange(assets, dtype=np.int64), np.zeros(0, dtype=np.int64)
    out, by_age = np.empty((assets, trend_kernel.OUT_WIDTH)), trend_kernel.tables(params)
    total, days = np.zeros(STRATA), np.zeros(STRATA)
    nu = params.tail
    constant = math.lgamma((nu + 1) / 2) - math.lgamma(nu / 2) - 0.5 * math.log(nu * math.pi)
    for t, given in enumerate(counts):
        known = (given >= 0) & (state[:, trend_kernel.AGE] >= 0)
        dow = (first_day + t - 1) % 7
        trend_kernel.step(state, rows, given, dow, params, by_age, one_market, market_factor.NEUTRAL, out)
        mean, variance = out[known, trend_kernel.MEAN], out[known, trend_kernel.UPPER_95]
        z2 = (np.log1p(given[known]) - mean) ** 2 / variance
        density = constant - 0.5 * np.log(variance) - (nu + 1) / 2 * np.log1p(z2 / nu)
        stratum = np.digitize(mean, SIZES) * (len(AGES) + 1) + np.digitize(out[known, trend_kernel.OUT_AGE], AGES)
        total += np.bincount(stratum, density, STRATA)
        days += np.bincount(stratum, minlength=STRATA)
    there = days >= 1
    return float(np.mean(total[there] / days[there])) if there.any() else -math.inf


def fit(counts: Floats, first_day: int, start: TrendParams | None = None) -> Fit:
    """Fit to counts (days, assets). Every second asset is held out; where the search does not help them, ``start``
    comes back."""
    start = start or TrendParams()
    teaching, held = counts[:, ::2], counts[:, 1::2]
    best, reached = start, log_likelihood(teaching, first_day, start)
    for factor in FACTORS:
        for name in SEARCHED:
            value = float(getattr(best, name))
            for tried in (value * factor, value / factor):
                candidate = best._replace(**{name: tried})  # type: ignore[arg-type]
                found = log_likelihood(teaching, first_day, candidate)
                if found > reached:
                    best, reached = candidate, found
                    break
    before, after = log_likelihood(held, first_day, start), log_likelihood(held, first_day, best)
    return Fit(best, after, before) if after > before else Fit(start, before, before)

"""What a filter state says about the weeks to come: the inputs of the forecast's regressions.

Everything is read off one row of the trend filter's state (``trend_kernel``: level, damped trend, six day offsets,
noise scale, age), so that what forecasts a file also forecasts an asset of a running stream, which keeps nothing else.

Sources: maths.md 1 (state of an asset); Gardner & McKenzie 1985 (damped trend); Montero-Manso & Hyndman 2021,
Principles and algorithms for forecasting groups of time series (one regression over all series).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cuepoint.models import trend_kernel as k

Floats = NDArray[np.float64]

# of the location; two more coefficients belong to the day's offset, the asset's own and the catalogue's
LOCATION = (
    "one",
    "innovation",  # of the last day, log units
    "trend",  # tenfold, log units a day
    "above_normal",  # level above its own slow average
    "fast",  # weighted sum of the last scores, about 5 days
    "slow",  # the cumulative sums of a ramp
    "week_young",  # exp(-age / 7 days)
    "month_young",
    "quarter_young",
    "size",  # log level above the catalogue's median
    "noise",  # log of the learnt noise scale
    "spread",  # log of the variance about the slow average
    "gap",  # days since the last count
    "trend_young",
    "above_young",
)
SCALE = ("one", "week_young", "month_young", "quarter_young", "size", "noise", "spread", "gap", "steep", "strayed")
STEP_VARIANCE = 0.0018  # of the filter's level and observation in a day, before the asset's own scale
MOST_GAP_DAYS = 7.0  # a longer gap says no more than this one


class Described(NamedTuple):
    """Inputs of ``n`` assets: level (n,) on log1p scale, location (n, 15), scale (n, 10), week (n, 7) offsets Monday to
    Sunday, weight (n,): one over the asset's noise scale, as scaled errors count."""

    level: Floats
    location: Floats
    scale: Floats
    week: Floats
    weight: Floats


def _bounded(value: Floats, most: float) -> Floats:
    """Linear near zero, never beyond ``most``: one odd state must not be extrapolated."""
    bounded: Floats = most * np.tanh(value / most)
    return bounded


def describe(states: NDArray[np.float32], centre: float) -> Described:
    """Read the inputs off state rows (n, trend_kernel.WIDTH); ``centre`` is the catalogue's median level (log1p)."""
    s = states.astype(np.float64)
    level, gap = s[:, k.LEVEL], np.minimum(s[:, k.GAP], MOST_GAP_DAYS) / MOST_GAP_DAYS
    age = np.maximum(s[:, k.AGE], 0.0)
    young = np.exp(-age[:, None] / np.array([7.0, 30.0, 90.0])).T
    noise = np.maximum(s[:, k.SCALE], k.FLOOR)
    root = np.sqrt(noise)
    trend = _bounded(10.0 * s[:, k.TREND], 0.6)
    above = _bounded(level - s[:, k.NORMAL], 1.0)
    innovation = 0.1 * root * _bounded(s[:, k.SCORES], 3.0)
    recent = s[:, k.SCORES : k.SCORES + 7] @ 0.8 ** np.arange(7)
    fast, slow = (_bounded(0.05 * root * value, 0.5) for value in (recent, s[:, k.RISING] - s[:, k.FALLING]))
    size = _bounded((level - centre) / 2.0, 3.0)
    spread = np.log(np.maximum(s[:, k.SPREAD], 0.0) + 0.001)
    one = np.ones(len(s))
    mean = np.expm1(np.clip(level, 0.0, 40.0))
    counting = (mean + 0.02) / (1.0 + mean) ** 2  # variance of log1p of a Poisson count
    location = [one, innovation, trend, above, fast, slow, *young, size, np.log(noise), spread, gap]
    location += [trend * young[1], above * young[1]]
    scale = [one, *young, size, 0.5 * np.log(noise * STEP_VARIANCE + counting) + 3.0]
    scale += [spread + 4.0, gap, np.abs(trend), np.abs(above)]
    six = s[:, k.SEASON : k.SEASON + 6]
    week = np.column_stack([six, -six.sum(axis=1)])
    return Described(level, np.column_stack(location), np.column_stack(scale), week, 1.0 / np.clip(noise, 0.1, 10.0))

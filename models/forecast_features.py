"""What a filter state and the last four weeks say about the weeks to come: the inputs of the forecast's regressions.

The state is a row of the trend filter's (``trend_kernel``: level, damped trend, six day offsets, noise scale, age). The
last WEEKS_DAYS counts mend what its hyperparameters, made for one catalogue, get wrong in another: above all a week far
stronger than expected.

Sources: maths.md 1 (state of an asset); Gardner & McKenzie 1985 (damped trend); James & Stein 1961 (an asset's week is
believed as far as it stands out of its noise); Montero-Manso & Hyndman 2021, Principles and algorithms for forecasting
groups of time series (one regression over all series).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cuepoint.models import trend_kernel as k
from cuepoint.models.forecast_experts import plain
from cuepoint.models.forecast_regression import known_mean
from cuepoint.models.trend_lanes import FLOOR

Floats = NDArray[np.float64]

RECENT_DAYS = 56
WEEKS_DAYS = 28  # of them, that the regressions look at
OFFSETS = 4  # of a day: the state's, the last four weeks', the last week's, the catalogue's; each has a coefficient
# inputs of the location
LOCATION = (
    "one",
    "innovation",  # of the last day, log units
    "trend",  # tenfold, log units a day
    "above_normal",  # level above its own slow average
    "three_days",  # their mean innovation
    "week",  # that of seven days
    "week_young",  # exp(-age / 7 days)
    "month_young",
    "quarter_young",
    "size",  # log level above the catalogue's median
    "noise",  # log of the learnt noise scale
    "gap",  # days since the last count
    "last_week",  # mean of its days above the level
    "last_month",
    "trend_young",
    "above_young",
)
SCALE = (
    "one",
    "week_young",
    "month_young",
    "quarter_young",
    "size",
    "noise",
    "gap",
    "steep",
    "strayed",
    "rough",
    "moving",
    "apart",  # the experts; known when they have spoken
)
STEP_VARIANCE = 0.0018  # of the filter's level and observation in a day, before the asset's own scale
MOST_GAP_DAYS = 7.0  # a longer gap says no more than this one


class Described(NamedTuple):
    """Inputs of ``n`` assets: level (n,) on log1p scale, location (n, 16), scale (n, 11: all but the last), week (n, 7)
    the state's offsets Monday to Sunday, ahead and repeat (n, 7) those of the last four weeks and of the last one for
    the next seven days, weight (n,): one over the usual change from week to week, as scaled errors count; plain
    (n, 7, 3) log1p, see ``forecast_experts.plain``; highest (n,) log1p of the largest recent count or the level."""

    level: Floats
    location: Floats
    scale: Floats
    week: Floats
    ahead: Floats
    repeat: Floats
    weight: Floats
    plain: Floats
    highest: Floats


def _bounded(value: Floats, most: float) -> Floats:
    """Linear near zero, never beyond ``most``: one odd state must not be extrapolated."""
    bounded: Floats = most * np.tanh(value / most)
    return bounded


class _Weeks(NamedTuple):
    """Of the last four weeks (log1p): offsets of the seven days to come, by all and by the last, mean of the last and
    of all, variance about the offsets, of a week's mean about the one before, mean absolute change in a week."""

    ahead: Floats
    repeat: Floats
    last: Floats
    all: Floats
    rough: Floats
    moving: Floats
    change: Floats


def _weeks(recent: Floats, level: Floats) -> _Weeks:
    """recent (n, 28) counts, the latest last, so that column 7 w + p has the weekday of p + 1 days ahead."""
    logs = np.log1p(recent).reshape(-1, 4, 7)
    whole = np.isfinite(logs).sum(axis=2) >= 5
    means = np.where(whole, known_mean(logs, 2, np.nan), np.nan)
    away = logs - means[:, :, None]
    offsets = known_mean(away, 1, 0.0)
    weeks = whole.sum(axis=1)
    rough = known_mean((away - offsets[:, None, :]) ** 2, (1, 2), 0.01) * weeks / np.maximum(weeks - 1, 1) + 1e-5
    signal = np.maximum((offsets**2).mean(axis=1) - rough / np.maximum(weeks, 1), 0.0)
    believed = np.where(weeks >= 2, signal / (signal + rough / np.maximum(weeks, 1)), 0.0)
    ahead = believed[:, None] * offsets
    plain = logs - ahead[:, None, :]
    last = known_mean(plain[:, 3], 1, level)
    moving = known_mean(np.diff(means, axis=1) ** 2, 1, 0.01)
    change = known_mean(np.abs(np.diff(logs, axis=1)), (1, 2), 0.1)
    repeat = np.where(np.isfinite(away[:, 3]), away[:, 3], ahead)
    return _Weeks(ahead, repeat, last, known_mean(plain, (1, 2), last), rough, moving, change)


def describe(states: NDArray[np.float32], recent: Floats, centre: float) -> Described:
    """states (n, trend_kernel.WIDTH); recent (n, RECENT_DAYS): the counts up to the states' day, NaN where there are
    none; ``centre``: the catalogue's median level (log1p)."""
    s = states.astype(np.float64)
    level, gap = s[:, k.LEVEL], np.minimum(s[:, k.GAP], MOST_GAP_DAYS) / MOST_GAP_DAYS
    age = np.maximum(s[:, k.AGE], 0.0)
    young = np.exp(-age[:, None] / np.array([7.0, 30.0, 90.0])).T
    noise = np.maximum(s[:, k.SCALE], FLOOR)
    root = np.sqrt(noise)
    trend = _bounded(10.0 * s[:, k.TREND], 0.6)
    above = _bounded(level - s[:, k.NORMAL], 1.0)
    scores = np.tanh(s[:, k.SCORES : k.SCORES + 7] / 3.0)
    three, seven = (0.5 * root * scores[:, :days].mean(axis=1) for days in (3, 7))
    size = _bounded((level - centre) / 2.0, 3.0)
    one = np.ones(len(s))
    of = _weeks(recent[:, -WEEKS_DAYS:], level)
    mean = np.expm1(np.clip(level, 0.0, 40.0))
    counting = (mean + 0.02) / (1.0 + mean) ** 2  # variance of log1p of a Poisson count
    location = [one, 0.3 * root * scores[:, 0], trend, above, three, seven, *young, size, np.log(noise), gap]
    location += [_bounded(of.last - level, 0.5), _bounded(of.all - level, 1.0)]
    location += [trend * young[1], above * young[1]]
    scale = [one, *young, size, 0.5 * np.log(noise * STEP_VARIANCE + counting) + 3.0]
    scale += [gap, np.abs(trend), np.abs(above)]
    scale += [_bounded(0.5 * np.log(of.rough + 1e-3) + 2.0, 2.0), _bounded(0.5 * np.log(of.moving + 1e-3) + 2.0, 2.0)]
    six = s[:, k.SEASON : k.SEASON + 6]
    week = np.column_stack([six, -six.sum(axis=1)])
    weight = 1.0 / np.clip(of.change, 0.03, 1.0)
    said = plain(recent, level)
    highest = np.maximum(level, np.log1p(np.where(np.isfinite(recent), recent, 0.0).max(axis=1)))
    places, sizes = np.column_stack(location), np.column_stack(scale)
    return Described(level, places, sizes, week, of.ahead, of.repeat, weight, said, highest)

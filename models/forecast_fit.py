"""Learn a catalogue's forecast tables from past states and the counts that followed them.

For each of a few spans: a median regression of the later count on the state, the typical size of its errors, and
conformal quantiles of the scaled errors, by age and size. All start from the prior and leave it by the weight of
evidence: pairs of one asset that overlap in time count as one.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cuepoint.models import trend_kernel
from cuepoint.models.forecast_features import LOCATION, OFFSETS, SCALE, describe
from cuepoint.models.forecast_quantiles import strata
from cuepoint.models.forecast_regression import conformal_quantiles, mean_regression, median_regression, residuals
from cuepoint.models.forecast_tables import (
    LEVELS,
    STANDARD,
    STRATA,
    WIDEST_REACH,
    ForecastTables,
    prior_location,
    prior_scale,
    spans_to,
)

Floats = NDArray[np.float64]

LOCATION_STRENGTH = np.array([2.0, *[1.0] * (len(LOCATION) - 1), *[0.5] * OFFSETS])
SCALE_STRENGTH = np.full(len(SCALE), 10.0)
STRATUM_WORTH, PRIOR_WORTH = 60.0, 12.0  # independent pairs: the catalogue is worth to a stratum, the prior to it
FEWEST = 20  # pairs from which quantiles are taken
NOT_ZERO = 0.02  # log units: errors below it are all called small


class Lessons(NamedTuple):
    """Past states (n, WIDTH), the counts of the 28 days up to them (n, 28), the days they stood for (n,), the counts
    that followed (n, horizon), NaN where there were none; how many days lie between two states of one asset."""

    states: NDArray[np.float32]
    recent: Floats
    days: NDArray[np.int64]
    later: Floats
    stride_days: float


def fit(lessons: Lessons, through_day: int) -> ForecastTables:
    """The tables that ``lessons`` teach; ``later`` must hold nothing after ``through_day``."""
    horizon = lessons.later.shape[1]
    levels = lessons.states[:, trend_kernel.LEVEL].astype(np.float64)
    low, centre, high = np.quantile(levels, [1 / 3, 1 / 2, 2 / 3]).tolist()
    of = describe(lessons.states, lessons.recent, centre)
    latest = lessons.days > through_day - 56
    week = of.week[latest if latest.any() else slice(None)].mean(axis=0)
    stratum = strata(lessons.states, (low, high))
    after = np.log1p(lessons.later)
    rows = []
    for span in spans_to(horizon):
        known = np.isfinite(after[:, span - 1])
        worth = float(known.sum()) * min(1.0, lessons.stride_days / max(span, 7))
        weekday = (lessons.days[known] + span - 1) % 7
        own = of.week[known, weekday]
        recent = [offsets[known, (span - 1) % 7] for offsets in (of.ahead, of.repeat)]
        x = np.column_stack([of.location[known], own, *recent, week[weekday]])
        y = after[known, span - 1] - of.level[known]
        b = median_regression(
            x, y, of.weight[known], prior=prior_location(span), strength=LOCATION_STRENGTH, worth=worth
        )
        away = residuals(x, y, b)
        s = of.scale[known]
        size = np.log(np.abs(away) + NOT_ZERO)
        g = mean_regression(s, size, prior=prior_scale(span), strength=SCALE_STRENGTH, worth=worth)
        log_scale = -residuals(s, np.zeros(len(s)), g)
        reach = _reach(log_scale)
        scaled = away / np.exp(np.clip(log_scale, *reach))
        rows.append((span, b, g, reach, _errors(scaled, stratum[known], worth)))
    return ForecastTables(
        through_day=through_day,
        pairs=int(np.isfinite(lessons.later[:, 0]).sum()),
        centre=centre,
        sizes=(low, high),
        week=tuple(week.tolist()),
        spans=tuple(span for span, *_ in rows),
        location=tuple(tuple(b.tolist()) for _, b, *_ in rows),
        scale=tuple(tuple(g.tolist()) for _, _, g, *_ in rows),
        reach=tuple(reach for *_, reach, _ in rows),
        errors=tuple(tuple(tuple(e.tolist()) for e in errors) for *_, errors in rows),
    )


def _reach(log_scale: Floats) -> tuple[float, float]:
    """What the regression may say of an error's size: no more and no less than of all but a few it learnt from."""
    if len(log_scale) < FEWEST:
        return WIDEST_REACH
    low, high = np.clip(np.quantile(log_scale, [0.005, 0.995]), *WIDEST_REACH).tolist()
    return low, high


def _errors(scaled: Floats, stratum: NDArray[np.int64], worth: float) -> Floats:
    """(STRATA, LEVELS) conformal quantiles: the stratum's, drawn to all strata's, drawn to the prior's."""
    everywhere = _towards(scaled, np.array(STANDARD), worth, PRIOR_WORTH)
    if not len(scaled):
        return np.tile(everywhere, (STRATA, 1))
    each = worth / len(scaled)
    parts = [scaled[stratum == i] for i in range(STRATA)]
    return np.array([_towards(part, everywhere, each * len(part), STRATUM_WORTH) for part in parts])


def _towards(scaled: Floats, belief: Floats, worth: float, belief_worth: float) -> Floats:
    if len(scaled) < FEWEST:
        return belief
    share = worth / (worth + belief_worth)
    mixed: Floats = share * conformal_quantiles(scaled, np.array(LEVELS)) + (1.0 - share) * belief
    return mixed

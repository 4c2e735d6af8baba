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
from cuepoint.models.forecast_experts import EXPERTS, Record, catalogue_errors, combine, weights
from cuepoint.models.forecast_features import LOCATION, OFFSETS, SCALE, Described, describe
from cuepoint.models.forecast_quantiles import HIGHEST, strata
from cuepoint.models.forecast_regression import conformal_quantiles, mean_regression, median_regression, residuals
from cuepoint.models.forecast_tables import (
    LEVELS,
    MOST_ROOM,
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
ROOM, LEAST_ROOM = 0.995, 0.15  # quantile of past excesses over the largest recent count; log units
NOT_ZERO = 0.02  # log units: errors below it are all called small


class Lessons(NamedTuple):
    """Past states (n, WIDTH), the counts of the weeks up to them (n, RECENT_DAYS), the days they stood for (n,), the
    counts that followed (n, horizon), NaN where there were none; whose they are (n,); how many days lie between two
    states of one asset."""

    states: NDArray[np.float32]
    recent: Floats
    days: NDArray[np.int64]
    later: Floats
    assets: NDArray[np.int64]
    stride_days: float


class _Span(NamedTuple):
    """Of the pairs (n,) that are ``known`` a span ahead: what the experts say (m, EXPERTS) and what came (m,), both
    above the level."""

    known: NDArray[np.bool_]
    worth: float
    b: Floats
    experts: Floats
    came: Floats
    believed: Floats
    room: float


def fit(lessons: Lessons, through_day: int) -> tuple[ForecastTables, Record]:
    """The tables that ``lessons`` teach, and how the experts did for each asset; ``later`` must hold nothing after
    ``through_day``."""
    levels = lessons.states[:, trend_kernel.LEVEL].astype(np.float64)
    low, centre, high = np.quantile(levels, [1 / 3, 1 / 2, 2 / 3]).tolist()
    of = describe(lessons.states, lessons.recent, centre)
    latest = lessons.days > through_day - 56
    week = of.week[latest if latest.any() else slice(None)].mean(axis=0)
    record = Record(lessons.assets, lessons.days, lessons.stride_days)
    ahead = spans_to(lessons.later.shape[1])
    spans = [_experts(lessons, of, week, span, record) for span in ahead]
    own = record.known_at(lessons.assets, lessons.days)
    stratum = strata(lessons.states, (low, high))
    rows = [_uncertainty(span, at, own, of, stratum) for span, at in zip(ahead, spans, strict=True)]
    tables = ForecastTables(
        through_day=through_day,
        pairs=int(np.isfinite(lessons.later[:, 0]).sum()),
        centre=centre,
        sizes=(low, high),
        week=tuple(week.tolist()),
        spans=ahead,
        location=tuple(tuple(at.b.tolist()) for at in spans),
        room=tuple(at.room for at in spans),
        experts=tuple(tuple(at.believed.tolist()) for at in spans),
        scale=tuple(tuple(g.tolist()) for g, *_ in rows),
        reach=tuple(reach for _, reach, _ in rows),
        errors=tuple(tuple(tuple(e.tolist()) for e in errors) for *_, errors in rows),
    )
    return tables, record


def _experts(lessons: Lessons, of: Described, week: Floats, span: int, record: Record) -> _Span:
    """What each expert would have said ``span`` days ahead; its errors go to the ``record``."""
    came = np.log1p(lessons.later[:, span - 1]) - of.level
    known = np.isfinite(came)
    worth = float(known.sum()) * min(1.0, lessons.stride_days / max(span, 7))
    weekday = (lessons.days[known] + span - 1) % 7
    recent = [offsets[known, (span - 1) % 7] for offsets in (of.ahead, of.repeat)]
    x = np.column_stack([of.location[known], of.week[known, weekday], *recent, week[weekday]])
    y = came[known]
    b = median_regression(x, y, of.weight[known], prior=prior_location(span), strength=LOCATION_STRENGTH, worth=worth)
    level = of.level[known, None]
    experts = np.column_stack([y - residuals(x, y, b), of.plain[known, (span - 1) % 7] - level])
    highest = HIGHEST - level
    away = np.abs(np.exp(np.minimum(experts, highest)) - np.exp(np.minimum(y[:, None], highest)))
    away *= of.weight[known, None]
    believed = catalogue_errors(away, worth)
    errors = np.full((len(came), len(EXPERTS)), np.nan)
    errors[known] = away / believed
    record.add(span, errors)
    room = _room(came[known] + of.level[known] - of.highest[known])
    return _Span(known, worth, b, experts, y, believed, room)


def _uncertainty(
    span: int, at: _Span, own: Floats, of: Described, stratum: NDArray[np.int64]
) -> tuple[Floats, tuple[float, float], Floats]:
    """Coefficients of the error's size, its reach, and conformal quantiles, of the experts' combined forecast."""
    together, apart = combine(at.experts, weights(at.believed, own[at.known]))
    away = at.came - together
    s = np.column_stack([of.scale[at.known], apart])
    size = np.log(np.abs(away) + NOT_ZERO)
    g = mean_regression(s, size, prior=prior_scale(span), strength=SCALE_STRENGTH, worth=at.worth)
    log_scale = -residuals(s, np.zeros(len(s)), g)
    reach = _reach(log_scale)
    few = np.sqrt(1.0 + len(at.b) / (at.worth + len(at.b)))  # what was fitted looks better than what is to come
    scaled = few * away / np.exp(np.clip(log_scale, *reach))
    return g, reach, _errors(scaled, stratum[at.known], at.worth)


def _room(above: Floats) -> float:
    """How far a count may exceed the largest of the weeks before, log units: no further than nearly all that have."""
    if len(above) < FEWEST:
        return MOST_ROOM
    return min(max(float(np.quantile(above, ROOM)), LEAST_ROOM), MOST_ROOM)


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

"""From filter states and a catalogue's tables to quantiles of the next k days: a pure function, cheap on demand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cuepoint.models import trend_kernel
from cuepoint.models.forecast_experts import EXPERTS, combine, weights
from cuepoint.models.forecast_features import OFFSETS, RECENT_DAYS, Described, describe
from cuepoint.models.forecast_tables import LEVELS, YOUNG_AGE_DAYS, ForecastTables

Floats = NDArray[np.float64]

HIGHEST = 40.0  # log1p: nothing ever becomes infinite


def strata(states: NDArray[np.float32], tables_sizes: tuple[float, float]) -> NDArray[np.int64]:
    """Which of the tables' strata each state belongs to: (n,) 0 to STRATA - 1."""
    size = np.digitize(states[:, trend_kernel.LEVEL].astype(np.float64), tables_sizes)
    grown = states[:, trend_kernel.AGE] >= YOUNG_AGE_DAYS
    which: NDArray[np.int64] = 3 * grown.astype(np.int64) + size
    return which


def _between(spans: Sequence[int], horizon: int) -> tuple[NDArray[np.int64], Floats]:
    """For each of 1..horizon days: the span before it and the share of the next one."""
    days = np.arange(1.0, horizon + 1.0)
    place = np.interp(days, spans, np.arange(len(spans)))
    before = np.minimum(place.astype(np.int64), max(len(spans) - 2, 0))
    return before, place - before


def _at_days(at_spans: Floats, before: NDArray[np.int64], share: Floats) -> Floats:
    """Interpolate the last axis from spans to days."""
    after = np.minimum(before + 1, at_spans.shape[-1] - 1)
    between: Floats = at_spans[..., before] * (1.0 - share) + at_spans[..., after] * share
    return between


def _location(
    of: Described, tables: ForecastTables, weekdays: NDArray[np.int64], days: tuple[NDArray[np.int64], Floats]
) -> Floats:
    """(n, horizon) log1p: level, what the regressions add, and the days' offsets."""
    b = np.array(tables.location)
    base = _at_days(of.location @ b[:, :-OFFSETS].T, *days)
    coming = np.arange(len(weekdays)) % 7
    shared = np.broadcast_to(np.array(tables.week)[weekdays], base.shape)
    location: Floats = of.level[:, None] + base
    offsets = (of.week[:, weekdays], of.ahead[:, coming], of.repeat[:, coming], shared)
    for coefficient, offset in zip(b[:, -OFFSETS:].T, offsets, strict=True):
        location += _at_days(coefficient, *days) * offset
    return location


def _combined(
    regressed: Floats, of: Described, tables: ForecastTables, own: Floats, days: tuple[NDArray[np.int64], Floats]
) -> tuple[Floats, Floats]:
    """(n, horizon) log1p: what the regression and the plain forecasts say together; (n, horizon) how far apart."""
    of_catalogue = _at_days(np.array(tables.experts).T, *days).T
    plain = of.plain[:, np.arange(regressed.shape[1]) % 7]
    said = np.concatenate([regressed[:, :, None], plain], axis=2)
    return combine(said, weights(of_catalogue, own[:, None, :]))


def quantiles_of_states(
    states: NDArray[np.float32],
    recent: Floats,
    day: int,
    *,
    own: Floats | None = None,
    tables: ForecastTables,
    horizon: int,
    quantiles: Sequence[float],
) -> Floats:
    """Forecast the ``horizon`` days after ``day``.

    states (n, trend_kernel.WIDTH) as they stand after ``day`` (date.toordinal()); recent (n, RECENT_DAYS): the counts
    of the days up to it, NaN where there are none; own (n, EXPERTS): how the experts did for the asset
    (``forecast_experts.Record``), as for the catalogue by default. Gives counts (n, horizon,
    len(quantiles)), at least 0, ascending with the quantile, which may come in any order; NaN for an asset never seen.
    Beyond the longest span of the tables
    its values are kept, beyond the outermost of LEVELS likewise. Raises ValueError for another shape, a
    horizon below 1 or a quantile outside 0 to 1.

    >>> from cuepoint.models.forecast_tables import prior
    >>> state = np.zeros((1, trend_kernel.WIDTH), dtype=np.float32)
    >>> state[0, trend_kernel.LEVEL], state[0, trend_kernel.SCALE] = np.log1p(1000), 1.0
    >>> recent = np.full((1, RECENT_DAYS), 1000.0)
    >>> q = quantiles_of_states(state, recent, 738000, tables=prior(7), horizon=7, quantiles=(0.1, 0.5, 0.9))
    >>> q.shape, round(float(q[0, 0, 1])), bool(q[0, 6, 2] > q[0, 0, 2] > 1000)
    ((1, 7, 3), 1000, True)
    """
    wanted = np.asarray(quantiles, dtype=np.float64)
    if horizon < 1:
        raise ValueError(f"horizon must be at least 1 day, not {horizon}")
    if not wanted.size or not bool(np.all((wanted > 0.0) & (wanted < 1.0))):
        raise ValueError(f"quantiles must lie between 0 and 1, not {list(quantiles)}")
    if recent.shape != (len(states), RECENT_DAYS):
        raise ValueError(f"recent must be ({len(states)}, {RECENT_DAYS}), not {recent.shape}")
    of = describe(states, recent, tables.centre)
    days = _between(tables.spans, horizon)
    regressed = _location(of, tables, (day + np.arange(horizon)) % 7, days)
    own = np.zeros((len(states), len(EXPERTS))) if own is None else own
    location, apart = _combined(regressed, of, tables, own, days)
    g = np.array(tables.scale)
    low, high = _at_days(np.array(tables.reach).T, *days)
    log_scale = np.clip(_at_days(of.scale @ g[:, :-1].T, *days) + _at_days(g[:, -1], *days) * apart, low, high)
    errors = np.array(tables.errors)  # (spans, strata, levels)
    grid = np.stack([[np.interp(wanted, LEVELS, row) for row in of_span] for of_span in errors])
    of_stratum = _at_days(np.moveaxis(grid, 0, -1), *days)  # (strata, quantiles, horizon)
    z = np.moveaxis(of_stratum, 1, 2)[strata(states, tables.sizes)]
    logs = location[:, :, None] + np.exp(log_scale)[:, :, None] * z
    most = np.maximum(of.highest[:, None] + _at_days(np.array(tables.room), *days), location)
    logs = np.minimum(logs, np.minimum(most, HIGHEST)[:, :, None])
    counts: Floats = np.maximum(np.expm1(logs), 0.0)
    counts[states[:, trend_kernel.AGE] == trend_kernel.NEVER] = np.nan
    return counts

"""A region of significant change, split over what reports tell (O6; US 11,113,707 "significant change attribution").

Every value of a dimension (a service, a territory, a context, a named playlist, a device) has its own expectation from
the days before the region: a local level with a gamma posterior, on the asset's damped trend and the market's course.
What was observed less that expectation is its part of the change. Draws of all of it are taken together, so that within
a dimension the parts, the market's and what is left unexplained sum to the change, draw by draw. A part that may as
well be noise is drawn as nothing so often as it is (spike and slab), most strictly among many playlists.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from cuepoint.models.cause_cells import DIMENSIONS, UNKNOWN, CellTable, Floats, by_value, fill_missing
from cuepoint.models.cause_ground import MEMORY, Ground, Market, ground_of

HISTORY_DAYS = 35
DRAWS = 400
_NO_HISTORY = 0.3  # streams in all of the history that a value never seen is granted
_SPECIFIC, _SPECIFIC_DAYS = 0.07, 10.0  # prior of a value's own daily log noise beside the asset's, and its weight
_NEW = 0.15  # daily log noise of what was not there before
_LEVELS = (5.0, 95.0)


class Part(NamedTuple):
    """Streams a day with a 90 % interval; ``expected``: a day, without the change; ``likely``: that it is not noise."""

    value: str
    effect: float
    lower: float
    upper: float
    expected: float = 0.0
    likely: float = 1.0


class Split(NamedTuple):
    """Of one dimension: the effects of ``parts`` and ``unexplained``, with the market's, sum to the change."""

    parts: list[Part]
    unexplained: Part
    effects: Floats  # (parts, draws), streams over the whole region


class Attribution(NamedTuple):
    """``days`` of the region; ``observed`` streams a day; ``change`` against what was expected; ``absent``: services
    left out because their reports of the region (or of the days before) have not come."""

    days: int
    observed: float
    change: Part
    market: Part
    splits: dict[str, Split]
    change_draws: Floats  # over the whole region
    market_draws: Floats
    absent: list[str]


def attribute(
    table: CellTable, start: int, last: int, market: Market | None, *, rng: np.random.Generator, draws: int = DRAWS
) -> Attribution:
    """Split the change of the days ``start`` to ``last`` (ordinals). The table begins some HISTORY_DAYS earlier.

    Raises ValueError for a region without a day of history or of its own.
    """
    cut, end = start - table.first, min(last, table.last) - table.first + 1
    if cut < 1 or end <= cut:
        raise ValueError("a region needs a day of history and a day of its own")
    table, absent = fill_missing(table._replace(counts=table.counts[:, :end]), start)
    ground = ground_of(table, cut, market, rng=rng, draws=draws)
    total = table.counts.sum(axis=0, keepdims=True)
    days = end - cut
    level = _levels(total, ground, ground.exposure[None, :], np.zeros(1), rng)[0] * ground.factor
    change = float(total[0, cut:].sum()) - level * ground.flat[cut:].sum()
    moved = level * (ground.exposure[cut:].sum() - ground.flat[cut:].sum())
    splits = {}
    for dimension in DIMENSIONS:
        values, rows = by_value(table, dimension)
        if values and values != [UNKNOWN]:
            splits[dimension] = _split(dimension, (values, rows), ground, (change, moved), rng)
    return Attribution(
        days,
        float(total[0, cut:].mean()),
        _part("", change / days, float(level.mean() * ground.flat[cut:].mean())),
        _part("market", moved / days),
        splits,
        change,
        moved,
        absent,
    )


def _split(
    dimension: str,
    seen_by: tuple[list[str], Floats],
    ground: Ground,
    moves: tuple[Floats, Floats],
    rng: np.random.Generator,
) -> Split:
    (values, rows), (change, moved) = seen_by, moves
    cut, days = ground.cut, rows.shape[1] - ground.cut
    local = ground.territory_exposure if dimension == "territory" else {}
    exposure = np.stack([local.get(value, ground.exposure) for value in values])
    own = _own_noise(rows[:, :cut], ground.weight)
    expected = _levels(rows, ground, exposure, own, rng) * exposure[:, cut:].sum(axis=1)[:, None] * ground.factor
    seen = rows[:, cut:].sum(axis=1)
    new = np.clip(1.0 - expected.mean(axis=1) / np.maximum(seen, 1.0), 0.0, 1.0)
    spread = 1.0 / (1.0 / (seen + _NO_HISTORY) + np.maximum(own, new * _NEW**2) * MEMORY / days)
    effects = (
        seen[:, None] * rng.standard_gamma(spread[:, None], (len(values), len(change))) / spread[:, None] - expected
    )
    likely = _likely(effects, change, 0.5 if dimension != "container" else min(0.5, 1.5 / len(values)))
    effects *= rng.random(effects.shape) < likely[:, None]
    told = np.array([value != UNKNOWN for value in values])
    unexplained = change - moved - effects[told].sum(axis=0)
    parts = [
        _part(value, effects[i] / days, float(expected[i].mean()) / days, float(likely[i]))
        for i, value in enumerate(values)
        if value != UNKNOWN
    ]
    return Split(parts, _part("unexplained", unexplained / days), effects[told])


def _levels(rows: Floats, ground: Ground, exposure: Floats, own: Floats, rng: np.random.Generator) -> Floats:
    """Draws (values, draws) of each value's streams a day at exposure 1: a gamma posterior, the weights of older days
    as fewer counts, its own noise as a smaller shape."""
    cut, weight = ground.cut, ground.weight
    counted = rows[:, :cut] @ weight
    exposed = exposure[:, :cut] @ weight
    effective = weight.sum() ** 2 / (weight**2).sum()
    ratio = (weight**2).sum() / weight.sum()
    shape = 1.0 / (1.0 / (counted / ratio + _NO_HISTORY) + own * MEMORY / effective)
    mean = (counted + np.where(counted > 0, 0.0, _NO_HISTORY)) / np.maximum(exposed, 1e-9)
    drawn: Floats = rng.standard_gamma(shape[:, None], (len(rows), len(ground.factor))) * (mean / shape)[:, None]
    return drawn


def _own_noise(before: Floats, weight: Floats) -> Floats:
    """Variance of a value's daily log noise, given the asset's total of the day (method of moments, shrunk)."""
    total = before.sum(axis=0)
    share = (before @ weight) / max(total @ weight, 1e-9)
    given = share[:, None] * total
    excess = ((before - given) ** 2 - given * (1 - share[:, None])) @ weight
    size = given**2 @ weight
    n = weight.sum()
    moment = np.where(size > 0, np.maximum(excess, 0.0) / np.maximum(size, 1e-9), 0.0)
    known = n * size / (size + n * 25.0)  # counts of five a day tell little of a share's noise
    noise: Floats = (known * moment + _SPECIFIC_DAYS * _SPECIFIC**2) / (known + _SPECIFIC_DAYS)
    return np.minimum(noise, 1.0)


def _likely(effects: Floats, change: Floats, prior: float) -> Floats:
    """Posterior that a part is not nothing: normal slab as wide as the change, spike at zero."""
    mean, variance = effects.mean(axis=1), effects.var(axis=1) + 1e-9
    slab = max(float(change.mean()) ** 2, 1e-9)
    log_odds = np.log(prior / (1 - prior)) + 0.5 * np.log(variance / (variance + slab))
    log_odds += 0.5 * mean**2 / variance * slab / (variance + slab)
    likely: Floats = 1.0 / (1.0 + np.exp(-np.clip(log_odds, -50, 50)))
    return likely


def _part(value: str, draws: Floats, expected: float = 0.0, likely: float = 1.0) -> Part:
    lower, upper = np.percentile(draws, _LEVELS).tolist()
    return Part(value, float(draws.mean()), lower, upper, expected, likely)

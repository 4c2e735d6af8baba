"""Engagement of one asset from aggregates alone (O7; US 11,113,707 "growth potential evaluation"): how many passive
listeners become active ones, how many who searched come back, and how fast the engaged drop off.

What the library streams do above their level before the region is taken as what earlier exposure left behind:

    excess_t = PLAYS * sum_{k < t} (1 - drop_off)^(t-1-k) (conversion * passive_k + search_conversion * searched_k)

with ``passive`` and ``searched`` the listeners above their level before. For each drop-off of a grid this is linear,
with a normal posterior in closed form; the grid's marginal likelihoods weigh them. Where nothing moved, nothing is
learnt, and the priors stand. What brings passive listeners may raise the library by itself, on the same days (a
feature, an event in a territory): with and without that are weighed by their likelihoods, too. Only a rise teaches: a
library from which listeners go empties, and then shows no longer how many of them there were.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
PLAYS = 0.45  # a day of an engaged listener: what a conversion is counted by
PRIORS = {"conversion": (0.04, 0.035), "search_conversion": (0.3, 0.15)}  # mean, standard deviation
_DROP_OFFS = np.exp(np.linspace(np.log(0.006), np.log(0.25), 48))
_DROP_PRIOR = np.exp(-0.5 * ((np.log(_DROP_OFFS) - np.log(0.04)) / 0.55) ** 2)
_STEP = float(np.log(_DROP_OFFS[1] / _DROP_OFFS[0]))
_COMPLETION = (6.0, 4.0)  # a beta prior: ten plays, six heard to the end
_NOISE, _LASTING = 0.06, 0.7  # daily log noise of the library, at least; and what of it is left a day later
_DIRECT, _DIRECT_SHARE = (0.6, 2.0), 0.5  # library streams at once for a listener of either kind; how often there are
_SCALE = (0.08, 0.15)  # log: listeners are counted once in each cell, so there are fewer of them, by about so much
_WEEK = 7
_LEVELS = (5.0, 95.0)


class Estimate(NamedTuple):
    """Mean and 90 % interval."""

    mean: float
    lower: float
    upper: float


class Growth(NamedTuple):
    """``conversion``: engaged listeners for one passive listener; ``search_conversion``: for one who searched;
    ``drop_off``: of the engaged, a day; ``completion``: plays heard to the end; ``potential``: active streams that one
    more passive listener brings in all; ``learnt``: 0 the priors alone, 1 all from the data."""

    conversion: Estimate
    search_conversion: Estimate
    drop_off: Estimate
    completion: Estimate
    potential: Estimate
    active_share: float  # of the streams of the region whose context is told
    learnt: float


class Engagement(NamedTuple):
    """By day: library streams, passive listeners, listeners who searched; and plays completed of those that tell."""

    library: Floats
    passive: Floats
    searched: Floats
    completed: float
    plays: float
    active_share: float


def engagement_of(columns: Mapping[str, NDArray[np.generic]], first: int, last: int, start: int) -> Engagement:
    """From the columns of the consumption store; listeners where the report counts them, else streams. ``start``: the
    region's first day; completion and active share are of the region."""
    days = np.asarray(columns["day"])
    if np.issubdtype(days.dtype, np.datetime64):
        days = days.astype("datetime64[D]").astype(np.int64) + 719_163
    inside = (days >= first) & (days <= last)
    place = days[inside].astype(np.int64) - first
    count = np.asarray(columns["count"], dtype=np.float64)[inside]
    consumers = np.asarray(columns.get("consumers", np.full(len(days), np.nan)), dtype=np.float64)[inside]
    people = np.where(np.isnan(consumers), count, consumers)
    context, activity = (np.asarray(columns[name])[inside].astype(str) for name in ("context", "activity"))
    completed = np.asarray(columns.get("completed", np.full(len(days), np.nan)), dtype=np.float64)[inside]

    def daily(chosen: NDArray[np.bool_], values: Floats) -> Floats:
        return np.bincount(place[chosen], weights=values[chosen], minlength=last - first + 1).astype(np.float64)

    region = place >= start - first
    tells, active = region & ~np.isnan(completed), region & (activity == "active")
    passive = region & (activity == "passive")
    told = count[active].sum() + count[passive].sum()
    return Engagement(
        daily(context == "library", count),
        daily(activity == "passive", people),
        daily(context == "search", people),
        float(completed[tells].sum()),
        float(count[tells].sum()),
        float(count[active].sum() / told) if told else 0.5,
    )


def growth_of(seen: Engagement, cut: int, *, rng: np.random.Generator, draws: int = 1000) -> Growth:
    """``cut``: days of ``seen`` that lie before the region. Raises ValueError without a day on each side."""
    days = len(seen.library)
    if not 0 < cut < days:
        raise ValueError("growth needs a day before the region and a day of it")
    levels = [_level_of(line, cut) for line in (seen.library, seen.passive, seen.searched)]
    excess = (seen.library - levels[0])[cut:]
    pushes = np.stack([(seen.passive - levels[1])[cut:], (seen.searched - levels[2])[cut:]])
    noise = _noise_of(seen.library, levels[0], cut)
    fits = [_fit(excess, pushes, noise, float(drop), direct) for direct in (False, True) for drop in _DROP_OFFS]
    evidence = np.array([fit.evidence for fit in fits])
    prior = np.concatenate([(1 - _DIRECT_SHARE) * _DROP_PRIOR, _DIRECT_SHARE * _DROP_PRIOR])
    weight = np.exp(evidence - evidence.max()) * prior
    chosen = rng.choice(len(fits), size=draws, p=weight / weight.sum())
    normal = rng.standard_normal((draws, 2))
    roots = [np.linalg.cholesky(fit.spread + 1e-12 * np.eye(2)) for fit in fits]
    rates = np.array([fits[k].mean + roots[k] @ z for k, z in zip(chosen.tolist(), normal, strict=True)])
    rates = np.clip(rates * np.exp(_SCALE[0] + _SCALE[1] * rng.standard_normal((draws, 1))), 0.001, 1.0)
    drop = _DROP_OFFS[chosen % len(_DROP_OFFS)] * np.exp(_STEP * (rng.random(draws) - 0.5))
    completion = rng.beta(_COMPLETION[0] + seen.completed, _COMPLETION[1] + seen.plays - seen.completed, draws)
    shrunk = np.mean([1 - np.sqrt(rates[:, i].var()) / sd for i, (_, sd) in enumerate(PRIORS.values())])
    return Growth(
        _estimate(rates[:, 0]),
        _estimate(rates[:, 1]),
        _estimate(drop),
        _estimate(completion),
        _estimate(rates[:, 0] * PLAYS / drop),
        seen.active_share,
        float(np.clip(shrunk, 0.0, 1.0)),
    )


class _Fit(NamedTuple):
    """Of the two conversions, the direct effect integrated out."""

    mean: Floats
    spread: Floats
    evidence: float


def _fit(excess: Floats, pushes: Floats, noise: Floats, drop_off: float, direct: bool) -> _Fit:
    """The normal posterior for one drop-off; ``direct``: what raises the pushes raises the library on the same day."""
    rising = pushes * (pushes.sum(axis=1, keepdims=True) > 0)
    design = PLAYS * _left(rising, drop_off).T
    mean = np.array([mean for mean, _ in PRIORS.values()])
    prior = np.diag([sd**2 for _, sd in PRIORS.values()])
    joint = design @ prior @ design.T + noise
    if direct:
        joint = joint + (pushes.T * np.square(_DIRECT)) @ pushes
    gain = np.linalg.solve(joint, design @ prior).T
    miss = excess - design @ mean
    evidence = -0.5 * (miss @ np.linalg.solve(joint, miss) + np.linalg.slogdet(joint)[1])
    return _Fit(mean + gain @ miss, prior - gain @ design @ prior, float(evidence))


def _level_of(line: Floats, cut: int) -> Floats:
    """What every day would have without the region: the mean before it, by weekday where two weeks are there."""
    level = np.full(len(line), line[:cut].mean())
    weeks = cut // _WEEK
    if weeks >= 2 and level[0] > 0:
        week = line[cut - weeks * _WEEK : cut].reshape(weeks, _WEEK).mean(axis=0) / level[0]
        week = (weeks * week + 1.0) / (weeks + 1.0)  # as if one more week had been even
        level *= week[(np.arange(len(line)) - cut) % _WEEK]
    return level


def _noise_of(library: Floats, level: Floats, cut: int) -> Floats:
    """Covariance of the days of the region: counts, ups and downs that last for days, and the level's own error."""
    base, spread = max(float(level[:cut].mean()), 1.0), library[:cut] / np.maximum(level[:cut], 1.0)
    daily = max(_NOISE**2, float(spread.var()) - 1.0 / base)
    here, normal = library[cut:], level[cut:]
    high, days = np.maximum(here, normal), np.arange(len(library) - cut)
    lasting = daily * np.outer(high, high) * _LASTING ** np.abs(days[:, None] - days)
    error = 1.0 / (base * cut) + daily * (1 + _LASTING) / (1 - _LASTING) / cut
    noise: Floats = np.diag(np.maximum(here, 1.0)) + lasting + error * np.outer(normal, normal)
    return noise


def _left(pushes: Floats, drop_off: float) -> Floats:
    """What of each push (2, days) is left on each day."""
    left = np.zeros_like(pushes)
    for day in range(1, pushes.shape[1]):
        left[:, day] = (1 - drop_off) * left[:, day - 1] + pushes[:, day - 1]
    return left


def _estimate(draws: Floats) -> Estimate:
    lower, upper = np.percentile(draws, _LEVELS).tolist()
    return Estimate(float(draws.mean()), lower, upper)

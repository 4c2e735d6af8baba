"""Engagement of one asset from aggregates alone (O7; US 11,113,707 "growth potential evaluation"): how many passive
listeners become active ones, how many who searched come back, and how fast the engaged drop off.

What the library streams do above their level before the region is taken as what earlier exposure left behind:

    excess_t = PLAYS * sum_{k < t} (1 - drop_off)^(t-1-k) (conversion * passive_k + search_conversion * searched_k)

with ``passive`` and ``searched`` the listeners above their level before. For each drop-off of a grid this is linear,
with a normal posterior in closed form; the grid's marginal likelihoods weigh them. Where nothing moved, nothing is
learnt, and the priors stand.
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
_DROP_PRIOR = np.exp(-0.5 * ((np.log(_DROP_OFFS) - np.log(0.04)) / 0.8) ** 2)
_STEP = float(np.log(_DROP_OFFS[1] / _DROP_OFFS[0]))
_COMPLETION = (6.0, 4.0)  # a beta prior: ten plays, six heard to the end
_NOISE = 0.06  # daily log noise of the library, at least
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
    base = [line[:cut].mean() for line in (seen.library, seen.passive, seen.searched)]
    excess = seen.library[cut:] - base[0]
    pushes = np.stack([seen.passive[cut:] - base[1], seen.searched[cut:] - base[2]])
    daily = max(_NOISE, float(np.std(seen.library[:cut]) / max(base[0], 1.0)))
    variance = np.maximum(seen.library[cut:], 1.0) + (daily * np.maximum(seen.library[cut:], base[0])) ** 2
    level = base[0] / cut + (daily * base[0]) ** 2 * 2.5 / cut  # what the level before may be wrong by, on every day
    noise = np.diag(variance) + level
    prior_mean = np.array([mean for mean, _ in PRIORS.values()])
    prior = np.diag([sd**2 for _, sd in PRIORS.values()])
    means, spreads, evidence = [], [], []
    for drop_off in _DROP_OFFS:
        design = PLAYS * _left(pushes, float(drop_off)).T
        joint = design @ prior @ design.T + noise
        gain = np.linalg.solve(joint, design @ prior).T
        miss = excess - design @ prior_mean
        means.append(prior_mean + gain @ miss)
        spreads.append(prior - gain @ design @ prior)
        evidence.append(-0.5 * (miss @ np.linalg.solve(joint, miss) + np.linalg.slogdet(joint)[1]))
    weight = np.exp(np.array(evidence) - max(evidence)) * _DROP_PRIOR
    chosen = rng.choice(len(_DROP_OFFS), size=draws, p=weight / weight.sum())
    normal = rng.standard_normal((draws, 2))
    roots = [np.linalg.cholesky(spread + 1e-12 * np.eye(2)) for spread in spreads]
    rates = np.clip([means[k] + roots[k] @ z for k, z in zip(chosen.tolist(), normal, strict=True)], 0.001, 1.0)
    drop = _DROP_OFFS[chosen] * np.exp(_STEP * (rng.random(draws) - 0.5))
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


def _left(pushes: Floats, drop_off: float) -> Floats:
    """What of each push (2, days) is left on each day."""
    left = np.zeros_like(pushes)
    for day in range(1, pushes.shape[1]):
        left[:, day] = (1 - drop_off) * left[:, day - 1] + pushes[:, day - 1]
    return left


def _estimate(draws: Floats) -> Estimate:
    lower, upper = np.percentile(draws, _LEVELS).tolist()
    return Estimate(float(draws.mean()), lower, upper)

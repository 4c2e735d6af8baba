"""Injections into real series, thresholds, recall and delay: the same for every detector.

A detector is a function of a panel that gives two scores (days, assets) each, larger = more significant, NaN or -inf
where it has nothing to say: of a rapid and of a gradual change, using only the past of each day.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from series import Floats, Panel, Run

Detector = Callable[[Panel], tuple[Floats, Floats]]
SETTLED_DAYS = 28  # a run's first days: neither alarms nor injections
MERGED_DAYS = 7  # flagged days no further apart than this are one alarm
YEAR_DAYS = 365.25


class Change(NamedTuple):
    """What is done to a series from a day on; ``window`` days is how long it may take to be found."""

    name: str
    kind: str  # "rapid" or "gradual"
    window: int
    factor: Callable[[NDArray[np.int64]], Floats]  # by days since the change, 0 first


def _step(size: float) -> Callable[[NDArray[np.int64]], Floats]:
    return lambda age: np.where(age >= 0, 1.0 + size, 1.0)


CHANGES = (
    Change("step +30 %", "rapid", 14, _step(0.3)),
    Change("step +100 %", "rapid", 14, _step(1.0)),
    Change("step +15 %", "rapid", 14, _step(0.15)),
    Change("spike x 3", "rapid", 1, lambda age: np.where(age == 0, 3.0, 1.0)),
    Change("drop -30 %", "rapid", 14, _step(-0.3)),
    Change("drop -50 %", "rapid", 14, _step(-0.5)),
    Change("ramp +2 % a day", "gradual", 28, lambda age: 1.02 ** np.clip(age + 1, 0, None)),
)


class Threshold(NamedTuple):
    """Alarm where either score is above its own."""

    rapid: float
    gradual: float


class Found(NamedTuple):
    recall: float
    within_1: float
    delay: float  # median days until found, 0 = the same day, of those found
    cases: int


def places(panel: Panel, part: str, per_run: int, rng: np.random.Generator) -> list[list[tuple[Run, int]]]:
    """``per_run`` rounds of one injection day a run of ``part``."""
    runs = [run for run in panel.runs if run.part == part]
    return [[(run, _day(panel, run, rng)) for run in runs] for _ in range(per_run)]


def _day(panel: Panel, run: Run, rng: np.random.Generator) -> int:
    """A day on which the source has data."""
    first, last = run.first + 2 * SETTLED_DAYS, run.last - SETTLED_DAYS
    held = first + np.flatnonzero(~np.isnan(panel.counts[first:last, run.column]))
    return int(rng.choice(held))


def injected(panel: Panel, where: list[tuple[Run, int]], change: Change, rng: np.random.Generator) -> Panel:
    """The panel with ``change`` put into the runs of ``where``: counts are scaled up, or thinned binomially (down)."""
    counts = panel.counts.copy()
    for run, day in where:
        old = counts[day : run.last, run.column]
        factor = change.factor(np.arange(len(old)))
        whole = np.nan_to_num(old).astype(np.int64)
        less = rng.binomial(whole, np.minimum(factor, 1.0))
        more = less + rng.poisson(whole * np.maximum(factor - 1.0, 0.0))
        counts[day : run.last, run.column] = np.where(np.isnan(old), np.nan, more)
    return panel._replace(counts=counts)


def _alarms(flagged: NDArray[np.bool_]) -> int:
    days = np.flatnonzero(flagged)
    return 0 if len(days) == 0 else 1 + int(np.count_nonzero(np.diff(days) > MERGED_DAYS))


def undisturbed(panel: Panel, part: str, scores: Floats) -> list[Floats]:
    """The scores of each settled run of ``part``."""
    runs = [run for run in panel.runs if run.part == part]
    return [np.nan_to_num(scores[r.first + SETTLED_DAYS : r.last, r.column], nan=-np.inf) for r in runs]


def threshold(runs: list[Floats], per_year: float) -> float:
    """The least score above which the runs alarm at most ``per_year`` times an asset-year (bisection over the
    scores that occur)."""
    years = sum(map(len, runs)) / YEAR_DAYS
    values = np.unique(np.concatenate(runs))
    low, high = 0, len(values) - 1
    while low < high:
        middle = (low + high) // 2
        if sum(_alarms(r > values[middle]) for r in runs) / years > per_year:
            low = middle + 1
        else:
            high = middle
    return float(values[high])


def thresholds(panel: Panel, part: str, scores: tuple[Floats, Floats]) -> dict[str, Threshold]:
    """ "alone": each score has one alarm an asset-year; "shared": both together, half each."""
    rapid, gradual = (undisturbed(panel, part, s) for s in scores)
    return {
        "alone": Threshold(threshold(rapid, 1.0), threshold(gradual, 1.0)),
        "shared": Threshold(threshold(rapid, 0.5), threshold(gradual, 0.5)),
    }


def found(where: list[tuple[Run, int]], scores: tuple[Floats, Floats], level: Threshold, window: int) -> list[float]:
    """Days until found, infinite where not within ``window`` days."""
    delays = []
    for run, day in where:
        slot = slice(day, min(day + window, run.last))
        flagged = np.zeros(slot.stop - slot.start, dtype=bool)
        for score, limit in zip(scores, level, strict=True):
            flagged |= score[slot, run.column] > limit  # False where NaN
        hits = np.flatnonzero(flagged)
        delays.append(float(hits[0]) if len(hits) else math.inf)
    return delays


def summary(delays: list[float]) -> Found:
    d = np.array(delays)
    hit = d[np.isfinite(d)]
    return Found(len(hit) / len(d), float(np.mean(d <= 1)), float(np.median(hit)) if len(hit) else math.nan, len(d))


def judged(panel: Panel, detector: Detector, changes: tuple[Change, ...], per_run: int, seed: int) -> dict[str, Found]:
    """Thresholds on the undisturbed runs of part "tune", recall on part "report": by change, and by change with
    the shared budget as "shared <change>". In the shared one either score may find it, alone only the change's own."""
    rng = np.random.default_rng(seed)
    levels = thresholds(panel, "tune", detector(panel))
    rounds = places(panel, "report", per_run, rng)
    out = {}
    for change in changes:
        alone: list[float] = []
        shared: list[float] = []
        own = levels["alone"]
        own = own._replace(gradual=math.inf) if change.kind == "rapid" else own._replace(rapid=math.inf)
        for where in rounds:
            scores = detector(injected(panel, where, change, rng))
            alone += found(where, scores, own, change.window)
            shared += found(where, scores, levels["shared"], change.window)
        out[change.name], out[f"shared {change.name}"] = summary(alone), summary(shared)
    return out


def alarms_a_year(panel: Panel, part: str, scores: tuple[Floats, Floats], level: Threshold) -> float:
    """What the thresholds give on the other part, undisturbed."""
    rapid, gradual = (undisturbed(panel, part, s) for s in scores)
    years = sum(map(len, rapid)) / YEAR_DAYS
    both = [(r > level.rapid) | (g > level.gradual) for r, g in zip(rapid, gradual, strict=True)]
    return sum(map(_alarms, both)) / years

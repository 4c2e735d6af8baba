"""Scaled errors, interval scores and coverage; the tables and the JSON line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from cases import Case, Floats, Panel, future, history, seasonal_error
from numpy.typing import NDArray

GOALS = {"mase_ratio_best_peer": 0.88, "msis_ratio_best_peer": 0.80, "coverage_80": 0.80, "coverage_95": 0.95}
WITHIN = 0.02  # of nominal
INTERVALS = {80: (1, 3), 95: (0, 4)}
WEEKS = {"1-7": slice(0, 7), "8-14": slice(7, 14), "15-21": slice(14, 21), "22-28": slice(21, 28)}
SIZES = ("small", "middle", "large")


class Truth(NamedTuple):
    """later (cases, HORIZON), NaN where the source has no count; scale (cases,); size (cases,) 0 to 2 by the mean of
    the last four weeks before the origin."""

    later: Floats
    scale: Floats
    size: NDArray[np.int64]


class Scores(NamedTuple):
    """Of each case: MASE, MSIS at 95 % (Makridakis et al. 2020), and whether the count was inside, (cases, HORIZON)."""

    mase: Floats
    msis: Floats
    inside: dict[int, Floats]


def truth(panel: Panel, cases: Sequence[Case]) -> Truth:
    """What came."""
    histories = [history(panel.counts, case) for case in cases]
    means = np.array([y[-28:].mean() for y in histories])
    return Truth(
        np.array([future(panel.counts, case) for case in cases]),
        np.array([seasonal_error(y) for y in histories]),
        np.digitize(means, np.quantile(means, [1 / 3, 2 / 3])),
    )


def score(q: Floats, of: Truth) -> Scores:
    """q (cases, HORIZON, 5)."""
    y, scale = of.later, of.scale[:, None]
    low, high = q[:, :, 0], q[:, :, 4]
    interval = high - low + 40.0 * (np.maximum(low - y, 0.0) + np.maximum(y - high, 0.0))
    inside = {
        nominal: np.where(np.isfinite(y), (q[:, :, a] <= y) & (y <= q[:, :, b]), np.nan)
        for nominal, (a, b) in INTERVALS.items()
    }
    return Scores(np.nanmean(np.abs(y - q[:, :, 2]) / scale, axis=1), np.nanmean(interval / scale, axis=1), inside)


def share(inside: Floats) -> float:
    """Of the days that have a count."""
    return float(np.nanmean(inside))


def row(name: str, scores: Scores, ours: Scores, at: NDArray[np.int64], cpu_s: float) -> list[str]:
    """A line of the table: the peer, and Cuepoint over the very same cases."""
    known = np.isfinite(scores.mase)
    mase, msis = scores.mase[known].mean(), scores.msis[known].mean()
    ratio_mase, ratio_msis = ours.mase[at][known].mean() / mase, ours.msis[at][known].mean() / msis
    covered = [f"{100 * share(scores.inside[n][known]):.1f}" for n in INTERVALS]
    figures = [f"{mase:.3f}", f"{msis:.2f}", *covered, f"{ratio_mase:.3f}", f"{ratio_msis:.3f}"]
    return [name, f"{known.sum():,}", *figures, f"{1000 * cpu_s / max(len(at), 1):.1f}"]


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Markdown."""
    rule = ["---"] + ["---:"] * (len(head) - 1)
    return "\n".join("| " + " | ".join(line) + " |" for line in (head, rule, *rows))


def by_stratum(scores: Scores, size: NDArray[np.int64]) -> str:
    """Coverage in per cent of Cuepoint by size (down) and horizon (across)."""
    lines = []
    for name, rows in [*((name, size == n) for n, name in enumerate(SIZES)), ("all", size >= 0)]:
        of = [
            f"{100 * share(scores.inside[n][rows][:, days]):.1f}"
            for n in INTERVALS
            for days in [*WEEKS.values(), slice(None)]
        ]
        lines.append([name, *of])
    head = ["size", *(f"{n} %, days {days}" for n in INTERVALS for days in [*WEEKS, "all"])]
    return table(head, lines)


def worst_miss(scores: Scores, size: NDArray[np.int64], nominal: int) -> float:
    """The largest distance from nominal over sizes and weeks of the horizon, each marginally."""
    inside = scores.inside[nominal]
    parts = [inside[size == n] for n in range(len(SIZES))] + [inside[:, days] for days in WEEKS.values()]
    return max(abs(share(part) - nominal / 100) for part in parts)


def goals(result: dict[str, float]) -> str:
    """What was wanted and what came of it."""
    lines = []
    for key, goal in GOALS.items():
        got, covers = result[key], key.startswith("coverage")
        reached = abs(got - goal) <= WITHIN if covers else got <= goal
        wanted = f"{goal:.2f} +- {WITHIN}" if covers else f"at most {goal:.2f}"
        lines.append([f"`{key}`", wanted, f"{got:.3f}", "reached" if reached else "**missed**"])
    return table(["", "goal", "measured", ""], lines)

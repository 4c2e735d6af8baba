"""The detectors compared: Cuepoint's own, and its peers, each a function of a panel (see judge.py).

Peers score every run by itself, on log1p of the counts; where a peer has one score only, it is used for both kinds. The
thresholds of all are set alike. statsmodels is refitted once a run on its first 56 days and then filters on.
"""

from __future__ import annotations

import importlib.util
import math
import time
from collections.abc import Callable

import numpy as np
from judge import Detector
from series import Floats, Panel

from cuepoint.models import trend_kernel
from cuepoint.models.trend_walk import TrendWalk

SETTLING = 56


def cuepoint(panel: Panel) -> tuple[Floats, Floats]:
    """All tracks of the panel as one market, day by day."""
    walk = TrendWalk(panel.counts.shape[1])
    rapid, gradual = np.full((2, *panel.counts.shape), np.nan)
    for t, counts in enumerate(panel.counts):
        scored = walk.day(panel.first_day + t, counts)
        seen = counts >= 0
        rapid[t, seen] = -np.log10(scored.filtered[seen, trend_kernel.P_SAME])
        gradual[t, seen] = -np.log10(scored.filtered[seen, trend_kernel.P_STILL])
    return rapid, gradual


def oracle(expected: Floats, days: int = 14) -> Detector:
    """Knows the true mean of every undisturbed day (days, assets): only the chance in the counting is left. The
    strongest step begun within the last ``days`` days; Anscombe's transform of Poisson counts."""

    def detector(panel: Panel) -> tuple[Floats, Floats]:
        score = np.nan_to_num(2.0 * (np.sqrt(panel.counts + 0.375) - np.sqrt(expected + 0.125)))
        total, best = np.zeros_like(score), np.zeros_like(score)
        for k in range(days):
            total[k:] += score[: len(score) - k]
            np.maximum(best, np.abs(total) / np.sqrt(k + 1.0), out=best)
        return best, best

    return detector


def us_per_asset_day(assets: int = 20_000, days: int = 120) -> float:
    """Processor time of filter, regions and market factor for simulated (Poisson) counts, the last 60 days."""
    rng = np.random.default_rng(1)
    levels = np.exp(rng.normal(6, 2, assets))
    walk = TrendWalk(assets)
    spent = 0.0
    for t in range(days):
        counts = rng.poisson(levels).astype(float)
        begun = time.process_time()
        walk.day(738_000 + t, counts)
        spent += (time.process_time() - begun) * (t >= days - 60)
    return 1e6 * spent / (60 * assets)


def _by_run(score: Callable[[Floats], Floats]) -> Detector:
    def detector(panel: Panel) -> tuple[Floats, Floats]:
        scores = np.full(panel.counts.shape, np.nan)
        for run in panel.runs:
            part = panel.counts[run.first : run.last, run.column]
            held = ~np.isnan(part)
            scores[np.flatnonzero(held) + run.first, run.column] = score(np.log1p(part[held]))
        return scores, scores

    return detector


def rolling_robust_z(y: Floats, window: int = 28) -> Floats:
    """Distance from the median of the last 28 days in robust standard deviations."""
    out = np.zeros(len(y))
    for t in range(7, len(y)):
        past = y[max(0, t - window) : t]
        middle = np.median(past)
        out[t] = abs(y[t] - middle) / (1.4826 * np.median(np.abs(past - middle)) + 0.01)
    return out


def week_over_week(y: Floats) -> Floats:
    """Change against the same weekday a week before."""
    out = np.zeros(len(y))
    out[7:] = np.abs(y[7:] - y[:-7])
    return out


def bocpd(y: Floats, hazard: float = 1 / 180, most: int = 200) -> Floats:
    """Bayesian online change-point detection (Adams & MacKay 2007) on the differences to a week before, normal with
    unknown mean and variance: the log odds that the run began within the last four days."""
    x = np.concatenate((np.zeros(min(7, len(y))), y[7:] - y[:-7]))
    weight, mean, kappa, alpha, beta = (np.array([v]) for v in (1.0, 0.0, 1.0, 2.0, 0.02))
    out = np.zeros(len(x))
    for t, value in enumerate(x):
        scale = np.sqrt(beta * (kappa + 1) / (alpha * kappa))
        z = (value - mean) / scale
        log = np.array([math.lgamma(a + 0.5) - math.lgamma(a) for a in alpha])
        likelihood = np.exp(log - (alpha + 0.5) * np.log1p(z * z / (2 * alpha))) / (scale * np.sqrt(2 * np.pi * alpha))
        grown = weight * likelihood * (1 - hazard)
        weight = np.concatenate(([hazard * np.sum(weight * likelihood)], grown))
        weight = weight[:most] / weight[:most].sum()
        beta = np.concatenate(([0.02], beta + kappa * (value - mean) ** 2 / (2 * (kappa + 1))))[:most]
        mean = np.concatenate(([0.0], (kappa * mean + value) / (kappa + 1)))[:most]
        kappa = np.concatenate(([1.0], kappa + 1))[:most]
        alpha = np.concatenate(([2.0], alpha + 0.5))[:most]
        recent = min(max(weight[:4].sum(), 1e-12), 1 - 1e-12)
        out[t] = math.log(recent / (1 - recent)) if t > 4 else 0.0
    return out


def page_hinkley(y: Floats) -> Floats:
    """river's PageHinkley on week differences: the larger of its two statistics, which is what it compares with its
    threshold."""
    from river.drift import PageHinkley

    test = PageHinkley(min_instances=14, delta=0.005, threshold=1e12)
    out = np.zeros(len(y))
    for t in range(7, len(y)):
        test.update(y[t] - y[t - 7])
        up = test._sum_increase - test._min_increase
        down = test._max_decrease - test._sum_decrease
        out[t] = max(up, down)
    return out


def adwin(y: Floats) -> Floats:
    """river's ADWIN on week differences at ten confidences: how many of them see a drift within the last days."""
    from river.drift import ADWIN

    tests = [ADWIN(delta=10.0**-k, clock=1, min_window_length=3, grace_period=5) for k in range(1, 11)]
    out = np.zeros(len(y))
    for t in range(7, len(y)):
        for k, test in enumerate(tests, 1):
            test.update(y[t] - y[t - 7])
            if test.drift_detected:
                out[t] = k
    return out


def unobserved_components(y: Floats) -> Floats:
    """statsmodels: local linear trend and week, fitted on the first 56 days; the standardised one-step error."""
    from statsmodels.tsa.statespace.structural import UnobservedComponents

    out = np.zeros(len(y))
    if len(y) <= SETTLING:
        return out
    parts = {"level": "lltrend", "seasonal": 7}
    fitted = UnobservedComponents(y[:SETTLING], **parts).fit(disp=False, maxiter=50)
    filtered = UnobservedComponents(y, **parts).filter(fitted.params)
    error = filtered.standardized_forecasts_error[0]
    out[14:] = np.abs(error[14:])
    return out


def peers(slow: bool) -> dict[str, Detector]:
    """By name; those whose package is not installed are left out, and said so."""
    found = {
        "rolling robust z": _by_run(rolling_robust_z),
        "week over week": _by_run(week_over_week),
        "BOCPD": _by_run(bocpd),
    }
    wanted: list[tuple[str, str, Callable[[Floats], Floats]]] = [
        ("river PageHinkley", "river", page_hinkley),
        ("river ADWIN", "river", adwin),
        ("statsmodels UCM", "statsmodels", unobserved_components),
    ]
    for name, package, score in wanted:
        if importlib.util.find_spec(package) is None:
            print(f"{name} is left out: {package} is not installed")
        elif slow or package != "statsmodels":
            found[name] = _by_run(score)
    return found

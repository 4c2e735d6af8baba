"""The false-alarm rates that region_params states, and what is found where there is something (simulated, seeded)."""

from __future__ import annotations

import numpy as np
import pytest

from cuepoint.models import region_kernel as r
from cuepoint.models import trend_kernel as k
from cuepoint.models.trend_state import ScoredDay, TrendState

FIRST, ASSETS, DAYS = 737_000, 600, 365


def run(
    log_counts: np.ndarray, rng: np.random.Generator, starts: np.ndarray | int = 0
) -> tuple[np.ndarray, list[ScoredDay]]:
    y = rng.poisson(np.exp(log_counts)).astype(float)
    y[np.arange(len(y))[:, None] < np.broadcast_to(starts, y.shape[1])] = -1
    state = TrendState(lambda day, rows: y[day - FIRST, rows])
    state.grow(y.shape[1])
    return y, [state.step(FIRST + t) for t in range(len(y))]


@pytest.mark.parametrize(
    ("noise", "walk", "week", "young", "later"),
    [
        (0.0, 0.0, 0.0, 0.05, 0.1),
        (0.05, 0.0, 0.0, 0.2, 0.1),
        (0.05, 0.0, 0.1, 0.5, 0.1),  # a weekly swing the day prior does not know
        (0.02, 0.03, 0.05, 0.45, 1.0),
        (0.15, 0.0, 0.0, 0.5, 1.5),  # three times noisier than the hyperparameters expect
    ],
)
def test_false_regions_are_as_stated(noise: float, walk: float, week: float, young: float, later: float):
    rng = np.random.default_rng(40)
    print("seed 40")
    starts = np.arange(ASSETS) % 7  # the day prior makes the first days depend on the weekday of the start
    level = rng.normal(9, 1, ASSETS) + np.cumsum(rng.normal(0, walk, (DAYS, ASSETS)), axis=0)
    season = week * np.sin(np.arange(DAYS) * 2 * np.pi / 7)[:, None]
    y, days = run(level + season + rng.normal(0, noise, (DAYS, ASSETS)), rng, starts)
    opened = np.array([d.regions[:, 1, r.STATUS] == r.OPENED for d in days])
    age = np.arange(DAYS)[:, None] - starts[None, :]
    assert opened[(age < 14)].sum() / ASSETS <= young  # per asset
    assert opened[(age >= 60)].sum() / (age >= 60).sum() * 1000 <= later
    late = list(zip(days, y, strict=True))[60:]
    inside = np.mean([(d.filtered[:, k.LOWER_95] <= c) & (c <= d.filtered[:, k.UPPER_95]) for d, c in late])
    assert inside > 0.92


@pytest.mark.parametrize(("step", "within"), [(0.4, 3), (-0.5, 3), (1.1, 1)])
def test_lasting_shifts_are_found(step: float, within: int):
    rng = np.random.default_rng(21)
    print("seed 21")
    base = 9 + rng.normal(0, 0.05, (130, 1000))
    base[100:, :100] += step  # a tenth of the market
    _, days = run(base, rng)
    found = np.zeros(1000, dtype=bool)
    for d in days[100 : 100 + within]:
        found |= (d.regions[:, 1, r.STATUS] == r.OPENED) & (d.regions[:, 1, r.OUT_CODE] * step > 0)
    assert found[:100].mean() > 0.9 and found[100:].mean() < 0.01


def test_the_effects_interval_holds_the_truth_and_not_by_its_width_alone():
    rng = np.random.default_rng(3)
    print("seed 3")
    starts = 80 + np.arange(300) % 40  # few at a time: else it is the market that moves
    usual = np.exp(rng.normal(3.5, 0.7, 300) + np.cumsum(rng.normal(0, 0.01, (160, 300)), axis=0))
    y = rng.poisson(usual * np.where(np.arange(160)[:, None] < starts, 1.0, 1.6)).astype(float)
    state = TrendState(lambda day, rows: y[day - FIRST, rows])
    state.grow(300)
    away = []
    for t in range(160):
        regions = state.step(FIRST + t).regions[:, 0]
        for i in np.flatnonzero(
            (regions[:, r.STATUS] == r.CLOSED) & (abs(regions[:, r.OUT_START] - FIRST - starts) <= 1)
        ):
            days = slice(int(regions[i, r.OUT_START]) - FIRST, t)  # the last day is of what follows
            truth = (y[days, i] - usual[days, i]).sum()
            away.append((regions[i, r.TOTAL_EFFECT] - truth) / regions[i, r.TOTAL_ERROR])
    assert len(away) > 150
    assert np.mean(np.abs(away) < 1.96) > 0.87
    assert np.median(np.abs(away)) > 0.3

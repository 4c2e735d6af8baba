"""Growth from aggregates: rates come back from counts they made, priors stand where nothing moved, outcomes teach."""

from __future__ import annotations

import numpy as np
import pytest

from cuepoint.models.cause_verdict import Cause
from cuepoint.models.growth_metrics import PLAYS, PRIORS, Engagement, Growth, growth_of
from cuepoint.models.growth_verdict import DRIVERS, PRIOR, drivers_of, judge, learn

BEFORE, DAYS = 28, 70
NONE = Cause("unexplained", "", 1.0)


def seen(conversion: float, drop_off: float, push: float, seed: int = 1) -> Engagement:
    """A library of 400 a day; ``push`` passive listeners more from the region's beginning, for three weeks."""
    rng = np.random.default_rng(seed)
    extra = np.where((np.arange(DAYS) >= BEFORE) & (np.arange(DAYS) < BEFORE + 21), push, 0.0)
    engaged = np.zeros(DAYS)
    for day in range(1, DAYS):
        engaged[day] = (1 - drop_off) * engaged[day - 1] + conversion * extra[day - 1]
    library = rng.poisson(400 + PLAYS * engaged).astype(float)
    passive = rng.poisson(200 + extra).astype(float)
    searched = rng.poisson(80, DAYS).astype(float)
    return Engagement(library, passive, searched, 700.0, 1000.0, 0.6)


def growth(conversion: float, drop_off: float, push: float, seed: int = 1) -> Growth:
    return growth_of(seen(conversion, drop_off, push, seed), BEFORE, rng=np.random.default_rng(0))


@pytest.mark.parametrize(("conversion", "drop_off"), [(0.1, 0.03), (0.02, 0.03), (0.08, 0.12)])
def test_rates_come_back_from_the_counts_they_made(conversion: float, drop_off: float) -> None:
    found = growth(conversion, drop_off, push=2000.0)
    assert found.conversion.lower <= conversion <= found.conversion.upper
    assert found.conversion.mean == pytest.approx(conversion, rel=0.35)
    assert found.drop_off.lower <= drop_off <= found.drop_off.upper
    assert found.completion.mean == pytest.approx(0.7, abs=0.03)


def test_where_nothing_moved_the_priors_stand() -> None:
    found = growth(0.1, 0.02, push=0.0)
    assert found.learnt < 0.3
    mean, sd = PRIORS["conversion"]
    assert abs(found.conversion.mean - mean) < sd
    assert found.conversion.upper - found.conversion.lower > sd


def test_growth_needs_days_on_both_sides() -> None:
    with pytest.raises(ValueError, match="a day before the region"):
        growth_of(seen(0.1, 0.1, 0), 0, rng=np.random.default_rng(0))


def test_who_converts_and_stays_is_the_better_opportunity() -> None:
    good, poor = growth(0.12, 0.02, 2000.0), growth(0.01, 0.12, 2000.0)
    assert judge(good, "up", NONE).probability > 0.7 > 0.3 > judge(poor, "up", NONE).probability


def test_contributions_are_shown_and_explain_the_probability() -> None:
    verdict = judge(growth(0.12, 0.02, 2000.0), "up", NONE)
    assert {driver.name for driver in verdict.drivers} == set(DRIVERS)
    score = sum(driver.contribution for driver in verdict.drivers)
    assert (score > 0) == (verdict.probability > 0.5)
    assert abs(verdict.drivers[0].contribution) == max(abs(driver.contribution) for driver in verdict.drivers)


@pytest.mark.parametrize(
    ("direction", "dimension", "goal"),
    [
        ("down", "container", "sustain"),
        ("down", "unexplained", "sustain"),
        ("up", "container", "expand"),
        ("up", "territory", "expand"),
        ("up", "context", "accelerate"),
        ("up", "unexplained", "accelerate"),
    ],
)
def test_the_goal_follows_from_direction_and_cause(direction: str, dimension: str, goal: str) -> None:
    assert judge(growth(0.1, 0.03, 500.0), direction, Cause(dimension, "x", 0.9)).goal == goal


def test_outcomes_teach_and_narrow_what_is_believed() -> None:
    """In a catalogue where only completion matters, its weight grows and the others lose theirs."""
    rng, weights = np.random.default_rng(3), PRIOR
    usual = growth(0.04, 0.04, 300.0)
    for _ in range(300):
        share = float(rng.uniform(0.3, 0.9))
        asset = usual._replace(completion=usual.completion._replace(mean=share))
        weights = learn(weights, drivers_of(asset), worked=share > 0.6)
    assert weights.version == 300
    place = DRIVERS.index("completion")
    assert weights.mean[place] > PRIOR.mean[place] + 0.5
    assert weights.covariance[place][place] < PRIOR.covariance[place][place]
    good, poor = (usual._replace(completion=usual.completion._replace(mean=m)) for m in (0.85, 0.35))
    assert judge(good, "up", NONE, weights).probability > 0.8
    assert judge(poor, "up", NONE, weights).probability < 0.2
    assert drivers_of(good).shape == (len(DRIVERS),)

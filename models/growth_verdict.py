"""Opportunity or not, and the campaign's goal, with the reasons (O7): a Bayesian logistic regression of few drivers.

Without any outcome it works from the priors below, which say what the seed says: listeners who convert, come back and
hear to the end promise growth. Each later outcome moves the weights by one step of assumed density filtering (a
Laplace step), so that the same outcomes in the same order give the same weights.

Goals: ``sustain`` (re-engage) when streams fall; ``expand`` when they rise by one narrow source (a playlist, a station,
a service, a territory); ``accelerate`` when they rise otherwise.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np

from cuepoint.models.cause_verdict import Cause
from cuepoint.models.growth_metrics import Floats, Growth

Goal = Literal["accelerate", "expand", "sustain"]
DRIVERS = ("base", "potential", "conversion", "drop_off", "completion", "active_share")
_NARROW = ("container", "dsp", "territory")


class OpportunityWeights(NamedTuple):
    """Mean and covariance of the drivers' weights; ``version`` counts the outcomes learnt from."""

    version: int
    mean: tuple[float, ...]
    covariance: tuple[tuple[float, ...], ...]


class Driver(NamedTuple):
    """``contribution``: what it adds to the log odds."""

    name: str
    value: float
    contribution: float


class Verdict(NamedTuple):
    probability: float
    goal: Goal
    drivers: list[Driver]
    weights_version: int


PRIOR = OpportunityWeights(
    0,
    (-1.1, 1.6, 0.5, -0.5, 1.2, 0.2),  # base: about one change in four is worth a campaign
    tuple(tuple(float(v) for v in row) for row in np.diag([0.5, 0.4, 0.3, 0.3, 0.4, 0.2])),
)


def drivers_of(growth: Growth) -> Floats:
    """The drivers' values, each about 0 for a usual asset and 1 for a promising one, in the order of DRIVERS."""
    return np.array(
        [
            1.0,
            np.log(max(growth.potential.mean, 0.01) / 0.8),
            np.log(growth.conversion.mean / 0.04),
            np.log(growth.drop_off.mean / 0.04),
            (growth.completion.mean - 0.6) / 0.12,
            (growth.active_share - 0.55) / 0.25,
        ]
    )


def judge(growth: Growth, direction: str, cause: Cause, weights: OpportunityWeights = PRIOR) -> Verdict:
    """Probability of an opportunity (uncertainty of the weights included), goal, and what each driver adds."""
    values = drivers_of(growth)
    mean = np.array(weights.mean)
    score, variance = float(values @ mean), float(values @ np.array(weights.covariance) @ values)
    probability = 1.0 / (1.0 + np.exp(-score / np.sqrt(1.0 + np.pi * variance / 8.0)))
    goal: Goal = "accelerate"
    if direction == "down":
        goal = "sustain"
    elif cause.dimension in _NARROW:
        goal = "expand"
    drivers = [Driver(name, float(v), float(v * w)) for name, v, w in zip(DRIVERS, values, mean, strict=True)]
    return Verdict(float(probability), goal, sorted(drivers, key=lambda d: -abs(d.contribution)), weights.version)


def learn(weights: OpportunityWeights, drivers: Floats, *, worked: bool) -> OpportunityWeights:
    """The weights after one more outcome: whether the change was worth a campaign; ``drivers`` as ``drivers_of``."""
    mean, covariance = np.array(weights.mean), np.array(weights.covariance)
    spread = covariance @ drivers
    p = 1.0 / (1.0 + np.exp(-float(drivers @ mean)))
    curvature = p * (1.0 - p)
    step = spread / (1.0 + curvature * float(drivers @ spread))
    after = covariance - curvature * np.outer(step, spread)
    return OpportunityWeights(
        weights.version + 1,
        tuple((mean + step * (float(worked) - p)).tolist()),
        tuple(tuple(row) for row in ((after + after.T) / 2).tolist()),
    )

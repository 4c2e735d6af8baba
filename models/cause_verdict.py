"""Which proximal cause tells a change best: one value of one dimension, the market, or none that reports can tell.

A service that has 45 % of the streams and 45 % of a change has not caused it; a playlist that had nothing and has 60 %
of it has. A candidate is scored by how surprising its share of the change is, given its share of what was expected
(Kullback-Leibler divergence, nats); a conditional logit of that score, fitted to simulated catalogues with known causes
(benchmarks/attribution.py), makes probabilities of it, averaged over the draws of the attribution.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from cuepoint.models.cause_cells import OTHERS, OUTSIDE, Floats
from cuepoint.models.cause_model import Attribution

NAMED = ("dsp", "territory", "context", "container", "device")  # dimensions a cause is named in
MARKET, UNEXPLAINED = "market", "unexplained"
_LEAST_SHARE = 0.003
FEATURES = 3 * len(NAMED) + 5


class Cause(NamedTuple):
    """``dimension`` one of NAMED, or MARKET or UNEXPLAINED (then ``value`` is empty)."""

    dimension: str
    value: str
    probability: float


class CauseWeights(NamedTuple):
    """Of the features (see ``features``), fitted by ``benchmarks/attribution.py --fit``."""

    version: int = 1
    weights: tuple[float, ...] = (
        *(10.3, 8.4, -2.09),  # dsp: surprise, share of the change, constant
        *(4.26, 9.58, -2.54),  # territory
        *(5.72, 6.43, -1.33),  # context
        *(7.47, 11.67, 0.7),  # container
        *(-0.01, -0.47, -3.35),  # device
        *(2.38, 4.29, -1.46),  # market: share, significance it takes away, constant
        *(-1.82, 10.08),  # no cause: significance, constant
    )


DEFAULT_WEIGHTS = CauseWeights()


def features(attribution: Attribution) -> tuple[list[tuple[str, str]], Floats]:
    """Candidates and what speaks for each: (candidates, draws, FEATURES).

    Of a value: surprise, share of the change and 1, in the columns of its dimension; of the market: its share, how
    much less significant the change is without it, and 1; of no cause: how significant it is without the market, and 1.
    """
    net = attribution.change_draws - attribution.market_draws
    whole = attribution.change_draws
    draws = len(whole)
    candidates: list[tuple[str, str]] = []
    rows: list[Floats] = []
    for place, dimension in enumerate(NAMED):
        split = attribution.splits.get(dimension)
        if split is None:
            continue
        expected = sum(part.expected for part in split.parts) or 1.0
        for part, effects in zip(split.parts, split.effects, strict=True):
            if part.value in (OTHERS, OUTSIDE):
                continue
            share = _share(effects, whole, net)
            row = np.zeros((draws, FEATURES))
            row[:, 3 * place] = _surprise(share, max(_LEAST_SHARE, part.expected / expected))
            row[:, 3 * place + 1] = share
            row[:, 3 * place + 2] = 1.0
            candidates.append((dimension, part.value))
            rows.append(row)
    market, none = np.zeros((draws, FEATURES)), np.zeros((draws, FEATURES))
    market[:, -5] = _share(attribution.market_draws, whole, net)
    market[:, -4] = max(0.0, _significance(whole) - _significance(net))
    market[:, -3] = 1.0
    none[:, -2] = _significance(net)
    none[:, -1] = 1.0
    return [*candidates, (MARKET, ""), (UNEXPLAINED, "")], np.stack([*rows, market, none])


def causes_of(attribution: Attribution, weights: CauseWeights = DEFAULT_WEIGHTS, most: int = 5) -> list[Cause]:
    """The likeliest causes, at most ``most``, with their probabilities."""
    candidates, seen = features(attribution)
    utility = seen @ np.array(weights.weights)
    odds = np.exp(utility - utility.max(axis=0))
    probability = (odds / odds.sum(axis=0)).mean(axis=1)
    order = np.argsort(-probability, kind="stable")[:most]
    return [Cause(candidates[k][0], candidates[k][1], float(probability[k])) for k in order.tolist()]


def _significance(draws: Floats) -> float:
    """Standard deviations from nothing, at most 6."""
    return min(6.0, abs(float(draws.mean())) / (float(draws.std()) + 1e-9))


def _share(effects: Floats, whole: Floats, net: Floats) -> Floats:
    """Of the change, within 0..1; of the larger of the change with and without the market, so that it stays finite."""
    size = np.where(np.abs(whole) > np.abs(net), whole, net)
    share: Floats = np.clip(effects / np.where(size == 0, 1.0, size), 0.0, 1.0)
    return share


def _surprise(share: Floats, expected: float) -> Floats:
    e = min(expected, 0.999)
    f = np.clip(share, 1e-9, 1 - 1e-9)
    divergence: Floats = f * np.log(f / e) + (1 - f) * np.log((1 - f) / (1 - e))
    return np.where(share > e, divergence, 0.0)

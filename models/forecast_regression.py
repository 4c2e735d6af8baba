"""Small robust regressions that shrink to a prior: the only learning the forecasts need.

The sums are compiled loops, not BLAS: its threads, started for each of some hundred small products, cost more than the
work on a machine that does other things too, and their order of summation is not always the same.

Sources: Schlossmacher 1973 (least absolute deviations by iterated reweighting); Hoerl & Kennard 1970 (ridge); Romano,
Patterson & Candes 2019 and Lei et al. 2018 (conformal quantiles of scaled residuals).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]

ROUNDS = 8  # of reweighting; the median settles in fewer
NEAR = 0.1  # residuals below this share of the typical one weigh no more


def median_regression(x: Floats, y: Floats, weight: Floats, *, prior: Floats, strength: Floats, worth: float) -> Floats:
    """Coefficients (p,) minimising sum weight |y - x b|, drawn to ``prior`` (p,).

    x (n, p), y (n,), weight (n,); ``worth``: how many independent observations the n are; ``strength`` (p,): how many
    the prior is.

    >>> x = np.column_stack([np.ones(40), np.arange(40.0)])
    >>> y = 1.0 + 2.0 * np.arange(40.0) + np.where(np.arange(40) % 10 == 9, 500.0, 0.0)
    >>> b = median_regression(x, y, np.ones(40), prior=np.zeros(2), strength=np.full(2, 1e-9), worth=40.0)
    >>> [round(v) for v in b.tolist()]
    [1, 2]
    """
    if worth <= 0.0 or not len(y):
        return prior
    b, share = prior, weight * (worth / weight.sum())
    for _ in range(ROUNDS):
        away = np.abs(residuals(x, y, b))
        typical = max(float(np.median(away)), 1e-6)
        b = _ridge(x, y, share * typical / np.maximum(away, NEAR * typical), prior, strength)
    return b


def mean_regression(x: Floats, y: Floats, *, prior: Floats, strength: Floats, worth: float) -> Floats:
    """Least squares drawn to ``prior``; arguments as of ``median_regression``."""
    if worth <= 0.0 or not len(y):
        return prior
    return _ridge(x, y, np.full(len(y), worth / len(y)), prior, strength)


def residuals(x: Floats, y: Floats, b: Floats) -> Floats:
    """y - x b"""
    away = np.empty(len(y))
    _residuals(x, y, b, away)
    return away


def _ridge(x: Floats, y: Floats, weight: Floats, prior: Floats, strength: Floats) -> Floats:
    """prior + (x'wx + strength)^-1 x'w (y - x prior)"""
    products, sums = np.diag(strength), np.zeros(len(prior))
    _add_products(x, residuals(x, y, prior), weight, products, sums)
    mended: Floats = prior + np.linalg.solve(products, sums)
    return mended


@njit(cache=True)
def _residuals(x: Any, y: Any, b: Any, away: Any) -> None:
    for n in range(x.shape[0]):
        total = y[n]
        for i in range(x.shape[1]):
            total -= x[n, i] * b[i]
        away[n] = total


@njit(cache=True)
def _add_products(x: Any, y: Any, weight: Any, products: Any, sums: Any) -> None:
    """products += x'wx, sums += x'wy"""
    for n in range(x.shape[0]):
        for i in range(x.shape[1]):
            scaled = weight[n] * x[n, i]
            sums[i] += scaled * y[n]
            for j in range(x.shape[1]):
                products[i, j] += scaled * x[n, j]


def known_mean(values: Floats, axis: int | tuple[int, ...], otherwise: float | Floats) -> Floats:
    """Mean over ``axis`` of what is not NaN; ``otherwise`` where all is."""
    known = np.isfinite(values)
    count = known.sum(axis=axis)
    mean: Floats = np.where(count > 0, np.where(known, values, 0.0).sum(axis=axis) / np.maximum(count, 1), otherwise)
    return mean


def conformal_quantiles(values: Floats, levels: Floats) -> Floats:
    """Quantiles (q,) of exchangeable ``values`` such that a further one lies below with at least the level's
    probability: the k-th smallest of n stands for k / (n + 1)."""
    ordered = np.sort(values)
    share = np.arange(1.0, len(ordered) + 1.0) / (len(ordered) + 1)
    return np.asarray(np.interp(levels, share, ordered), dtype=np.float64)

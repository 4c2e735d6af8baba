"""Intervals contain what they promise, on simulated catalogues whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from cuepoint.models.forecast_catalogue import Catalogue

FIRST_DAY, DAYS, HORIZON = 738_000, 400, 28
ORIGINS = range(230, DAYS - HORIZON, 28)


def walks(rng: np.random.Generator) -> np.ndarray:
    """Log-level random walks of differing roughness, with a week and counting noise."""
    rough = rng.uniform(0.005, 0.04, (150, 1))
    level = rng.normal(6.5, 1.5, (150, 1)) + np.cumsum(rough * rng.standard_normal((150, DAYS)), axis=1)
    return rng.poisson(np.exp(level + 0.2 * np.sin(2 * np.pi * np.arange(DAYS) / 7))).astype(float)


def steady_small(rng: np.random.Generator) -> np.ndarray:
    """Poisson counts of 5 to 100 a day about a fixed mean."""
    return rng.poisson(rng.uniform(5, 100, (150, 1)), (150, DAYS)).astype(float)


def lives(rng: np.random.Generator) -> np.ndarray:
    """Assets that come, decay and leave; no data before and after."""
    age = np.arange(DAYS) - rng.integers(-150, DAYS, (400, 1))
    level = rng.normal(7, 1, (400, 1)) - rng.uniform(0.2, 1.0, (400, 1)) * np.log1p(np.maximum(age, 0) / 7)
    level = level + np.cumsum(0.02 * rng.standard_normal(age.shape), axis=1)
    return np.where((age >= 0) & (level > 4), np.round(np.exp(level + rng.normal(0, 0.04, age.shape))), np.nan)


@pytest.mark.parametrize("make", [walks, steady_small, lives])
def test_coverage_is_as_promised_early_and_late(make):
    counts = make(np.random.default_rng(11))
    catalogue = Catalogue(counts, FIRST_DAY)
    inside: dict[int, list[np.ndarray]] = {80: [], 95: []}
    for origin in ORIGINS:
        q = catalogue.forecast(FIRST_DAY + origin, HORIZON)
        later = counts[:, origin + 1 : origin + 1 + HORIZON]
        known = np.isfinite(later) & np.isfinite(q[:, :, 0])
        for nominal, low, high in ((80, 1, 3), (95, 0, 4)):
            inside[nominal].append(np.where(known, (q[:, :, low] <= later) & (later <= q[:, :, high]), np.nan))
    for nominal, tolerance in ((80, 0.035), (95, 0.02)):
        share = np.concatenate(inside[nominal])
        for days in (slice(0, 7), slice(21, 28), slice(None)):
            assert np.nanmean(share[:, days]) == pytest.approx(nominal / 100, abs=tolerance), (nominal, days)

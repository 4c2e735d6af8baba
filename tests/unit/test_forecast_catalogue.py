"""Forecasts of a catalogue: shapes, refusals, sparse and odd histories."""

from __future__ import annotations

import numpy as np
import pytest

from cuepoint.models import trend_kernel
from cuepoint.models.forecast_catalogue import Catalogue, forecast
from cuepoint.models.forecast_quantiles import quantiles_of_states
from cuepoint.models.forecast_tables import ForecastTables, prior, spans_to
from cuepoint.schemas.errors import SnapshotError

FIRST_DAY = 738_000
QUANTILES = (0.025, 0.1, 0.5, 0.9, 0.975)


def catalogue_of(assets: int, days: int, seed: int = 1) -> np.ndarray:
    """Simulated: log-normal sizes, a week pattern, decay, noise."""
    rng = np.random.default_rng(seed)
    t = np.arange(days)
    level = rng.normal(7, 1.5, (assets, 1)) - rng.exponential(0.002, (assets, 1)) * t
    week = 0.15 * np.sin(2 * np.pi * t / 7)
    return np.round(np.exp(level + week + rng.normal(0, 0.05, (assets, days))))


def test_gives_assets_by_days_by_quantiles_of_counts():
    q = forecast(catalogue_of(20, 100), FIRST_DAY, 14, QUANTILES)
    assert q.shape == (20, 14, 5)
    assert np.isfinite(q).all() and (q >= 0).all()
    assert (np.diff(q, axis=2) >= 0).all()


def test_quantiles_come_in_the_order_asked_for():
    counts = catalogue_of(10, 80)
    up, down = (forecast(counts, FIRST_DAY, 3, wanted) for wanted in ((0.1, 0.9), (0.9, 0.1)))
    assert np.array_equal(up[:, :, ::-1], down)


def test_uses_only_the_past_of_the_origin():
    counts = catalogue_of(15, 120)
    changed = counts.copy()
    changed[:, 90:] = 7.0
    q, same = (Catalogue(c, FIRST_DAY).forecast(FIRST_DAY + 89, 28) for c in (counts, changed))
    assert np.array_equal(q, same)
    cut = Catalogue(counts[:, :90], FIRST_DAY).forecast(FIRST_DAY + 89, 28)
    np.testing.assert_allclose(q, cut, rtol=1e-9)


def test_an_earlier_origin_after_a_later_one_gives_what_it_gives_alone():
    catalogue, alone = (Catalogue(catalogue_of(12, 100), FIRST_DAY) for _ in range(2))
    catalogue.forecast(FIRST_DAY + 99, 7)
    assert np.array_equal(catalogue.forecast(FIRST_DAY + 60, 7), alone.forecast(FIRST_DAY + 60, 7))


def test_the_week_of_the_catalogue_is_forecast():
    rng = np.random.default_rng(3)
    weekend = np.where(np.arange(140) % 7 < 2, 2.0, 1.0)
    counts = np.round(rng.uniform(500, 5000, (40, 1)) * weekend * np.exp(rng.normal(0, 0.03, (40, 140))))
    median = Catalogue(counts, FIRST_DAY).forecast(FIRST_DAY + 111, 28, (0.5,))[:, :, 0]
    error = np.abs(median - counts[:, 112:140]) / counts[:, 112:140]
    assert np.median(error) < 0.05


def scaled_errors(counts: np.ndarray, origin: int) -> tuple[float, float]:
    """Mean absolute errors of 28 days: of the median, of repeating the last week."""
    later = counts[:, origin + 1 : origin + 29]
    median = Catalogue(counts, FIRST_DAY).forecast(FIRST_DAY + origin, 28, (0.5,))[:, :, 0]
    repeated = np.tile(counts[:, origin - 6 : origin + 1], 4)
    return float(np.abs(median - later).mean()), float(np.abs(repeated - later).mean())


def test_a_timetable_that_changes_at_times_is_repeated():
    rng = np.random.default_rng(8)
    week = rng.poisson(40, (30, 8, 7)) * (rng.random((30, 8, 7)) > 0.15)
    counts = np.concatenate([np.tile(week[:, n], 5) for n in range(8)], axis=1).astype(float)
    ours, repeated = scaled_errors(counts, 251)
    assert repeated == 0.0 and ours < 6.0


def test_many_weeks_are_averaged_where_sales_are_stable():
    rng = np.random.default_rng(9)
    week = np.tile(np.exp(rng.normal(4, 0.4, (20, 7))), 40)
    ours, repeated = scaled_errors(rng.poisson(week).astype(float), 250)
    assert ours < 0.8 * repeated


def test_a_common_decay_is_learnt():
    t = np.arange(160)
    starts = np.random.default_rng(4).integers(0, 120, 80)
    age = t - starts[:, None]
    noise = np.exp(np.random.default_rng(5).normal(0, 0.03, age.shape))
    counts = np.where(age >= 0, np.round(5000.0 / (1.0 + np.maximum(age, 0) / 10.0) * noise), np.nan)
    q = Catalogue(counts, FIRST_DAY).forecast(FIRST_DAY + 131, 28, (0.5,))[:, 27, 0]
    young = (age[:, 131] >= 5) & (age[:, 131] < 30)
    assert young.sum() >= 5
    assert np.median(np.abs(q[young] / counts[young, 159] - 1.0)) < 0.15
    assert np.all(q[young] < 0.9 * counts[young, 131])


@pytest.mark.parametrize("days", [1, 2, 7, 20])
def test_a_short_history_is_forecast_by_the_prior(days):
    q = forecast(np.full((1, days), 1000.0), FIRST_DAY, 28, QUANTILES)
    assert np.isfinite(q).all()
    assert 300 < q[0, 0, 2] < 1500
    assert q[0, 27, 0] < q[0, 0, 0] < q[0, 0, 4] < q[0, 27, 4]


def test_no_data_is_no_forecast_and_does_not_disturb_the_others():
    counts = catalogue_of(10, 90)
    counts[3] = np.nan
    q = forecast(counts, FIRST_DAY, 7, QUANTILES)
    assert np.isnan(q[3]).all()
    assert np.isfinite(np.delete(q, 3, axis=0)).all()
    assert np.isnan(forecast(np.full((2, 5), np.nan), FIRST_DAY, 7)).all()


def test_series_of_zeros_are_forecast_as_nearly_zero():
    counts = np.vstack([np.zeros((3, 90)), catalogue_of(10, 90)])
    q = forecast(counts, FIRST_DAY, 28, QUANTILES)
    assert (q[:3, :, :3] < 0.1).all()
    assert (forecast(np.zeros((2, 60)), FIRST_DAY, 28, (0.1, 0.5)) < 0.5).all()


def test_missing_days_are_not_zeros():
    counts = catalogue_of(30, 120)
    holes = counts.copy()
    holes[:, 60:64] = np.nan
    holes[np.random.default_rng(6).random(holes.shape) < 0.1] = np.nan
    full, part = (forecast(c, FIRST_DAY, 14, (0.5,)) for c in (counts, holes))
    assert np.median(np.abs(part / full - 1.0)) < 0.05


@pytest.mark.parametrize(
    ("horizon", "quantiles", "named"), [(0, (0.5,), "horizon"), (7, (0.0,), "quantiles"), (7, (), "quantiles")]
)
def test_refuses_what_cannot_be_asked(horizon, quantiles, named):
    with pytest.raises(ValueError, match=named):
        quantiles_of_states(
            np.zeros((1, trend_kernel.WIDTH), np.float32),
            np.zeros((1, 56)),
            1,
            tables=prior(7),
            horizon=horizon,
            quantiles=quantiles,
        )


def test_refuses_negative_counts_and_origins_outside():
    with pytest.raises(ValueError, match="negative"):
        Catalogue(np.array([[1.0, -1.0]]), FIRST_DAY)
    with pytest.raises(ValueError, match="outside the history of 5 days"):
        Catalogue(np.ones((1, 5)), FIRST_DAY).forecast(FIRST_DAY + 5, 7)


def test_tables_survive_their_encoding_and_refuse_another_shape():
    tables = prior(28)
    assert ForecastTables.decode(tables.encode()) == tables
    assert tables.spans[-1] == 28 and spans_to(1) == (1,) and spans_to(1000)[-1] == 365
    with pytest.raises(SnapshotError):
        ForecastTables.decode(tables.encode().replace(b'"version":2', b'"version":99'))
    with pytest.raises(SnapshotError):
        ForecastTables.decode(tables.encode().replace(b"[[", b"[[0.0],[", 1))

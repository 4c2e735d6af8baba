"""What must hold of every forecast, whatever the states."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from cuepoint.models.forecast_catalogue import forecast
from cuepoint.models.forecast_experts import EXPERTS, Record, weights
from cuepoint.models.forecast_regression import conformal_quantiles

FIRST_DAY = 738_000
COUNTS = arrays(
    np.float64,
    st.tuples(st.integers(1, 4), st.integers(1, 40)),
    elements=st.one_of(st.just(np.nan), st.integers(0, 10**9).map(float), st.integers(0, 5).map(float)),
)


@settings(max_examples=60, deadline=None)
@given(COUNTS, st.integers(1, 30))
def test_any_history_gives_ascending_counts_or_nothing(counts, horizon):
    q = forecast(counts, FIRST_DAY, horizon, (0.01, 0.1, 0.5, 0.9, 0.99))
    seen = np.isfinite(counts).any(axis=1)
    assert np.isnan(q[~seen]).all()
    assert np.isfinite(q[seen]).all()
    assert (q[seen] >= 0).all() and (np.diff(q[seen], axis=2) >= 0).all()


@settings(max_examples=10, deadline=None)
@given(st.floats(2.0, 50.0), st.integers(0, 2**32 - 1))
def test_large_counts_scale_with_their_forecasts(factor, seed):
    rng = np.random.default_rng(seed)
    counts = np.exp(rng.normal(11, 0.5, (12, 1)) + rng.normal(0, 0.08, (12, 70)))
    one, scaled = (forecast(c, FIRST_DAY, 14) for c in (counts, factor * counts))
    np.testing.assert_allclose(scaled / factor, one, rtol=0.15)


@given(arrays(np.float64, st.integers(1, 50), elements=st.floats(-5, 5)))
def test_conformal_quantiles_leave_room_for_one_more(values):
    low, high = conformal_quantiles(values, np.array([0.1, 0.9]))
    n = len(values)
    assert low <= high
    assert np.mean(values <= high) >= min(np.floor(0.9 * (n + 1)) / n, 1.0) - 1e-9


@given(arrays(np.float64, (5, len(EXPERTS)), elements=st.floats(1e-3, 1e3)))
def test_experts_share_one_belief_and_the_best_has_most_of_it(errors):
    share = weights(errors, np.zeros_like(errors))
    np.testing.assert_allclose(share.sum(axis=1), 1.0)
    assert (share[np.arange(5), errors.argmin(axis=1)] == share.max(axis=1)).all()


@given(st.integers(0, 2**32 - 1), st.integers(1, 30))
def test_a_record_knows_an_error_only_once_the_day_forecast_has_come(seed, span):
    rng = np.random.default_rng(seed)
    assets, days = np.repeat(np.arange(3), 40), np.tile(np.arange(40), 3)
    errors = rng.uniform(0.5, 2.0, (120, len(EXPERTS)))
    changed = np.where((days + span > 35)[:, None], 9.0 * errors[:, ::-1], errors)
    records = [Record(assets, days, 1.0) for _ in range(2)]
    for record, given_errors in zip(records, (errors, changed), strict=True):
        record.add(span, given_errors)
    one, other = (record.known_at(np.arange(3), np.full(3, 35)) for record in records)
    np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-9)

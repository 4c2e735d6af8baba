"""The filter on series whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from cuepoint.models import trend_kernel as k
from cuepoint.models.region_kernel import CLOSED, EXPECTED, OPENED, OUT_CODE, OUT_END, OUT_START, STATUS
from cuepoint.models.snapshot_parts import join, split
from cuepoint.models.trend_state import ScoredDay, TrendState
from cuepoint.schemas.errors import SnapshotError


def run(series: np.ndarray, first: int = 737_000) -> tuple[TrendState, list[ScoredDay]]:
    """Days x assets."""
    state = TrendState(lambda day, rows: series[day - first, rows].astype(float))
    state.grow(series.shape[1])
    return state, [state.step(first + t) for t in range(len(series))]


def steady(days: int, *, level: float = 10_000, noise: float = 0.04, assets: int = 1, seed: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.poisson(level * np.exp(rng.normal(0, noise, (days, assets)))).astype(float)


def test_one_outlying_day_does_not_teach_a_new_level():
    y = steady(60)
    y[50] *= 8
    _, days = run(y)
    before, after = days[50].filtered[0, k.MEAN], days[51].filtered[0, k.MEAN]
    assert abs(after / before - 1) < 0.1
    assert days[50].filtered[0, k.P_SAME] < 0.001


def test_a_lasting_shift_is_learnt_within_three_days():
    y = steady(60)
    y[50:] *= 3
    _, days = run(y)
    assert 25_000 < days[53].filtered[0, k.MEAN] < 36_000


def test_weekdays_are_learnt():
    y = steady(200, noise=0.02)
    week = np.exp([0.2, 0, 0, 0, 0, 0, -0.2])
    y *= week[(np.arange(200) + 737_000 - 1) % 7][:, None]
    _, days = run(y)
    forecast = np.array([d.filtered[0, k.MEAN] for d in days[-28:]])
    assert np.median(np.abs(np.log(forecast / y[-28:, 0]))) < 0.05


def test_a_missing_day_is_predicted_and_teaches_nothing():
    y = steady(40)
    y[30] = np.nan
    state, days = run(y[:30])
    before = np.frombuffer(state.fingerprint(0), dtype=np.float32)[k.SCORES : k.SCORES + 7].copy()
    state2, days2 = run(y[:31])
    after = np.frombuffer(state2.fingerprint(0), dtype=np.float32)[k.SCORES : k.SCORES + 7]
    assert np.array_equal(before, after)
    wide = days2[30].filtered[0]
    assert wide[k.P_SAME] == 1 and wide[k.LOWER_95] < days[29].filtered[0, k.OUT_LEVEL] < wide[k.UPPER_95]


def test_a_gap_widens_the_band_and_never_ends_in_nonsense():
    y = steady(400)
    y[100:] = np.nan
    _, days = run(y)
    width = [d.filtered[0, k.UPPER_95] / d.filtered[0, k.LOWER_95] for d in (days[99], days[120], days[399])]
    assert width[0] < width[1] <= width[2] * 1.001
    assert 1_000 < days[399].filtered[0, k.MEAN] < 100_000


def test_coming_back_after_long_absence_is_a_rapid_rise():
    y = steady(500)
    y[100:450] = -1  # reports came, without it
    _, days = run(y)
    back = days[450].regions[0, 1]
    assert back[STATUS] == OPENED and back[OUT_CODE] == 1 and back[EXPECTED] < 2_000


def test_coming_back_after_reports_were_missing_is_not():
    y = steady(500)
    y[100:450] = np.nan
    _, days = run(y)
    assert all(d.regions[0, 1, STATUS] != OPENED for d in days[450:])


def test_a_shift_opens_a_region_that_closes_when_settled():
    y = steady(90)
    y[50:] *= 2
    _, days = run(y)
    opened = next(d for d in days if d.regions[0, 1, STATUS] == OPENED)
    closed = next(d for d in days if d.regions[0, 0, STATUS] == CLOSED)
    assert opened.day - 737_000 in (50, 51) and opened.regions[0, 1, OUT_START] - 737_000 in (49, 50, 51)
    assert 55 <= closed.day - 737_000 <= 75
    assert 8_500 < opened.regions[0, 1, EXPECTED] < 11_500


def test_a_region_closes_at_the_last_day_with_data():
    y = steady(80)
    y[50:52] *= 3
    y[52:] = -1
    _, days = run(y)
    closed = next(d for d in days if d.regions[0, 0, STATUS] == CLOSED)
    assert closed.regions[0, 0, OUT_END] - 737_000 == 51


@pytest.mark.parametrize(("slope", "code"), [(0.02, 2), (-0.03, -2)])  # falls weigh less: they are ordinary
def test_a_slow_ramp_is_found_as_gradual(slope: float, code: int):
    y = steady(150, noise=0.03, assets=1000)
    y[:, :100] *= np.exp(slope * np.clip(np.arange(150) - 100, 0, None))[:, None]  # the market does not
    _, days = run(y)
    codes = np.array([d.regions[:100, 1, OUT_CODE] * (d.regions[:100, 1, STATUS] == OPENED) for d in days[100:]])
    assert np.mean((codes == code).any(0)) > 0.7


def test_growing_keeps_what_is_known():
    y = steady(30, assets=200)
    state, _ = run(y)
    before = state.fingerprint(7)
    state.grow(5_000)
    assert state.fingerprint(7) == before and state.assets == 5_000


def test_days_must_follow_one_another():
    state, _ = run(steady(5))
    with pytest.raises(ValueError, match="does not follow"):
        state.step(738_000)
    with pytest.raises(ValueError, match="revisable"):
        state.refilter(736_900, np.array([0]))


def test_a_snapshot_of_another_version_or_a_broken_one_is_refused():
    state, _ = run(steady(70, assets=3))
    blob = join(*state.to_parts())
    fresh = TrendState(state.observe)
    for broken in (b"", blob[:-5], blob[:16] + b"\x95\x63" + blob[18:], b"{}", blob + b"more"):
        with pytest.raises(SnapshotError):
            fresh.load(*split(broken))
    fresh.load(*split(blob))
    assert join(*fresh.to_parts()) == blob


def test_huge_and_zero_counts_stay_finite():
    y = steady(30, assets=2)
    y[10:, 0] = 2.0**53
    y[10:, 1] = 0
    _, days = run(y)
    assert all(np.isfinite(d.filtered).all() for d in days)

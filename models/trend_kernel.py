"""The compiled inner loop of the trend filter: one day for many assets.

Arithmetic is per asset and scalar, in double precision without fast-math, and the state is rounded to single precision
after every day, so a batch, one asset at a time, and a replay give equal bits.

Sources: US 11,113,707 (state z = (l, b, s), rapid and gradual change); West & Harrison, Bayesian Forecasting
and Dynamic Models, 2nd ed., ch. 4.5 (scale learning), 7 and 8 (trend, seasonal factors); Gardner & McKenzie
1985 (damped trend); Wallace 1959 (normal score of a Student-t); Basseville & Nikiforov, Detection of Abrupt
Changes, ch. 2 and 7 (sums of innovations over windows, slowly growing ramps). It is one file, though long:
numba's cache looks at one file only, and a kernel spread over several would be served stale.
"""
# ruff: noqa: PLR0917  (numba functions take arrays and scalars by position)

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

from cuepoint.models.trend_params import TrendParams

# columns of a state row (float32)
LEVEL, TREND, SEASON, COVARIANCE = 0, 1, 2, 8  # 36 values: the upper triangle, row by row
SCALE, WEIGHT, AGE, GAP, SCORES = 44, 45, 46, 47, 48  # 7 scores, the latest first
FAST, SLOW, ABSENT_DAYS, NORMAL, SPREAD, WIDTH = 55, 56, 57, 58, 59, 60  # NORMAL: slow level, SPREAD: variance about it
# columns of an output row (float64)
MEAN, LOWER_80, UPPER_80, LOWER_95, UPPER_95, OUT_LEVEL, OUT_TREND, P_SAME, P_TREND, SCORE, RUN, RISE = range(12)
PRIOR_LEVEL, PRIOR_TREND, DAY_OFFSET, OUT_AGE, LAG = 12, 13, 14, 15, 16
RISEN = 17  # level above its slow average: in a new asset, above where it began
OUT_WIDTH = 18
NEVER = -1.0  # AGE of an asset without data
FORGET_FAST, FORGET_SLOW = 0.8, 0.93  # leaky sums of scores: about 5 and 14 days
FORGET_NORMAL = 0.96  # of the slow level a ramp is measured against: about 25 days
SURE = 0.9  # of the sign of b: from here on the ramp's score decides
NORMAL_AGE, LEAST_SPREAD = 28.0, 0.0009  # before this age, and below this variance, it says nothing
FLOOR, CEILING = 0.05, 20.0  # of the scale
ROOT_HALF = math.sqrt(0.5)


@njit(cache=True, inline="never")
def _predict(x: Any, p: Any, q_level: float, trend_q: float, season_q: float, phi: float) -> None:
    """z' = A z + e: l' = l + b, b' = phi b, offsets stay; P' = A P A' + Q."""
    x[0] += x[1]
    x[1] *= phi
    for j in range(8):
        p[0, j] += p[1, j]
        p[1, j] *= phi
    for i in range(8):
        p[i, 0] += p[i, 1]
        p[i, 1] *= phi
    p[0, 0] += q_level
    p[1, 1] += trend_q
    for i in range(2, 8):
        for j in range(2, 8):
            p[i, j] -= season_q / 7.0
        p[i, i] += season_q


@njit(cache=True, inline="never")
def _project(x: Any, p: Any, dow: int, pb: Any) -> float:
    """pb = P B'; returns B z. B picks level and the day's offset; Sunday's is minus the sum of the six others."""
    mean = x[0]
    if dow < 6:
        for i in range(8):
            pb[i] = p[i, 0] + p[i, 2 + dow]
        return float(mean + x[2 + dow])
    for i in range(8):
        pb[i] = p[i, 0] - p[i, 2] - p[i, 3] - p[i, 4] - p[i, 5] - p[i, 6] - p[i, 7]
    return float(mean - x[2] - x[3] - x[4] - x[5] - x[6] - x[7])


@njit(cache=True, inline="never")
def _variance(pb: Any, dow: int) -> float:
    """B P B' from pb = P B'."""
    if dow < 6:
        return float(pb[0] + pb[2 + dow])
    return float(pb[0] - pb[2] - pb[3] - pb[4] - pb[5] - pb[6] - pb[7])


@njit(cache=True, inline="never")
def _begin(x: Any, p: Any, y: float, dow: int, h: Any) -> None:
    """The state after the first observation: level = y - offset - noise, all else from the prior."""
    d = h.day_prior
    for i in range(6):
        x[2 + i] = d[i]
    offset = d[dow] if dow < 6 else -(d[0] + d[1] + d[2] + d[3] + d[4] + d[5])
    x[0] = y - offset
    x[1] = h.new_trend
    variance = h.day_prior_sd * h.day_prior_sd
    for i in range(8):
        for j in range(8):
            p[i, j] = 0.0
    for i in range(2, 8):
        for j in range(2, 8):
            p[i, j] = -variance / 7.0
        p[i, i] += variance
    for i in range(2, 8):
        if dow < 6:
            p[0, i] = -p[2 + dow, i]
        else:
            p[0, i] = p[2, i] + p[3, i] + p[4, i] + p[5, i] + p[6, i] + p[7, i]
        p[i, 0] = p[0, i]
    p[0, 0] = h.observation_variance + math.exp(-y) + variance * 6.0 / 7.0
    p[1, 1] = h.new_trend_sd * h.new_trend_sd


@njit(cache=True, inline="never")
def _join(s: Any, h: Any, trend: float, trend_sd: float, out: Any) -> None:
    """Rapid: the strongest of the sums of the last 1..7 scores, corrected for the looks. Gradual: the posterior
    of b joined with a ramp's score, the largest of two leaky sums of scores (exact variance for the age) and of
    the level's distance from its own slow average, in units of how far it usually strays."""
    total = 0.0
    best = 0.0
    seen = min(7.0, s[AGE])
    for k in range(7):
        if k >= seen:
            break
        total += s[SCORES + k]
        strength = abs(total) / math.sqrt(k + 1.0)
        if strength > best:
            best = strength
            out[RUN] = total
            out[LAG] = k
    out[P_SAME] = min(1.0, h.windows_tried * math.erfc(best * ROOT_HALF))
    ramp = s[FAST] * math.sqrt((1.0 - FORGET_FAST**2) / (1.0 - FORGET_FAST ** (2.0 * s[AGE] + 1e-9)))
    slow = s[SLOW] * math.sqrt((1.0 - FORGET_SLOW**2) / (1.0 - FORGET_SLOW ** (2.0 * s[AGE] + 1e-9)))
    if abs(slow) > abs(ramp):
        ramp = slow
    away = s[LEVEL] - s[NORMAL]
    if s[AGE] > NORMAL_AGE and abs(away) / math.sqrt(s[SPREAD]) > abs(ramp):
        ramp = away / math.sqrt(s[SPREAD])
    out[RISE] = ramp
    out[RISEN] = away
    share = 1.0 / min(s[AGE] + 5.0, 60.0)
    s[SPREAD] += share * (min(max(away * away, LEAST_SPREAD), 9.0 * s[SPREAD]) - s[SPREAD])
    s[NORMAL] += (1.0 - FORGET_NORMAL) * away
    sure = 1.0 - 0.5 * math.erfc(abs(trend) / trend_sd * ROOT_HALF)
    rising = 1.0 - 2.0 * math.erfc(abs(ramp) * ROOT_HALF) if ramp * trend > 0.0 else 0.0
    out[P_TREND] = max(0.5, rising if sure > SURE else min(sure, rising))


@njit(cache=True, inline="never")
def _pass_gap(s: Any, x: Any, absent: bool, h: Any) -> None:
    """A day without data: nothing is learnt, except that long absence from complete reports means less than before."""
    s[GAP] += 1.0
    if absent:
        s[ABSENT_DAYS] += 1.0
        if h.absent_days < s[ABSENT_DAYS] <= h.absent_days + h.absent_fall_days:
            x[0] -= h.absent_fall


@njit(cache=True, inline="never")
def _return(s: Any, x: Any, p: Any, h: Any) -> None:
    """Back after a long gap: young again, its trend unknown."""
    x[1] = 0.0
    for i in range(8):
        p[1, i] = 0.0
        p[i, 1] = 0.0
    p[1, 1] = h.new_trend_sd * h.new_trend_sd
    s[AGE] = 0.0
    s[FAST] = 0.0
    s[SLOW] = 0.0
    s[NORMAL] = x[0]


@njit(cache=True, inline="never")
def _absorb(s: Any, x: Any, p: Any, pb: Any, y: float, m: float, dow: int, noise: float, h: Any) -> float:
    """Update by an observation; returns its normal score.

    Student-t noise: an outlier is discounted, a second one of the same sign in a row is taken for a shift of the level.
    """
    error = y - m
    f = _variance(pb, dow) + noise
    z2 = error * error / (s[SCALE] * f)
    nu = h.tail
    score = (8.0 * nu + 1.0) / (8.0 * nu + 3.0) * math.sqrt(nu * math.log1p(z2 / nu))
    if error < 0.0:
        score = -score
    last = s[SCORES]
    shift = (
        s[AGE] > 1.0 and s[GAP] < h.absent_days and score * last > 0.0 and min(abs(score), abs(last)) > h.shift_score
    )
    if shift:
        extra = error * error / s[SCALE]
        p[0, 0] += extra
        _project(x, p, dow, pb)
        f += extra
    else:
        f *= max(1.0, (nu + z2) / (nu + 1.0))
        s[WEIGHT] = min(s[WEIGHT] + 1.0, h.scale_memory_days)
        s[SCALE] = min(max(s[SCALE] * (1.0 + (min(score * score, 9.0) - 1.0) / s[WEIGHT]), FLOOR), CEILING)
    for i in range(8):
        x[i] += pb[i] / f * error
    for i in range(8):
        for j in range(i, 8):
            p[i, j] -= pb[i] * pb[j] / f
            p[j, i] = p[i, j]
    return float(score)


@njit(cache=True, inline="never")
def _load(row: Any, s: Any, p: Any) -> None:
    for i in range(WIDTH):
        s[i] = row[i]
    k = COVARIANCE
    for i in range(8):
        for j in range(i, 8):
            p[i, j] = s[k]
            p[j, i] = s[k]
            k += 1


@njit(cache=True, inline="never")
def _save(row: Any, s: Any, p: Any) -> None:
    k = COVARIANCE
    for i in range(8):
        for j in range(i, 8):
            s[k] = p[i, j]
            k += 1
    for i in range(WIDTH):
        row[i] = s[i]


@njit(cache=True, inline="never")
def _streams(y: float) -> float:
    """From log1p back to streams a day; bounded, so that nothing ever becomes infinite."""
    return math.expm1(min(y, 60.0)) if y > 0.0 else 0.0


@njit(cache=True, inline="never")
def _forecast(m: float, variance: float, h: Any, out: Any) -> None:
    """Median and intervals on the count scale."""
    deviation = math.sqrt(variance)
    out[MEAN] = _streams(m)
    out[LOWER_80] = _streams(m - h.half_width_80 * deviation)
    out[UPPER_80] = _streams(m + h.half_width_80 * deviation)
    out[LOWER_95] = _streams(m - h.half_width_95 * deviation)
    out[UPPER_95] = _streams(m + h.half_width_95 * deviation)


@njit(cache=True, inline="never")
def _day(s: Any, x: Any, p: Any, pb: Any, count: float, dow: int, h: Any, out: Any) -> None:
    """One day of one asset that has been seen before."""
    seen = count >= 0.0
    young = 1.0 + h.young_boost * math.exp(-s[AGE] / h.young_days)
    gap = s[GAP] >= 1.0
    known = not gap or p[0, 0] * s[SCALE] < h.gap_sd * h.gap_sd  # a gap widens the level only so far
    q_level = h.level_variance * young if known else 0.0
    _predict(x, p, q_level, 0.0 if gap else h.trend_variance, h.season_variance, h.gap_damping if gap else h.damping)
    if not gap:
        x[0] += h.young_drift * math.exp(-s[AGE] / h.young_days)
    if not seen:
        _pass_gap(s, x, not math.isnan(count), h)
    m = _project(x, p, dow, pb)
    out[DAY_OFFSET] = m - x[0]
    out[PRIOR_LEVEL] = x[0]
    out[PRIOR_TREND] = x[1]
    noise = h.observation_variance + 1.0 / (math.exp(min(m, 40.0)) + 0.5) / s[SCALE]
    _forecast(m, s[SCALE] * (_variance(pb, dow) + noise), h, out)
    out[OUT_AGE] = s[AGE]
    if seen:
        y = math.log1p(count)
        out[SCORE] = _absorb(s, x, p, pb, y, m, dow, noise, h)
        away = s[ABSENT_DAYS]
        if s[GAP] >= h.return_days:
            _return(s, x, p, h)
        s[GAP] = 0.0
        s[ABSENT_DAYS] = 0.0
        s[AGE] += 1.0
        for k in range(6, 0, -1):
            s[SCORES + k] = s[SCORES + k - 1]
        s[SCORES] = out[SCORE]
        s[FAST] = FORGET_FAST * s[FAST] + out[SCORE]
        s[SLOW] = FORGET_SLOW * s[SLOW] + out[SCORE]
        _join(s, h, x[1], math.sqrt(s[SCALE] * p[1, 1]), out)
        if away >= h.return_days and out[SCORE] > 0.0:  # that it came back at all is news: Laplace's rule of succession
            out[P_SAME] = min(out[P_SAME], math.erfc(out[SCORE] * ROOT_HALF) / (away + 2.0))
            out[RUN] = out[SCORE]
            out[LAG] = 0.0
    out[OUT_LEVEL] = _streams(x[0])
    out[OUT_TREND] = x[1]


@njit(cache=True, nogil=True)
def step(state: Any, rows: Any, counts: Any, dow: int, h: Any, out: Any) -> None:
    """Advance ``state[rows[i]]`` by one day with ``counts[i]``: NaN where not reported, negative where a
    complete report does not name the asset.

    state (n, WIDTH) float32; rows (k,) int64; counts (k,) float64; dow 0 (Monday) to 6; out (k, OUT_WIDTH) float64.
    """
    p = np.empty((8, 8))
    pb = np.empty(8)
    s = np.empty(WIDTH)
    x = s[:8]
    for i in range(rows.shape[0]):
        row = state[rows[i]]
        o = out[i]
        o[:] = 0.0
        o[P_SAME] = 1.0
        o[P_TREND] = 0.5
        if row[AGE] == NEVER:
            if counts[i] >= 0.0:
                s[:] = 0.0
                _forecast(h.new_level, h.new_level_sd**2, h, o)
                _begin(x, p, math.log1p(counts[i]), dow, h)
                s[SCALE] = 1.0
                s[NORMAL] = x[0]
                s[SPREAD] = 0.02
                s[WEIGHT] = h.scale_prior_days
                _save(row, s, p)
                o[PRIOR_LEVEL] = x[0]
                o[PRIOR_TREND] = x[1]
                o[OUT_LEVEL] = _streams(x[0])
                o[OUT_TREND] = x[1]
            continue
        _load(row, s, p)
        _day(s, x, p, pb, counts[i], dow, h, o)
        _save(row, s, p)


def warm_up() -> None:
    """Compile the kernel, or load it from numba's cache (a writable ``__pycache__``, home or NUMBA_CACHE_DIR)."""
    state = np.full((1, WIDTH), NEVER, dtype=np.float32)
    step(state, np.zeros(1, dtype=np.int64), np.array([1.0]), 0, TrendParams(), np.empty((1, OUT_WIDTH)))

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
from numpy.typing import NDArray

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
PER_ROOT = 1.0 / np.sqrt(np.arange(1.0, 8.0))
SEASON_DIAGONAL = (15, 21, 26, 30, 33, 35)
PLACE = np.zeros((8, 8), dtype=np.int64)  # where P[i, j] is among the 36 values
PLACE[np.triu_indices(8)] = PLACE.T[np.triu_indices(8)] = range(36)


def tables(h: TrendParams) -> NDArray[np.float64]:
    """(3, ages), by age in days: what is left of youth, and what makes the two leaky sums standard normal; beyond the
    last age they change no more."""
    age = np.arange(max(512, math.ceil(40.0 * h.young_days)))
    sums = [np.sqrt((1.0 - f * f) / (1.0 - f ** (2.0 * age + 1e-9))) for f in (FORGET_FAST, FORGET_SLOW)]
    return np.array([np.exp(-age / h.young_days), *sums])


@njit(cache=True)
def _predict(s: Any, p: Any, q_level: float, trend_q: float, season_q: float, phi: float) -> None:
    """z' = A z + e: l' = l + b, b' = phi b, offsets stay; P' = A P A' + Q."""
    s[LEVEL] += s[TREND]
    s[TREND] *= phi
    both = p[1] + p[8]
    p[0] += p[1] + both + q_level
    p[1] = both * phi
    p[8] = p[8] * phi * phi + trend_q
    for j in range(2, 8):
        p[j] += p[7 + j]
        p[7 + j] *= phi
    for k in range(15, 36):
        p[k] -= season_q / 7.0
    for k in SEASON_DIAGONAL:
        p[k] += season_q


@njit(cache=True)
def _project(s: Any, p: Any, dow: int, pb: Any) -> float:
    """pb = P B'; returns B z. B picks level and the day's offset; Sunday's is minus the sum of the six others."""
    if dow < 6:
        for i in range(8):
            pb[i] = p[PLACE[0, i]] + p[PLACE[2 + dow, i]]
        return float(s[LEVEL] + s[SEASON + dow])
    for i in range(8):
        rest = p[PLACE[0, i]]
        for j in range(2, 8):
            rest -= p[PLACE[j, i]]
        pb[i] = rest
    return float(s[LEVEL] - s[2] - s[3] - s[4] - s[5] - s[6] - s[7])


@njit(cache=True)
def _variance(pb: Any, dow: int) -> float:
    """B P B' from pb = P B'."""
    if dow < 6:
        return float(pb[0] + pb[2 + dow])
    return float(pb[0] - pb[2] - pb[3] - pb[4] - pb[5] - pb[6] - pb[7])


@njit(cache=True)
def _begin(s: Any, p: Any, y: float, dow: int, h: Any) -> None:
    """The state after the first observation: level = y - offset - noise, all else from the prior."""
    d = h.day_prior
    s[:] = 0.0
    for i in range(6):
        s[SEASON + i] = d[i]
    offset = d[dow] if dow < 6 else -(d[0] + d[1] + d[2] + d[3] + d[4] + d[5])
    s[LEVEL] = y - offset
    s[TREND] = h.new_trend
    variance = h.day_prior_sd * h.day_prior_sd
    for k in range(15, 36):
        p[k] = -variance / 7.0
    for k in SEASON_DIAGONAL:
        p[k] += variance
    for i in range(2, 8):
        if dow < 6:
            p[i] = -p[PLACE[2 + dow, i]]
        else:
            for j in range(2, 8):
                p[i] += p[PLACE[j, i]]
    p[0] = h.observation_variance + math.exp(-y) + variance * 6.0 / 7.0
    p[8] = h.new_trend_sd * h.new_trend_sd
    s[SCALE] = 1.0
    s[NORMAL] = s[LEVEL]
    s[SPREAD] = 0.02
    s[WEIGHT] = h.scale_prior_days


@njit(cache=True)
def _strongest(s: Any, out: Any, i: int) -> float:
    """The strongest of the sums of the last 1..7 scores. Without branches: which it is cannot be foreseen."""
    total = 0.0
    best = 0.0
    run = 0.0
    lag = 0.0
    for k in range(min(7, int(s[AGE]))):
        total += s[SCORES + k]
        strength = abs(total) * PER_ROOT[k]
        better = strength > best
        run = total if better else run
        lag = float(k) if better else lag
        best = max(best, strength)
    out[i, RUN] = run
    out[i, LAG] = lag
    return best


@njit(cache=True)
def _ramp(s: Any, by_age: Any, age: int) -> float:
    """A ramp's score: the largest of two leaky sums of scores (exact variance for the age) and of the level's distance
    from its own slow average, in units of how far it usually strays."""
    fast, slow, away = s[FAST] * by_age[1, age], s[SLOW] * by_age[2, age], 0.0
    if s[AGE] > NORMAL_AGE:
        away = (s[LEVEL] - s[NORMAL]) / math.sqrt(s[SPREAD])
    ramp = slow if abs(slow) > abs(fast) else fast
    return away if abs(away) > abs(ramp) else ramp


@njit(cache=True)
def _join(s: Any, p: Any, h: Any, by_age: Any, out: Any, i: int) -> None:
    """Rapid: the strongest sum of scores, corrected for the looks. Gradual: the posterior of b joined with a ramp's
    score. What cannot come out otherwise than 1 or 0.5 is not computed."""
    best = _strongest(s, out, i)
    out[i, P_SAME] = min(1.0, h.windows_tried * math.erfc(best * ROOT_HALF))
    ramp = _ramp(s, by_age, min(int(s[AGE]), by_age.shape[1] - 1))
    away = s[LEVEL] - s[NORMAL]
    out[i, RISE] = ramp
    out[i, RISEN] = away
    share = 1.0 / min(s[AGE] + 5.0, 60.0)
    s[SPREAD] += share * (min(max(away * away, LEAST_SPREAD), 9.0 * s[SPREAD]) - s[SPREAD])
    s[NORMAL] += (1.0 - FORGET_NORMAL) * away
    if ramp * s[TREND] > 0.0 and abs(ramp) > 1.0:
        rising = 1.0 - 2.0 * math.erfc(abs(ramp) * ROOT_HALF)
        if rising > 0.5:
            sure = 1.0 - 0.5 * math.erfc(abs(s[TREND]) / math.sqrt(s[SCALE] * p[8]) * ROOT_HALF)
            out[i, P_TREND] = rising if sure > SURE else min(sure, rising)


@njit(cache=True)
def _pass_gap(s: Any, absent: bool, h: Any) -> None:
    """A day without data: nothing is learnt, except that long absence from complete reports means less than before."""
    s[GAP] += 1.0
    if absent:
        s[ABSENT_DAYS] += 1.0
        if h.absent_days < s[ABSENT_DAYS] <= h.absent_days + h.absent_fall_days:
            s[LEVEL] -= h.absent_fall


@njit(cache=True)
def _return(s: Any, p: Any, h: Any) -> None:
    """Back after a long gap: young again, its trend unknown."""
    s[TREND] = 0.0
    for i in range(8):
        p[PLACE[1, i]] = 0.0
    p[8] = h.new_trend_sd * h.new_trend_sd
    s[AGE] = 0.0
    s[FAST] = 0.0
    s[SLOW] = 0.0
    s[NORMAL] = s[LEVEL]


@njit(cache=True)
def _absorb(s: Any, p: Any, pb: Any, error: float, f: float, h: Any) -> float:
    """Update by an observation ``error`` above its forecast of variance ``f`` (by the scale); returns its normal score.

    Student-t noise: an outlier is discounted, a second of the same sign is taken for a shift of the level.
    """
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
        p[0] += extra
        pb[0] += extra
        f += extra
    else:
        f *= max(1.0, (nu + z2) / (nu + 1.0))
        s[WEIGHT] = min(s[WEIGHT] + 1.0, h.scale_memory_days)
        s[SCALE] = min(max(s[SCALE] * (1.0 + (min(score * score, 9.0) - 1.0) / s[WEIGHT]), FLOOR), CEILING)
    k = 0
    for i in range(8):
        gain = pb[i] / f
        s[i] += gain * error
        for j in range(i, 8):
            p[k] -= gain * pb[j]
            k += 1
    return float(score)


@njit(cache=True)
def _day(s: Any, p: Any, pb: Any, count: float, dow: int, h: Any, by_age: Any, out: Any, i: int) -> None:
    """One day of one asset that has been seen before."""
    seen = count >= 0.0
    young = by_age[0, min(int(s[AGE]), by_age.shape[1] - 1)]
    gap = s[GAP] >= 1.0
    known = not gap or p[0] * s[SCALE] < h.gap_sd * h.gap_sd  # a gap widens the level only so far
    q_level = h.level_variance * (1.0 + h.young_boost * young) if known else 0.0
    _predict(s, p, q_level, 0.0 if gap else h.trend_variance, h.season_variance, h.gap_damping if gap else h.damping)
    if not gap:
        s[LEVEL] += h.young_drift * young
    if not seen:
        _pass_gap(s, not math.isnan(count), h)
    m = _project(s, p, dow, pb)
    out[i, DAY_OFFSET] = m - s[LEVEL]
    out[i, PRIOR_LEVEL] = s[LEVEL]
    out[i, PRIOR_TREND] = s[TREND]
    f = _variance(pb, dow) + h.observation_variance + 1.0 / (math.exp(min(m, 40.0)) + 0.5) / s[SCALE]
    out[i, MEAN] = m
    out[i, UPPER_95] = s[SCALE] * f
    out[i, OUT_AGE] = s[AGE]
    if seen:
        score = _absorb(s, p, pb, math.log1p(count) - m, f, h)
        out[i, SCORE] = score
        away = s[ABSENT_DAYS]
        if s[GAP] >= h.return_days:
            _return(s, p, h)
        s[GAP] = 0.0
        s[ABSENT_DAYS] = 0.0
        s[AGE] += 1.0
        for k in range(6, 0, -1):
            s[SCORES + k] = s[SCORES + k - 1]
        s[SCORES] = score
        s[FAST] = FORGET_FAST * s[FAST] + score
        s[SLOW] = FORGET_SLOW * s[SLOW] + score
        _join(s, p, h, by_age, out, i)
        if away >= h.return_days and score > 0.0:  # that it came back at all is news: Laplace's rule of succession
            out[i, P_SAME] = min(out[i, P_SAME], math.erfc(score * ROOT_HALF) / (away + 2.0))
            out[i, RUN] = score
            out[i, LAG] = 0.0


@njit(cache=True, nogil=True)
def step(state: Any, rows: Any, counts: Any, dow: int, h: Any, by_age: Any, out: Any) -> None:
    """Advance ``state[rows[i]]`` by one day with ``counts[i]``: NaN where not reported, negative where a
    complete report does not name the asset.

    state (n, WIDTH) float32; rows (k,) int64; counts (k,) float64; dow 0 (Monday) to 6; by_age: ``tables``;
    out (k, OUT_WIDTH) float64, where forecast and level are on the log scale (MEAN, variance in UPPER_95, OUT_LEVEL)
    until ``to_counts``.
    """
    pb = np.empty(8)
    s = np.empty(WIDTH)
    p = s[COVARIANCE : COVARIANCE + 36]
    for i in range(rows.shape[0]):
        row = rows[i]
        for k in range(OUT_WIDTH):
            out[i, k] = 0.0
        out[i, P_SAME] = 1.0
        out[i, P_TREND] = 0.5
        if state[row, AGE] != NEVER:
            for k in range(WIDTH):
                s[k] = state[row, k]
            _day(s, p, pb, counts[i], dow, h, by_age, out, i)
        elif counts[i] >= 0.0:
            _begin(s, p, math.log1p(counts[i]), dow, h)
            out[i, MEAN] = h.new_level
            out[i, UPPER_95] = h.new_level_sd**2
            out[i, PRIOR_LEVEL] = s[LEVEL]
            out[i, PRIOR_TREND] = s[TREND]
        else:
            continue
        out[i, OUT_LEVEL] = s[LEVEL]
        out[i, OUT_TREND] = s[TREND]
        for k in range(WIDTH):
            state[row, k] = s[k]


@njit(cache=True)
def _streams(y: float) -> float:
    """From log1p back to streams a day; bounded, so that nothing ever becomes infinite."""
    return math.expm1(min(y, 60.0)) if y > 0.0 else 0.0


@njit(cache=True, nogil=True)
def to_counts(out: Any, h: Any) -> None:
    """Turn the forecast of ``step``'s rows into median and intervals on the count scale, and the level too."""
    for i in range(out.shape[0]):
        m, deviation = out[i, MEAN], math.sqrt(out[i, UPPER_95])
        out[i, MEAN] = _streams(m)
        out[i, LOWER_80] = _streams(m - h.half_width_80 * deviation)
        out[i, UPPER_80] = _streams(m + h.half_width_80 * deviation)
        out[i, LOWER_95] = _streams(m - h.half_width_95 * deviation)
        out[i, UPPER_95] = _streams(m + h.half_width_95 * deviation)
        out[i, OUT_LEVEL] = _streams(out[i, OUT_LEVEL])

"""The compiled inner loop of the trend filter: one day for many assets.

Arithmetic is per asset and scalar, in double precision without fast-math, and the state is rounded to single precision
after every day, so a batch, one asset at a time, and a replay give equal bits.

Sources: US 11,113,707 (state z = (l, b, s), rapid and gradual change); West & Harrison, Bayesian Forecasting
and Dynamic Models, 2nd ed., ch. 4.5 (scale learning), 7 and 8 (trend, seasonal factors); Gardner & McKenzie
1985 (damped trend); Wallace 1959 (normal score of a Student-t); Basseville & Nikiforov, Detection of Abrupt
Changes, ch. 2 and 7 (matched filters for a step seen through the filter); Page 1954 (cumulative sums), with bounded
scores (Huber 1964) for ramps; Anscombe 1948 (variance-stabilised negative binomial residual). It is one file, though
long: numba's cache looks at one file only, and a kernel spread over several would be served stale.
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
SCALE, LAST_SCORE, AGE, GAP, SCORES = 44, 45, 46, 47, 48  # 7 scores, the latest first
RISING, FALLING, ABSENT_DAYS, NORMAL = 55, 56, 57, 58  # cumulative sums of a ramp; NORMAL: slow level
NOISE, SPREAD, WIDTH = 59, 60, 61  # own observation variance by the catalogue's; variance of the level about NORMAL
# columns of an output row (float64)
MEAN, LOWER_80, UPPER_80, LOWER_95, UPPER_95, OUT_LEVEL, OUT_TREND, P_SAME, P_TREND, SCORE, RUN, RISE = range(12)
PRIOR_LEVEL, PRIOR_TREND, DAY_OFFSET, OUT_AGE, LAG = 12, 13, 14, 15, 16
RISEN = 17  # level above its slow average: in a new asset, above where it began
P_STILL = 18  # that no ramp is under way
OUT_WIDTH = 19
NEVER = -1.0  # AGE of an asset without data
FORGET_NORMAL = 0.96  # of the slow level: about 25 days
LEAST_SPREAD = 0.0009
SPEAKING_AGE, SPEAKING_GAP = 7.0, 3.0  # assets older than this and seen within so many days speak for their market
LARGE = 0.5  # counts are large where chance in the counting is less than this of the forecast's variance
SKETCH_BINS, SKETCH_FINE, SKETCH_REACH = 512, 0.01, 6.0  # market_factor's; repeated here for the compiler's cache
FLOOR, CEILING = 0.05, 20.0  # of the scale
LEAST_NOISE, MOST_NOISE = 0.1, 1000.0
ROOT_HALF = math.sqrt(0.5)
SEASON_DIAGONAL = (15, 21, 26, 30, 33, 35)
PLACE = np.zeros((8, 8), dtype=np.int64)  # where P[i, j] is among the 36 values
PLACE[np.triu_indices(8)] = PLACE.T[np.triu_indices(8)] = range(36)


def tables(h: TrendParams) -> NDArray[np.float64]:
    """What is left of youth by age in days; beyond the last age nothing."""
    age = np.arange(max(512, math.ceil(40.0 * h.young_days)))
    return np.asarray(np.exp(-age / h.young_days))


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
    s[SCALE] = s[NOISE] = 1.0
    s[NORMAL], s[SPREAD] = s[LEVEL], 0.02


@njit(cache=True)
def _strongest(s: Any, gain: float, out: Any, i: int) -> float:
    """The strongest of the matched filters for a step 0..6 days ago. The filter absorbs the share ``gain`` of a step
    every day, less when it takes it for an outlier: what is left of it in the scores falls by ``left`` a day."""
    left = math.sqrt(max(0.0, 1.0 - gain))
    total = norm = best = run = lag = 0.0
    for k in range(min(7, int(s[AGE]))):
        total = left * total + s[SCORES + k]
        norm = left * left * norm + 1.0
        strength = total * total / norm
        better = strength > best
        run = total if better else run
        lag = float(k) if better else lag
        best = max(best, strength)
    out[i, RUN] = run
    out[i, LAG] = lag
    return math.sqrt(best)


@njit(cache=True)
def _doubt(strength: float, h: Any) -> float:
    """Probability of a day's strongest score if nothing changed: noise, normal and looked at several times over, or
    one of the surprises that real series hold, whose tail is a power."""
    noise = h.windows_tried * math.erfc(strength * ROOT_HALF)
    if strength < 1.5:
        return float(min(1.0, noise))
    ratio = strength / h.surprise_scale
    return float(min(1.0, noise + h.surprise_rate / (1.0 + ratio * ratio)))


@njit(cache=True)
def _join(s: Any, gain: float, ramp: float, h: Any, out: Any, i: int) -> None:
    """Rapid: the strongest step. Gradual: cumulative sums of the bounded score ``ramp``, falls weighing less, since to
    fall slowly is the ordinary life of an asset."""
    out[i, P_SAME] = _doubt(_strongest(s, gain, out, i), h)
    bounded = min(max(ramp, -h.ramp_bound), h.ramp_bound)
    s[RISING] = max(0.0, s[RISING] + bounded - h.ramp_allowance)
    s[FALLING] = max(0.0, s[FALLING] - bounded - h.ramp_allowance)
    falling = h.fall_weight * s[FALLING]
    out[i, RISE] = s[RISING] if s[RISING] > falling else -falling
    out[i, P_STILL] = min(1.0, math.exp(h.ramp_offset - h.ramp_slope * abs(out[i, RISE])))
    out[i, P_TREND] = 1.0 - 0.5 * out[i, P_STILL]
    away = s[LEVEL] - s[NORMAL]
    out[i, RISEN] = away
    s[SPREAD] += (min(max(away * away, LEAST_SPREAD), 9.0 * s[SPREAD]) - s[SPREAD]) / min(s[AGE] + 5.0, 60.0)
    s[NORMAL] += (1.0 - FORGET_NORMAL) * away


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
    s[RISING] = 0.0
    s[FALLING] = 0.0
    s[NORMAL] = s[LEVEL]


@njit(cache=True)
def _learn_noise(s: Any, product: float, h: Any) -> None:
    """The innovations of the right filter are uncorrelated (Mehra 1970): their correlation says which way it is
    wrong."""
    s[NOISE] *= 1.0 - h.noise_pace * min(max(product, -2.0), 2.0)
    s[NOISE] = min(max(s[NOISE], LEAST_NOISE), MOST_NOISE)


@njit(cache=True)
def _absorb(s: Any, p: Any, pb: Any, error: float, f: float, shift: float, wide: float, h: Any) -> None:
    """Update by an observation ``error`` above its forecast of variance ``f`` (by the scale).

    Student-t noise: an outlier is discounted, a second of the same sign is taken for a shift of the level. What the
    market moved is neither; the state absorbs its share of it all the same, or levels would drift away.
    """
    own = error - shift
    z2 = own * own / (s[SCALE] * f)
    nu = h.tail
    score = (8.0 * nu + 1.0) / (8.0 * nu + 3.0) * math.sqrt(nu * math.log1p(z2 / nu))
    last = s[LAST_SCORE]
    if own < 0.0:
        score = -score
    again = s[AGE] > 1.0 and s[GAP] < h.absent_days and score * last > 0.0
    if again and min(abs(score), abs(last)) > h.shift_score:
        extra = own * own / s[SCALE]
        p[0] += extra
        pb[0] += extra
        f += extra
    else:
        f *= max(1.0, (nu + z2) / (nu + 1.0))
        days = min(h.scale_prior_days + s[AGE] + 1.0, h.scale_memory_days)
        usual = min(score * score, 9.0) / wide
        s[SCALE] = min(max(s[SCALE] * (1.0 + (usual - 1.0) / days), FLOOR), CEILING)
        if s[GAP] < 1.0:  # scores that follow one another with opposite signs: more of it is noise, and less the level
            _learn_noise(s, score * last / wide, h)
    s[LAST_SCORE] = score
    k = 0
    for i in range(8):
        gain = pb[i] / f
        s[i] += gain * error
        for j in range(i, 8):
            p[k] -= gain * pb[j]
            k += 1


@njit(cache=True)
def _residual(count: float, expected: float, v: float) -> float:
    """Standardised negative binomial residual: variance 1/mean + v of the log, normal in shape also where counts are
    small (Anscombe's transform; asinh a - asinh b written as one logarithm)."""
    a, b = v * (count + 0.375), v * (expected + 0.375)
    return 2.0 / math.sqrt(v) * math.log((math.sqrt(a) + math.sqrt(a + 1.0)) / (math.sqrt(b) + math.sqrt(b + 1.0)))


@njit(cache=True)
def _score(s: Any, p: Any, pb: Any, count: float, m: float, fs: Any, effect: Any, h: Any, out: Any, i: int) -> None:
    """Score a count against its forecast ``m`` (log) and absorb it; ``fs``: variances without and of the counting."""
    structural, counting = fs
    gain = pb[0] / (structural + counting)
    wide = min(effect[1] * effect[1], 1.0 + effect[2] / (structural * s[SCALE]))
    _absorb(s, p, pb, math.log1p(count) - m, structural + counting, effect[0], wide, h)
    own, chance = h.tail_width * structural * s[SCALE] * wide, counting * s[SCALE]
    v = own + wide * h.surprise_sd * h.surprise_sd
    score = _residual(count, math.expm1(min(max(m + effect[0], 0.0), 40.0)), v)
    away = s[ABSENT_DAYS]
    if s[GAP] >= h.return_days:
        _return(s, p, h)
    s[GAP] = 0.0
    s[ABSENT_DAYS] = 0.0
    s[AGE] += 1.0
    for k in range(6, 0, -1):
        s[SCORES + k] = s[SCORES + k - 1]
    s[SCORES] = score
    out[i, SCORE] = score
    _join(s, gain, score * math.sqrt((v + chance) / (own + chance)), h, out, i)
    if away >= h.return_days and score > 0.0:  # that it came back at all is news: Laplace's rule of succession
        out[i, P_SAME] = min(out[i, P_SAME], math.erfc(score * ROOT_HALF) / (away + 2.0))
        out[i, RUN] = score
        out[i, LAG] = 0.0


@njit(cache=True)
def _day(s: Any, p: Any, pb: Any, count: float, dow: int, h: Any, by_age: Any, effect: Any, out: Any, i: int) -> None:
    """One day of one asset that has been seen before."""
    seen = count >= 0.0
    young = by_age[min(int(s[AGE]), by_age.shape[0] - 1)]
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
    structural = _variance(pb, dow) + h.observation_variance * s[NOISE]
    counting = 1.0 / (math.exp(min(m, 40.0)) + 0.5) / s[SCALE]
    out[i, MEAN] = m
    out[i, UPPER_95] = s[SCALE] * (structural + counting)
    out[i, OUT_AGE] = s[AGE]
    if seen:
        _score(s, p, pb, count, m, (structural, counting), effect, h, out, i)


@njit(cache=True)
def _tell_market(s: Any, count: float, dow: int, h: Any, young: float) -> int:
    """Where the innovation of one asset falls in its market's sketch. Forecast and variance as in ``_day``."""
    m = s[LEVEL] + s[TREND]
    p00, p0s, pss = s[COVARIANCE] + s[COVARIANCE + 8] + 2.0 * s[COVARIANCE + 1], 0.0, 0.0
    if s[GAP] < 1.0:
        m += h.young_drift * young
    if dow < 6:
        m += s[SEASON + dow]
        p0s = s[COVARIANCE + 2 + dow] + s[COVARIANCE + 9 + dow]
        pss = s[COVARIANCE + PLACE[2 + dow, 2 + dow]]
    else:
        for j in range(2, 8):
            m -= s[j]
            p0s -= s[COVARIANCE + j] + s[COVARIANCE + 7 + j]
            for k in range(2, 8):
                pss += s[COVARIANCE + PLACE[j, k]]
    structural = p00 + 2.0 * p0s + pss + h.level_variance + h.observation_variance * s[NOISE]
    error = math.log1p(count) - m
    place = math.log(abs(error) / SKETCH_FINE + math.sqrt(error * error / (SKETCH_FINE * SKETCH_FINE) + 1.0))
    place = (place if error > 0.0 else -place) + SKETCH_REACH
    k = min(max(int(place * (SKETCH_BINS / (2.0 * SKETCH_REACH))), 0), SKETCH_BINS - 1)
    counting = 1.0 / (math.exp(min(max(m, 0.0), 40.0)) + 0.5)
    return k + SKETCH_BINS if counting < LARGE * (counting + structural * s[SCALE]) else k


@njit(cache=True, nogil=True)
def innovations(state: Any, rows: Any, counts: Any, dow: int, h: Any, by_age: Any, codes: Any) -> None:
    """What the day's one-step innovations of ``state[rows[i]]`` tell their market: ``codes`` (k,) int64, the bin, plus
    SKETCH_BINS where counts are large, or -1 from assets younger than a week or long unseen (market_factor). The state
    stays as it is. Arguments as in ``step``."""
    for i in range(rows.shape[0]):
        s = state[rows[i]]
        codes[i] = -1
        if counts[i] >= 0.0 and s[AGE] > SPEAKING_AGE and s[GAP] < SPEAKING_GAP:
            codes[i] = _tell_market(s, counts[i], dow, h, by_age[min(int(s[AGE]), by_age.shape[0] - 1)])


@njit(cache=True, nogil=True)
def step(
    state: Any, rows: Any, counts: Any, dow: int, h: Any, by_age: Any, in_market: Any, effects: Any, out: Any
) -> None:
    """Advance ``state[rows[i]]`` by one day with ``counts[i]``: NaN where not reported, negative where a
    complete report does not name the asset.

    state (n, WIDTH) float32; rows (k,) int64; counts (k,) float64; dow 0 (Monday) to 6; by_age: ``tables``;
    in_market (n,) int64, the market of each state row, or of length 0 where there is one only; effects (markets, 3):
    ``MarketFactor.day``; out (k, OUT_WIDTH) float64, where forecast and level are on the log scale (MEAN, variance in
    UPPER_95, OUT_LEVEL) until ``to_counts``.
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
        out[i, P_STILL] = 1.0
        if state[row, AGE] != NEVER:
            for k in range(WIDTH):
                s[k] = state[row, k]
            effect = effects[in_market[row] if in_market.shape[0] else 0]
            _day(s, p, pb, counts[i], dow, h, by_age, effect, out, i)
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

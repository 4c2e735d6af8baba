"""The compiled inner loop of the trend filter: one day for many assets.

Arithmetic is that of each asset alone, in double precision without fast-math; the state is rounded to single precision
after every day, so a batch, one asset at a time, and a replay give equal bits.

Sources: US 11,113,707 (state z = (l, b, s), rapid and gradual change); West & Harrison, Bayesian Forecasting
and Dynamic Models, 2nd ed., ch. 4.5 (scale learning), 7 and 8 (trend, seasonal factors); Gardner & McKenzie
1985 (damped trend); Wallace 1959 (normal score of a Student-t); Basseville & Nikiforov, Detection of Abrupt
Changes, ch. 2 and 7 (matched filters for a step seen through the filter); Page 1954 (cumulative sums), with bounded
scores (Huber 1964) for ramps; Anscombe 1948 (variance-stabilised negative binomial residual). What a day does to
the state is in trend_lanes: assets are taken some at a time, side by side.
"""
# ruff: noqa: PLR0917  (numba functions take arrays and scalars by position)

from __future__ import annotations

import inspect
import math
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from cuepoint.models import real_math, trend_lanes
from cuepoint.models.compiled import inlined, inner, lanes, loop
from cuepoint.models.real_math import erfc, exp, log
from cuepoint.models.trend_lanes import LANE, LANES, PLACE, SEASON_DIAGONAL, absorb, predict, project, weigh
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
LEVEL_VARIANCE = 19  # of the forecast's, what the days to come have in common
OUT_WIDTH = 20
NEVER = -1.0  # AGE of an asset without data
FORGET_NORMAL = 0.96  # of the slow level: about 25 days
LEAST_SPREAD = 0.0009
SPEAKING_GAP = 3.0  # assets seen within so many days speak for their market ...
SPEAKING_AGE = 7.0  # ... the younger ones only where those older than this are too few
LARGE = 0.5  # counts are large where chance in the counting is less than this of the forecast's variance
SKETCH_BINS, SKETCH_FINE, SKETCH_REACH = 512, 0.01, 6.0  # market_factor's; repeated here for the compiler's cache
ROOT_HALF = math.sqrt(0.5)


def tables(h: TrendParams) -> NDArray[np.float64]:
    """What is left of youth by age in days; beyond the last age nothing."""
    age = np.arange(max(512, math.ceil(40.0 * h.young_days)))
    return np.asarray(np.exp(-age / h.young_days))


@inner
def _begin(s: Any, p: Any, y: float, dow: int, h: Any) -> None:
    """The state after the first observation: level = y - offset - noise, all else from the prior."""
    d = h.day_prior
    for i in range(WIDTH):
        s[i] = 0.0
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
    p[0] = h.observation_variance + exp(-y) + variance * 6.0 / 7.0
    p[8] = h.new_trend_sd * h.new_trend_sd
    s[SCALE] = s[NOISE] = 1.0
    s[NORMAL], s[SPREAD] = s[LEVEL], 0.02


@lanes
def _strongest(s: Any, n: int) -> None:
    """The strongest of the matched filters for a step 0..6 days ago. The filter absorbs the share ``gain`` of a step
    every day, less when it takes it for an outlier: what is left of it in the scores falls by ``left`` a day."""
    for i in range(n):
        s.left[i] = math.sqrt(max(0.0, 1.0 - s.gain[i]))
        s.total[i] = s.norm[i] = s.best[i] = s.run[i] = s.lag[i] = 0.0
    for k in range(7):
        for i in range(n):
            left = s.left[i]
            total = left * s.total[i] + s.scores[k, i]
            norm = left * left * s.norm[i] + 1.0
            strength = total * total / norm
            better = strength > s.best[i] and float(k) < s.age[i]
            s.run[i] = total if better else s.run[i]
            s.lag[i] = float(k) if better else s.lag[i]
            s.best[i] = strength if better else s.best[i]
            s.total[i], s.norm[i] = total, norm


@inlined
def _doubt(strength: float, h: Any) -> float:
    """Probability of a day's strongest score if nothing changed: noise, normal and looked at several times over, or
    one of the surprises that real series hold, whose tail is a power."""
    noise = h.windows_tried * erfc(strength * ROOT_HALF)
    ratio = strength / h.surprise_scale
    surprise = h.surprise_rate / (1.0 + ratio * ratio)
    return float(min(1.0, noise if strength < 1.5 else noise + surprise))


@lanes
def _join(s: Any, n: int, h: Any) -> None:
    """Rapid: the strongest step. Gradual: cumulative sums of the bounded score, falls weighing less, since to fall
    slowly is the ordinary life of an asset."""
    for i in range(n):
        seen = s.count[i] >= 0.0
        s.p_same[i] = _doubt(math.sqrt(s.best[i]), h) if seen else 1.0
        bounded = min(max(s.ramp[i], -h.ramp_bound), h.ramp_bound)
        rising = max(0.0, s.rising[i] + bounded - h.ramp_allowance)
        falling = max(0.0, s.falling[i] - bounded - h.ramp_allowance)
        s.rising[i] = rising if seen else s.rising[i]
        s.falling[i] = falling if seen else s.falling[i]
        weighed = h.fall_weight * falling
        rise = rising if rising > weighed else -weighed
        still = min(1.0, exp(h.ramp_offset - h.ramp_slope * abs(rise)))
        s.rise[i] = rise if seen else 0.0
        s.p_still[i] = still if seen else 1.0
        s.p_trend[i] = 1.0 - 0.5 * still if seen else 0.5
        s.score[i] = s.score[i] if seen else 0.0
        s.run[i] = s.run[i] if seen else 0.0
        s.lag[i] = s.lag[i] if seen else 0.0
        moved = s.shift[i] if seen and s.age[i] <= SPEAKING_AGE else 0.0  # the young have risen where others did not
        normal, spread = s.normal[i] + moved, s.spread[i]
        away = s.level[i] - normal
        s.risen[i] = away if seen else 0.0
        wider = (min(max(away * away, LEAST_SPREAD), 9.0 * spread) - spread) / min(s.age[i] + 5.0, 60.0)
        s.spread[i] = spread + wider if seen else spread
        s.normal[i] = normal + (1.0 - FORGET_NORMAL) * away if seen else normal


@inner
def _pass_gap(s: Any, i: int, h: Any) -> None:
    """A day without data: nothing is learnt, except that long absence from complete reports means less than before."""
    s.gap[i] += 1.0
    if not math.isnan(s.count[i]):
        s.absent_days[i] += 1.0
        if h.absent_days < s.absent_days[i] <= h.absent_days + h.absent_fall_days:
            s.level[i] -= h.absent_fall


@inner
def _return(s: Any, i: int, h: Any) -> None:
    """Back after a long gap: young again, its trend unknown."""
    s.trend[i] = 0.0
    for k in range(8):
        s.p[PLACE[1, k], i] = 0.0
    s.p[8, i] = h.new_trend_sd * h.new_trend_sd
    s.age[i] = s.rising[i] = s.falling[i] = 0.0
    s.normal[i] = s.level[i]


@lanes
def _score(s: Any, n: int, h: Any) -> None:
    """The standardised negative binomial residual: variance 1/mean + v of the log, normal in shape also where counts
    are small (Anscombe's transform; asinh a - asinh b written as one logarithm); and the same with the chance in the
    counting left out, for ramps."""
    for i in range(n):
        wide = s.wide[i]
        own, chance = h.tail_width * s.structural[i] * s.scale[i] * wide, s.counting[i] * s.scale[i]
        v = own + wide * h.surprise_sd * h.surprise_sd
        expected = exp(min(max(s.mean[i] + s.shift[i], 0.0), 40.0)) - 1.0
        a, b = v * ((s.count[i] if s.count[i] >= 0.0 else 0.0) + 0.375), v * (expected + 0.375)
        ratio = (math.sqrt(a) + math.sqrt(a + 1.0)) / (math.sqrt(b) + math.sqrt(b + 1.0))
        s.score[i] = 2.0 / math.sqrt(v) * log(ratio)
        s.ramp[i] = s.score[i] * math.sqrt((v + chance) / (own + chance))


@lanes
def _remember(s: Any, n: int) -> None:
    """A day with data is over: the scores move on."""
    for i in range(n):
        seen = s.count[i] >= 0.0
        s.gap[i] = 0.0 if seen else s.gap[i]
        s.absent_days[i] = 0.0 if seen else s.absent_days[i]
        s.age[i] += 1.0 if seen else 0.0
    for k in range(6, 0, -1):
        for i in range(n):
            before, now = s.scores[k - 1, i], s.scores[k, i]
            s.scores[k, i] = before if s.count[i] >= 0.0 else now
    for i in range(n):
        today, now = s.score[i], s.scores[0, i]
        s.scores[0, i] = today if s.count[i] >= 0.0 else now


@lanes
def _day(s: Any, n: int, dow: int, h: Any) -> None:
    """One day of assets that have been seen before."""
    predict(s, n, h)
    for i in range(n):
        if not s.count[i] >= 0.0:
            _pass_gap(s, i, h)
    project(s, n, dow, h)
    for i in range(n):
        s.day_offset[i] = s.mean[i] - s.level[i]
        s.prior_level[i], s.prior_trend[i], s.out_age[i] = s.level[i], s.trend[i], s.age[i]
        s.away[i] = 0.0
    weigh(s, n, h)
    absorb(s, n)
    _score(s, n, h)
    for i in range(n):
        if s.gap[i] >= h.return_days and s.count[i] >= 0.0:
            s.away[i] = s.absent_days[i]
            _return(s, i, h)
    _remember(s, n)
    _strongest(s, n)
    _join(s, n, h)
    for i in range(n):
        if s.away[i] >= h.return_days and s.score[i] > 0.0:  # that it came back is news: Laplace's rule of succession
            s.p_same[i] = min(s.p_same[i], erfc(s.score[i] * ROOT_HALF) / (s.away[i] + 2.0))
            s.run[i], s.lag[i] = s.score[i], 0.0
        s.out_level[i], s.out_trend[i] = s.level[i], s.trend[i]
        s.lower_80[i] = s.upper_80[i] = s.lower_95[i] = 0.0


@inner
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


@loop
def innovations(state: Any, rows: Any, counts: Any, dow: int, h: Any, by_age: Any, codes: Any) -> None:
    """What the day's one-step innovations of ``state[rows[i]]`` tell their market: ``codes`` (k,) int64, the bin, plus
    SKETCH_BINS where counts are large, or 2 SKETCH_BINS of assets younger than a week, or -1 of those not seen lately
    (market_factor). The state stays as it is. Arguments as in ``step``."""
    for i in range(rows.shape[0]):
        s = state[rows[i]]
        codes[i] = -1
        if counts[i] >= 0.0 and s[AGE] > NEVER and s[GAP] < SPEAKING_GAP:
            k = _tell_market(s, counts[i], dow, h, by_age[min(int(s[AGE]), by_age.shape[0] - 1)])
            codes[i] = k if s[AGE] > SPEAKING_AGE else k % SKETCH_BINS + 2 * SKETCH_BINS


@inner
def _take_in(s: Any, i: int, row: Any, count: float, effect: Any, by_age: Any) -> None:
    for k in range(WIDTH):
        s.state[k, i] = row[k]
    s.count[i], s.young[i] = count, by_age[min(int(row[AGE]), by_age.shape[0] - 1)]
    s.shift[i], s.wide[i], s.extra[i] = effect[0], effect[1] * effect[1], effect[2]


@inner
def _first_day(row: Any, p: Any, count: float, dow: int, h: Any, out: Any) -> None:
    for k in range(OUT_WIDTH):
        out[k] = 0.0
    out[P_SAME], out[P_TREND], out[P_STILL] = 1.0, 0.5, 1.0
    if count >= 0.0:
        _begin(row, row[COVARIANCE : COVARIANCE + 36], log(1.0 + count), dow, h)
        out[MEAN], out[UPPER_95] = h.new_level, h.new_level_sd**2
        out[PRIOR_LEVEL] = out[OUT_LEVEL] = row[LEVEL]
        out[PRIOR_TREND] = out[OUT_TREND] = row[TREND]


@inner
def _in_lanes(
    state: Any,
    rows: Any,
    counts: Any,
    dow: int,
    h: Any,
    by_age: Any,
    in_market: Any,
    effects: Any,
    out: Any,
    held: Any,
    at: Any,
) -> None:
    s, n = held[0], 0
    for i in range(rows.shape[0]):
        row = rows[i]
        if state[row, AGE] == NEVER:
            _first_day(state[row], state[row], counts[i], dow, h, out[i])
        else:
            _take_in(s, n, state[row], counts[i], effects[in_market[row] if in_market.shape[0] else 0], by_age)
            at[n] = i
            n += 1
        if n == LANES or (n > 0 and i + 1 == rows.shape[0]):
            _day(s, n, dow, h)
            for lane in range(n):
                for k in range(WIDTH):
                    state[rows[at[lane]], k] = s.state[k, lane]
                for k in range(OUT_WIDTH):
                    out[at[lane], k] = s.told[k, lane]
            n = 0


@inlined
def _streams(y: float) -> float:
    """From log1p back to streams a day; bounded, so that nothing ever becomes infinite."""
    return exp(min(y, 60.0)) - 1.0 if y > 0.0 else 0.0


def _compiled(_sources: int) -> tuple[Callable[..., None], Callable[..., None]]:
    """``step`` and ``to_counts``. Numba keeps compiled functions by the file they stand in; what they close over is
    part of the key, so that a change of the other files compiles these anew."""

    @njit(cache=True, nogil=True)
    def step(
        state: Any, rows: Any, counts: Any, dow: int, h: Any, by_age: Any, in_market: Any, effects: Any, out: Any
    ) -> None:
        """Advance ``state[rows[i]]`` by one day with ``counts[i]``: NaN where not reported, negative where a
        complete report does not name the asset.

        state (n, WIDTH) float32; rows (k,) int64, each once; counts (k,) float64; dow 0 (Monday) to 6; by_age:
        ``tables``; in_market (n,) int64, the market of each state row, or of length 0 where there is one only; effects
        (markets, 3): ``MarketFactor.day``; out (k, OUT_WIDTH) float64, where forecast and level are on the log scale
        (MEAN, variance in UPPER_95, OUT_LEVEL) until ``to_counts``.
        """
        _sources  # noqa: B018
        held, at = np.empty(1, LANE), np.empty(LANES, dtype=np.int64)
        _in_lanes(state, rows, counts, dow, h, by_age, in_market, effects, out, held, at)

    @loop
    def to_counts(out: Any, h: Any) -> None:
        """Turn the forecast of ``step``'s rows into median and intervals on the count scale, and the level too."""
        _sources  # noqa: B018
        for i in range(out.shape[0]):
            m, deviation = out[i, MEAN], math.sqrt(out[i, UPPER_95])
            out[i, MEAN] = _streams(m)
            out[i, LOWER_80] = _streams(m - h.half_width_80 * deviation)
            out[i, UPPER_80] = _streams(m + h.half_width_80 * deviation)
            out[i, LOWER_95] = _streams(m - h.half_width_95 * deviation)
            out[i, UPPER_95] = _streams(m + h.half_width_95 * deviation)
            out[i, OUT_LEVEL] = _streams(out[i, OUT_LEVEL])

    return step, to_counts


_OTHERS = inspect.getsource(trend_lanes) + inspect.getsource(real_math)
step, to_counts = _compiled(zlib.crc32(_OTHERS.encode()))

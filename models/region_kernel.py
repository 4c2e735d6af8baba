"""Regions of significant change, one day for many assets (compiled).

The beginning of a change is the last time the ramp's cumulative sum stood at zero (Page 1954; Basseville & Nikiforov
ch. 2), or the day itself where one day alone says it. The expectation is the state predicted for that day, carried
forward with a damped trend. A region's effect is what came beyond that expectation; its standard error takes the
expected level's errors of all days for one and the same error, growing as a random walk's, and each day's own noise for
itself. Source of the notion: US
11,113,707.
"""
# ruff: noqa: PLR0917  (numba functions take arrays and scalars by position)

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

from cuepoint.models.compiled import inner

# columns of a region row (float32); CODE: 0 none, 1 rapid, 2 gradual, negative downwards
CODE, START, REF_LEVEL, REF_TREND, QUIET, PROBABILITY, C_SIGN, C_START, C_LEVEL, C_TREND, LAST = range(11)
EFFECT, NORMAL, DAYS = 11, 12, 13  # sums over the region's days: streams beyond the expectation, expectation, days
REF_VARIANCE, ERROR = (
    14,
    15,
)  # of the expected level's logarithm on the first day; standard error by the days' own noise
WIDTH = 16
# columns of an output row (float64), two rows an asset: [0] a region that closed, [1] the one that is open
STATUS, OUT_CODE, OUT_START, OUT_END, EXPECTED, OUT_PROBABILITY, MEAN_EFFECT, MEAN_RATIO = range(8)
TOTAL_EFFECT, TOTAL_ERROR = 8, 9  # streams beyond the expectation since the start, its standard error
OUT_WIDTH = 10
NONE, OPENED, UPDATED, CLOSED = 0.0, 1.0, 2.0, 3.0
# columns of the filter's output that are read here (trend_kernel)
VARIANCE, OUT_TREND, P_SAME, RUN, RISE = 4, 6, 7, 10, 11
PRIOR_LEVEL, PRIOR_TREND, DAY_OFFSET, AGE, LAG, RISEN, P_STILL, LEVEL_VARIANCE = 12, 13, 14, 15, 16, 17, 18, 19


@inner
def _error(s: Any, h: Any) -> float:
    """Standard error of the effect. The weights were chosen on real steps and simulated ones together."""
    level = s[REF_VARIANCE] * (h.level_share + h.drift_share * s[DAYS])
    return math.sqrt(s[NORMAL] * s[NORMAL] * level + s[ERROR] * s[ERROR])


@inner
def _say(s: Any, status: float, end: float, offset: float, h: Any, out: Any) -> None:
    out[STATUS] = status
    out[OUT_CODE] = s[CODE]
    out[OUT_START] = s[START]
    out[OUT_END] = end
    out[EXPECTED] = max(0.0, math.expm1(min(60.0, s[REF_LEVEL] + offset)))
    out[OUT_PROBABILITY] = s[PROBABILITY]
    out[MEAN_EFFECT] = s[EFFECT] / max(1.0, s[DAYS])
    out[MEAN_RATIO] = s[EFFECT] / max(1.0, s[NORMAL])
    out[TOTAL_EFFECT], out[TOTAL_ERROR] = s[EFFECT], _error(s, h)


@inner
def _signal(f: Any, h: Any) -> tuple[float, float]:
    """The day's verdict: (code, probability), code 0 where nothing is significant."""
    if f[P_SAME] < h.p_rapid:
        return (1.0 if f[RUN] > 0.0 else -1.0), 1.0 - f[P_SAME]
    if f[P_STILL] < h.p_gradual:
        return (2.0 if f[RISE] > 0.0 else -2.0), 1.0 - f[P_STILL]
    if f[AGE] < h.young_days and f[RISEN] >= h.young_rise and f[RISE] > h.young_sum:  # new, rising where others fall
        return 2.0, 1.0 - f[P_STILL]
    return 0.0, 0.0


@inner
def _begin_candidate(s: Any, f: Any, day: float, h: Any) -> None:
    """Where the ramp's sum leaves zero, a change may have begun."""
    sign = 1.0 if f[RISE] > 0.0 else (-1.0 if f[RISE] < 0.0 else 0.0)
    if sign != s[C_SIGN] or day - s[LAST] > h.silent_days:
        s[C_SIGN], s[C_START], s[C_LEVEL], s[C_TREND] = sign, day, f[PRIOR_LEVEL], f[PRIOR_TREND]


@inner
def _open(s: Any, f: Any, code: float, probability: float, day: float, y: float, h: Any) -> bool:
    """Open a region if the change is large enough; says whether it did."""
    alone = abs(code) < 1.5 and f[LAG] < 0.5
    start, level, trend = day, f[PRIOR_LEVEL], f[PRIOR_TREND]
    if not alone and s[C_SIGN] * code > 0.0:
        start, level, trend = s[C_START], s[C_LEVEL], s[C_TREND]
    if (y - f[DAY_OFFSET] - level) * code < h.least_change * abs(code):
        return False
    s[CODE], s[START], s[REF_LEVEL], s[REF_TREND] = code, start, level, trend
    s[QUIET], s[PROBABILITY] = 0.0, probability
    s[EFFECT] = s[NORMAL] = s[DAYS] = s[ERROR] = 0.0
    s[REF_VARIANCE] = f[LEVEL_VARIANCE]
    return True


@inner
def _close_if_over(s: Any, f: Any, day: float, seen: bool, code: float, h: Any, out: Any) -> None:
    quiet = f[P_SAME] > h.quiet_p and (f[P_STILL] > h.quiet_p or abs(f[OUT_TREND]) < h.quiet_trend)
    if seen:
        s[QUIET] = s[QUIET] + 1.0 if quiet else 0.0
    if code * s[CODE] < 0.0 or s[QUIET] >= h.settle_days or day - s[START] >= h.longest_days:
        _say(s, CLOSED, day, f[DAY_OFFSET], h, out)
        s[CODE] = s[C_SIGN] = 0.0  # the next change begins after this one: ids stay unique
    elif not seen and day - s[LAST] >= h.silent_days:
        _say(s, CLOSED, s[LAST], f[DAY_OFFSET], h, out)
        s[CODE] = s[C_SIGN] = 0.0


@inner
def _sum_up(s: Any, f: Any, count: float, h: Any, out: Any) -> None:
    if s[CODE] != 0.0:
        s[EFFECT] += count - out[EXPECTED]
        s[NORMAL] += out[EXPECTED]
        s[DAYS] += 1.0
        own = out[EXPECTED] * out[EXPECTED] * (f[VARIANCE] - f[LEVEL_VARIANCE])
        s[ERROR] = math.sqrt(s[ERROR] * s[ERROR] + own)
        out[TOTAL_EFFECT], out[TOTAL_ERROR] = s[EFFECT], _error(s, h)
        out[MEAN_EFFECT], out[MEAN_RATIO] = s[EFFECT] / s[DAYS], s[EFFECT] / max(1.0, s[NORMAL])


@inner
def _speak(s: Any, f: Any, code: float, probability: float, day: float, count: float, h: Any, out: Any) -> None:
    """The day of an asset with an open region or a verdict; out (2, OUT_WIDTH)."""
    seen = count >= 0.0
    if s[CODE] != 0.0:
        if code * s[CODE] > 0.0:
            s[PROBABILITY] = max(s[PROBABILITY], probability)
        _close_if_over(s, f, day, seen, code, h, out[0])
        if s[CODE] != 0.0:
            _say(s, UPDATED, 0.0, f[DAY_OFFSET], h, out[1])
    if s[CODE] == 0.0 and code != 0.0 and _open(s, f, code, probability, day, math.log1p(count), h):
        _say(s, OPENED, 0.0, f[DAY_OFFSET], h, out[1])
    if seen:
        _sum_up(s, f, count, h, out[1])


@inner
def _all(state: Any, rows: Any, counts: Any, day: float, filtered: Any, h: Any, out: Any, s: Any) -> None:
    for i in range(rows.shape[0]):
        row = rows[i]
        out[i, 0, STATUS] = out[i, 1, STATUS] = NONE
        seen = counts[i] >= 0.0
        if state[row, LAST] == 0.0 and not seen:
            continue
        f = filtered[i]
        for k in range(WIDTH):
            s[k] = state[row, k]
        s[C_LEVEL] += s[C_TREND]
        s[C_TREND] *= h.damping
        s[REF_LEVEL] += s[REF_TREND]
        s[REF_TREND] *= h.damping
        code, probability = 0.0, 0.0
        if seen:
            _begin_candidate(s, f, day, h)
            if s[LAST] > 0.0 and f[AGE] + 1.0 >= h.wait_days:
                code, probability = _signal(f, h)
        if s[CODE] != 0.0 or code != 0.0:  # few assets
            _speak(s, f, code, probability, day, counts[i], h, out[i])
        if seen:
            s[LAST] = day
        for k in range(WIDTH):
            state[row, k] = s[k]


@njit(cache=True, nogil=True)
def follow(state: Any, rows: Any, counts: Any, day: float, filtered: Any, h: Any, out: Any) -> None:
    """Advance the regions of ``state[rows[i]]`` by one day.

    state (n, WIDTH) float32; rows (k,) int64; counts (k,) float64 (NaN or negative: none); day: ordinal; filtered
    (k, .) what ``trend_kernel.step`` gave for the same day; out (k, 2, OUT_WIDTH) float64.
    """
    _all(state, rows, counts, day, filtered, h, out, np.empty(WIDTH))

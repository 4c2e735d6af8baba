"""The filter proper, for some assets side by side: what one day does to level, trend, offsets and covariance.

An asset is a lane. Every number of the state has its lanes beside each other in memory, so that a processor works on
four or eight assets at once; arithmetic stays that of one asset, in double precision without fast-math, and gives the
same bits in whatever lane and company.

Sources: West & Harrison, Bayesian Forecasting and Dynamic Models, 2nd ed., ch. 4.5 (scale learning), 7 and 8 (trend,
seasonal factors); Gardner & McKenzie 1985 (damped trend); Wallace 1959 (normal score of a Student-t); Mehra 1970.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cuepoint.models.compiled import lanes
from cuepoint.models.real_math import exp, log

LANES = 32
FLOOR, CEILING = 0.05, 20.0  # of the scale
LEAST_NOISE, MOST_NOISE = 0.1, 1000.0
SEASON_DIAGONAL = (15, 21, 26, 30, 33, 35)
PLACE: NDArray[np.int64] = np.zeros((8, 8), dtype=np.int64)  # where P[i, j] is among the 36 values
PLACE[np.triu_indices(8)] = PLACE.T[np.triu_indices(8)] = range(36)
# In the order of the columns of a state row; p: the upper triangle of the covariance, row by row
_STATE = {"level": 1, "trend": 1, "season": 6, "p": 36, "scale": 1, "last_score": 1, "age": 1, "gap": 1, "scores": 7}
_STATE |= dict.fromkeys(("rising", "falling", "absent_days", "normal", "noise", "spread"), 1)
# In the order of the columns of an output row
_TOLD = (
    "mean", "lower_80", "upper_80", "lower_95", "variance", "out_level", "out_trend", "p_same", "p_trend", "score",
    "run", "rise", "prior_level", "prior_trend", "day_offset", "out_age", "lag", "risen", "p_still",
    "level_variance",
)  # fmt: skip
# What is needed for a day only: given (count and young beside the market's effects), and in between
_DAY = dict.fromkeys(("count", "young", "shift", "wide", "extra", "structural", "counting", "error", "inverse"), 1)
_DAY |= {"pb": 8, "gains": 8} | dict.fromkeys(("gain", "total", "norm", "best", "left", "ramp", "away"), 1)


def _lane_type() -> np.dtype[np.void]:
    """``state`` and ``told`` are all columns of a kind together, over the same memory as the columns by name."""
    widths = _STATE | dict.fromkeys(_TOLD, 1) | _DAY
    starts = np.concatenate(([0], np.cumsum(list(widths.values()))))
    names = [*widths, "state", "told"]
    forms = [(w, LANES) if w > 1 else (LANES,) for w in widths.values()]
    forms += [(sum(_STATE.values()), LANES), (len(_TOLD), LANES)]
    offsets = [*starts[:-1], 0, sum(_STATE.values())]
    held = {
        "names": names,
        "formats": [("f8", form) for form in forms],
        "offsets": [8 * LANES * int(start) for start in offsets],
        "itemsize": 8 * LANES * int(starts[-1]),
    }
    return np.dtype(held)  # type: ignore[call-overload, no-any-return]


LANE = _lane_type()


@lanes
def predict(s: Any, n: int, h: Any) -> None:
    """z' = A z + e: l' = l + b, b' = phi b, offsets stay; P' = A P A' + Q. The young move more, and lose; a gap stops
    the trend, and widens the level only so far."""
    for i in range(n):
        gap = s.gap[i] >= 1.0
        q = h.level_variance * (1.0 + h.young_boost * s.young[i])
        known = q if s.p[0, i] * s.scale[i] < h.gap_sd * h.gap_sd else 0.0
        phi = h.gap_damping if gap else h.damping
        level = s.level[i] + s.trend[i]
        s.level[i] = level if gap else level + h.young_drift * s.young[i]
        s.trend[i] *= phi
        both = s.p[1, i] + s.p[8, i]
        s.p[0, i] += s.p[1, i] + both + (known if gap else q)
        s.p[1, i] = both * phi
        s.p[8, i] = s.p[8, i] * phi * phi + (0.0 if gap else h.trend_variance)
    for j in range(2, 8):
        for i in range(n):
            s.p[j, i] += s.p[7 + j, i]
            s.p[7 + j, i] *= h.gap_damping if s.gap[i] >= 1.0 else h.damping
    for k in range(15, 36):
        for i in range(n):
            s.p[k, i] -= h.season_variance / 7.0
    for k in SEASON_DIAGONAL:
        for i in range(n):
            s.p[k, i] += h.season_variance


@lanes
def _add_offset(s: Any, n: int, day: int, sign: float) -> None:
    for i in range(n):
        s.mean[i] += sign * s.season[day, i]
    for k in range(8):
        at = PLACE[2 + day, k]
        for i in range(n):
            s.pb[k, i] += sign * s.p[at, i]


@lanes
def project(s: Any, n: int, dow: int, h: Any) -> None:
    """The forecast of the log, B z, its variances without and of the counting, and pb = P B'. B picks level and the
    day's offset; Sunday's is minus the sum of the six others."""
    first, last, sign = (dow, dow + 1, 1.0) if dow < 6 else (0, 6, -1.0)
    for i in range(n):
        s.mean[i] = s.level[i]
    for k in range(8):
        for i in range(n):
            s.pb[k, i] = s.p[k, i]
    for day in range(first, last):
        _add_offset(s, n, day, sign)
    for i in range(n):
        s.structural[i] = s.pb[0, i]
    for day in range(first, last):
        for i in range(n):
            s.structural[i] += sign * s.pb[2 + day, i]
    for i in range(n):
        s.level_variance[i] = s.scale[i] * s.structural[i]
        s.structural[i] += h.observation_variance * s.noise[i]
        s.counting[i] = 1.0 / ((exp(min(s.mean[i], 40.0)) + 0.5) * s.scale[i])
        s.variance[i] = s.scale[i] * (s.structural[i] + s.counting[i])


@lanes
def weigh(s: Any, n: int, h: Any) -> None:
    """How far the count is from its forecast, and how much of that is believed.

    Student-t noise: an outlier is discounted, a second of the same sign is taken for a shift of the level. What the
    market moved is neither; the state absorbs its share of it all the same, or levels would drift away. The scale is
    learnt from the score; where scores that follow one another have opposite signs, more of it is noise and less the
    level (the innovations of the right filter are uncorrelated). Without a count nothing is learnt.
    """
    nu = h.tail
    bend = (8.0 * nu + 1.0) / (8.0 * nu + 3.0)
    for i in range(n):
        seen, gap, age, scale = s.count[i] >= 0.0, s.gap[i], s.age[i], s.scale[i]
        last, noise = s.last_score[i], s.noise[i]
        wide = min(s.wide[i], 1.0 + s.extra[i] / (s.structural[i] * scale))  # a noisy asset's spread grows less
        s.wide[i] = wide
        f = s.structural[i] + s.counting[i]
        s.gain[i] = s.pb[0, i] / f
        error = log(1.0 + (s.count[i] if seen else 0.0)) - s.mean[i]
        own = error - s.shift[i]
        z2 = own * own / (scale * f)
        size = bend * math.sqrt(nu * log(1.0 + z2 / nu))
        score = -size if own < 0.0 else size
        product = score * last
        follows = product if age > 1.0 and gap < h.absent_days else 0.0
        again = follows > 0.0 and min(size, abs(last)) > h.shift_score
        extra = own * own / scale if again and seen else 0.0
        s.p[0, i] += extra
        s.pb[0, i] += extra
        days = min(h.scale_prior_days + age + 1.0, h.scale_memory_days)
        usual = min(score * score, 9.0) / wide
        learnt = min(max(scale * (1.0 + (usual - 1.0) / days), FLOOR), CEILING)
        s.scale[i] = learnt if seen and not again else scale
        quieter = noise * (1.0 - h.noise_pace * min(max(product / wide, -2.0), 2.0))
        quieter = min(max(quieter, LEAST_NOISE), MOST_NOISE)
        s.noise[i] = quieter if seen and not again and gap < 1.0 else noise
        s.last_score[i] = score if seen else last
        wider = f + extra if again else f * max(1.0, (nu + z2) / (nu + 1.0))
        s.inverse[i] = 1.0 / wider if seen else 0.0
        s.error[i] = error


@lanes
def absorb(s: Any, n: int) -> None:
    """z += K error, P -= K (P B')', K = P B' / f."""
    for k in range(8):
        for i in range(n):
            s.gains[k, i] = s.pb[k, i] * s.inverse[i]
    for i in range(n):
        s.level[i] += s.gains[0, i] * s.error[i]
        s.trend[i] += s.gains[1, i] * s.error[i]
    for k in range(6):
        for i in range(n):
            s.season[k, i] += s.gains[2 + k, i] * s.error[i]
    at = 0
    for j in range(8):
        for k in range(j, 8):
            for i in range(n):
                s.p[at, i] -= s.gains[j, i] * s.pb[k, i]
            at += 1

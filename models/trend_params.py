"""Hyperparameters of the trend filter: the only things learnt across assets (maths.md 1, objective O5)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple, get_type_hints

import msgspec

from cuepoint.schemas.codec import explain
from cuepoint.schemas.errors import ContractError


class TrendParams(NamedTuple):
    """Variances are in squared log units a day; all of them are multiplied by the asset's own learnt scale.

    Variances of level, trend and season, drift and prior of new assets, and day offsets maximise the pooled one-step
    likelihood of a quarter of the tracks of the daily chart of which ops/samples is an excerpt (tail and observation
    variance held, so that one outlying day teaches little). Another catalogue wants its own.
    """

    observation_variance: float = 0.0003  # V of R = V + 1/(mean + 1/2)
    level_variance: float = 0.00145
    trend_variance: float = 0.000002
    season_variance: float = 0.000006
    damping: float = 0.99  # phi: what is left of the trend after a day
    tail: float = 4.0  # nu: degrees of freedom of the Student-t noise
    young_boost: float = 24.0  # a new asset's level moves this much more (variance), falling off by
    young_days: float = 2.2  # ... exp(-age/young_days)
    young_drift: float = -0.14  # what a new asset is expected to lose on its first day, falling off likewise
    new_level: float = 7.0  # prior of an asset never seen: log1p(streams a day) ...
    new_level_sd: float = 3.0
    new_trend: float = -0.027  # ... and its trend
    new_trend_sd: float = 0.04
    day_prior: tuple[float, float, float, float, float, float] = (
        -0.005,
        0.027,
        0.028,
        0.038,
        0.052,
        -0.023,
    )  # Monday..Saturday
    day_prior_sd: float = 0.03
    scale_memory_days: float = 60.0  # memory of the asset's own noise scale
    scale_prior_days: float = 15.0  # how many days the catalogue's scale is worth
    noise_pace: float = 0.05  # how fast an asset's share of noise is learnt
    shift_score: float = 2.5  # two scores in a row of one sign beyond this are a shift, not outliers
    absent_days: float = 7.0  # absence from complete reports up to this long says nothing,
    absent_fall: float = 0.045  # each day beyond it lowers the expected level by this much (log),
    absent_fall_days: float = 77.0  # for so many days (to a thirtieth)
    gap_damping: float = 0.9  # damping of the trend on days without data
    gap_sd: float = 0.6  # a gap widens the belief of the level to this, no further (log)
    return_days: float = 28.0  # after a gap this long the asset is young again
    half_width_80: float = 1.35  # half widths of the intervals in forecast standard deviations
    half_width_95: float = 2.5
    windows_tried: float = 3.0  # effective number of independent looks in 1..7 days (Sidak)
    tail_width: float = 1.3  # scores that bound outliers make the scale too small by this (variance)
    surprise_sd: float = 0.05  # log: what of a day's difference is ordinary even where the filter is sure
    surprise_rate: float = 0.03  # real series hold surprises: P(strength > s) has a tail rate / (1 + (s/scale)^2)
    surprise_scale: float = 2.0
    ramp_bound: float = 0.6  # a day counts no more than this towards a ramp (in standard deviations) ...
    ramp_allowance: float = 0.15  # ... and so much less each day
    fall_weight: float = 0.75  # of a falling ramp against a rising one
    ramp_offset: float = -0.5  # P(sum > s) if nothing changed: exp(offset - slope s)
    ramp_slope: float = 0.7


_HINTS = get_type_hints(TrendParams)


def params_of(values: Mapping[str, Any]) -> TrendParams:
    """Hyperparameters by name; those not named have their defaults. Raises ContractError naming the one it is about.

    >>> params_of({"tail": 5, "day_prior": [0, 0, 0, 0, 0, 0]}).tail
    5.0
    """
    known: dict[str, Any] = {}
    for name, value in values.items():
        field = f"params.{name}"
        if name not in _HINTS:
            raise ContractError("invalid", field, "no such hyperparameter")
        try:
            known[name] = msgspec.convert(value, _HINTS[name])
        except msgspec.MsgspecError as error:
            raise ContractError("invalid", field, explain(error).reason) from error
        numbers = known[name] if isinstance(known[name], tuple) else (known[name],)
        if not all(map(math.isfinite, numbers)):
            raise ContractError("invalid", field, "must be finite")
        if isinstance(known[name], float) and getattr(TrendParams(), name) > 0 >= known[name]:
            raise ContractError("invalid", field, "must be above zero")
    return TrendParams()._replace(**known)


def values_of(params: TrendParams) -> dict[str, float | list[float]]:
    """The other way round: all of them by name."""
    return {name: list(value) if isinstance(value, tuple) else value for name, value in params._asdict().items()}

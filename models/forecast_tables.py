"""What a catalogue has taught about k-day forecasts: a small, versioned, serialisable set of tables.

``PRIOR`` is what is believed before any data: a damped trend, the asset's own week, and uncertainty that grows with the
root of the horizon. A catalogue's own tables (``forecast_fit.fit``) start from it and leave it as evidence grows.
"""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from cuepoint.models.forecast_experts import EXPERTS, PRIOR_ERRORS
from cuepoint.models.forecast_features import LOCATION, OFFSETS, SCALE
from cuepoint.schemas.errors import SnapshotError

Floats = NDArray[np.float64]

VERSION = 2
LEVELS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.975, 0.99, 0.995, 0.999)
SPANS = (1, 2, 3, 4, 5, 6, 7, 9, 11, 14, 17, 21, 25, 28, 35, 42, 56, 70, 91, 119, 154, 196, 252, 308, 365)
MOST_ROOM = 10.0  # log units
STRATA = 6  # asset younger than 56 days or not, times three sizes
YOUNG_AGE_DAYS = 56.0
WIDEST_REACH = (-7.0, 0.5)  # log of the typical error in log units, whatever the regression says
# a Student-t with 5 degrees of freedom at LEVELS, in units of exp(mean log |t|)
_TAIL = (10.0, 6.84, 5.71, 4.36, 3.42, 2.5, 1.56, 0.95, 0.45)
STANDARD = (*(-v for v in _TAIL), 0.0, *_TAIL[::-1])


class ForecastTables(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Learnt at ``spans`` days ahead, between which everything is interpolated.

    location (spans, len(LOCATION) + OFFSETS): log1p count above the level, the last ones times the day's offsets;
    experts (spans, len(EXPERTS)): their errors over the regression's;
    room (spans,): log units that a count may exceed the largest of the last eight weeks;
    scale (spans, len(SCALE)): log of the typical error, kept within reach (spans, 2); errors (spans, STRATA,
    len(LEVELS)): quantiles of scaled errors; centre, sizes: median and terciles of the levels; week: the catalogue's
    offsets, Monday to Sunday.
    """

    version: int = VERSION
    through_day: int  # the last day that was seen, date.toordinal(); 0 for the prior
    pairs: int  # of states and later counts
    centre: float
    sizes: tuple[float, float]
    week: tuple[float, float, float, float, float, float, float]
    spans: tuple[int, ...]
    location: tuple[tuple[float, ...], ...]
    experts: tuple[tuple[float, ...], ...]
    room: tuple[float, ...]
    scale: tuple[tuple[float, ...], ...]
    reach: tuple[tuple[float, float], ...]
    errors: tuple[tuple[tuple[float, ...], ...], ...]

    def encode(self) -> bytes:
        """As JSON."""
        return msgspec.json.encode(self)

    @staticmethod
    def decode(data: bytes) -> ForecastTables:
        """Raises SnapshotError where ``data`` is of another version or shape."""
        try:
            tables = msgspec.json.decode(data, type=ForecastTables)
        except msgspec.MsgspecError as error:
            raise SnapshotError(f"forecast tables: {error}") from error
        spans = len(tables.spans)
        shapes: list[tuple[int, ...]] = [
            (spans, len(LOCATION) + OFFSETS),
            (spans, len(EXPERTS)),
            (spans, len(SCALE)),
            (spans, 2),
        ]
        shapes += [(spans, STRATA, len(LEVELS))]
        if tables.version != VERSION or shapes != [
            _shape(t) for t in (tables.location, tables.experts, tables.scale, tables.reach, tables.errors)
        ]:
            raise SnapshotError(
                f"forecast tables: version {tables.version} or their shape is not what this program reads"
            )
        return tables


def _shape(rows: object) -> tuple[int, ...]:
    try:
        return np.asarray(rows, dtype=np.float64).shape
    except ValueError:  # ragged
        return ()


def spans_to(horizon: int) -> tuple[int, ...]:
    """The days ahead that are learnt for forecasts of 1 to ``horizon`` days."""
    return (*(h for h in SPANS if h < horizon), min(horizon, SPANS[-1]))


def prior_location(span: int) -> Floats:
    """(len(LOCATION) + OFFSETS,): half the damped trend, most of the asset's own week, nothing else."""
    b = np.zeros(len(LOCATION) + OFFSETS)
    damping = 0.96
    b[LOCATION.index("trend")] = 0.05 * damping * (1.0 - damping**span) / (1.0 - damping)
    b[-OFFSETS:] = 0.4, 0.5, 0.0, 0.1
    return b


def prior_scale(span: int) -> Floats:
    """(len(SCALE),): the asset's noise, growing with the horizon's root, somewhat more for the young."""
    g = np.zeros(len(SCALE))
    g[SCALE.index("one")] = -3.4 + 0.4 * np.log(span)
    g[SCALE.index("noise")] = 0.8
    g[SCALE.index("month_young")] = 0.3
    return g


def prior(horizon: int) -> ForecastTables:
    """The tables before any data."""
    spans = spans_to(horizon)
    return ForecastTables(
        through_day=0,
        pairs=0,
        centre=7.0,
        sizes=(6.0, 8.0),
        week=(0.0,) * 7,
        spans=spans,
        location=tuple(tuple(prior_location(h).tolist()) for h in spans),
        experts=(PRIOR_ERRORS,) * len(spans),
        room=(MOST_ROOM,) * len(spans),
        scale=tuple(tuple(prior_scale(h).tolist()) for h in spans),
        reach=(WIDEST_REACH,) * len(spans),
        errors=tuple((STANDARD,) * STRATA for _ in spans),
    )

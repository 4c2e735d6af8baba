"""A day on which not all sources have reported: what came, raised by what its sources usually are of the asset.

The expected share of the sources that came is their share in the week before, on the days all of them reported: a
function of the reports held, not of the order they came in, and nothing more is kept for it. What is not known of the
share widens the noise of the day. The rest comes, and the day is put right like any other revised day.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cuepoint.models.compiled import loop
from cuepoint.models.report_amendments import Source
from cuepoint.models.report_parts import NONE, Parts, Rows

LEAST_SHARE = 0.1  # of the asset that must have come for the day to be known at all
PRIOR_SD, PRIOR_DAYS = 0.15, 3.0  # of the log share, where all of the asset is missing; and what that is worth
Floats = NDArray[np.float64]
NO_DOUBT = np.empty(0)


class Observed(NamedTuple):
    """``counts`` (k,): NaN where unknown, NONE where absent from complete reports. ``doubt``: variance (k,) in squared
    log units that the missing sources add to the noise, or of length 0 where none is missing."""

    counts: Floats
    doubt: Floats


@loop
def complete(came: Any, lacking: Any, carried: Any, counts: Any, doubt: Any) -> None:
    """Raise ``counts`` (k,) of a day by the share they are expected to be; NaN where that cannot be said.

    came, lacking (days, k) int64: what the sources that came and those that did not said on earlier days; carried (k,)
    bool: whether those that did not come named the asset lately; doubt (k,) float64: filled.
    """
    days = came.shape[0]
    for i in range(counts.shape[0]):
        doubt[i] = 0.0
        if not carried[i]:
            continue
        there, gone = 0, 0
        for d in range(days):
            there += came[d, i]
            gone += lacking[d, i]
        share = there / (there + gone) if gone > 0 else 0.0
        if share < LEAST_SHARE or not counts[i] >= 0.0:
            counts[i] = np.nan
            continue
        spread, known = PRIOR_DAYS * (PRIOR_SD * (1.0 - share)) ** 2, PRIOR_DAYS
        for d in range(days):
            if came[d, i] + lacking[d, i] > 0:
                x = math.log((came[d, i] + share) / ((came[d, i] + lacking[d, i] + 1.0) * share))
                spread += x * x
                known += 1.0
        counts[i] /= share
        doubt[i] = spread / known * (1.0 + 1.0 / days) + (1.0 - share) / (share * (counts[i] + 0.5))


def missing(versions: Mapping[Source, Mapping[int, int]], day: int, active_days: int) -> list[Source]:
    """Sources that completed a report in the days before and have not completed this day."""
    before = range(day - active_days, day)
    return [s for s, done in versions.items() if day not in done and any(d in done for d in before)]


def observe(
    parts: Mapping[Source, Parts], versions: Mapping[Source, Mapping[int, int]], day: int, rows: Rows, active_days: int
) -> Observed:
    """What a scored day says of ``rows``; ``versions``: the days each source has completed."""
    here = [s for s, done in versions.items() if day in done]
    gone = missing(versions, day, active_days)
    total = np.full(len(rows), float(NONE) if here and not gone else np.nan)
    for source in here:
        part = parts[source].read(day, rows)
        found = part >= 0
        total[found] = np.where(total[found] >= 0, total[found], 0.0) + part[found]
    if not gone or not here:
        return Observed(total, NO_DOUBT)
    carried = np.zeros(len(rows), dtype=np.bool_)
    for source in gone:
        for d in range(day - active_days, day):
            if d in versions[source]:
                carried |= parts[source].read(d, rows) >= 0
    both = [d for d in range(day - active_days, day) if all(d in versions[s] for s in (*here, *gone))]
    told = [np.zeros((len(both), len(rows)), dtype=np.int64) for _ in range(2)]
    for sources, sums in zip((here, gone), told, strict=True):
        for source in sources:
            for k, d in enumerate(both):
                sums[k] += np.maximum(parts[source].read(d, rows), 0)
    doubt = np.zeros(len(rows))
    complete(told[0], told[1], carried, total, doubt)
    return Observed(total, doubt)

"""Counts to fit hyperparameters to, from the consumption store."""

from __future__ import annotations

import datetime as dt
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cuepoint.models.report_parts import NONE
from cuepoint.schemas.errors import ConfigurationError
from cuepoint.streams.consumption_store import ConsumptionStore, Where


class Counts(NamedTuple):
    """counts (days, assets) float64: NaN on days on which a source is missing, negative where complete reports do not
    name the asset. ``first_day``: ordinal. ``source``: what they are, in words."""

    counts: NDArray[np.float64]
    first_day: int
    source: str

    @property
    def last_day(self) -> int:
        return self.first_day + len(self.counts) - 1


def stored_counts(
    store: ConsumptionStore, *, days: int, assets: int, least_days: int, least_assets: int, active_days: int = 7
) -> Counts:
    """The last ``days`` days of an even sample of the catalogue. A source that reported within ``active_days`` and did
    not report a day leaves it unknown, as in the stream. Raises ConfigurationError where there is too little to learn
    from, Unavailable, TooSlow."""
    sources: dict[int, set[tuple[str, str]]] = {}  # by day
    for mark in store.watermarks():
        if mark.complete and not mark.withdrawn:
            sources.setdefault(mark.day.toordinal(), set()).add((mark.dsp, mark.territory))
    last = max(sources, default=0)
    first = max(min(sources, default=1), last - days + 1)
    span = dt.date.fromordinal(max(1, first)), dt.date.fromordinal(max(1, last))
    whole = [
        day
        for day in range(first, last + 1)
        if day in sources and all(sources[day] >= sources.get(day - ago, set()) for ago in range(1, active_days + 1))
    ]
    names = store.totals(("asset_id",), Where(first_day=span[0], last_day=span[1]))["asset_id"]
    if len(whole) < least_days or len(names) < least_assets:
        raise ConfigurationError(
            f"too little to fit to: {len(whole)} whole days of {least_days} (CUEPOINT_FIT_LEAST_DAYS),"
            f" {len(names)} assets of {least_assets} (CUEPOINT_FIT_LEAST_ASSETS)"
        )
    sample = [str(names[i]) for i in np.unique(np.linspace(0, len(names) - 1, min(assets, len(names))).astype(int))]
    found = store.totals(("asset_id", "day"), Where(sample, *span))
    counts = np.full((last - first + 1, len(sample)), np.nan)
    counts[np.array(whole) - first] = NONE
    column = {name: i for i, name in enumerate(sample)}
    rows = (found["day"] - np.datetime64(span[0])).astype(np.int64)
    columns = np.array([column[str(name)] for name in found["asset_id"]], dtype=np.int64)
    known = ~np.isnan(counts[rows, columns])
    counts[rows[known], columns[known]] = found["count"][known]
    return Counts(counts, first, f"consumption store, {span[0]} to {span[1]}")

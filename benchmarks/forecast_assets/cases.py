"""The daily counts, which tracks are judged on, and from which days."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from pyarrow import csv

Floats = NDArray[np.float64]
EXCERPT = Path(__file__).parents[2] / "ops" / "samples" / "spotify_us_daily.csv.gz"
VARIABLE = "CUEPOINT_BENCH_DAILY"
EPOCH = 719_163  # date.toordinal() of 1970-01-01
HORIZON, EVERY_DAYS, FIRST_COLUMN = 28, 28, 84
LEAST_RUN_DAYS, MOST_GAP_DAYS, LEAST_FUTURE_DAYS = 56, 3, 25
WEEK = 7


class Panel(NamedTuple):
    """counts (tracks, days), NaN where the track was not in the chart; the date.toordinal() of the first column."""

    counts: Floats
    first_day: int
    said: str  # what the data are


class Case(NamedTuple):
    """A track, the column of the origin, and where the run begins that leads up to it."""

    track: int
    origin: int
    since: int


def read(given: str | None, *, everything: bool = False) -> Panel:
    """The tracks to be judged of a file with columns date, track_id, streams: of the full file the half, by a hash of
    their id, that no forecast was tuned on, or ``everything``; of the bundled excerpt all."""
    named = given or os.environ.get(VARIABLE)
    path = Path(named) if named else EXCERPT
    table = csv.read_csv(path)
    days = table["date"].cast("date32").to_numpy().astype("datetime64[D]").astype(np.int64) + EPOCH
    names = table["track_id"].combine_chunks().dictionary_encode()
    rows, ids = names.indices.to_numpy(), names.dictionary.to_pylist()
    first = int(days.min())
    counts = np.full((len(ids), int(days.max()) - first + 1), np.nan)
    counts[rows, days - first] = table["streams"].to_numpy()
    if named and everything:
        return Panel(counts, first, f"{path.name}: all {len(ids):,} tracks")
    if named:
        judged = np.array([hashlib.sha256(f"split:{name}".encode()).digest()[0] % 2 == 1 for name in ids])
        said = f"{path.name}: {judged.sum():,} of {len(ids):,} tracks, the half that no forecast was tuned on"
        return Panel(counts[judged], first, said)
    said = (
        f"the bundled excerpt of {len(ids)} tracks, some of which were tuned on: too small for the figures of "
        f"docs/benchmarks.md (give the full file with --data or {VARIABLE})"
    )
    return Panel(counts, first, said)


def cases(counts: Floats) -> list[Case]:
    """Every fourth week, each track with a run of at least 56 days up to that day and 25 counts in the 28 after it."""
    seen = np.isfinite(counts)
    origins = range(FIRST_COLUMN, counts.shape[1] - HORIZON, EVERY_DAYS)
    found = []
    for track, days in enumerate(seen):
        at = np.flatnonzero(days)
        breaks = np.flatnonzero(np.diff(at) > MOST_GAP_DAYS + 1)
        begins, ends = at[np.concatenate([[0], breaks + 1])], at[np.concatenate([breaks, [len(at) - 1]])]
        for since, last in zip(begins.tolist(), ends.tolist(), strict=True):
            fitting = [o for o in origins if since <= o - LEAST_RUN_DAYS + 1 and o + HORIZON <= last and days[o]]
            ahead = [o for o in fitting if days[o + 1 : o + 1 + HORIZON].sum() >= LEAST_FUTURE_DAYS]
            found += [Case(track, origin, since) for origin in ahead]
    return sorted(found, key=lambda case: (case.origin, case.track))


def history(counts: Floats, case: Case) -> Floats:
    """The run up to the origin, single missing days interpolated: the peers cannot do with less."""
    y = counts[case.track, case.since : case.origin + 1]
    at, known = np.arange(len(y)), np.isfinite(y)
    return np.asarray(np.interp(at, at[known], y[known]))


def future(counts: Floats, case: Case) -> Floats:
    """The days forecast, (HORIZON,)."""
    return counts[case.track, case.origin + 1 : case.origin + 1 + HORIZON]


def seasonal_error(y: Floats) -> float:
    """What scales errors: the mean absolute change from week to week within the history (Hyndman & Koehler 2006)."""
    return float(np.mean(np.abs(y[WEEK:] - y[:-WEEK])))

"""The real daily counts as a panel, its long runs, and the split of tracks."""

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
VARIABLE = "BENCH_DAILY"
LEAST_RUN_DAYS = 150
EPOCH = 719_163  # the proleptic ordinal of 1970-01-01


class Run(NamedTuple):
    """Days ``first`` to ``last`` (exclusive) of a panel column without a gap but the days the source lacks."""

    column: int
    first: int
    last: int
    part: str  # "tune" or "report"


class Panel(NamedTuple):
    """counts (days, assets), NaN where the asset is not in the chart; day ordinal of the first row."""

    counts: Floats
    first_day: int
    runs: list[Run]


def source(given: str | None) -> tuple[Path, str]:
    """The file to read, and what to say of it."""
    named = given or os.environ.get(VARIABLE)
    if named:
        return Path(named), f"daily counts: {Path(named).name}"
    return EXCERPT, (
        "daily counts: the bundled excerpt of 173 tracks, which is too small for the figures of docs/benchmarks.md "
        f"(give the full file with --data or {VARIABLE})"
    )


def read(path: Path) -> Panel:
    """The panel of a file with columns date, track_id, streams. A run's part is decided by a hash of its track."""
    table = csv.read_csv(path)
    days = table["date"].cast("date32").to_numpy().astype("datetime64[D]").astype(np.int64)
    names = table["track_id"].combine_chunks().dictionary_encode()
    columns, ids = names.indices.to_numpy(), names.dictionary.to_pylist()
    first = int(days.min())
    counts = np.full((int(days.max()) - first + 1, len(ids)), np.nan)
    counts[days - first, columns] = table["streams"].to_numpy()
    held = np.flatnonzero(~np.isnan(counts).all(axis=1))  # days the source has
    runs = []
    for column, name in enumerate(ids):
        part = "tune" if hashlib.blake2b(name.encode()).digest()[0] % 2 else "report"
        there = np.concatenate(([0], (~np.isnan(counts[held, column])).astype(int), [0]))
        edges = np.flatnonzero(np.diff(there)).reshape(-1, 2)
        runs += [Run(column, int(held[a]), int(held[b - 1]) + 1, part) for a, b in edges if b - a >= LEAST_RUN_DAYS]
    return Panel(counts, first + EPOCH, runs)


def thinned(panel: Panel, mean: float, rng: np.random.Generator) -> tuple[Panel, Floats]:
    """Every track thinned binomially to a mean of ``mean`` a day over its days; and what was to be expected of each
    day, (days, assets)."""
    share = np.broadcast_to(np.minimum(1.0, mean / np.nanmean(panel.counts, axis=0)), panel.counts.shape)
    there = ~np.isnan(panel.counts)
    counts = panel.counts.copy()
    counts[there] = rng.binomial(panel.counts[there].astype(np.int64), share[there])
    return panel._replace(counts=counts), panel.counts * share

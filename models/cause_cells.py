"""The consumption of one asset as cells by day, and what it comes to by each dimension a cause can be named in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
DIMENSIONS = ("dsp", "territory", "activity", "context", "container", "device")
OTHERS = "(others)"  # small values of a dimension, pooled
OUTSIDE = "(outside)"  # of containers: neither playlist nor station
UNKNOWN = "unknown"
MOST_VALUES = 24
_HEARD_IN = ("playlist", "radio")


class CellTable(NamedTuple):
    """``counts`` (cells, days): NaN where the cell's report has not come. ``names`` and ``codes`` (cells,): the values
    of each dimension; ``first`` is the ordinal of the first day."""

    first: int
    names: dict[str, list[str]]
    codes: dict[str, Ints]
    counts: Floats

    @property
    def last(self) -> int:
        return self.first + int(self.counts.shape[1]) - 1


def tabulate(
    columns: Mapping[str, NDArray[np.generic]],
    first: int,
    last: int,
    missing: Iterable[tuple[str, str, int]] = (),
) -> CellTable:
    """Cells of one asset from columns as the consumption store gives them (``day`` datetime64[D] or ordinals).

    ``missing``: (dsp, territory, ordinal day) of reports that have not come. Groups are summed.

    >>> import numpy as np
    >>> columns = {"day": np.array([5, 6]), "dsp": np.array(["a", "a"]), "count": np.array([3, 4])}
    >>> tabulate(columns, 5, 7).counts
    array([[3., 4., 0.]])
    """
    days = np.asarray(columns["day"])
    if np.issubdtype(days.dtype, np.datetime64):
        days = days.astype("datetime64[D]").astype(np.int64) + 719_163  # ordinal of 1970-01-01
    days = days.astype(np.int64)
    inside = (days >= first) & (days <= last)
    n = int(inside.sum())
    names: dict[str, list[str]] = {}
    codes: dict[str, Ints] = {}
    key = np.zeros(n, dtype=np.int64)
    for dimension in DIMENSIONS:
        texts = _texts(columns, dimension, inside, n)
        found, code = np.unique(texts, return_inverse=True)
        names[dimension], codes[dimension] = found.tolist(), code
        key = key * max(1, len(found)) + code
    cells, where_first, cell = np.unique(key, return_index=True, return_inverse=True)
    counts = np.zeros((len(cells), last - first + 1))
    np.add.at(counts, (cell, days[inside] - first), np.asarray(columns["count"], dtype=np.float64)[inside])
    table = CellTable(first, names, {name: code[where_first] for name, code in codes.items()}, counts)
    for dsp, territory, day in missing:
        if first <= day <= last:
            table.counts[_of(table, dsp, territory), day - first] = np.nan
    return table


def _texts(
    columns: Mapping[str, NDArray[np.generic]], dimension: str, inside: NDArray[np.bool_], n: int
) -> NDArray[np.str_]:
    if dimension not in columns:
        return np.full(n, UNKNOWN)
    texts = np.asarray(columns[dimension])[inside].astype(str)
    if dimension != "container":
        return np.where(texts == "", UNKNOWN, texts)
    context = _texts(columns, "context", inside, n)
    heard_in = np.isin(context, _HEARD_IN) | (context == UNKNOWN)  # a list whose name was not told, or nothing told
    empty = np.where(heard_in, UNKNOWN, OUTSIDE)
    return np.where(texts == "", empty, texts)


def _of(table: CellTable, dsp: str, territory: str) -> NDArray[np.bool_]:
    chosen = np.ones(len(table.counts), dtype=np.bool_)
    for dimension, value in (("dsp", dsp), ("territory", territory)):
        known = table.names[dimension]
        chosen &= table.codes[dimension] == (known.index(value) if value in known else -1)
    return chosen


def fill_missing(table: CellTable, start: int, pace: Floats | None = None) -> tuple[CellTable, list[str]]:
    """Days of reports that have not come get what the cell had on its other days of the same side of ``start``,
    following ``pace`` (days,). Services of which a whole side is missing are left out; they are named."""
    counts, cut = table.counts.copy(), start - table.first
    pace = np.ones(counts.shape[1]) if pace is None else pace
    gone = np.zeros(len(counts), dtype=np.bool_)
    for side in (slice(0, cut), slice(cut, counts.shape[1])):
        part = counts[:, side]
        empty = np.isnan(part)
        if not empty.any():
            continue
        seen = np.where(empty, 0.0, pace[side])
        level = np.nansum(part, axis=1) / np.maximum(seen.sum(axis=1), 1e-12)
        gone |= empty.all(axis=1)
        counts[:, side] = np.where(empty, level[:, None] * pace[side], part)
    absent = sorted({table.names["dsp"][code] for code in table.codes["dsp"][gone].tolist()})
    keep = ~np.isin(table.codes["dsp"], [table.names["dsp"].index(name) for name in absent])
    kept = {name: code[keep] for name, code in table.codes.items()}
    return CellTable(table.first, table.names, kept, counts[keep]), absent


def by_value(table: CellTable, dimension: str, most: int = MOST_VALUES) -> tuple[list[str], Floats]:
    """The values of a dimension and their counts (values, days); beyond the ``most`` largest they are pooled."""
    names, codes = table.names[dimension], table.codes[dimension]
    sums = np.zeros((len(names), table.counts.shape[1]))
    np.add.at(sums, codes, table.counts)
    present = np.flatnonzero(sums.sum(axis=1) > 0)
    order = present[np.argsort(-_weight(sums[present]), kind="stable")]
    kept, pooled = order[:most], order[most:]
    values, rows = [names[k] for k in kept.tolist()], sums[kept]
    if len(pooled):
        values, rows = [*values, OTHERS], np.concatenate([rows, sums[pooled].sum(axis=0, keepdims=True)])
    return values, rows


def _weight(sums: Floats) -> Floats:
    """A value that was large for a few days (a playlist that has just added the track) must not be pooled away."""
    width = min(7, sums.shape[1])
    weeks = np.add.reduceat(sums, np.arange(0, sums.shape[1], max(1, width)), axis=1)
    heaviest: Floats = weeks.max(axis=1)
    return heaviest

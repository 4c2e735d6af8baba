"""Counts per source, asset and day of the last weeks: what each source's report says of each asset."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cuepoint.models.trend_bases import REVISABLE_DAYS, SPACING, Archive

DAYS = REVISABLE_DAYS + SPACING + 7  # kept: what a replay may begin with, and the week before it
NONE = -1  # not in the report
Rows = NDArray[np.int64]
Ints = NDArray[np.int64]
_WIDTHS = (np.uint8, np.uint16, np.uint32)
SHELVED_BYTES = 1 << 16  # a smaller column is not worth a file
_OTHER_BYTES = 12  # what a count costs that does not fit


class Column(NamedTuple):
    """A day's counts, exact, in the fewest bytes: ``cells`` as wide as most of them need (its largest number: NONE, the
    one before: look in ``others``), and the few larger ones by row.

    >>> column = Column.of(np.array([7, NONE, 300] + 97 * [0]))
    >>> column.cells.dtype.name, column.read(np.array([0, 1, 2, 500])).tolist()
    ('uint8', [7, -1, 300, -1])
    """

    cells: NDArray[Any]
    other_rows: NDArray[np.uint32]
    others: Ints

    @property
    def length(self) -> int:
        """Assets known that day."""
        return len(self.cells)

    @classmethod
    def of(cls, counts: Ints) -> Column:
        large = [counts >= np.iinfo(width).max - 1 for width in _WIDTHS]
        sizes = [len(counts) * (1 << i) + _OTHER_BYTES * np.count_nonzero(more) for i, more in enumerate(large)]
        best = int(np.argmin(sizes))
        most = np.iinfo(_WIDTHS[best]).max
        rows = np.flatnonzero(large[best])
        cells = counts.astype(_WIDTHS[best])  # NONE, all bits set, becomes the largest number
        cells[rows] = most - 1
        return cls(cells, rows.astype(np.uint32), counts[rows])

    def read(self, rows: Rows) -> Ints:
        """The counts of ``rows``, NONE where absent or not known that day."""
        known = rows if not len(rows) or int(rows.max()) < len(self.cells) else rows[rows < len(self.cells)]
        cells = self.cells[known]
        most = np.iinfo(self.cells.dtype).max
        found = cells.astype(np.int64)
        found[cells == most] = NONE
        if len(self.others):
            other = np.flatnonzero(cells == most - 1)
            found[other] = self.others[np.searchsorted(self.other_rows, known[other])]
        if known is rows:
            return found
        values = np.full(len(rows), NONE, dtype=np.int64)
        values[rows < len(self.cells)] = found
        return values


class Stored(NamedTuple):
    """A column that lies in the archive: others, their rows, cells."""

    name: str
    kind: str
    cells: int
    others: int

    @property
    def length(self) -> int:
        """Assets known that day."""
        return self.cells

    @property
    def size(self) -> int:
        """In bytes."""
        return _OTHER_BYTES * self.others + self.cells * np.dtype(self.kind).itemsize

    def read(self, archive: Archive) -> Column:
        data, rows = archive.get(self.name), 8 * self.others
        cells = rows + 4 * self.others
        return Column(data[cells:].view(self.kind), data[rows:cells].view(np.uint32), data[:rows].view(np.int64))


class Parts:
    """One source's counts by day.

    >>> parts = Parts()
    >>> changed = parts.write(3, np.array([0, 2]), np.array([5, 2**40]), assets=3)
    >>> parts.read(3, np.arange(4)).tolist()
    [5, -1, 1099511627776, -1]
    """

    def __init__(self, archive: Archive | None = None) -> None:
        self._archive = archive
        self.days: dict[int, Column | Stored] = {}

    def write(self, day: int, rows: Rows, counts: Ints, assets: int) -> Rows:
        """Replace the day's report; gives the rows whose count differs now."""
        before = self.read(day, np.arange(assets))
        column = np.full(assets, NONE, dtype=np.int64)
        column[rows] = counts
        self.days[day] = Column.of(column)
        return np.flatnonzero(before != column)

    def put(self, day: int, row: int, count: int) -> bool:
        """Replace one count of the day's report; whether it differs now."""
        counts = self.read(day, np.arange(max(self.days[day].length, row + 1)))
        changed = bool(counts[row] != count)
        if changed:
            counts[row] = count
            self.days[day] = Column.of(counts)
        return changed

    def drop(self, day: int) -> None:
        """The day's report was withdrawn."""
        self.days.pop(day, None)

    def forget(self, day: int) -> None:
        """``day`` is being scored: drop the day that leaves the window."""
        for old in [d for d in self.days if d <= day - DAYS]:
            del self.days[old]

    def shelve(self, before: int) -> None:
        """Put large columns of days before this one into the archive: they are looked at only when a day is revised."""
        if self._archive is None:
            return
        for day, column in self.days.items():
            if day < before and isinstance(column, Column) and column.cells.nbytes >= SHELVED_BYTES:
                name = self._archive.put([column.others, column.other_rows, column.cells])
                if name:
                    self.days[day] = Stored(name, column.cells.dtype.name, len(column.cells), len(column.others))

    def read(self, day: int, rows: Rows) -> Ints:
        """Counts of the day, NONE where absent; rows not yet known here are absent."""
        column = self.days.get(day)
        if isinstance(column, Stored):
            assert self._archive is not None
            column = column.read(self._archive)
        return np.full(len(rows), NONE, dtype=np.int64) if column is None else column.read(rows)

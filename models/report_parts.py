"""Counts per source, asset and day of the last weeks: what each source's report says of each asset."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SLOTS = 64  # days kept: the revisable window and the week before it
NONE = -1  # not in the report
Rows = NDArray[np.int64]
Ints = NDArray[np.int64]


class Parts:
    """One source's counts: (assets, SLOTS) integers, 4 bytes each until a count needs 8.

    >>> parts = Parts()
    >>> changed = parts.write(3, np.array([0, 2]), np.array([5, 2**40]), assets=3)
    >>> parts.read(3, np.arange(3)).tolist(), parts.counts.dtype.name
    ([5, -1, 1099511627776], 'int64')
    """

    def __init__(self) -> None:
        self.counts: NDArray[np.int32] | NDArray[np.int64] = np.full((0, SLOTS), NONE, dtype=np.int32)

    def write(self, day: int, rows: Rows, counts: Ints, assets: int) -> Rows:
        """Replace the day's report; gives the rows whose count differs now."""
        self._grow(assets)
        if len(counts) and int(counts.max()) > np.iinfo(self.counts.dtype).max:
            self.counts = self.counts.astype(np.int64)
        column = self.counts[:, day % SLOTS]
        before = column.copy()
        column[:] = NONE
        column[rows] = counts
        return np.nonzero(before != column)[0]

    def clear(self, day: int) -> None:
        """The slot is about to be the next day's."""
        self.counts[:, day % SLOTS] = NONE

    def read(self, day: int, rows: Rows) -> Ints:
        """Counts of the day, NONE where absent; rows not yet known here are absent."""
        values = np.full(len(rows), NONE, dtype=np.int64)
        known = rows < len(self.counts)
        values[known] = self.counts[rows[known], day % SLOTS]
        return values

    def _grow(self, assets: int) -> None:
        have = len(self.counts)
        if assets > have:
            more = np.full((max(64, assets, have * 3 // 2), SLOTS), NONE, dtype=self.counts.dtype)
            more[:have] = self.counts
            self.counts = more

"""A batch of trend records as columns: rows and counts of the open reports, appended in log order."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from cuepoint.models.report_kernel import PADDING, add_up, parse
from cuepoint.models.report_names import Names
from cuepoint.schemas.codec import encode
from cuepoint.schemas.trends import TrendRecord

Ints = NDArray[np.int64]
Key = tuple[str, str, dt.date, int]  # source (dsp, territory), day, version
_ID, _COUNT = b'"\x7f"', b'"count":0'


class Packed(NamedTuple):
    """The values of a batch one after the other, padded, and where each ends."""

    buffer: NDArray[np.uint8]
    ends: Ints


@runtime_checkable
class Packable(Protocol):
    """Values that stand in a buffer already."""

    def packed(self, padding: int) -> tuple[NDArray[np.uint8], Ints]: ...


def pack(values: Sequence[bytes]) -> Packed:
    """A record without a value (None, whatever the type says) takes no room.

    >>> pack([b"ab", b"c"]).ends.tolist(), pack([b"ab", None, b"c"]).ends.tolist()
    ([2, 3], [2, 2, 3])
    """
    if isinstance(values, Packable):
        return Packed(*values.packed(PADDING))
    try:
        buffer = b"".join([*values, bytes(PADDING)])
    except TypeError:
        return pack([value or b"" for value in values])
    ends = np.fromiter(map(len, values), dtype=np.int64, count=len(values))
    return Packed(np.frombuffer(buffer, dtype=np.uint8), np.cumsum(ends))


class OpenReport:
    """Records of a report that is not complete yet: arrays that grow."""

    __slots__ = ("_cells", "_used")

    def __init__(self, rows: Ints | None = None, counts: Ints | None = None) -> None:
        self._cells, self._used = np.empty((2, 0), dtype=np.int64), 0
        if rows is not None and counts is not None:
            self.add(rows, counts)

    @property
    def rows(self) -> Ints:
        return self._cells[0, : self._used]

    @property
    def counts(self) -> Ints:
        return self._cells[1, : self._used]

    def __len__(self) -> int:
        return self._used

    def add(self, rows: Ints | int, counts: Ints | int) -> None:
        """Append records."""
        used = self._used
        self._used += 1 if isinstance(rows, int) else len(rows)
        if self._used > self._cells.shape[1]:
            cells = np.empty((2, self._used + self._used // 2 + 16), dtype=np.int64)
            cells[:, :used] = self._cells[:, :used]
            self._cells = cells
        self._cells[0, used : self._used] = rows
        self._cells[1, used : self._used] = counts

    def totals(self, assets: int) -> tuple[Ints, Ints]:
        """Rows in order and counts, several records of an asset added up."""
        if self._used * 8 < assets:  # few of many: sorting costs less than looking at all assets
            rows, where = np.unique(self.rows, return_inverse=True)
            totals = np.full(len(rows), -1, dtype=np.int64)
            add_up(where, self.counts, totals)
            return rows, totals
        totals = np.full(assets, -1, dtype=np.int64)
        add_up(self.rows, self.counts, totals)
        rows = np.nonzero(totals >= 0)[0]
        return rows, totals[rows]


class Forms:
    """How records of the open reports look as our encoder writes them: everything but id and count is the report's."""

    def __init__(self, keys: Iterable[Key]) -> None:
        texts, places, at = [], [], 0
        for dsp, territory, day, version in keys:
            sample = TrendRecord(
                asset_id="\x7f", day=day, dsp=dsp, territory=territory, count=0, report_version=version
            )
            head, rest = encode(sample).split(_ID, 1)
            middle, tail = rest.rsplit(_COUNT, 1)
            texts.append((b'"' + middle + _COUNT[:-1], tail))
            self._head = head + b'"'
        at = len(self._head)
        for middle, tail in texts:
            places.append((at, at + len(middle), at + len(middle) + len(tail)))
            at = places[-1][2]
        self._text = np.frombuffer(self._head + b"".join(m + t for m, t in texts) + bytes(PADDING), dtype=np.uint8)
        self._places = np.array(places, dtype=np.int64)

    def read(self, packed: Packed, first: int, names: Names, reports: Sequence[OpenReport]) -> int:
        """Append to ``reports`` (in the order of the keys) what can be read from record ``first`` on; returns the first
        record that cannot."""
        n = len(packed.ends)
        names.reserve(n - first, int(packed.ends[-1]) - (int(packed.ends[first - 1]) if first else 0))
        rows, counts, which = (np.empty(n, dtype=np.int64) for _ in range(3))
        end = parse(*packed, first, self._text, len(self._head), self._places, names.table, rows, counts, which)
        found = which[first:end]
        for form in np.flatnonzero(np.bincount(found)).tolist():
            mine = found == form
            reports[form].add(rows[first:end][mine], counts[first:end][mine])
        return int(end)

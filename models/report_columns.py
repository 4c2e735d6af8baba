"""A batch of trend records as columns: rows and counts of the open reports, appended in log order."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from cuepoint.models.report_kernel import LOOK_AHEAD, PADDING, add_up, parse
from cuepoint.models.report_names import Names
from cuepoint.schemas.codec import encode
from cuepoint.schemas.trends import TrendRecord

Ints = NDArray[np.int64]
Key = tuple[str, str, dt.date, int]  # source (dsp, territory), day, version
_ID, _COUNT = b'"\x7f"', b'"count":0'


class Located(NamedTuple):
    """The values of a batch: where each begins and ends in a buffer."""

    buffer: NDArray[np.uint8]
    starts: Ints
    ends: Ints


@runtime_checkable
class Locatable(Protocol):
    """Values that stand in a buffer already; one that is None begins and ends at 0."""

    def located(self) -> tuple[NDArray[np.uint8], Ints, Ints]: ...


def locate(values: Sequence[bytes]) -> Located:
    """Where the values stand, after putting them one behind the other if need be. A record without a value (None,
    whatever the type says) takes no room.

    >>> locate([b"ab", b"c"]).ends.tolist(), locate([b"ab", None, b"c"]).starts.tolist()
    ([2, 3], [0, 2, 2])
    """
    if isinstance(values, Locatable):
        return Located(*values.located())
    try:
        buffer = b"".join([*values, bytes(PADDING)])
    except TypeError:
        return locate([value or b"" for value in values])
    lengths = np.fromiter(map(len, values), dtype=np.int64, count=len(values))
    ends = np.cumsum(lengths)
    return Located(np.frombuffer(buffer, dtype=np.uint8), ends - lengths, ends)


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

    def read(self, located: Located, first: int, names: Names, reports: Sequence[OpenReport]) -> int:
        """Append to ``reports`` (in the order of the keys) what can be read from record ``first`` on; returns the first
        record that cannot."""
        n = len(located.ends)
        names.reserve(n - first, int((located.ends[first:] - located.starts[first:]).sum()))
        rows, counts, which = (np.empty(n, dtype=np.int64) for _ in range(3))
        told = rows, counts, which, np.empty(LOOK_AHEAD, dtype=np.uint64)
        end = int(parse(*located, first, self._text, len(self._head), self._places, names.table, *told))
        found = slice(first, end)
        forms = np.flatnonzero(np.bincount(which[found])).tolist()
        for form in forms:
            mine = found if len(forms) == 1 else first + np.flatnonzero(which[found] == form)
            reports[form].add(rows[mine], counts[mine])
        return end

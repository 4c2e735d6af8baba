"""Asset ids and their rows: 30 to 50 bytes an asset instead of 200 in a dict and a list of strings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from cuepoint.models.report_kernel import PADDING, Index, fill, row_of
from cuepoint.schemas.codec import decoder, encode

_decode = decoder(str).decode


class Names(Sequence[str]):
    """Ids in the order of their rows; a row is given at the first sight of an id and stays.

    >>> names = Names()
    >>> names.row("a"), names.row("b"), names.row("a"), list(names)
    (0, 1, 0, ['a', 'b'])
    """

    def __init__(self, arena: NDArray[np.uint8] | None = None, lengths: NDArray[np.uint16] | None = None) -> None:
        letters = np.empty(0, dtype=np.uint8) if arena is None else arena
        sizes = np.empty(0, dtype=np.uint16) if lengths is None else lengths
        offsets = np.zeros(len(sizes) + 1, dtype=np.int64)
        np.cumsum(sizes, out=offsets[1:])
        if offsets[-1] != len(letters):
            raise ValueError("names and their lengths do not fit together")
        known = np.array([len(sizes)], dtype=np.int64)
        text = np.concatenate([letters, np.zeros(PADDING, dtype=np.uint8)])
        self.table = Index(text, offsets, np.zeros(64, dtype=np.uint64), known)
        self._resize_table(len(sizes))
        fill(self.table)

    def row(self, name: str) -> int:
        """The id's row, a new one if it has none. At most 65,535 bytes in JSON (the contract allows 128 characters)."""
        size = len(json := encode(name)) - 2
        self.reserve(1, size)
        return int(row_of(self.table, np.frombuffer(json + bytes(PADDING), dtype=np.uint8), 1, 1 + size))

    def reserve(self, ids: int, size: int) -> None:
        """Make room for so many new ids of ``size`` bytes in all."""
        index, known = self.table, len(self)
        used = int(index.offsets[known])
        if used + size + PADDING > len(index.arena):
            index = index._replace(arena=_grown(index.arena, used, used + size + PADDING))
        if known + ids >= len(index.offsets):
            index = index._replace(offsets=_grown(index.offsets, known + 1, known + ids + 1))
        self.table = index
        if (known + ids) * 3 > len(index.table) * 2:
            self._resize_table(known + ids)
            fill(self.table)

    def _resize_table(self, ids: int) -> None:
        slots = 64
        while slots * 2 < ids * 3:
            slots *= 2
        self.table = self.table._replace(table=np.zeros(slots, dtype=np.uint64))

    def __len__(self) -> int:
        return int(self.table.known[0])

    @overload
    def __getitem__(self, row: int) -> str: ...
    @overload
    def __getitem__(self, row: slice) -> list[str]: ...
    def __getitem__(self, row: int | slice) -> str | list[str]:
        if isinstance(row, slice):
            return [self[i] for i in range(*row.indices(len(self)))]
        if not 0 <= row < len(self):
            raise IndexError(row)
        start, end = self.table.offsets[row : row + 2].tolist()
        return str(_decode(b'"%b"' % self.table.arena[start:end].tobytes()))

    def of(self, rows: NDArray[np.int64]) -> list[str]:
        """The ids of many rows."""
        starts, ends = self.table.offsets[rows], self.table.offsets[rows + 1]
        low, high = (int(starts.min()), int(ends.max())) if len(rows) else (0, 0)
        letters = self.table.arena[low:high].tobytes() if high - low <= 4 * int((ends - starts).sum()) else b"\\"
        if letters.isascii() and b"\\" not in letters:  # cut out of one text: a fourth of the time
            text = letters.decode("ascii")
            return [text[a:b] for a, b in zip((starts - low).tolist(), (ends - low).tolist(), strict=True)]
        arena = self.table.arena.data
        found = [str(arena[a:b], "utf-8") for a, b in zip(starts.tolist(), ends.tolist(), strict=True)]
        return [_decode(f'"{name}"') if "\\" in name else name for name in found]

    def __iter__(self) -> Iterator[str]:
        return (self[i] for i in range(len(self)))

    def to_arrays(self) -> tuple[NDArray[np.uint8], NDArray[np.uint16]]:
        """All ids one after the other, and their lengths: what the constructor takes."""
        offsets = self.table.offsets[: len(self) + 1]
        return self.table.arena[: offsets[-1]], np.diff(offsets).astype(np.uint16)


def _grown(array: NDArray[Any], used: int, need: int) -> NDArray[Any]:
    more = np.empty(need + need // 8, dtype=array.dtype)
    more[:used] = array[:used]
    return more

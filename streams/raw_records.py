"""Records of a fetch as columns over the fetched bytes themselves: nothing is made per record until it is looked at.

aiokafka's iterator makes an object, two tuples and four attributes of every record. Here a compiled loop notes where
each value and key stands; what an agent wants as ``bytes`` is cut out when it asks. Format: KIP-98, record batch
version 2. The loop trusts the lengths it reads: checksums have been compared before.
"""
# ruff: noqa: PLR0917  (numba functions take arrays and scalars by position)

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, TypeVar, cast, overload

import google_crc32c
import numpy as np
from aiokafka.record.memory_records import MemoryRecords
from numba import njit
from numpy.typing import NDArray

Ints = NDArray[np.int64]
T = TypeVar("T")
# base offset, length, leader epoch, magic, crc, attributes, last offset delta, first and max timestamp, producer id,
# its epoch, base sequence, records
_HEADER = struct.Struct(">qiibIhiqqqhii")
_OVERHEAD = 12  # base offset and length, which the length does not count
_CHECKED = 21  # from the attributes on
_COMPRESSION, _APPEND_TIME, PLAIN_VERSION = 0x07, 0x08, 2


class RawRecords:
    """Takes the place of aiokafka's MemoryRecords in its fetcher: the same, but the bytes can be had."""

    __slots__ = ("data", "has_next", "next_batch", "size_in_bytes")

    def __init__(self, data: bytes) -> None:
        records = MemoryRecords(data)
        self.data = bytes(data)
        self.has_next, self.next_batch, self.size_in_bytes = records.has_next, records.next_batch, records.size_in_bytes


class Part(NamedTuple):
    """A record batch within the fetched bytes; ``at`` is where its first record begins, ``end`` where it ends."""

    at: int
    end: int
    crc: int
    records: int
    base_offset: int
    base_ms: int
    fixed_ms: int  # of all its records, where the broker stamps them; else -1


def parts_of(data: bytes) -> list[Part] | None:
    """The whole batches of a fetch (the last one may be cut off); None if one is compressed or of an older format."""
    found, at = [], 0
    while at + _HEADER.size <= len(data):
        base, length, _, magic, crc, attributes, _, first_ms, max_ms, _, _, _, records = _HEADER.unpack_from(data, at)
        if magic != PLAIN_VERSION or attributes & _COMPRESSION:
            return None
        end = at + _OVERHEAD + length
        if end > len(data):
            break
        fixed_ms = max_ms if attributes & _APPEND_TIME else -1
        found.append(Part(at + _HEADER.size, end, crc, records, base, first_ms, fixed_ms))
        at = end
    return found


def sound(data: bytes, part: Part) -> bool:
    """Whether its checksum is right. aiokafka's own comparison takes fourteen times as long."""
    return bool(google_crc32c.value(data[part.at - _HEADER.size + _CHECKED : part.end]) == part.crc)


@njit(cache=True, inline="always")
def _varint(data: Any, at: int) -> Any:
    value, shift = np.uint64(0), np.uint64(0)
    while True:
        byte = np.uint64(data[at])
        at += 1
        value |= (byte & np.uint64(0x7F)) << shift
        if byte < 128:
            return np.int64(value >> np.uint64(1)) ^ -np.int64(value & np.uint64(1)), at
        shift += np.uint64(7)


@njit(cache=True, nogil=True)
def _locate(data: Any, at: int, base_offset: int, base_ms: int, fixed_ms: int, columns: Any) -> None:
    """Fill ``columns`` (6, records): value from and to, key from and to, offset, timestamp. -1: there is none."""
    for i in range(columns.shape[1]):
        length, at = _varint(data, at)
        end = at + length
        delta_ms, at = _varint(data, at + 1)
        delta, at = _varint(data, at)
        columns[4, i] = base_offset + delta
        columns[5, i] = base_ms + delta_ms if fixed_ms < 0 else fixed_ms
        for place in (2, 0):
            size, at = _varint(data, at)
            columns[place, i] = at if size >= 0 else -1
            at += max(size, 0)
            columns[place + 1, i] = at if size >= 0 else -1
        at = end  # headers are passed over


class Cells(Sequence[T]):
    """A column whose cells are made when looked at."""

    __slots__ = ("_cells",)

    def __init__(self) -> None:
        self._cells: list[T] | None = None

    def _read(self) -> list[T]:
        raise NotImplementedError

    def __iter__(self) -> Iterator[T]:
        return iter(self._all())

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> list[T]: ...
    def __getitem__(self, index: int | slice) -> T | list[T]:
        if isinstance(index, slice):
            return self._all()[index]
        return self._cell(index) if self._cells is None else self._cells[index]

    def _all(self) -> list[T]:
        if self._cells is None:
            self._cells = self._read()
        return self._cells

    def _cell(self, index: int) -> T:
        raise NotImplementedError


class Numbers(Cells[int]):
    """Offsets or timestamps."""

    __slots__ = ("_values",)

    def __init__(self, values: Ints) -> None:
        super().__init__()
        self._values = values

    def __len__(self) -> int:
        return len(self._values)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Ints:
        return np.array(self._values, dtype=dtype, copy=copy)

    def _read(self) -> list[int]:
        return cast(list[int], self._values.tolist())

    def _cell(self, index: int) -> int:
        return int(self._values[index])


class Slices(Cells[Any]):
    """Bytes, or None where there are none."""

    __slots__ = ("_data", "_ends", "_starts")

    def __init__(self, data: bytes, starts: Ints, ends: Ints) -> None:
        super().__init__()
        self._data, self._starts, self._ends = data, starts, ends

    def __len__(self) -> int:
        return len(self._starts)

    def _read(self) -> list[Any]:
        data = self._data
        if len(self._starts) and self._starts.min() < 0:
            return [self._cell(i) for i in range(len(self))]
        return [data[start:end] for start, end in zip(self._starts.tolist(), self._ends.tolist(), strict=True)]

    def _cell(self, index: int) -> Any:
        start = int(self._starts[index])
        return None if start < 0 else self._data[start : int(self._ends[index])]

    def located(self) -> tuple[NDArray[np.uint8], Ints, Ints]:
        """The fetched bytes, and where in them each begins and ends; one that is None begins and ends at 0."""
        return np.frombuffer(self._data, dtype=np.uint8), np.maximum(self._starts, 0), np.maximum(self._ends, 0)


class Columns(NamedTuple):
    values: Slices
    keys: Slices
    offsets: Numbers
    timestamps: Numbers


def columns_of(data: bytes, parts: Sequence[Part], first_offset: int) -> Columns:
    """The records of these batches from ``first_offset`` on."""
    cells = np.empty((6, sum(part.records for part in parts)), dtype=np.int64)
    view, done = np.frombuffer(data, dtype=np.uint8), 0
    for at, _, _, records, base_offset, base_ms, fixed_ms in parts:
        _locate(view, at, base_offset, base_ms, fixed_ms, cells[:, done : done + records])
        done += records
    early = int(np.searchsorted(cells[4], first_offset))
    cells = cells[:, early:]
    return Columns(
        Slices(data, cells[0], cells[1]), Slices(data, cells[2], cells[3]), Numbers(cells[4]), Numbers(cells[5])
    )

"""A fetched range of one partition: what an agent is handed."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Generic, TypeVar, overload

from cuepoint.schemas.faults import DeadLetter, Fault

T = TypeVar("T")


class Column(Sequence[T], Generic[T]):
    """One attribute of all records, read off them when first looked at.

    >>> list(Column([3j, 4j], "imag"))
    [3.0, 4.0]
    """

    __slots__ = ("_attribute", "_cells", "_records")

    def __init__(self, records: Sequence[Any], attribute: str) -> None:
        self._records, self._attribute = records, attribute
        self._cells: list[T] | None = None

    def _read(self) -> list[T]:
        if self._cells is None:
            self._cells = list(map(attrgetter(self._attribute), self._records))
        return self._cells

    def __len__(self) -> int:
        return len(self._records)

    def __iter__(self) -> Iterator[T]:
        return iter(self._read())

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> list[T]: ...
    def __getitem__(self, index: int | slice) -> T | list[T]:
        return self._read()[index]


@dataclass(slots=True, weakref_slot=True)
class Batch:
    """Records of one partition in order. ``offsets[i]`` belongs to ``values[i]``; gaps may occur (compaction, control
    records), and a range may hold no record at all.

    ``first`` is where the range begins, ``last`` the last offset it covers, ``end`` the partition's end offset when
    last heard of.
    """

    topic: str
    partition: int
    first: int
    last: int
    values: Sequence[bytes]
    keys: Sequence[bytes | None]
    offsets: Sequence[int]
    timestamps: Sequence[int]  # ms
    end: int = -1

    def __len__(self) -> int:
        return len(self.values)

    def dead_letter(self, place: int, fault: Fault) -> DeadLetter:
        """What is told of the record at ``place``, which cannot be used."""
        return DeadLetter.of(
            fault,
            self.values[place] or b"",
            self.timestamps[place],
            topic=self.topic,
            partition=self.partition,
            offset=self.offsets[place],
            key=self.keys[place],
        )

    def since(self, offset: int) -> Batch:
        """The part of the range from ``offset`` on.

        >>> Batch("t", 0, 4, 6, [b"a", b"b"], [None] * 2, [4, 6], [0, 0]).since(5).values
        [b'b']
        """
        at = bisect_left(self.offsets, offset)
        return Batch(
            self.topic,
            self.partition,
            offset,
            self.last,
            self.values[at:],
            self.keys[at:],
            self.offsets[at:],
            self.timestamps[at:],
            self.end,
        )

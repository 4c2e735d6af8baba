"""States as they stood on earlier days: where a replay of revised days begins.

One every ``SPACING`` days, the newest that is at least ``REVISABLE_DAYS`` old and all after it. They are looked at only
when a day is revised, so they go to an archive where there is one, and take no memory.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from cuepoint.models import region_kernel, trend_kernel
from cuepoint.schemas.errors import SnapshotError

REVISABLE_DAYS = 56
SPACING = 14
Rows = NDArray[np.int64]
States = NDArray[np.float32]
_WIDTHS = (trend_kernel.WIDTH, region_kernel.WIDTH)
Stored = tuple[int, int, str]  # day, assets, name in the archive ("": its arrays stand in the snapshot)


class Archive(Protocol):
    """Keeps blobs outside of memory, each under a name that says what is in it."""

    def put(self, parts: Sequence[NDArray[Any]]) -> str | None:
        """The name of these bytes, safe from a crash; None if they cannot be kept now."""

    def size(self, name: str) -> int:
        """In bytes; -1 if it is not there."""

    def get(self, name: str) -> NDArray[np.uint8]:
        """What was put there, to be read only. Raises SnapshotError if it is not there whole."""

    def keep(self, names: Collection[str]) -> None:
        """All others may go."""


class Arrays(NamedTuple):
    """Filter and regions, (assets, width) each."""

    trend: States
    region: States

    @classmethod
    def empty(cls, assets: int) -> Arrays:
        trend, region = (np.zeros((assets, width), dtype=np.float32) for width in _WIDTHS)
        trend[:, trend_kernel.AGE] = trend_kernel.NEVER
        return cls(trend, region)

    @classmethod
    def of(cls, data: NDArray[np.uint8], assets: int) -> Arrays:
        """A view of the bytes of both, one after the other. Raises SnapshotError if their number does not fit."""
        if len(data) != cls.size_of(assets):
            raise SnapshotError("trend state: truncated")
        cells, border = data.view(np.float32), assets * _WIDTHS[0]
        return cls(cells[:border].reshape(assets, _WIDTHS[0]), cells[border:].reshape(assets, _WIDTHS[1]))

    @staticmethod
    def size_of(assets: int) -> int:
        """In bytes."""
        return 4 * assets * sum(_WIDTHS)

    def grow(self, assets: int) -> None:
        """In place: the system moves pages, nothing is copied."""
        before = len(self.trend)
        for array in self:
            array.resize((assets, array.shape[1]), refcheck=False)
        self.trend[before:, trend_kernel.AGE] = trend_kernel.NEVER

    def put(self, rows: Rows, source: Arrays, source_rows: Rows) -> None:
        for array, other in zip(self, source, strict=True):
            array[rows] = other[source_rows]

    def copy(self) -> Arrays:
        return Arrays(*(array.copy() for array in self))


class _Base:
    """In the archive under ``name``, or here in ``arrays``."""

    __slots__ = ("arrays", "assets", "name")

    def __init__(self, assets: int, name: str, arrays: Arrays | None) -> None:
        self.assets, self.name, self.arrays = assets, name, arrays


class Bases:
    """By day: the state after that day."""

    def __init__(self, archive: Archive | None = None) -> None:
        self._archive = archive
        self._by_day: dict[int, _Base] = {}

    @property
    def archived(self) -> list[str]:
        """What must stay in the archive."""
        return [base.name for base in self._by_day.values() if base.name]

    def take(self, day: int, now: Arrays) -> None:
        """Keep the state after ``day``, where one is due; drop what no revisable day needs any more."""
        if day % SPACING == 0:
            name = self._archive.put(now) if self._archive else None
            self._by_day[day] = _Base(len(now.trend), name or "", None if name else now.copy())
        oldest = max((d for d in self._by_day if d <= day - REVISABLE_DAYS), default=0)
        for old in [d for d in self._by_day if d < oldest]:
            del self._by_day[old]

    def settle(self) -> None:
        """Put into the archive what revisions have changed."""
        archive = self._archive
        for base in self._by_day.values():
            if archive is not None and base.arrays is not None and (name := archive.put(base.arrays)):
                base.name, base.arrays = name, None

    def read(self, before: int, rows: Rows) -> tuple[int | None, Arrays]:
        """The last day kept before the day ``before``, None if there is none, and the state of ``rows`` after it."""
        day = max((d for d in self._by_day if d < before), default=None)
        found = Arrays.empty(len(rows))
        if day is not None:
            base = self._by_day[day]
            known = np.flatnonzero(rows < base.assets)
            found.put(known, self._arrays(base), rows[known])
        return day, found

    def revise(self, day: int, rows: Rows, now: Arrays) -> None:
        """The state of ``rows`` after ``day`` was another, if that day is kept."""
        base = self._by_day.get(day)
        if base is None:
            return
        if base.arrays is None:
            base.arrays, base.name = self._arrays(base).copy(), ""
        if len(rows) and int(rows.max()) >= base.assets:
            base.assets = int(rows.max()) + 1
            base.arrays.grow(base.assets)
        base.arrays.put(rows, now, rows)

    def _arrays(self, base: _Base) -> Arrays:
        if base.arrays is not None:
            return base.arrays
        assert self._archive is not None
        return Arrays.of(self._archive.get(base.name), base.assets)

    def to_value(self) -> tuple[list[Stored], list[States]]:
        """What a snapshot holds: names, and the arrays of those that have none."""
        stored = [(day, base.assets, base.name) for day, base in sorted(self._by_day.items())]
        held = [base.arrays for _, base in sorted(self._by_day.items()) if base.arrays is not None]
        return stored, [array for arrays in held for array in arrays]

    def load(self, stored: Sequence[Stored], data: NDArray[np.uint8]) -> None:
        """Take over what ``to_value`` gave. Raises SnapshotError where something is missing."""
        for day, assets, name in stored:
            if name:
                if self._archive is None:
                    raise SnapshotError("trend state: an earlier state lies in an archive, and none was given")
                if self._archive.size(name) != Arrays.size_of(assets):
                    raise SnapshotError(
                        f"trend state: {name} of the archive, an earlier state, is missing or truncated"
                    )
                self._by_day[day] = _Base(assets, name, None)
            else:
                size = Arrays.size_of(assets)
                self._by_day[day] = _Base(assets, "", Arrays.of(data[:size], assets).copy())
                data = data[size:]
        if len(data):
            raise SnapshotError("trend state: more bytes than it speaks of")

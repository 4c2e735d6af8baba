"""Which hyperparameters a day is scored with: those of the file, until versions told in the log take over.

A version holds from its day on until a higher one does. So what holds on a day is a function of the versions alone,
not of the order they came in, and a day that is scored again is scored with those of its date.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cuepoint.models import trend_kernel
from cuepoint.models.trend_params import TrendParams, params_of, values_of
from cuepoint.schemas.errors import ContractError, SnapshotError

Stated = tuple[int, int, int, dict[str, Any]]  # as TrendVersion, the hyperparameters by name


class TrendVersion(NamedTuple):
    """``from_day``: ordinal. Of two with the same number the one made later holds."""

    from_day: int
    version: int
    made_at: int
    params: TrendParams

    @property
    def rank(self) -> tuple[int, int]:
        return self.version, self.made_at


class TrendVersions:
    """``first``: what holds where no version does.

    >>> versions = TrendVersions(TrendParams())
    >>> versions.add(TrendVersion(9, 2, 0, TrendParams(tail=5.0))), versions.add(TrendVersion(7, 1, 0, TrendParams()))
    (9, 7)
    >>> versions.add(TrendVersion(12, 1, 0, TrendParams(tail=9.0)))  # never holds: 2 does
    >>> [versions.number(day) for day in (6, 8, 12)], versions.on(12)[0].tail
    ([0, 1, 2], 5.0)
    """

    def __init__(self, first: TrendParams) -> None:
        self._first = TrendVersion(0, 0, 0, first)
        self._held: list[TrendVersion] = []  # by day, and so by rank: others never hold
        self._tables: dict[TrendParams, NDArray[np.float64]] = {}

    def on(self, day: int) -> tuple[TrendParams, NDArray[np.float64]]:
        """What holds on a day, with ``trend_kernel.tables`` of it."""
        params = self._of(day).params
        tables = self._tables.get(params)
        if tables is None:
            tables = self._tables[params] = trend_kernel.tables(params)
        return params, tables

    def number(self, day: int) -> int:
        """The version that holds on a day; 0: none."""
        return self._of(day).version

    def add(self, version: TrendVersion) -> int | None:
        """Take one in. The first day that has others than before; None if none has."""
        rivals = [held for held in self._held if held.from_day <= version.from_day]
        if any(held.rank >= version.rank for held in rivals):
            return None
        later = [held for held in self._held if held.from_day > version.from_day and held.rank > version.rank]
        self._held = [*(held for held in rivals if held.from_day < version.from_day), version, *later]
        return version.from_day

    def forget(self, before: int) -> None:
        """Days before this one are never scored again."""
        while len(self._held) > 1 and self._held[1].from_day <= before:
            del self._held[0]

    def to_value(self) -> list[Stated]:
        """For a snapshot; ``first`` is not part of it."""
        return [(v.from_day, v.version, v.made_at, values_of(v.params)) for v in self._held]

    def load(self, stated: Sequence[Stated]) -> None:
        """Take over what ``to_value`` gave. Raises SnapshotError for hyperparameters this program does not know."""
        try:
            self._held = [TrendVersion(day, number, at, params_of(values)) for day, number, at, values in stated]
        except ContractError as error:
            raise SnapshotError(f"trend state: hyperparameters of another program ({error})") from error

    def _of(self, day: int) -> TrendVersion:
        return next((held for held in reversed(self._held) if held.from_day <= day), self._first)

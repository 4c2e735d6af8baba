"""What reports say of unknown assets, held until metadata names them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import NamedTuple

from cuepoint.schemas.quarantine import Quarantined


class _Key(NamedTuple):
    """In this order rows are released: by day."""

    day: dt.date
    dsp: str
    territory: str
    part: str


class Quarantine:
    """Rows by report and part, a part being an asset's first identifier. At most ``most`` of them."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._rows: dict[_Key, Quarantined] = {}  # oldest first
        self._named: dict[str, set[_Key]] = {}

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Quarantined]:
        """In the order in which they came."""
        return iter(self._rows.values())

    def add(self, row: Quarantined) -> list[Quarantined]:
        """Hold a row, in place of one of the same report and part and no higher version. Those that must go for it:
        the oldest, where there are too many."""
        key = _Key(row.day, row.dsp, row.territory, row.identifiers[0])
        known = self._rows.get(key)
        if known is not None and known.report_version > row.report_version:
            return []
        self._drop(key)
        self._rows[key] = row
        for name in row.identifiers:
            self._named.setdefault(name, set()).add(key)
        return [self._drop_known(next(iter(self._rows))) for _ in range(len(self._rows) - self._most)]

    def forget_report(self, dsp: str, territory: str, day: dt.date, below: int) -> None:
        """The report's rows of a version lower than ``below`` hold no longer."""
        gone = [
            key
            for key, row in self._rows.items()
            if (key.day, key.dsp, key.territory) == (day, dsp, territory) and row.report_version < below
        ]
        for key in gone:
            self._drop(key)

    def release(self, names: list[str]) -> list[Quarantined]:
        """Rows of the asset that has these identifiers, by day; they are held no longer."""
        keys = {key for name in names for key in self._named.get(name, ())}
        return [self._drop_known(key) for key in sorted(keys)]

    def _drop(self, key: _Key) -> None:
        if key in self._rows:
            self._drop_known(key)

    def _drop_known(self, key: _Key) -> Quarantined:
        row = self._rows.pop(key)
        for name in row.identifiers:
            keys = self._named[name]
            keys.discard(key)
            if not keys:
                del self._named[name]
        return row

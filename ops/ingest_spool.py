"""Rows on disk until a file is read to its end, then handed out report by report.

A report must be whole before it is opened on the topic, files need not be sorted, and memory is bounded: so the rows go
through a temporary SQLite database.
"""

from __future__ import annotations

import datetime as dt
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from cuepoint.schemas.codec import decoder, encode
from cuepoint.schemas.errors import ConfigurationError
from cuepoint.schemas.trends import Asset, TrendRecord

_ORDER = "day, dsp, territory, version"
_BATCH_ROWS = 10_000
_SCHEMA = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
PRAGMA temp_store = FILE;
CREATE TABLE record (day TEXT, dsp TEXT, territory TEXT, version INTEGER, asset_id TEXT, count INTEGER);
CREATE TABLE asset (asset_id TEXT PRIMARY KEY, value BLOB, day TEXT) WITHOUT ROWID;
"""
_LATEST_ASSET = """
INSERT INTO asset VALUES (?, ?, ?)
ON CONFLICT (asset_id) DO UPDATE SET value = excluded.value, day = excluded.day WHERE excluded.day >= asset.day
"""


class Report(NamedTuple):
    """What a report is known by."""

    dsp: str
    territory: str
    day: dt.date
    version: int


class Spool:
    """Collects records and assets; use as a context manager, which removes the database."""

    def __init__(self, folder: Path) -> None:
        """Raises ConfigurationError where ``folder`` cannot be written."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._folder = tempfile.TemporaryDirectory(prefix="ingest-", dir=folder)
            self._db = sqlite3.connect(Path(self._folder.name) / "spool.db", isolation_level=None)
            self._db.executescript(_SCHEMA)
        except (OSError, sqlite3.Error) as error:
            raise _cannot_write(folder, error) from None
        self._records: list[tuple[str, str, str, int, str, int]] = []
        self._assets: dict[str, tuple[Asset, str]] = {}

    def __enter__(self) -> Spool:
        self._db.execute("BEGIN")
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()
        self._folder.cleanup()

    def add(self, record: TrendRecord, asset: Asset | None) -> None:
        """Keep a record; of an asset's metadata the one of its latest day counts."""
        day = record.day.isoformat()
        key = (day, record.dsp, record.territory, record.report_version, record.asset_id, record.count)
        self._records.append(key)
        if asset is not None:
            known = self._assets.get(record.asset_id)
            if known is None or day >= known[1]:
                self._assets[record.asset_id] = (asset, day)
        if len(self._records) >= _BATCH_ROWS:
            self._write()

    def assets(self) -> Iterator[Asset]:
        """Every asset once, by id."""
        self._write()
        decode = decoder(Asset).decode
        for (value,) in self._db.execute("SELECT value FROM asset ORDER BY asset_id"):
            yield decode(value)

    def reports(self) -> list[tuple[Report, int]]:
        """The reports by day, each with its number of records."""
        self._write()
        found = self._db.execute(
            f"SELECT dsp, territory, day, version, count(*) FROM record GROUP BY {_ORDER} ORDER BY {_ORDER}"  # noqa: S608
        )
        return [(Report(dsp, where, dt.date.fromisoformat(day), version), n) for dsp, where, day, version, n in found]

    def records(self) -> Iterator[TrendRecord]:
        """All records in the order of ``reports``, and within a report in that of the file."""
        self._write()
        found = self._db.execute(
            f"SELECT asset_id, day, dsp, territory, count, version FROM record ORDER BY {_ORDER}, rowid"  # noqa: S608
        )
        for asset_id, day, dsp, territory, count, version in found:
            yield TrendRecord(
                asset_id=asset_id,
                day=dt.date.fromisoformat(day),
                dsp=dsp,
                territory=territory,
                count=count,
                report_version=version,
            )

    def _write(self) -> None:
        assets = ((asset_id, encode(asset), day) for asset_id, (asset, day) in self._assets.items())
        try:
            self._db.executemany("INSERT INTO record VALUES (?, ?, ?, ?, ?, ?)", self._records)
            self._db.executemany(_LATEST_ASSET, assets)
        except sqlite3.Error as error:
            raise _cannot_write(Path(self._folder.name), error) from None
        self._records.clear()
        self._assets.clear()


def _cannot_write(folder: Path, error: Exception) -> ConfigurationError:
    return ConfigurationError(
        f"cannot write temporary rows into {folder} ({error}): "
        "free some space, or set CUEPOINT_DATA_DIR to a folder that can be written"
    )

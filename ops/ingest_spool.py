"""Rows on disk until a file is read to its end, then added up and handed out report by report.

A report must be whole before it is opened on the topic, files need not be sorted, and memory is bounded: so the rows go
through a temporary DuckDB database. Of a person it holds a keyed hash (BLAKE2b, 64 bits) whose random key is in this
process's memory only and differs from run to run: it tells two persons apart, and nothing else.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import itertools
import secrets
import tempfile
from array import array
from collections.abc import Iterator, Sequence
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import pyarrow as pa

from cuepoint.models.ingest_privacy import Group, Tally
from cuepoint.ops.ingest_rows import AssetKey, Report, Row
from cuepoint.schemas.codec import decoder, encode
from cuepoint.schemas.errors import ConfigurationError
from cuepoint.schemas.trends import Asset

_BATCH_ROWS = 1 << 16
_ENTRY = pa.schema(
    {
        "report": pa.int32(),
        "asset": pa.int32(),
        "cell": pa.int32(),
        "who": pa.uint64(),
        "count": pa.int64(),
        "seconds": pa.int64(),
        "completed": pa.int64(),
        "listeners": pa.int64(),
    }
)
_SCHEMA = """
CREATE TABLE entry (report INTEGER, asset INTEGER, cell INTEGER, who UBIGINT, count BIGINT, seconds BIGINT,
                    completed BIGINT, listeners BIGINT);
CREATE TABLE about (asset VARCHAR, value BLOB, day DATE, batch INTEGER);
CREATE TABLE place (report INTEGER, rank INTEGER);
CREATE TABLE meant (asset INTEGER, item INTEGER, known BOOLEAN);
"""
_ADDED_UP = """
SELECT rank, item, cell, who, sum(count)::BIGINT, sum(seconds)::BIGINT, sum(completed)::BIGINT, sum(listeners)::BIGINT
FROM entry JOIN place USING (report) JOIN meant USING (asset) WHERE known = ?
GROUP BY rank, item, cell, who ORDER BY rank, item, cell, who
"""
_LATEST = "SELECT arg_max(value, (day, batch)) FROM about GROUP BY asset ORDER BY asset"


class Part(NamedTuple):
    """What one report says of one asset: ``item`` is the asset's place in the list handed to ``settle``."""

    rank: int
    item: int
    cells: dict[Group, Tally]


class Spool:
    """Collects rows; use as a context manager, which removes the database."""

    def __init__(self, folder: Path, memory_bytes: int = 1 << 28) -> None:
        """Raises ConfigurationError where ``folder`` cannot be written."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._folder = tempfile.TemporaryDirectory(prefix="ingest-", dir=folder)
            place = Path(self._folder.name)
            settings: dict[str, str | bool | int | float | list[str]] = {
                "memory_limit": f"{memory_bytes}B",
                "temp_directory": str(place / "sort"),
                "threads": 2,
            }
            self._db = duckdb.connect(place / "spool.db", config=settings)
            self._db.execute(_SCHEMA)
        except (OSError, duckdb.Error) as error:
            raise _cannot_write(folder, error) from None
        self._key = secrets.token_bytes(32)
        self._reports: dict[Report, int] = {}
        self._assets: dict[AssetKey, int] = {}
        self._groups: dict[Group, int] = {}
        self._entries: list[tuple[int, int, int, int | None, int, int, int | None, int | None]] = []
        self._about: dict[str, tuple[Asset, dt.date]] = {}
        self._batch = 0

    def __enter__(self) -> Spool:
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()
        self._folder.cleanup()

    @property
    def assets(self) -> Sequence[AssetKey]:
        """What the rows call their assets, each once."""
        return list(self._assets)

    def add(self, row: Row) -> None:
        """Keep a row; of an asset's metadata the one of its latest day counts."""
        report = self._reports.setdefault(row.report, len(self._reports))
        asset = self._assets.setdefault(row.asset, len(self._assets))
        group = self._groups.setdefault(row.group, len(self._groups))
        who = None if row.person is None else self._number_of(row.person)
        self._entries.append((report, asset, group, who, row.streams, row.played_seconds, row.completed, row.listeners))
        if row.about is not None:
            known = self._about.get(row.about.asset_id)
            if known is None or row.report.day >= known[1]:
                self._about[row.about.asset_id] = (row.about, row.report.day)
        if len(self._entries) >= _BATCH_ROWS:
            self._write()

    def metadata(self) -> Iterator[Asset]:
        """Every asset the rows tell of, once, by id."""
        self._write()
        decode = decoder(Asset).decode
        for (value,) in self._rows(self._run(_LATEST)):
            yield decode(value)

    def settle(self, known: Sequence[bool], items: Sequence[int]) -> list[Report]:
        """Say of each of ``assets`` whether it is known, and which item it is (two may be the same). The reports by
        day."""
        self._write()
        ordered = sorted(self._reports, key=lambda report: (report.day, report.dsp, report.territory, report.version))
        self._insert("place", {"report": [self._reports[r] for r in ordered], "rank": list(range(len(ordered)))})
        self._insert("meant", {"asset": list(range(len(known))), "item": list(items), "known": list(known)})
        return ordered

    def sizes(self) -> dict[int, int]:
        """Rank -> number of known assets of that report."""
        found = self._run(
            "SELECT rank, count(DISTINCT item) FROM entry JOIN place USING (report) JOIN meant USING (asset) "
            "WHERE known GROUP BY rank"
        )
        return dict(found.fetchall())

    def parts(self, known: bool) -> Iterator[Part]:
        """All there is of known (or unknown) assets, by rank and item."""
        groups = list(self._groups)
        rows = self._rows(self._run(_ADDED_UP, [known]))
        for (rank, item), of_asset in itertools.groupby(rows, key=itemgetter(0, 1)):
            cells = {
                groups[cell]: _tally(list(of_cell)) for cell, of_cell in itertools.groupby(of_asset, itemgetter(2))
            }
            yield Part(rank, item, cells)

    def _rows(self, found: Any) -> Iterator[tuple[Any, ...]]:
        try:
            for batch in found.to_arrow_reader(_BATCH_ROWS):
                yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)
        except duckdb.Error as error:
            raise _cannot_write(Path(self._folder.name), error) from None

    def _number_of(self, person: str) -> int:
        return int.from_bytes(hashlib.blake2b(person.encode(errors="replace"), key=self._key, digest_size=8).digest())

    def _write(self) -> None:
        if self._entries:
            columns = list(zip(*self._entries, strict=True))
            self._insert(
                "entry", {name: list(column) for name, column in zip(_ENTRY.names, columns, strict=True)}, _ENTRY
            )
        if self._about:
            rows = [(name, encode(asset), day, self._batch) for name, (asset, day) in self._about.items()]
            names, values, days, batches = (list(column) for column in zip(*rows, strict=True))
            self._insert("about", {"asset": names, "value": values, "day": days, "batch": batches})
        self._entries.clear()
        self._about.clear()
        self._batch += 1

    def _insert(self, table: str, columns: dict[str, list[Any]], schema: pa.Schema | None = None) -> None:
        rows = pa.table(columns, schema=schema)
        if rows.num_rows:
            try:
                self._db.register("rows", rows)
                self._db.execute(f"INSERT INTO {table} SELECT * FROM rows")  # noqa: S608
                self._db.unregister("rows")
            except duckdb.Error as error:
                raise _cannot_write(Path(self._folder.name), error) from None

    def _run(self, query: str, values: list[Any] | None = None) -> Any:
        try:
            return self._db.cursor().sql(query, params=values)
        except duckdb.Error as error:
            raise _cannot_write(Path(self._folder.name), error) from None


def _tally(rows: list[tuple[Any, ...]]) -> Tally:
    """Rows of one cell: (rank, item, cell, who, count, seconds, completed, listeners), a row for each person."""
    members = array("Q", [row[3] for row in rows if row[3] is not None])
    completed = [row[6] for row in rows if row[6] is not None]
    listeners = [row[7] for row in rows if row[7] is not None]
    return Tally(
        sum(row[4] for row in rows),
        sum(row[5] for row in rows),
        sum(completed) if completed else None,
        members or None,
        sum(listeners) if listeners else None,
    )


def _cannot_write(folder: Path, error: Exception) -> ConfigurationError:
    said = " ".join(str(error).split())[:300]
    return ConfigurationError(
        f"cannot keep temporary rows in {folder} ({said}): "
        "free some space, or set CUEPOINT_DATA_DIR to a folder that can be written"
    )

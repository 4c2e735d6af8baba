"""The Parquet files of the consumption store: what is in a row, how rows become a file, how files become fewer."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Sequence
from operator import attrgetter
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import numpy as np
from numpy.typing import NDArray

from cuepoint.schemas.consumption import Consumption
from cuepoint.schemas.errors import Unavailable

DIMENSIONS = (
    "asset_id",
    "day",
    "dsp",
    "territory",
    "region",
    "gender",
    "age_band",
    "subscription",
    "context",
    "activity",
    "container",
    "container_name",
    "device",
)
MEASURES = ("count", "consumers", "played_seconds", "completed")
_TEXTS = tuple(name for name in DIMENSIONS if name != "day")
_NULLABLE = ("consumers", "completed")
_EPOCH = dt.date(1970, 1, 1)
_ORDER = "asset_id, day, dsp, territory"
# A row group is what a look at one asset reads; DuckDB's own choice, a multiple of its vectors.
_FORM = "(FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 122880)"


class Row(NamedTuple):
    """A cell and the delivery of a report it came with."""

    report_id: int
    cell: Consumption


class Written(NamedTuple):
    """A file that is whole on the disk, and not yet in the catalogue. ``path`` is below the store's folder."""

    week: dt.date
    path: str
    rows: int
    bytes: int
    first_asset: str
    last_asset: str


def connect(threads: int, memory_bytes: int, scratch: Path | None = None) -> duckdb.DuckDBPyConnection:
    """A DuckDB of its own, in memory, that loads no extension and looks at no Python variable."""
    config: dict[str, str | bool | int | float | list[str]] = {
        "threads": threads,
        "memory_limit": f"{memory_bytes >> 20}MiB",
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
        "python_enable_replacements": False,
    }
    config["temp_directory"] = "" if scratch is None else str(scratch)  # else it is one in the working directory
    connection = duckdb.connect(config=config)
    connection.execute("SET GLOBAL parquet_metadata_cache = true").fetchall()  # a file never changes
    return connection


def week_of(day: dt.date) -> dt.date:
    """Its Monday.

    >>> week_of(dt.date(2026, 11, 22))
    datetime.date(2026, 11, 16)
    """
    return day - dt.timedelta(days=day.weekday())


class ParquetFiles:
    """Writes below ``root``; a name is never used twice, so a file is never changed. One thread at a time.

    Raises Unavailable (disk).
    """

    def __init__(self, root: Path, *, threads: int = 1, memory_bytes: int = 1 << 30) -> None:
        self._root = root
        self._connection = connect(threads, memory_bytes, root / "scratch")

    def write(self, rows: Sequence[Row], name: str) -> list[Written]:
        """A file a week of the rows."""
        columns = _columns(rows)
        weeks = (columns["day"] + _EPOCH.weekday()) // 7 * 7 - _EPOCH.weekday() + _EPOCH.toordinal()  # as week_of
        self._connection.register("arrived", columns | {"week": weeks})
        try:
            written = []
            for week in np.unique(weeks):
                selected = f"SELECT {_selection()} FROM arrived WHERE week = {int(week)} ORDER BY {_ORDER}"  # noqa: S608
                written.append(self._copy(selected, dt.date.fromordinal(int(week)), name, []))
            return written
        finally:
            self._connection.unregister("arrived")

    def merge(self, paths: Sequence[str], week: dt.date, dead: Sequence[int], name: str) -> Written | None:
        """The rows of some files of a week as one, without those of the ``dead`` reports; None where none is left."""
        source = f"read_parquet({quoted([str(self._root / path) for path in paths])})"
        self._connection.register("dead", {"report_id": np.array(dead, dtype=np.int64)})
        try:
            kept = f"FROM {source} WHERE report_id NOT IN (SELECT report_id FROM dead)"  # noqa: S608
            written = self._copy(f"SELECT * {kept} ORDER BY {_ORDER}", week, name, paths)
        finally:
            self._connection.unregister("dead")
        if written.rows:
            return written
        (self._root / written.path).unlink()
        return None

    def delete(self, path: str) -> None:
        (self._root / path).unlink(missing_ok=True)

    def _copy(self, select: str, week: dt.date, name: str, sources: Sequence[str]) -> Written:
        folder = self._root / f"week={week.isoformat()}"
        target = folder / f"{name}.parquet"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._connection.execute(f"COPY ({select}) TO {quoted(str(target))} {_FORM}").fetchall()
            _sync(target)
            _sync(folder)
            found = self._connection.execute(
                f"SELECT count(*), min(asset_id), max(asset_id) FROM read_parquet({quoted(str(target))})"  # noqa: S608
            ).fetchall()[0]
            path, size = f"{folder.name}/{target.name}", target.stat().st_size
            return Written(week, path, found[0], size, found[1] or "", found[2] or "")
        except (duckdb.IOException, duckdb.OutOfMemoryException, OSError) as error:
            target.unlink(missing_ok=True)
            raise Unavailable(f"the consumption store cannot write {target.name}: {error}") from error


def quoted(value: str | Sequence[str]) -> str:
    """A text, or a list of texts, as an SQL literal.

    >>> quoted("it's"), quoted(["a", "b"])
    ("'it''s'", "['a', 'b']")
    """
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    return "[" + ", ".join(quoted(each) for each in value) + "]"


def _columns(rows: Sequence[Row]) -> dict[str, NDArray[Any]]:
    cells = [row.cell for row in rows]
    columns: dict[str, NDArray[Any]] = {}
    for name in _TEXTS:
        columns[name] = np.array(list(map(attrgetter(name), cells)), dtype=object)
    columns["day"] = np.array([cell.day.toordinal() for cell in cells], dtype=np.int64) - _EPOCH.toordinal()
    for name in ("count", "played_seconds"):
        columns[name] = np.array(list(map(attrgetter(name), cells)), dtype=np.int64)
    for name in _NULLABLE:
        columns[name] = np.array(list(map(attrgetter(name), cells)), dtype=np.float64)  # None: nan; exact to 2**53
    columns["report_id"] = np.array([row.report_id for row in rows], dtype=np.int64)
    return columns


def _selection() -> str:
    """The columns as they stand in a file."""
    texts = [f"{name}::VARCHAR AS {name}" for name in _TEXTS]
    day = "(DATE '1970-01-01' + day::INTEGER)::DATE AS day"
    numbers = ["count", "played_seconds", "report_id"]
    nullable = [f"CASE WHEN isnan({name}) THEN NULL ELSE {name}::BIGINT END AS {name}" for name in _NULLABLE]
    return ", ".join((texts[0], day, *texts[1:], *numbers, *nullable))


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

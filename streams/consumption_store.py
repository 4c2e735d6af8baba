"""Reading the consumption store while it is being written: cells of an asset, totals by any dimension, what is in."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Engine, select

from cuepoint.schemas.errors import CuepointError, Unavailable
from cuepoint.streams.consumption_files import DIMENSIONS, MEASURES, connect, quoted, week_of
from cuepoint.streams.database import reading
from cuepoint.streams.producer import partition_of
from cuepoint.streams.tables import CONSUMPTION_FILES as FILES
from cuepoint.streams.tables import CONSUMPTION_REPORTS as REPORTS

Columns = dict[str, NDArray[Any]]
_NULLABLE = ("consumers", "completed")
_SUMS = ", ".join(f"sum({name})::BIGINT AS {name}" for name in MEASURES)


class TooSlow(CuepointError):
    """A query was given up: it took too long, or more memory than it may."""


@dataclass(frozen=True, slots=True)
class Where:
    """Which rows; empty: all. Days are included. ``dimensions`` maps a name of DIMENSIONS to the values wanted."""

    assets: Sequence[str] = ()
    first_day: dt.date | None = None
    last_day: dt.date | None = None
    dimensions: Mapping[str, Sequence[str]] = field(default_factory=dict)


class Watermark(NamedTuple):
    """What is stored of a report: its newest settled ``version``. ``complete``: all partitions have their part;
    ``withdrawn``: taken back, so no row of it is seen."""

    dsp: str
    territory: str
    day: dt.date
    version: int
    rows: int
    complete: bool
    withdrawn: bool


class View(NamedTuple):
    """The files to read, and the reports in them that are not to be seen, at one moment."""

    paths: list[str]
    hidden: list[int]


class ConsumptionStore:
    """Read-only, synchronous, for any number of threads. All raise Unavailable (database, disk) and TooSlow.

    With ``partitions``, the topic's number of them, an asset is looked for in the files of its own only.
    """

    def __init__(
        self,
        root: Path,
        engine: Engine,
        *,
        partitions: int | None = None,
        threads: int = 2,
        memory_bytes: int = 512 << 20,
        timeout_s: float = 30.0,
    ) -> None:
        self._partitions, self._checked = partitions, set[str]()
        self._root, self._engine = root, engine
        self.threads, self.memory_bytes, self.timeout_s = threads, memory_bytes, timeout_s
        self._database = connect(threads, memory_bytes)

    def cells(self, asset_id: str, first_day: dt.date, last_day: dt.date) -> Columns:
        """The asset's consumption, days included: one array a column, ordered by day. Cells alike in all dimensions are
        one. ``day`` datetime64[D], ``count`` and ``played_seconds`` int64, ``consumers`` and ``completed`` float64
        (nan: not said), the other dimensions object."""
        return self.totals(DIMENSIONS[1:], Where((asset_id,), first_day, last_day))

    def totals(
        self, by: Sequence[str], where: Where | None = None, *, limit: int | None = None, offset: int = 0
    ) -> Columns:
        """Sums of the measures for each combination of the dimensions ``by``, in their order; columns as in ``cells``.

        ``consumers`` adds up persons per cell: a person in two cells counts twice. Raises ValueError for a dimension
        that does not exist.
        """
        where = where or Where()
        unknown = [name for name in (*by, *where.dimensions) if name not in DIMENSIONS]
        if unknown:
            raise ValueError(f"{unknown[0]} is no dimension: choose of {', '.join(DIMENSIONS)}")
        columns = ", ".join(by)
        query = f"SELECT {columns + ', ' if by else ''}{_SUMS} FROM {{source}} WHERE {{wanted}}"  # noqa: S608
        if by:
            query += f" GROUP BY {columns} ORDER BY {columns}"
        if limit is not None:
            query += f" LIMIT {int(limit)} OFFSET {int(offset)}"
        return self._query(query, by, where)

    def watermarks(self, first_day: dt.date | None = None, last_day: dt.date | None = None) -> list[Watermark]:
        """What is stored of each report of the days, ordered by day, DSP and territory."""
        rows = select(REPORTS).where(REPORTS.c.asset_id == "", REPORTS.c.status.in_(("complete", "withdrawn")))
        rows = rows.where(REPORTS.c.day >= first_day) if first_day else rows
        rows = rows.where(REPORTS.c.day <= last_day) if last_day else rows
        reports: dict[tuple[dt.date, str, str], list[Any]] = {}
        with reading(self._engine) as connection:
            for row in connection.execute(rows):
                reports.setdefault((row.day, row.dsp, row.territory), []).append(row)
        return [_watermark(*key, reports[key]) for key in sorted(reports)]

    def view(self, where: Where | None = None) -> View:
        """What has to be read for the rows asked for."""
        where = where or Where()
        with _steady(self._engine) as connection:
            files = select(FILES).where(FILES.c.removed_at.is_(None))
            hidden = select(REPORTS.c.report_id).where(REPORTS.c.status != "complete", REPORTS.c.rows > 0)
            if where.first_day:
                files = files.where(FILES.c.week >= week_of(where.first_day))
                hidden = hidden.where(REPORTS.c.day >= where.first_day)
            if where.last_day:
                files = files.where(FILES.c.week <= week_of(where.last_day))
                hidden = hidden.where(REPORTS.c.day <= where.last_day)
            live, ids = list(connection.execute(files)), list(connection.scalars(hidden))
        return View([str(self._root / file.path) for file in self._holding(live, where.assets)], ids)

    def _holding(self, files: Sequence[Any], assets: Sequence[str]) -> list[Any]:
        """Those that may have one of the assets (none given: all)."""
        if not assets:
            return list(files)
        found = [file for file in files if any(file.first_asset <= asset <= file.last_asset for asset in assets)]
        if self._partitions is None or not all(self._is_at_home(file) for file in found):
            return found
        homes = {partition_of(asset.encode(), self._partitions) for asset in assets}
        return [file for file in found if file.partition in homes]

    def _is_at_home(self, file: Any) -> bool:
        """Whether the file's assets belong to its partition: not so where the number of partitions is another."""
        if file.path not in self._checked:
            ends = (file.first_asset, file.last_asset)
            if any(partition_of(asset.encode(), self._partitions or 1) != file.partition for asset in ends):
                return False
            self._checked.add(file.path)
        return True

    def _query(self, query: str, by: Sequence[str], where: Where) -> Columns:
        view = self.view(where)
        try:
            return self._read(query, by, where, view)
        except duckdb.IOException:  # the files were merged, and those merged removed, since we looked
            try:
                return self._read(query, by, where, self.view(where))
            except duckdb.IOException as error:
                raise Unavailable(f"the consumption store cannot be read: {error}") from error

    def _read(self, query: str, by: Sequence[str], where: Where, view: View) -> Columns:
        if not view.paths:
            return _empty(by)
        wanted, values = _wanted(where, view.hidden)
        source = f"read_parquet({quoted(view.paths)})"
        with timed(self._database.cursor(), self.timeout_s) as cursor:
            found = cursor.execute(query.format(source=source, wanted=wanted), values).fetchnumpy()
        return _tidied(found)


@contextmanager
def timed(cursor: duckdb.DuckDBPyConnection, timeout_s: float) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection whose queries end after so long; closed at the end. Raises TooSlow."""
    timer = threading.Timer(timeout_s, cursor.interrupt)
    timer.start()
    try:
        yield cursor
    except duckdb.InterruptException as error:
        raise TooSlow(f"the query took longer than {timeout_s:g} s: ask for fewer days or assets") from error
    except duckdb.OutOfMemoryException as error:
        raise TooSlow("the query needs more memory than it may have: ask for fewer days or dimensions") from error
    finally:
        timer.cancel()
        cursor.close()


@contextmanager
def _steady(engine: Engine) -> Iterator[Connection]:
    """A transaction all statements of which see the same moment (SQLite's do anyway)."""
    steady = engine.execution_options(isolation_level="REPEATABLE READ") if engine.dialect.name != "sqlite" else engine
    with reading(steady) as connection:
        yield connection


def hidden_clause(hidden: Sequence[int]) -> str:
    """The condition that leaves out the reports not to be seen."""
    return f"report_id NOT IN ({', '.join(map(str, hidden))})" if hidden else "true"


def _wanted(where: Where, hidden: Sequence[int]) -> tuple[str, list[Any]]:
    """The condition, and its parameters: whatever a caller gives goes in as one of these."""
    parts = [hidden_clause(hidden)]
    values: list[Any] = []
    lists = dict(where.dimensions)
    if where.assets:
        lists["asset_id"] = where.assets
    for name, wanted in lists.items():
        parts.append(f"{name} IN ({', '.join('?' * len(wanted))})")
        values += wanted
    for sign, day in ((">=", where.first_day), ("<=", where.last_day)):
        if day is not None:
            parts.append(f"day {sign} ?")
            values.append(day)
    return " AND ".join(parts), values


def _tidied(found: Mapping[str, Any]) -> Columns:
    columns: Columns = {}
    for name, column in found.items():
        if name == "day":
            columns[name] = np.asarray(column).astype("datetime64[D]")
        elif name in _NULLABLE:
            columns[name] = np.ma.filled(np.ma.asarray(column).astype(np.float64), np.nan)
        elif name in MEASURES:
            columns[name] = np.ma.filled(column, 0).astype(np.int64)
        else:
            columns[name] = np.asarray(column, dtype=object)
    return columns


def _empty(by: Sequence[str]) -> Columns:
    kinds = {"day": "datetime64[D]", "count": "int64", "played_seconds": "int64"} | dict.fromkeys(_NULLABLE, "float64")
    return {name: np.empty(0, dtype=kinds.get(name, "object")) for name in (*by, *MEASURES)}


def _watermark(day: dt.date, dsp: str, territory: str, rows: Sequence[Any]) -> Watermark:
    version = max(row.version for row in rows)
    here = [row for row in rows if row.version == version]
    withdrawn = any(row.status == "withdrawn" for row in here)
    stored = 0 if withdrawn else sum(row.rows for row in here)
    complete = not withdrawn and stored == max(row.records for row in here)
    return Watermark(dsp, territory, day, version, stored, complete, withdrawn)

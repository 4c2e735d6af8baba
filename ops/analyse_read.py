"""A table of counts, of any shape DuckDB reads, as one day after another; sorted on disk where memory does not
suffice."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import duckdb
import msgspec
import numpy as np
import yaml
from numpy.typing import NDArray

from cuepoint.schemas.codec import explain
from cuepoint.schemas.errors import ConfigurationError

USUAL = {  # names a column may have where no mapping says otherwise, in lower case
    "asset": (
        "asset",
        "asset_id",
        "isrc",
        "track_id",
        "id",
        "track",
        "series",
        "series_id",
        "unique_id",
        "item",
        "name",
    ),
    "date": ("date", "day", "ds", "transaction_date", "report_date"),
    "count": ("count", "streams", "plays", "y", "value", "quantity", "views", "counts", "total"),
    "market": ("market",),
}
NEEDED = ("asset", "date", "count")
_READERS = {".csv": "csv", ".tsv": "csv", ".txt": "csv", ".parquet": "parquet", ".jsonl": "json", ".ndjson": "json"}
Floats = NDArray[np.float64]


class Columns(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A mapping file (YAML): ``columns`` names the file's column of asset, date, count and, where there is one, market;
    ``date_format`` is strptime's, ISO 8601 where empty."""

    columns: dict[str, str] = {}
    date_format: str = ""


class Day(NamedTuple):
    """Day ordinal and the counts of all series, NaN where the file has no row."""

    day: int
    counts: Floats


def load_columns(path: Path | None) -> Columns:
    """The mapping of a file, or the usual names. Raises ConfigurationError naming what is wrong."""
    if path is None:
        return Columns()
    try:
        columns = msgspec.convert(yaml.safe_load(path.read_text(encoding="utf-8")), Columns)
    except OSError as error:
        raise ConfigurationError(f"mapping {path}: {error.strerror}") from error
    except (msgspec.ValidationError, yaml.YAMLError) as error:
        raise ConfigurationError(f"mapping {path}: {explain(error).reason}") from error
    if unknown := set(columns.columns) - set(USUAL):
        raise ConfigurationError(f"mapping {path}: columns.{min(unknown)} is none of {', '.join(USUAL)}")
    return columns


class CountTable:
    """Rows of an asset and day add up (services, contexts, territories). ``split`` names columns that make series of
    their own instead. Raises ConfigurationError for a file or column that is not there."""

    def __init__(
        self,
        path: Path,
        columns: Columns,
        *,
        split: Sequence[str] = (),
        memory_mb: int = 512,
        folder: Path | None = None,
    ) -> None:
        suffixes = [s for s in path.suffixes if s not in {".gz", ".zst"}]
        kind = _READERS.get(suffixes[-1].lower() if suffixes else "")
        if not path.is_file() or kind is None:
            raise ConfigurationError(f"{path}: not a file ending in {', '.join(sorted(_READERS))} (or .gz of it)")
        settings: dict[str, str | bool | int | float | list[str]]
        settings = {"memory_limit": f"{memory_mb}MB", "threads": 2}
        if folder is not None:
            settings["temp_directory"] = str(folder)
        self._db = duckdb.connect(config=settings)
        try:
            # all as text: an identifier of digits stays what it is
            more = {"csv": ", all_varchar = true", "parquet": "", "json": ""}[kind]
            source = f"read_{kind}({_quoted(str(path))}{more})"
            self._db.execute(f"CREATE VIEW given AS SELECT * FROM {source}")  # noqa: S608  (quoted)
            self._prepare(path, columns, split)
        except duckdb.Error as error:
            raise ConfigurationError(f"{path}: {str(error).splitlines()[0]}") from error

    def _prepare(self, path: Path, columns: Columns, split: Sequence[str]) -> None:
        held = {name.lower(): name for (name, *_) in self._db.execute("DESCRIBE given").fetchall()}
        found = {field: _find(field, columns, held, path) for field in USUAL}
        if missing := [name for name in split if name.lower() not in held]:
            raise ConfigurationError(f"{path}: no column {missing[0]} to split by; there are {', '.join(held)}")
        asset, date, count, market = (_name(found[field]) for field in USUAL)
        parts = [asset, *(_name(held[name.lower()]) for name in split)]
        series = "concat_ws('|', " + ", ".join(f"CAST({part} AS VARCHAR)" for part in parts) + ")"
        day = f"strptime(CAST({date} AS VARCHAR), {_quoted(columns.date_format)})" if columns.date_format else date
        market = f"coalesce(CAST({market} AS VARCHAR), '')" if found["market"] else "''"
        self._db.execute(f"""
            CREATE TEMP TABLE counted AS
            SELECT {series} AS series, {market} AS market, CAST({day} AS DATE) AS day,
                sum(CAST({count} AS DOUBLE)) AS total
            FROM given WHERE {count} IS NOT NULL GROUP BY ALL""")  # noqa: S608  (names quoted)
        wrong = "SELECT series, day, total FROM counted WHERE NOT total >= 0 OR total > 1e18 OR day IS NULL LIMIT 1"
        if row := self._db.execute(wrong).fetchone():
            raise ConfigurationError(f"{path}: count {row[2]} of {row[0]} on {row[1]}: not a number from 0 to 1e18")
        self._db.execute("""
            CREATE TEMP TABLE named AS
            SELECT series, market, row_number() OVER (ORDER BY min(day), series, market) - 1 AS row
            FROM counted GROUP BY series, market""")
        names = self._db.execute("SELECT series, market FROM named ORDER BY row").fetchall()
        if not names:
            raise ConfigurationError(f"{path}: no rows with a count")
        self.names = [str(name) for name, _ in names]
        self.markets = [str(name) for _, name in names]
        first, last = self._db.execute("SELECT min(day), max(day) FROM counted").fetchall()[0]
        self.first_day, self.last_day = first.toordinal(), last.toordinal()

    def days(self) -> Iterator[Day]:
        """Every day from the first to the last, those without a row too."""
        query = "SELECT day, row, total FROM counted JOIN named USING (series, market) ORDER BY day, row"
        rows = self._db.sql(query).to_arrow_reader(65_536)
        at, counts = self.first_day, np.full(len(self.names), np.nan)
        for batch in rows:
            days = batch["day"].cast("int32").to_numpy() + dt.date(1970, 1, 1).toordinal()
            which, total = batch["row"].to_numpy(), batch["total"].to_numpy()
            edges = [0, *(np.flatnonzero(np.diff(days)) + 1).tolist(), len(days)]
            for a, b in pairwise(edges):
                while a < b and at < days[a]:
                    yield Day(at, counts)
                    at, counts = at + 1, np.full(len(self.names), np.nan)
                counts[which[a:b]] = total[a:b]
        yield Day(at, counts)


def _find(field: str, columns: Columns, held: dict[str, str], path: Path) -> str:
    if field in columns.columns:
        if (name := columns.columns[field]).lower() not in held:
            raise ConfigurationError(f"{path}: no column {name} for {field}; there are {', '.join(held.values())}")
        return held[name.lower()]
    found = next((held[name] for name in USUAL[field] if name in held), "")
    if not found and field in NEEDED:
        raise ConfigurationError(
            f"{path}: no column is known as {field}; there are {', '.join(held.values())}. Say which in a mapping file"
        )
    return found


def _name(column: str) -> str:
    return '"' + column.replace('"', '""') + '"'


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"

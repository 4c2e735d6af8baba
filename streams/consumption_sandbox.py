"""A caller's own SQL over the consumption store: one SELECT that reads the store's files and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import duckdb
import numpy as np

from cuepoint.schemas.errors import CuepointError
from cuepoint.streams.consumption_files import DIMENSIONS, MEASURES, connect, quoted
from cuepoint.streams.consumption_store import ConsumptionStore, Watermark, hidden_clause, timed

_COLUMNS = ", ".join((*DIMENSIONS, *MEASURES))
_NUMBERS = dict.fromkeys(MEASURES, "BIGINT") | {"day": "DATE"}


class QueryRefused(CuepointError):
    """SQL that is not one SELECT, is wrong, or reaches for what it may not have."""


class Answer(NamedTuple):
    """``more``: there were more rows than asked for."""

    columns: list[str]
    rows: list[tuple[Any, ...]]
    more: bool


def ask(store: ConsumptionStore, sql: str, most_rows: int) -> Answer:
    """The answer to one SELECT over the views ``consumption`` (DIMENSIONS and MEASURES) and ``reports`` (the
    watermarks). Raises QueryRefused, TooSlow, Unavailable.

    DuckDB itself holds the fence: it may open the files of the store's catalogue, loads no extension, writes nowhere,
    sees no variable of this process, and none of that can be set otherwise.
    """
    with timed(_sandbox(store), store.timeout_s) as connection:
        try:
            statements = connection.extract_statements(sql)
            if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
                raise QueryRefused("--sql takes one SELECT statement")
            cursor = connection.execute(statements[0])
            rows = cursor.fetchmany(most_rows + 1)
            columns = [column[0] for column in cursor.description or ()]
        except (duckdb.InterruptException, duckdb.OutOfMemoryException):
            raise
        except duckdb.Error as error:
            raise QueryRefused(str(error).strip().partition("\n\n")[0]) from None
    return Answer(columns, rows[:most_rows], len(rows) > most_rows)


def _sandbox(store: ConsumptionStore) -> duckdb.DuckDBPyConnection:
    view = store.view()
    connection = connect(store.threads, store.memory_bytes)
    if view.paths:
        source = f"read_parquet({quoted(view.paths)}) WHERE {hidden_clause(view.hidden)}"
        connection.execute(f"CREATE VIEW consumption AS SELECT {_COLUMNS} FROM {source}").fetchall()  # noqa: S608
    else:
        columns = ", ".join(f"{name} {_NUMBERS.get(name, 'VARCHAR')}" for name in (*DIMENSIONS, *MEASURES))
        connection.execute(f"CREATE TABLE consumption ({columns})").fetchall()
    connection.execute(
        "CREATE TABLE reports (dsp VARCHAR, territory VARCHAR, day DATE, version BIGINT, rows BIGINT, "
        "complete BOOLEAN, withdrawn BOOLEAN)"
    ).fetchall()
    marks = store.watermarks()
    if marks:  # by column: row by row it would take DuckDB a millisecond each
        named = zip(Watermark._fields, zip(*marks, strict=True), strict=True)
        connection.register("marks", {name: np.array(_column(name, values)) for name, values in named})
        connection.execute("INSERT INTO reports BY NAME SELECT * REPLACE (day::DATE AS day) FROM marks").fetchall()
        connection.unregister("marks")
    for setting in (
        f"allowed_paths = {quoted(view.paths)}",
        "enable_external_access = false",
        "lock_configuration = true",
    ):
        connection.execute(f"SET {setting}").fetchall()
    connection.execute("BEGIN TRANSACTION READ ONLY").fetchall()
    return connection


def _column(name: str, values: Sequence[Any]) -> list[Any]:
    return [value.isoformat() for value in values] if name == "day" else list(values)

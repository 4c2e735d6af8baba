"""``cuepoint query``: questions to the consumption store from the command line."""

from __future__ import annotations

import csv
import datetime as dt
import json
import math
import sys
from collections.abc import Sequence
from typing import Any, TextIO

from cuepoint.ops.consumption_parts import consumption_store
from cuepoint.ops.settings import Settings
from cuepoint.schemas.errors import ConfigurationError
from cuepoint.streams.consumption_files import DIMENSIONS
from cuepoint.streams.consumption_sandbox import Answer, ask
from cuepoint.streams.consumption_store import ConsumptionStore, Where
from cuepoint.streams.database import open_engine, upgrade


def query_store(
    settings: Settings,
    *,
    sql: str | None,
    by: str,
    assets: Sequence[str],
    since: dt.date | None,
    until: dt.date | None,
    where: Sequence[str],
    form: str,
) -> None:
    """Print the answer. Raises ConfigurationError for options that cannot be, QueryRefused, TooSlow, Unavailable."""
    if form not in _WRITERS:
        raise ConfigurationError(f"--format takes {', '.join(_WRITERS)}; not {form}")
    engine = open_engine(settings.database_url.get_secret_value(), settings.sqlite_busy_s)
    upgrade(engine)
    try:
        store = consumption_store(settings, engine)
        if sql is not None:
            answer = ask(store, sql, settings.query_rows)
        else:
            answer = _totals(store, by, Where(assets, since, until, _filters(where)), settings.query_rows)
    finally:
        engine.dispose()
    _WRITERS[form](answer, sys.stdout)
    if answer.more:
        sys.stderr.write(f"only the first {settings.query_rows} rows: CUEPOINT_QUERY_ROWS has the limit\n")


def _totals(store: ConsumptionStore, by: str, where: Where, most: int) -> Answer:
    try:
        found = store.totals([name.strip() for name in by.split(",") if name.strip()], where, limit=most + 1)
    except ValueError as error:
        raise ConfigurationError(str(error)) from None
    rows = list(zip(*(column.tolist() for column in found.values()), strict=True))
    return Answer(list(found), [tuple(map(_plain, row)) for row in rows[:most]], len(rows) > most)


def _filters(where: Sequence[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for each in where:
        name, sign, value = each.partition("=")
        if not sign or name not in DIMENSIONS or name in {"asset_id", "day"}:
            choice = ", ".join(name for name in DIMENSIONS if name not in {"asset_id", "day"})
            raise ConfigurationError(f"--where takes NAME=VALUE, with a NAME of {choice}; not {each}")
        found.setdefault(name, []).append(value)
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return None if math.isnan(value) else int(value)
    return value


def _write_table(answer: Answer, out: TextIO) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for index, column in enumerate(answer.columns):
        numbers = any(isinstance(row[index], int | float) for row in answer.rows)
        table.add_column(Text(column), justify="right" if numbers else "left")
    for row in answer.rows:
        table.add_row(*(Text(_shown(value)) for value in row))
    console = Console(file=out)
    console.print(table, soft_wrap=not console.is_terminal)


def _shown(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _write_csv(answer: Answer, out: TextIO) -> None:
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(answer.columns)
    writer.writerows(answer.rows)


def _write_json(answer: Answer, out: TextIO) -> None:
    """A JSON object a line."""
    for row in answer.rows:
        out.write(json.dumps(dict(zip(answer.columns, row, strict=True)), default=str) + "\n")


_WRITERS = {"table": _write_table, "csv": _write_csv, "json": _write_json}

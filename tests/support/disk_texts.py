"""What files hold, as it would be read: Parquet, DuckDB and SQLite keep values compressed or in pages of their own."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import duckdb

_SQLITE, _DUCKDB = b"SQLite format 3", b"DUCK"  # at the beginning, and 8 bytes after it


def disk_texts(folder: Path) -> Iterator[tuple[Path, str, bytes]]:
    """Every file below the folder: (path, kind, all it holds), raw and, where it is a table or a database, decoded."""
    for path in sorted(folder.rglob("*")):
        if not path.is_file():
            continue
        raw = path.read_bytes()
        yield path, "raw", raw
        if raw[:4] == raw[-4:] == b"PAR1":
            with closing(duckdb.connect()) as database:
                yield path, "parquet", _rows(database, f"read_parquet('{path}')")
        elif raw.startswith(_SQLITE):
            with closing(sqlite3.connect(path)) as connection:
                tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
                rows = [row for (name,) in tables for row in connection.execute(f'SELECT * FROM "{name}"')]
                yield path, "sqlite", b"\n".join(_bytes(value) for row in rows for value in row)
        elif raw[8:12] == _DUCKDB:
            with closing(duckdb.connect(path, read_only=not path.with_name(f"{path.name}.wal").exists())) as database:
                tables = database.execute("SELECT schema_name, table_name FROM duckdb_tables()").fetchall()
                yield path, "duckdb", b"\n".join(_rows(database, f'"{schema}"."{name}"') for schema, name in tables)


def _rows(database: duckdb.DuckDBPyConnection, source: str) -> bytes:
    """Names and values of a table; of a Parquet file its footer's free texts, too."""
    found = database.execute(f"SELECT * FROM {source}")
    parts = [_bytes(column[0]) for column in found.description or ()]
    parts += [_bytes(value) for row in found.fetchall() for value in row]
    if source.startswith("read_parquet"):
        footer = database.execute(f"SELECT key, value FROM {source.replace('read_parquet', 'parquet_kv_metadata')}")
        parts += [_bytes(value) for row in footer.fetchall() for value in row]
    return b"\n".join(parts)


def _bytes(value: object) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()

"""The search of files that privacy is judged by finds what compression and pages hide."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import duckdb
from disk_texts import disk_texts

PLANTED = "planted-7f3c9d"


def test_what_is_planted_is_found_wherever_it_is(tmp_path: Path) -> None:
    with closing(duckdb.connect(tmp_path / "spool.db")) as database:
        database.execute(f"CREATE TABLE t AS SELECT '{PLANTED}' || (i % 3) AS who FROM range(5000) r(i)")
        database.execute(f"COPY t TO '{tmp_path}/part.parquet' (FORMAT parquet, COMPRESSION zstd)")
        database.execute(
            f"COPY (SELECT 1) TO '{tmp_path}/footer.parquet' (FORMAT parquet, KV_METADATA {{k: '{PLANTED}'}})"
        )
    with closing(sqlite3.connect(tmp_path / "history.db")) as connection, connection:
        connection.execute("CREATE TABLE t (body BLOB)")
        connection.execute("INSERT INTO t VALUES (?)", (PLANTED.encode(),))
    (tmp_path / "plain.log").write_text(f"x {PLANTED}")
    found = {(path.name, kind) for path, kind, held in disk_texts(tmp_path) if PLANTED.encode() in held}
    assert found >= {
        ("part.parquet", "parquet"),
        ("footer.parquet", "parquet"),
        ("spool.db", "duckdb"),
        ("history.db", "sqlite"),
        ("plain.log", "raw"),
    }

"""The SQL database: SQLite of one machine, or PostgreSQL; brought to the newest schema by Alembic migrations."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext, MigrationStep
from alembic.script.base import Script
from alembic.script.revision import RevisionMap
from sqlalchemy import Connection, Engine, Table, create_engine, event, make_url
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError

from cuepoint.schemas.errors import ConfigurationError, Unavailable
from cuepoint.streams import (
    migration_0001,
    migration_0002,
    migration_0003,
    migration_0004,
    migration_0005,
    migration_0006,
    migration_0007,
    migration_0008,
    migration_0009,
)

_MIGRATIONS = (
    migration_0001,
    migration_0002,
    migration_0003,
    migration_0004,
    migration_0005,
    migration_0006,
    migration_0007,
    migration_0008,
    migration_0009,
)
_LOCK = 0x637565  # any number that no other program takes for its advisory lock
_WRITES = "cuepoint_writes"


def open_engine(url: str, busy_s: float = 10.0) -> Engine:
    """An engine for SQLite (its folder is made; write-ahead log) or PostgreSQL. Raises ConfigurationError."""
    try:
        parsed = make_url(url)
    except SQLAlchemyError as error:
        raise ConfigurationError("CUEPOINT_DATABASE_URL is no SQLAlchemy URL, e.g. sqlite:///cuepoint.db") from error
    if parsed.get_backend_name() not in {"sqlite", "postgresql"}:
        raise ConfigurationError(f"CUEPOINT_DATABASE_URL: {parsed.get_backend_name()} is neither sqlite nor postgresql")
    if parsed.get_backend_name() == "postgresql":
        return create_engine(parsed, pool_pre_ping=True)
    if parsed.database and parsed.database != ":memory:":
        try:
            Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigurationError(f"the folder of {parsed.database} cannot be made: {error}") from error
    engine = create_engine(parsed, connect_args={"timeout": busy_s})
    event.listen(engine, "connect", _connected)
    event.listen(engine, "begin", _begun)
    return engine


def _connected(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # the driver's own idea of when to begin is switched off: see _begun
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")


def _begun(connection: Connection) -> None:
    # A writer takes the lock at once and waits for it; taking it midway would fail instead of waiting.
    writes = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction that writes. Raises Unavailable when the database does not answer or stays locked."""
    try:
        with engine.execution_options(**{_WRITES: True}).begin() as connection:
            yield connection
    except OperationalError as error:
        raise Unavailable(f"the database does not answer: {error.orig}") from error


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A transaction that reads. Raises Unavailable when the database does not answer."""
    try:
        with engine.begin() as connection:
            yield connection
    except OperationalError as error:
        raise Unavailable(f"the database does not answer: {error.orig}") from error


@contextmanager
def snapshot(engine: Engine) -> Iterator[Connection]:
    """A transaction that reads one state of the database throughout. Raises Unavailable."""
    steady = engine.dialect.name == "postgresql"  # SQLite's transactions always do
    with reading(engine.execution_options(isolation_level="REPEATABLE READ") if steady else engine) as connection:
        yield connection


def upgrade(engine: Engine) -> None:
    """Bring the schema to the newest version; nothing happens where it is there already. Several processes may call it
    at once: one does it, the others wait. Raises Unavailable, or ConfigurationError for a schema newer than ours."""
    revisions = RevisionMap(lambda: [Script(module, module.revision, str(module.__file__)) for module in _MIGRATIONS])

    def steps(current: Any, _context: MigrationContext) -> list[Any]:
        found = list(revisions.iterate_revisions("head", current or "base"))
        return [MigrationStep.upgrade_from_script(revisions, cast(Script, script)) for script in reversed(found)]

    with writing(engine) as connection:
        if engine.dialect.name == "postgresql":
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
        context = MigrationContext.configure(connection, opts={"fn": steps})
        known = {module.revision for module in _MIGRATIONS}
        if not known.issuperset(context.get_current_heads()):
            raise ConfigurationError("the database was made by a newer Cuepoint: use that one, or another database")
        with Operations.context(context):
            context.run_migrations()


def database_answers(engine: Engine) -> bool:
    """Whether a query is answered."""
    try:
        with engine.connect() as connection:
            connection.exec_driver_sql("SELECT 1")
    except DBAPIError:
        return False
    return True


def insert(connection: Connection, table: Table) -> Any:
    """An INSERT that knows ON CONFLICT, in the connection's dialect."""
    return (postgresql if connection.dialect.name == "postgresql" else sqlite).insert(table)

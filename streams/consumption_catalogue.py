"""The catalogue of the consumption store in SQL: which files are live, how each report stands, how far the log is in.

What one flush of a partition adds, and how far it got, is one transaction; so is what compaction replaces.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, Engine, delete, func, select, update

from cuepoint.models.consumption_ledger import Mark, ReportKey, resolve
from cuepoint.schemas.topics import CONSUMPTION
from cuepoint.streams.consumption_files import Written
from cuepoint.streams.database import insert, reading, writing
from cuepoint.streams.processor import StateLost
from cuepoint.streams.tables import CONSUMPTION_FILES as FILES
from cuepoint.streams.tables import CONSUMPTION_REPORTS as REPORTS
from cuepoint.streams.tables import POSITIONS

_SETTLED = ("complete", "withdrawn")
_DEAD = REPORTS.c.status == "replaced"


class ConsumptionCatalogue:
    """``log_id`` is the incarnation of the log that offsets belong to. Synchronous; all raise Unavailable."""

    def __init__(self, engine: Engine, log_id: str = "") -> None:
        self._engine, self._log_id = engine, log_id

    def position(self, partition: int) -> int | None:
        """The last offset of the partition whose record is in; None for none."""
        with reading(self._engine) as connection:
            return self._position(connection, partition)

    def settled(self, partition: int, key: ReportKey) -> int:
        """The highest version of a report that was completed or withdrawn in this partition; 0 for none."""
        wanted = (*_is_of(partition, key), REPORTS.c.asset_id == "", REPORTS.c.status.in_(_SETTLED))
        with reading(self._engine) as connection:
            return connection.scalar(select(func.max(REPORTS.c.version)).where(*wanted)) or 0

    def begun(self, partition: int) -> list[Mark]:
        """Reports of the partition that are open."""
        rows = select(REPORTS).where(REPORTS.c.partition == partition, REPORTS.c.status == "open")
        with reading(self._engine) as connection:
            return [_mark(row) for row in connection.execute(rows)]

    def add(
        self, partition: int, known: int | None, last: int, files: Sequence[Written], marks: Sequence[Mark]
    ) -> None:
        """Everything up to ``last`` is in, if what was in before is ``known``. Raises StateLost where it is not: then
        another worker has the partition."""
        with writing(self._engine) as connection:
            if self._position(connection, partition) != known:
                raise StateLost(f"another worker stored consumption of partition {partition}")
            if files:
                connection.execute(insert(connection, FILES), [_file_row(partition, file) for file in files])
            _store(connection, partition, marks)
            place = {"log_id": self._log_id, "topic": CONSUMPTION.name, "partition": partition, "last": last}
            upsert = insert(connection, POSITIONS).values(place)
            connection.execute(upsert.on_conflict_do_update(index_elements=POSITIONS.primary_key, set_={"last": last}))

    def replace(
        self, partition: int, old: Sequence[int], new: Written | None, now_ms: int, purged: Iterable[int] = ()
    ) -> bool:
        """Put one file in place of some; the rows of the ``purged`` reports are in none any more. False, and nothing
        done, where one of the old files is not live any more."""
        with writing(self._engine) as connection:
            gone = update(FILES).where(FILES.c.file_id.in_(old), FILES.c.removed_at.is_(None)).values(removed_at=now_ms)
            if connection.execute(gone).rowcount != len(old):
                connection.rollback()
                return False
            if new is not None:
                connection.execute(insert(connection, FILES), [_file_row(partition, new)])
            for report_id in purged:
                connection.execute(delete(REPORTS).where(REPORTS.c.report_id == report_id, _DEAD))
        return True

    def live_files(self) -> list[Any]:
        """Rows of consumption_files, by partition and week."""
        rows = select(FILES).where(FILES.c.removed_at.is_(None)).order_by(FILES.c.partition, FILES.c.week)
        with reading(self._engine) as connection:
            return list(connection.execute(rows))

    def dead_reports(self) -> list[tuple[int, Mark]]:
        """(partition, report) of those that will never be seen again, rows of which may still be in files."""
        with reading(self._engine) as connection:
            return [(row.partition, _mark(row)) for row in connection.execute(select(REPORTS).where(_DEAD))]

    def remove_before(self, week: dt.date, now_ms: int) -> int:
        """Forget everything of the weeks before; returns the number of rows removed."""
        with writing(self._engine) as connection:
            old = (FILES.c.week < week, FILES.c.removed_at.is_(None))
            rows = connection.scalar(select(func.sum(FILES.c.rows)).where(*old)) or 0
            connection.execute(update(FILES).where(*old).values(removed_at=now_ms))
            connection.execute(delete(REPORTS).where(REPORTS.c.day < week))
        return int(rows)

    def removed_files(self, before_ms: int) -> list[str]:
        """Paths of files replaced or removed before then."""
        with reading(self._engine) as connection:
            return list(connection.scalars(select(FILES.c.path).where(FILES.c.removed_at < before_ms)))

    def forget_files(self, paths: Sequence[str]) -> None:
        with writing(self._engine) as connection:
            for path in paths:
                connection.execute(delete(FILES).where(FILES.c.path == path, FILES.c.removed_at.is_not(None)))

    def all_paths(self) -> set[str]:
        with reading(self._engine) as connection:
            return set(connection.scalars(select(FILES.c.path)))

    def _position(self, connection: Connection, partition: int) -> int | None:
        place = (POSITIONS.c.log_id == self._log_id, POSITIONS.c.topic == CONSUMPTION.name)
        found: int | None = connection.scalar(
            select(POSITIONS.c.last).where(*place, POSITIONS.c.partition == partition)
        )
        return found


def _store(connection: Connection, partition: int, marks: Sequence[Mark]) -> None:
    for mark in marks:
        values = _report_row(partition, mark)
        upsert = insert(connection, REPORTS).values(values)
        changed = {name: values[name] for name in ("status", "rows", "records")}
        connection.execute(upsert.on_conflict_do_update(index_elements=[REPORTS.c.report_id], set_=changed))
    for key in sorted({mark.key for mark in marks}):
        rows = select(REPORTS).where(*_is_of(partition, key)).order_by(REPORTS.c.number)
        before = [_mark(row) for row in connection.execute(rows)]
        for was, now in zip(before, resolve(before), strict=True):
            if was.status != now.status:
                here = REPORTS.c.report_id == now.report_id
                connection.execute(update(REPORTS).where(here).values(status=now.status))


def _is_of(partition: int, key: ReportKey) -> tuple[Any, ...]:
    column = REPORTS.c
    return (
        column.partition == partition,
        column.day == key.day,
        column.dsp == key.dsp,
        column.territory == key.territory,
    )


def _mark(row: Any) -> Mark:
    key = ReportKey(row.dsp, row.territory, row.day)
    return Mark(row.report_id, key, row.version, row.status, row.rows, row.records, row.asset_id, row.part)


def _report_row(partition: int, mark: Mark) -> dict[str, Any]:
    return {
        "report_id": mark.report_id,
        "partition": partition,
        **mark.key._asdict(),
        "version": mark.version,
        "status": mark.status,
        "rows": mark.rows,
        "records": mark.records,
        "asset_id": mark.asset_id,
        "part": mark.part,
    }


def _file_row(partition: int, file: Written) -> dict[str, Any]:
    return {"partition": partition, **file._asdict()}

"""Reading history: the catalogue half, and the totals of both. What is said of sessions is in session_reads.py."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, Engine, Row, Select, func, select

from cuepoint.schemas.faults import DeadLetter
from cuepoint.schemas.trends import AssetDay, Change
from cuepoint.streams.change_search import ChangeFilter, change_ids, contains, count_changes, owners
from cuepoint.streams.database import reading
from cuepoint.streams.history_reasons import read_reasons
from cuepoint.streams.history_rows import AssetRow, ChangeRow, DeadLetterRow, Overview, Page, ReportRow
from cuepoint.streams.quarantine_reads import QuarantineReads
from cuepoint.streams.report_reads import ReportReads
from cuepoint.streams.session_reads import SessionReads
from cuepoint.streams.tables import ASSET_DAYS, ASSETS, CHANGES, DEAD_LETTERS, DECISIONS, REPORTS, SESSIONS

_change = msgspec.json.Decoder(Change).decode
_asset_day = msgspec.json.Decoder(AssetDay).decode
_letter = msgspec.json.Decoder(DeadLetter).decode
_LIVE = CHANGES.c.status != "withdrawn"
_CHANGE_ROWS = select(
    CHANGES.c.change_id,
    CHANGES.c.body,
    CHANGES.c.opened_at,
    CHANGES.c.updated_at,
    ASSETS.c.title,
    ASSETS.c.artist,
    ASSETS.c.owner,
).select_from(CHANGES.outerjoin(ASSETS, ASSETS.c.asset_id == CHANGES.c.asset_id))


class HistoryReader(SessionReads, QuarantineReads, ReportReads):
    """Synchronous; every call is one short transaction. Raises Unavailable when the database does not answer."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def changes(
        self, wanted: ChangeFilter | None = None, *, limit: int = 50, offset: int = 0, reasons: bool = False
    ) -> Page[ChangeRow]:
        """The newest revision of each change, newest day first or as ``wanted`` says; with ``reasons`` also why each
        came about and what it promises."""
        wanted = wanted or ChangeFilter()
        with reading(self._engine) as connection:
            ids = change_ids(connection, wanted, limit, offset)
            return Page(_rows_of(connection, ids, reasons), count_changes(connection, wanted))

    def each_change(self, wanted: ChangeFilter, most: int, at_once: int = 500) -> Iterator[list[ChangeRow]]:
        """The first ``most`` changes, some at a time, each as it stands when it is read."""
        with reading(self._engine) as connection:
            ids = change_ids(connection, wanted, most)
        for start in range(0, len(ids), at_once):
            with reading(self._engine) as connection:
                yield _rows_of(connection, ids[start : start + at_once], True)

    def change(self, change_id: str) -> ChangeRow | None:
        with reading(self._engine) as connection:
            return next(iter(_rows_of(connection, [change_id], True)), None)

    def owners(self) -> list[str]:
        """The first hundred owners of assets, in order."""
        with reading(self._engine) as connection:
            return owners(connection)

    def asset_changes(self, asset_id: str) -> list[ChangeRow]:
        """All changes of an asset but the withdrawn, by start."""
        rows = _CHANGE_ROWS.where(CHANGES.c.asset_id == asset_id, _LIVE)
        with reading(self._engine) as connection:
            found = connection.execute(rows.order_by(CHANGES.c.start, CHANGES.c.change_id)).all()
        return [_change_row(row) for row in found]

    def asset(self, asset_id: str) -> AssetRow | None:
        """None for an asset that was never heard of; one without metadata has an empty title."""
        with reading(self._engine) as connection:
            row = connection.execute(select(ASSETS).where(ASSETS.c.asset_id == asset_id)).one_or_none()
            facts = self._facts(connection, [asset_id])[asset_id]
        if row is None and facts == (None, 0):
            return None
        return _asset_row(row, asset_id, facts)

    def assets(self, query: str = "", limit: int = 50, offset: int = 0) -> Page[AssetRow]:
        """Assets with metadata, by title; ``query`` is looked for in id, title and artist."""
        rows = select(ASSETS).order_by(ASSETS.c.title, ASSETS.c.asset_id)
        if query:
            rows = rows.where(contains(ASSETS.c.search, query))
        with reading(self._engine) as connection:
            found = connection.execute(rows.limit(limit).offset(offset)).all()
            facts = self._facts(connection, [row.asset_id for row in found])
            total = _count(connection, rows)
        return Page([_asset_row(row, row.asset_id, facts[row.asset_id]) for row in found], total)

    def asset_days(self, asset_id: str, since: dt.date | None = None, until: dt.date | None = None) -> list[AssetDay]:
        """The asset's scored days in order, bounds included."""
        rows = select(ASSET_DAYS.c.body).where(ASSET_DAYS.c.asset_id == asset_id)
        rows = rows.where(ASSET_DAYS.c.day >= since) if since else rows
        rows = rows.where(ASSET_DAYS.c.day <= until) if until else rows
        with reading(self._engine) as connection:
            return [_asset_day(body) for body in connection.scalars(rows.order_by(ASSET_DAYS.c.day))]

    def assets_on(self, day: dt.date, limit: int) -> list[str]:
        """Ids of the first assets that were scored on the day."""
        rows = select(ASSET_DAYS.c.asset_id).where(ASSET_DAYS.c.day == day).order_by(ASSET_DAYS.c.asset_id)
        with reading(self._engine) as connection:
            return list(connection.scalars(rows.limit(limit)))

    def dead_letters(
        self, *, topic: str | None = None, code: str | None = None, limit: int = 50, offset: int = 0
    ) -> Page[DeadLetterRow]:
        """Newest first; ``topic`` is where the record stood."""
        rows = select(DEAD_LETTERS).order_by(DEAD_LETTERS.c.at.desc(), DEAD_LETTERS.c.id.desc())
        rows = rows.where(DEAD_LETTERS.c.topic == topic) if topic else rows
        rows = rows.where(DEAD_LETTERS.c.code == code) if code else rows
        with reading(self._engine) as connection:
            found = connection.execute(rows.limit(limit).offset(offset)).all()
            total = _count(connection, rows)
        return Page([DeadLetterRow(id=row.id, letter=_letter(row.body)) for row in found], total)

    def reports(self, limit: int = 50, offset: int = 0) -> Page[ReportRow]:
        """Newest day first."""
        rows = select(REPORTS).order_by(
            REPORTS.c.day.desc(), REPORTS.c.dsp, REPORTS.c.territory, REPORTS.c.version.desc()
        )
        with reading(self._engine) as connection:
            found = connection.execute(rows.limit(limit).offset(offset)).all()
            total = _count(connection, rows)
        return Page([ReportRow(**row._asdict()) for row in found], total)

    def overview(self) -> Overview:
        with reading(self._engine) as connection:
            latest = connection.scalar(select(func.max(ASSET_DAYS.c.day)))
            by_code = connection.execute(
                select(DEAD_LETTERS.c.code, func.count()).group_by(DEAD_LETTERS.c.code).order_by(DEAD_LETTERS.c.code)
            ).all()
            return Overview(
                latest_day=latest,
                changes_on_latest_day=_total(connection, CHANGES, _LIVE, CHANGES.c.start == latest),
                open_regions=_total(connection, CHANGES, CHANGES.c.status.in_(("opened", "updated"))),
                changes=_total(connection, CHANGES, _LIVE),
                assets=_total(connection, ASSETS),
                reports=_total(connection, REPORTS),
                sessions=_total(connection, SESSIONS),
                decisions=_total(connection, DECISIONS),
                dead_letters=sum(count for _, count in by_code),
                dead_by_code=dict(by_code),
            )

    def _facts(self, connection: Connection, asset_ids: Sequence[str]) -> dict[str, tuple[dt.date | None, int]]:
        days = select(ASSET_DAYS.c.asset_id, func.max(ASSET_DAYS.c.day)).where(ASSET_DAYS.c.asset_id.in_(asset_ids))
        last = dict(connection.execute(days.group_by(ASSET_DAYS.c.asset_id)).all())
        counts = select(CHANGES.c.asset_id, func.count()).where(CHANGES.c.asset_id.in_(asset_ids), _LIVE)
        changes: dict[str, int] = dict(connection.execute(counts.group_by(CHANGES.c.asset_id)).all())
        return {asset_id: (last.get(asset_id), changes.get(asset_id, 0)) for asset_id in asset_ids}


def _rows_of(connection: Connection, ids: Sequence[str], reasons: bool) -> list[ChangeRow]:
    """In the order of the ids; one that is gone is left out."""
    found = {row.change_id: row for row in connection.execute(_CHANGE_ROWS.where(CHANGES.c.change_id.in_(ids)))}
    said = read_reasons(connection, ids) if reasons else {}
    rows = [(id, _change_row(found[id])) for id in ids if id in found]
    return [msgspec.structs.replace(row, **said[id]._asdict()) if id in said else row for id, row in rows]


def _change_row(row: Any) -> ChangeRow:
    return ChangeRow(
        change=_change(row.body),
        title=row.title or "",
        artist=row.artist or "",
        owner=row.owner or "",
        opened_at=row.opened_at,
        updated_at=row.updated_at,
    )


def _asset_row(row: Row[Any] | None, asset_id: str, facts: tuple[dt.date | None, int]) -> AssetRow:
    known = {} if row is None else row._asdict()
    known.pop("search", None)
    base = {"asset_id": asset_id, "title": "", "artist": ""}
    return AssetRow(**{**base, **known}, last_day=facts[0], changes=facts[1])


def _count(connection: Connection, rows: Select[Any]) -> int:
    return connection.scalar(select(func.count()).select_from(rows.order_by(None).subquery())) or 0


def _total(connection: Connection, table: Any, *wanted: ColumnElement[bool]) -> int:
    return connection.scalar(select(func.count()).select_from(table).where(*wanted)) or 0

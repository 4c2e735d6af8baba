"""Reading history: the catalogue half, and the totals of both. What is said of sessions is in session_reads.py."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, Engine, Row, Select, and_, func, select

from cuepoint.schemas.faults import DeadLetter
from cuepoint.schemas.trends import AssetDay, Change
from cuepoint.streams.database import reading
from cuepoint.streams.history_reasons import read_reasons
from cuepoint.streams.history_rows import AssetRow, ChangeRow, DeadLetterRow, Overview, Page, ReportRow
from cuepoint.streams.session_reads import SessionReads
from cuepoint.streams.tables import ASSET_DAYS, ASSETS, CHANGES, DEAD_LETTERS, DECISIONS, REPORTS, SESSIONS

_change = msgspec.json.Decoder(Change).decode
_asset_day = msgspec.json.Decoder(AssetDay).decode
_letter = msgspec.json.Decoder(DeadLetter).decode
_LIVE = CHANGES.c.status != "withdrawn"
_CHANGE_ROWS = select(
    CHANGES.c.body, CHANGES.c.opened_at, CHANGES.c.updated_at, ASSETS.c.title, ASSETS.c.artist
).select_from(CHANGES.outerjoin(ASSETS, ASSETS.c.asset_id == CHANGES.c.asset_id))


class HistoryReader(SessionReads):
    """Synchronous; every call is one short transaction. Raises Unavailable when the database does not answer."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def changes(
        self,
        *,
        kind: str | None = None,
        direction: str | None = None,
        status: str | None = None,
        query: str = "",
        asset_id: str | None = None,
        since: dt.date | None = None,
        until: dt.date | None = None,
        limit: int = 50,
        offset: int = 0,
    ) -> Page[ChangeRow]:
        """The newest revision of each change, newest day first. ``query`` is looked for in id, title and artist;
        ``since`` and ``until`` bound the day (both included). Withdrawn ones only when asked for by ``status``."""
        column = CHANGES.c
        wanted = [_LIVE if status is None else column.status == status]
        wanted += [column.kind == kind] if kind else []
        wanted += [column.direction == direction] if direction else []
        wanted += [column.asset_id == asset_id] if asset_id else []
        wanted += [column.day >= since] if since else []
        wanted += [column.day <= until] if until else []
        if query:
            text = func.lower(column.asset_id)
            wanted.append(_contains(func.coalesce(ASSETS.c.search, text), query))
        rows = _CHANGE_ROWS.where(*wanted).order_by(column.day.desc(), column.updated_at.desc(), column.change_id)
        with reading(self._engine) as connection:
            found = connection.execute(rows.limit(limit).offset(offset)).all()
            return Page([_change_row(row) for row in found], _count(connection, rows))

    def change(self, change_id: str) -> ChangeRow | None:
        with reading(self._engine) as connection:
            row = connection.execute(_CHANGE_ROWS.where(CHANGES.c.change_id == change_id)).one_or_none()
        if row is None:
            return None
        explanation, opportunity = read_reasons(self._engine, change_id)
        return msgspec.structs.replace(_change_row(row), explanation=explanation, opportunity=opportunity)

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
            rows = rows.where(_contains(ASSETS.c.search, query))
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


def _change_row(row: Any) -> ChangeRow:
    return ChangeRow(
        change=_change(row.body),
        title=row.title or "",
        artist=row.artist or "",
        opened_at=row.opened_at,
        updated_at=row.updated_at,
    )


def _asset_row(row: Row[Any] | None, asset_id: str, facts: tuple[dt.date | None, int]) -> AssetRow:
    known = {} if row is None else row._asdict()
    known.pop("search", None)
    base = {"asset_id": asset_id, "title": "", "artist": ""}
    return AssetRow(**{**base, **known}, last_day=facts[0], changes=facts[1])


def _contains(column: Any, query: str) -> ColumnElement[bool]:
    words = [column.contains(word, autoescape=True) for word in query.lower().split()]
    return and_(True, *words)


def _count(connection: Connection, rows: Select[Any]) -> int:
    return connection.scalar(select(func.count()).select_from(rows.order_by(None).subquery())) or 0


def _total(connection: Connection, table: Any, *wanted: ColumnElement[bool]) -> int:
    return connection.scalar(select(func.count()).select_from(table).where(*wanted)) or 0

"""Reading reports: which source's report of which day came, in which version, and what became of it."""

from __future__ import annotations

import datetime as dt

import msgspec
from sqlalchemy import Engine, func, select

from cuepoint.streams.database import reading
from cuepoint.streams.history_rows import ReportRow
from cuepoint.streams.tables import REPORTS


class ReportSource(msgspec.Struct, frozen=True, kw_only=True):
    """A DSP in a territory, the first and last day of its reports."""

    dsp: str
    territory: str
    first_day: dt.date
    last_day: dt.date


class ReportReads:
    """Mixed into HistoryReader. Raises Unavailable when the database does not answer."""

    _engine: Engine

    def report_sources(self) -> list[ReportSource]:
        """Every DSP and territory a report ever came of, in order."""
        column = REPORTS.c
        by = (column.dsp, column.territory)
        rows = select(*by, func.min(column.day).label("first_day"), func.max(column.day).label("last_day"))
        with reading(self._engine) as connection:
            return [ReportSource(**row._asdict()) for row in connection.execute(rows.group_by(*by).order_by(*by))]

    def reports_of(self, first_day: dt.date, last_day: dt.date, dsp: str = "") -> list[ReportRow]:
        """The newest version of each report of the days, bounds included, in order of source and day."""
        column = REPORTS.c
        rows = select(REPORTS).where(column.day >= first_day, column.day <= last_day)
        rows = rows.where(column.dsp == dsp) if dsp else rows
        found: dict[tuple[str, str, dt.date], ReportRow] = {}
        with reading(self._engine) as connection:
            for row in connection.execute(rows.order_by(column.dsp, column.territory, column.day, column.version)):
                found[row.dsp, row.territory, row.day] = ReportRow(**row._asdict())
        return list(found.values())

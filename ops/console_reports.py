"""Reports: of which service, territory and day one has come, is missing, was revised or taken back."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse

from cuepoint.ops.api_parts import ApiParts
from cuepoint.ops.console_filters import page_number, plain_text
from cuepoint.ops.console_pages import render
from cuepoint.ops.console_reads import list_from_history
from cuepoint.streams.history_rows import ReportRow
from cuepoint.streams.report_reads import ReportSource

DAYS = 28
PAGE_ROWS = 50
DELIVERIES = 25
STATES = {
    "came": "came whole",
    "revised": "came, and was replaced by a newer version",
    "reading": "is being read, not complete",
    "missing": "is missing",
    "withdrawn": "was taken back",
}


@dataclass(frozen=True)
class Cell:
    """A day of a source; ``state`` is one of STATES, or empty for a day before its first report."""

    day: dt.date
    state: str
    row: ReportRow | None


@dataclass(frozen=True)
class SourceLine:
    """A line of the grid."""

    source: ReportSource
    cells: list[Cell]

    @property
    def gaps(self) -> int:
        return sum(cell.state in ("missing", "withdrawn", "reading") for cell in self.cells)


def state_of(source: ReportSource, day: dt.date, row: ReportRow | None) -> str:
    """How a source's report of a day stands."""
    if row is None:
        return "missing" if day >= source.first_day else ""
    if row.withdrawn_at is not None:
        return "withdrawn"
    if row.completed_at is None:
        return "reading"
    return "revised" if row.version > 1 else "came"


def grid(sources: Sequence[ReportSource], rows: Sequence[ReportRow], days: Sequence[dt.date]) -> list[SourceLine]:
    """A line a source, a cell a day."""
    found = {(row.dsp, row.territory, row.day): row for row in rows}
    lines = []
    for source in sources:
        own = [(day, found.get((source.dsp, source.territory, day))) for day in days]
        lines.append(SourceLine(source, [Cell(day, state_of(source, day, row), row) for day, row in own]))
    return lines


def read_day(text: str) -> dt.date | None:
    """A day from an address; None where it is none."""
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        return None


def add_reports(router: APIRouter, parts: ApiParts) -> None:
    """Route of the page of reports."""
    history = parts.history

    @router.get("/reports")
    async def reports(request: Request) -> HTMLResponse:
        query = request.query_params
        dsp, gaps = plain_text(query.get("dsp", ""), 128), query.get("gaps", "") == "yes"
        sources = await list_from_history(history.report_sources)
        newest = max((source.last_day for source in sources.value), default=None)
        last = min(read_day(query.get("until", "")) or newest or dt.date.min, newest or dt.date.min)
        last = max(last, dt.date.min + dt.timedelta(days=DAYS))
        days = [last - dt.timedelta(days=back) for back in reversed(range(DAYS))]
        found = await list_from_history(lambda: history.reports_of(days[0], last, dsp))
        own = [one for one in sources.value if one.dsp == dsp or not dsp]
        lines = await asyncio.to_thread(grid, own, found.value, days)
        counts = {state: sum(cell.state == state for line in lines for cell in line.cells) for state in STATES}
        shown = [line for line in lines if line.gaps] if gaps else lines
        page = page_number(query.get("page", "1"))
        offset = (page - 1) * PAGE_ROWS

        def address(page: int = 1, until: dt.date | None = last) -> str:
            values = {
                "dsp": dsp,
                "gaps": "yes" if gaps else "",
                "until": until if until and until != newest else "",
                "page": page if page > 1 else "",
            }
            kept = {key: value for key, value in values.items() if value}
            return "/reports" + (f"?{urlencode(kept)}" if kept else "")

        return render(
            request,
            "reports.html",
            lines=shown[offset : offset + PAGE_ROWS],
            total=len(shown),
            offset=offset,
            page=page,
            pages=max(1, -(-len(shown) // PAGE_ROWS)),
            page_address=lambda page: address(page=page),
            address=address,
            counts=counts,
            states=STATES,
            days=days,
            newest=newest,
            step=dt.timedelta(days=DAYS),
            dsp=dsp,
            dsps=sorted({source.dsp for source in sources.value}),
            gaps=gaps,
            deliveries=sorted(found.value, key=lambda row: (row.day, row.completed_at or 0), reverse=True)[:DELIVERIES],
            problem=sources.problem or found.problem,
        )

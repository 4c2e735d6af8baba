"""The catalogue, and what of one asset was consumed: by day and service, territory, context or device."""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Request
from sqlalchemy.exc import SQLAlchemyError
from starlette.responses import HTMLResponse, Response

from cuepoint.ops.api_parts import ApiParts
from cuepoint.ops.console_export import csv_answer
from cuepoint.ops.console_filters import page_number, plain_text
from cuepoint.ops.console_pages import render
from cuepoint.ops.console_reads import Answer, from_history, page_from_history
from cuepoint.ops.console_reports import read_day
from cuepoint.schemas.errors import Unavailable
from cuepoint.streams.consumption_store import Columns, TooSlow, Where

PAGE_ROWS = 50
log = logging.getLogger(__name__)
BY = {
    "dsp": "Service",
    "territory": "Territory",
    "context": "Context",
    "activity": "Active or passive",
    "container_name": "Playlist or station",
    "device": "Device",
}
DAYS = {"28": "4 weeks", "91": "3 months", "364": "1 year"}
SERIES = 7  # values drawn apart; the rest are one
WIDTH, HEIGHT = 1000.0, 220.0


@dataclass(frozen=True)
class Spread:
    """Streams by day and value: ``counts`` has a row a day (newest first) and a column a value; ``bars`` are
    (series, x, y, width, height) in a drawing of WIDTH by HEIGHT."""

    values: list[str]
    days: list[dt.date]
    counts: list[list[int]]
    totals: list[int]
    bars: list[tuple[int, float, float, float, float]]
    top: int


def spread(found: Columns, by: str, first: dt.date, last: dt.date) -> Spread:
    """What the page draws of the store's sums by day and ``by``; days without any are zero."""
    counts: dict[tuple[dt.date, str], int] = {}
    sums: dict[str, int] = {}
    for day, value, count in zip(found["day"].tolist(), found[by].tolist(), found["count"].tolist(), strict=True):
        name = value or "not said"
        counts[day, name] = counts.get((day, name), 0) + count
        sums[name] = sums.get(name, 0) + count
    names = sorted(sums, key=lambda name: (-sums[name], name))
    kept, rest = names[:SERIES], names[SERIES:]
    values = [*kept, f"{len(rest)} others"] if rest else kept
    days = [last - dt.timedelta(days=back) for back in range((last - first).days + 1)]
    rows = []
    for day in days:
        row = [counts.get((day, name), 0) for name in kept]
        rows.append([*row, sum(counts.get((day, name), 0) for name in rest)] if rest else row)
    totals = [sum(column) for column in zip(*rows, strict=True)] if values else []
    top = max((sum(row) for row in rows), default=0)
    return Spread(values, days, rows, totals, _bars(rows, top), top)


def _bars(rows: list[list[int]], top: int) -> list[tuple[int, float, float, float, float]]:
    step, bars = WIDTH / max(len(rows), 1), []
    for at, row in enumerate(reversed(rows)):
        y = HEIGHT
        for series, count in enumerate(row):
            height = count / (top or 1) * HEIGHT
            y -= height
            if count:
                bars.append((series, round(at * step, 2), round(y, 2), round(step * 0.86, 2), round(height, 2)))
    return bars


def add_consumption(router: APIRouter, parts: ApiParts) -> None:
    """Routes of the catalogue and of the consumption of one asset."""
    history, store = parts.history, parts.consumption
    turns = asyncio.Semaphore(parts.settings.queries_at_once)

    async def ask(read: Callable[[], Columns]) -> Answer[Columns]:
        nothing: Columns = {}
        try:
            async with turns:
                return Answer(await asyncio.to_thread(read))
        except TooSlow as error:
            return Answer(nothing, str(error))
        except (SQLAlchemyError, Unavailable, OSError) as error:
            log.warning("console: consumption read failed: %s", error)
            return Answer(nothing, "The consumption store does not answer.")

    @router.get("/assets")
    async def assets(request: Request) -> HTMLResponse:
        query = plain_text(request.query_params.get("q", ""), 100)
        page = page_number(request.query_params.get("page", "1"))
        offset = (page - 1) * PAGE_ROWS
        found = await page_from_history(lambda: history.assets(query=query, limit=PAGE_ROWS, offset=offset))
        return render(
            request,
            "assets.html",
            rows=found.value.rows,
            total=found.value.total,
            query=query,
            page=page,
            pages=max(1, -(-found.value.total // PAGE_ROWS)),
            page_address=lambda page: "/assets?" + urlencode({"q": query, "page": page} if query else {"page": page}),
            offset=offset,
            problem=found.problem,
        )

    @router.get("/consumption/{asset_id:path}")
    async def consumption(request: Request, asset_id: str) -> Response:
        query = request.query_params
        by = query.get("by", "") if query.get("by", "") in BY else "dsp"
        days = query.get("days", "") if query.get("days", "") in DAYS else "28"
        asset = await from_history(lambda: history.asset(asset_id), None)
        each = await ask(lambda: store.totals(("day",), Where((asset_id,))))
        stored: list[dt.date] = each.value["day"].tolist() if each.value else []
        problem = asset.problem or each.problem
        if not problem and not stored and asset.value is None:
            return render(request, "missing.html", 404, what=f"asset {asset_id}")
        context: dict[str, Any] = {"asset_id": asset_id, "asset": asset.value, "by": by, "names": BY, "days": days}

        def address(**changed: str) -> str:
            return f"/consumption/{quote(asset_id, safe='')}?" + urlencode({**own, **changed})

        until = read_day(query.get("until", ""))
        own = {"by": by, "days": days} | ({"until": until.isoformat()} if until else {})
        context |= {"address": address, "spans": DAYS, "shown": None, "problem": problem}
        if not stored:
            return render(request, "consumption.html", **context)
        last = min(until, stored[-1]) if until and until >= stored[0] else stored[-1]
        first = max(last - dt.timedelta(days=int(days) - 1), stored[0])
        found = await ask(lambda: store.totals(("day", by), Where((asset_id,), first, last)))
        context["problem"] = problem or found.problem
        if found.value:
            shown = spread(found.value, by, first, last)
            if query.get("format") == "csv":
                rows = [[day, *row] for day, row in zip(shown.days, shown.counts, strict=True)]
                return csv_answer("consumption.csv", ["day", *shown.values], [rows])
            seconds = int(found.value["played_seconds"].sum())
            context |= {"shown": shown, "streams": sum(shown.totals), "hours": seconds / 3600}
        return render(request, "consumption.html", **context)

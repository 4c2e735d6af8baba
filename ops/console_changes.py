"""The list of changes: filtered, paged, shared by its address, exported."""

from __future__ import annotations

import asyncio
from itertools import chain
from urllib.parse import quote

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from cuepoint.ops.api_parts import ApiParts
from cuepoint.ops.console_export import CHANGE_COLUMNS, change_cells, csv_answer
from cuepoint.ops.console_filters import CHOICES, read_filters
from cuepoint.ops.console_pages import render
from cuepoint.ops.console_reads import from_history, list_from_history, page_from_history
from cuepoint.ops.console_reasons import cause_words
from cuepoint.streams.history_rows import ChangeRow

PAGE_ROWS = 50


def add_change_list(router: APIRouter, parts: ApiParts) -> None:
    """Routes of the list of changes."""
    history, most = parts.history, parts.settings.export_rows

    @router.get("/changes")
    async def changes(request: Request) -> HTMLResponse:
        filters = read_filters(request)
        offset = (filters.page - 1) * PAGE_ROWS
        found, owners = await asyncio.gather(
            page_from_history(lambda: history.changes(filters.wanted(), limit=PAGE_ROWS, offset=offset, reasons=True)),
            list_from_history(history.owners),
        )
        return render(
            request,
            "changes.html",
            rows=found.value.rows,
            total=found.value.total,
            filters=filters,
            choices=CHOICES,
            owners=owners.value,
            most=most,
            words=cause_words,
            pages=max(1, -(-found.value.total // PAGE_ROWS)),
            page_address=lambda page: filters.address(page=page),
            offset=offset,
            problem=found.problem,
        )

    @router.get("/changes.csv")
    async def changes_file(request: Request) -> Response:
        """What the list with these filters has, on one page: the first ``export_rows``."""
        each = history.each_change(read_filters(request).wanted(), most)
        nothing: list[ChangeRow] = []
        first = await from_history(lambda: next(each, nothing), nothing)
        if first.problem:
            return render(request, "missing.html", 503, what="export now", problem=first.problem)
        rows = chain([first.value], each)
        return csv_answer("changes.csv", CHANGE_COLUMNS, ([change_cells(row) for row in some] for some in rows))

    @router.get("/console/fragments/changes")
    async def changes_new(request: Request, known: int = 0) -> HTMLResponse:
        """How many changes there are more than the page shows: the list itself does not move under the reader."""
        filters = read_filters(request)
        found = await page_from_history(lambda: history.changes(filters.wanted(), limit=1, offset=0))
        return render(request, "changes_new.html", more=found.value.total - known, address=filters.address(page=1))

    @router.get("/changes/{change_id:path}")
    async def change(request: Request, change_id: str) -> Response:
        found = await from_history(lambda: history.change(change_id), None)
        if found.value is None:
            return render(request, "missing.html", 404, what=f"change {change_id}", problem=found.problem)
        asset_id = found.value.change.asset_id
        return RedirectResponse(f"/assets/{quote(asset_id, safe='')}?change={quote(change_id, safe='')}", 303)

"""Changes: the list with its filters, and one asset with its chart, regions and table."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import Any
from urllib.parse import quote, urlencode

import msgspec
from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from cuepoint.ops.api_parts import ApiParts
from cuepoint.ops.console_pages import PAGE_HEADERS, render
from cuepoint.ops.console_reads import Answer, from_history, list_from_history, page_from_history
from cuepoint.ops.console_reasons import DIMENSIONS, GOALS, cause_words, metrics, waterfall, weights
from cuepoint.schemas.trends import AssetDay, Change
from cuepoint.streams.history_rows import ChangeRow

PAGE_ROWS = 50
CHART_VALUES = ("lower_95", "upper_95", "lower_80", "upper_80", "mean", "level", "count")
CHOICES = {
    "kind": ("rapid", "gradual"),
    "direction": ("up", "down"),
    "status": ("opened", "updated", "closed", "withdrawn"),
}


class ChangeFilters(msgspec.Struct, frozen=True):
    """The filters as they stand in the address; an unknown value counts as not given."""

    kind: str = ""
    direction: str = ""
    status: str = ""
    q: str = ""
    page: int = 1

    def address(self, **changed: Any) -> str:
        """The list's address with these filters, some of them changed."""
        values = msgspec.to_builtins(self) | changed
        kept = {key: value for key, value in values.items() if value and (key, value) != ("page", 1)}
        return "/changes" + (f"?{urlencode(kept)}" if kept else "")

    def arguments(self) -> dict[str, Any]:
        """As HistoryReader.changes wants them, without the paging."""
        return {key: getattr(self, key) or None for key in CHOICES} | {"query": self.q}

    @property
    def any(self) -> bool:
        return bool(self.kind or self.direction or self.status or self.q)


def page_number(text: str) -> int:
    """A page from an address: 1 where it is not a number."""
    return min(max(int(text), 1), 100_000) if text.isascii() and text.isdigit() and len(text) < 9 else 1


def read_filters(request: Request) -> ChangeFilters:
    """Filters from the query of a request."""
    query = request.query_params
    chosen = {key: query.get(key, "") if query.get(key, "") in values else "" for key, values in CHOICES.items()}
    return ChangeFilters(**chosen, q=query.get("q", "").strip()[:100], page=page_number(query.get("page", "1")))


def epoch_s(day: dt.date) -> int:
    """Midnight UTC of a day, in seconds."""
    return int(dt.datetime(day.year, day.month, day.day, tzinfo=dt.UTC).timestamp())


def chart_columns(days: list[AssetDay]) -> list[list[float | None]]:
    """Columns of the chart: day, lower 95, upper 95, lower 80, upper 80, forecast mean, level, count.

    Every day from the first to the last has a row; where none was scored all is null, so that no line bridges the gap.
    """
    if not days:
        return [[] for _ in range(1 + len(CHART_VALUES))]
    first, found = days[0].day, {one.day: one for one in days}
    every = [first + dt.timedelta(days=at) for at in range((days[-1].day - first).days + 1)]
    rows = [found.get(day) for day in every]
    columns = [[None if row is None else getattr(row, name) for row in rows] for name in CHART_VALUES]
    return [[epoch_s(day) for day in every], *columns]


def chart_region(change: Change, selected: str) -> dict[str, Any]:
    """A shaded region of the chart: from its first day to its last."""
    return {
        "id": change.change_id,
        "kind": change.kind,
        "direction": change.direction,
        "start": epoch_s(change.start),
        "end": epoch_s(change.end or change.day),
        "selected": change.change_id == selected,
    }


async def asset_page(request: Request, parts: ApiParts, asset_id: str) -> HTMLResponse:
    """One asset. An asset without metadata is shown under its id; one without days or changes does not exist."""
    history = parts.history
    asset, changes, days = await asyncio.gather(
        from_history(lambda: history.asset(asset_id), None),
        list_from_history(lambda: history.asset_changes(asset_id)),
        list_from_history(lambda: history.asset_days(asset_id)),
    )
    problem = asset.problem or changes.problem or days.problem
    if not problem and asset.value is None and not changes.value and not days.value:
        return render(request, "missing.html", 404, what=f"asset {asset_id}")
    selected = request.query_params.get("change", "")
    rows = sorted((row.change for row in changes.value), key=lambda change: change.start, reverse=True)
    chosen = next((one for one in rows if one.change_id == selected), rows[0] if rows else None)
    reasons = await from_history(lambda: history.change(chosen.change_id) if chosen else None, None)
    return render(
        request,
        "asset.html",
        asset_id=asset_id,
        asset=asset.value,
        changes=rows,
        chosen=chosen,
        last=days.value[-1] if days.value else None,
        day_count=len(days.value),
        problem=problem,
        **reason_context(reasons, request.query_params.get("by", "")),
    )


def reason_context(found: Answer[ChangeRow | None], by: str) -> dict[str, Any]:
    """What asset_why.html names: the explanation split ``by`` a dimension, and the verdict."""
    row = found.value
    said, verdict = (row.explanation, row.opportunity) if row else (None, None)
    return {
        "reason": said,
        "reason_problem": found.problem,
        "fall": waterfall(said, by) if said else None,
        "words": cause_words,
        "dimension_names": DIMENSIONS,
        "verdict": verdict,
        "drivers": weights(verdict.drivers) if verdict else [],
        "growth": metrics(verdict) if verdict else [],
        "goals": GOALS,
    }


def add_change_list(router: APIRouter, parts: ApiParts) -> None:
    """Routes of the list of changes."""
    history = parts.history

    @router.get("/changes")
    async def changes(request: Request) -> HTMLResponse:
        filters = read_filters(request)
        offset = (filters.page - 1) * PAGE_ROWS
        found = await page_from_history(lambda: history.changes(**filters.arguments(), limit=PAGE_ROWS, offset=offset))
        pages = max(1, -(-found.value.total // PAGE_ROWS))
        return render(
            request,
            "changes.html",
            rows=found.value.rows,
            total=found.value.total,
            filters=filters,
            choices=CHOICES,
            pages=pages,
            page_address=lambda page: filters.address(page=page),
            offset=offset,
            problem=found.problem,
        )

    @router.get("/console/fragments/changes")
    async def changes_new(request: Request, known: int = 0) -> HTMLResponse:
        """How many changes there are more than the page shows: the list itself does not move under the reader."""
        filters = read_filters(request)
        found = await page_from_history(lambda: history.changes(**filters.arguments(), limit=1, offset=0))
        return render(request, "changes_new.html", more=found.value.total - known, address=filters.address(page=1))

    @router.get("/changes/{change_id:path}")
    async def change(request: Request, change_id: str) -> Response:
        found = await from_history(lambda: history.change(change_id), None)
        if found.value is None:
            return render(request, "missing.html", 404, what=f"change {change_id}", problem=found.problem)
        asset_id = found.value.change.asset_id
        return RedirectResponse(f"/assets/{quote(asset_id, safe='')}?change={quote(change_id, safe='')}", 303)


def add_asset(router: APIRouter, parts: ApiParts) -> None:
    """Routes of one asset: page, data of the chart, table of the same data."""
    history = parts.history

    @router.get("/assets/{asset_id:path}")
    async def asset(request: Request, asset_id: str) -> HTMLResponse:
        return await asset_page(request, parts, asset_id)

    @router.get("/console/data/assets/{asset_id:path}")
    async def asset_data(asset_id: str, change: str = "") -> Response:
        days, changes = await asyncio.gather(
            list_from_history(lambda: history.asset_days(asset_id)),
            list_from_history(lambda: history.asset_changes(asset_id)),
        )
        status = 503 if days.problem or changes.problem else 200
        regions = [chart_region(row.change, change) for row in reversed(changes.value)]
        body = msgspec.json.encode({"columns": chart_columns(days.value), "regions": regions})
        return Response(body, status, media_type="application/json", headers=PAGE_HEADERS)

    @router.get("/console/fragments/days/{asset_id:path}")
    async def asset_table(request: Request, asset_id: str) -> HTMLResponse:
        days = await list_from_history(lambda: history.asset_days(asset_id))
        return render(request, "asset_days.html", days=days.value[::-1], problem=days.problem)

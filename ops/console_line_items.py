"""Line items: what was bought, what of it has been delivered, and what became of the ads."""

from __future__ import annotations

import asyncio
import datetime as dt
import time
from dataclasses import dataclass
from typing import get_args

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, Response

from cuepoint.models.line_item_select import quota_of
from cuepoint.ops.api_parts import ApiParts
from cuepoint.ops.console_export import csv_answer
from cuepoint.ops.console_filters import page_number
from cuepoint.ops.console_pages import render
from cuepoint.ops.console_reads import Answer, from_history, from_redis, page_from_history
from cuepoint.schemas.ads import AdEventKind, LineItem
from cuepoint.streams.ad_history import deliveries_by_day, deliveries_of
from cuepoint.streams.document_store import ORDERS
from cuepoint.streams.history_rows import Page

PAGE_ROWS = 50
DAYS = 28
TOLD = ("impression", "complete", "skip", "click", "error")
CSV_KINDS = get_args(AdEventKind)[: get_args(AdEventKind).index("break_start")]  # those of ads


@dataclass(frozen=True)
class Line:
    """``made``: impressions, None where Redis does not answer; ``allowed`` by the pacing until now, None: no goal."""

    item: LineItem
    made: int | None
    allowed: int | None
    state: str

    @property
    def percent(self) -> float | None:
        """Of its goal."""
        goal = self.item.impressions
        return None if goal is None or self.made is None else 100.0 * self.made / goal


def state_of(item: LineItem, now: dt.datetime) -> str:
    """Its status, or where an active one stands in its flight.

    >>> from cuepoint.schemas.ads import Creative
    >>> ad = Creative(creative_id="c", type="bug", length_s=5, image_url="http://x/")
    >>> long_ago = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    >>> state_of(LineItem(line_item_id="i", creatives=[ad], ends=long_ago), dt.datetime.now(dt.UTC))
    'over'
    """
    if item.status != "active":
        return item.status
    if item.starts is not None and now < item.starts:
        return "ahead"
    return "over" if item.ends is not None and now >= item.ends else "active"


def add_line_items(router: APIRouter, parts: ApiParts) -> None:
    """Routes of the list and of one line item."""

    async def line(item: LineItem) -> Answer[Line]:
        made = await from_redis(lambda: parts.ad_counters.delivery(item.line_item_id), None)
        allowed, state = quota_of(item, time.time_ns() // 1_000_000), state_of(item, dt.datetime.now(dt.UTC))
        return Answer(Line(item, None if made.value is None else made.value[0], allowed, state), made.problem)

    @router.get("/line-items")
    async def line_items(request: Request) -> HTMLResponse:
        page = page_number(request.query_params.get("page", "1"))
        offset = (page - 1) * PAGE_ROWS
        found = await page_from_history(lambda: Page(*parts.documents.page(ORDERS, PAGE_ROWS, offset)))
        lines = await asyncio.gather(*map(line, found.value.rows))
        return render(
            request,
            "line_items.html",
            lines=[each.value for each in lines],
            total=found.value.total,
            offset=offset,
            page=page,
            pages=max(1, -(-found.value.total // PAGE_ROWS)),
            page_address=lambda page: f"/line-items?page={page}",
            problem=found.problem,
            redis_problem=next((each.problem for each in lines if each.problem), ""),
        )

    @router.get("/line-items.csv")
    async def csv() -> Response:
        """What became of all ads, by line item and day."""
        items, days = await asyncio.gather(
            asyncio.to_thread(parts.documents.page, ORDERS), asyncio.to_thread(deliveries_by_day, parts.engine)
        )
        named = {item.line_item_id: (item.name, item.advertiser) for item in items[0]}
        rows = [
            [line_item_id, *named.get(line_item_id, ("", "")), day, *(events.get(kind, 0) for kind in CSV_KINDS)]
            for line_item_id, day, events in days
        ]
        columns = ("line_item_id", "name", "advertiser", "day", *CSV_KINDS)
        return csv_answer("line-items.csv", columns, [rows])

    @router.get("/line-items/{line_item_id:path}")
    async def line_item(request: Request, line_item_id: str) -> HTMLResponse:
        nothing: dict[dt.date, dict[str, int]] = {}
        found, days = await asyncio.gather(
            from_history(lambda: parts.documents.get(ORDERS, line_item_id), None),
            from_history(lambda: deliveries_of(parts.engine, line_item_id), nothing),
        )
        if found.value is None:
            return render(request, "missing.html", 404, what=f"line item {line_item_id}", problem=found.problem)
        stands = await line(found.value)
        newest = sorted(days.value.items(), reverse=True)[:DAYS]
        return render(
            request,
            "line_item.html",
            line=stands.value,
            days=newest,
            told=TOLD,
            problem=found.problem or days.problem,
            redis_problem=stands.problem,
        )

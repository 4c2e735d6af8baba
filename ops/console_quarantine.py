"""Quarantine: what reports say of assets nobody told of, how long it waits, and what lets it go."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from itertools import pairwise
from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, Response

from cuepoint.ops.api_parts import ApiParts
from cuepoint.ops.console_export import csv_answer
from cuepoint.ops.console_filters import page_number, plain_text
from cuepoint.ops.console_pages import render
from cuepoint.ops.console_reads import list_from_history, page_from_history
from cuepoint.streams.quarantine_reads import AGES_DAYS, WaitingAsset

PAGE_ROWS = 50
# as ``cuepoint ingest-assets`` reads it; the last three are for the person who fills it in
COLUMNS = ("asset_id", "title", "artist", "isrc", "upc", "released", "owner", "identifiers")
ABOUT = ("waiting_services", "waiting_streams", "waiting_days")
AGES = ("up to a day", *(f"{a} to {b} days" for a, b in pairwise(AGES_DAYS)), "longer")


def template_cells(asset: WaitingAsset) -> list[Any]:
    """A row to be filled in: the identifiers are there, id and title are not."""
    isrc = next((name[5:] for name in asset.identifiers if name.startswith("isrc:")), "")
    days = f"{asset.first_day} to {asset.last_day}"
    row = ["", "", "", isrc, "", "", "", " ".join(asset.identifiers)]
    return [*row, " ".join(asset.dsps), asset.streams, days]


def add_quarantine(router: APIRouter, parts: ApiParts) -> None:
    """Routes of the page and of the list as a file."""
    history, most = parts.history, parts.settings.export_rows

    def filters(request: Request) -> dict[str, str]:
        query = request.query_params
        return {"dsp": plain_text(query.get("dsp", ""), 128), "query": plain_text(query.get("q", ""), 100)}

    @router.get("/quarantine")
    async def quarantine(request: Request) -> HTMLResponse:
        wanted, page = filters(request), page_number(request.query_params.get("page", "1"))
        offset = (page - 1) * PAGE_ROWS
        services, found = await asyncio.gather(
            list_from_history(history.waiting_services),
            page_from_history(
                lambda: history.waiting_assets(dsp=wanted["dsp"], query=wanted["query"], limit=PAGE_ROWS, offset=offset)
            ),
        )

        def address(page: int = 1, path: str = "/quarantine", **changed: str) -> str:
            values = wanted | changed
            kept = {"dsp": values["dsp"], "q": values["query"], "page": page if page > 1 else ""}
            kept = {key: value for key, value in kept.items() if value}
            return path + (f"?{urlencode(kept)}" if kept else "")

        return render(
            request,
            "quarantine.html",
            services=services.value,
            ages=AGES,
            rows=found.value.rows,
            total=found.value.total,
            wanted=wanted,
            address=address,
            page=page,
            pages=max(1, -(-found.value.total // PAGE_ROWS)),
            offset=offset,
            most=parts.settings.quarantine_rows_max,
            problem=services.problem or found.problem,
        )

    @router.get("/quarantine.csv")
    async def quarantine_file(request: Request) -> Response:
        """The identifiers that wait, as a file of metadata to be filled in."""
        wanted = filters(request)
        first = await page_from_history(
            lambda: history.waiting_assets(dsp=wanted["dsp"], query=wanted["query"], limit=most)
        )
        if first.problem:
            return render(request, "missing.html", 503, what="export now", problem=first.problem)

        def rows() -> Iterator[list[list[Any]]]:
            yield [template_cells(asset) for asset in first.value.rows]

        return csv_answer("quarantine.csv", (*COLUMNS, *ABOUT), rows())

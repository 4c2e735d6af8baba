"""Dead letters: what could not be used, why, and the original bytes."""

from __future__ import annotations

import asyncio
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse

from cuepoint.ops.api_parts import ApiParts
from cuepoint.ops.console_filters import page_number
from cuepoint.ops.console_overview import NOTHING
from cuepoint.ops.console_pages import render
from cuepoint.ops.console_reads import from_history, page_from_history

PAGE_ROWS = 50


def add_faults(router: APIRouter, parts: ApiParts) -> None:
    """Route of the list of dead letters."""

    @router.get("/dead-letters")
    async def dead_letters(request: Request) -> HTMLResponse:
        code = request.query_params.get("code", "")[:64]
        page = page_number(request.query_params.get("page", "1"))
        offset = (page - 1) * PAGE_ROWS
        found, overview = await asyncio.gather(
            page_from_history(lambda: parts.history.dead_letters(code=code or None, limit=PAGE_ROWS, offset=offset)),
            from_history(parts.history.overview, NOTHING),
        )

        def address(to: int) -> str:
            return "/dead-letters?" + urlencode({"code": code, "page": to} if code else {"page": to})

        return render(
            request,
            "dead_letters.html",
            rows=found.value.rows,
            total=found.value.total,
            codes=sorted(overview.value.dead_by_code.items(), key=lambda pair: -pair[1]),
            code=code,
            page=page,
            pages=max(1, -(-found.value.total // PAGE_ROWS)),
            offset=offset,
            address=address,
            problem=found.problem or overview.problem,
        )

"""Sessions: the list, live first, and one session with what played, what was inserted, and why."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse

from cuepoint.ops.api_parts import ApiParts
from cuepoint.ops.console_drawing import draw
from cuepoint.ops.console_filters import page_number
from cuepoint.ops.console_pages import render
from cuepoint.ops.console_reads import from_history, list_from_history, page_from_history
from cuepoint.ops.console_rules import rule_lines
from cuepoint.ops.console_timeline import build_timeline
from cuepoint.streams.history_rows import SessionRow

PAGE_ROWS = 50


def is_live(row: SessionRow, now_ms: int, live_s: float) -> bool:
    """Whether a session goes on: not ended, and heard of within ``live_s``."""
    return not row.ended and now_ms - row.last_at < live_s * 1000


async def list_context(request: Request, parts: ApiParts) -> dict[str, Any]:
    """What the list shows; live sessions first within the page."""
    page = page_number(request.query_params.get("page", "1"))
    offset = (page - 1) * PAGE_ROWS
    found = await page_from_history(lambda: parts.history.sessions(limit=PAGE_ROWS, offset=offset))
    now_ms, live_s = time.time_ns() // 1_000_000, parts.settings.console_live_s
    rows = [(row, is_live(row, now_ms, live_s)) for row in found.value.rows]
    rows.sort(key=lambda pair: (not pair[1], -pair[0].first_at))
    pages = max(1, -(-found.value.total // PAGE_ROWS))
    return {
        "rows": rows,
        "total": found.value.total,
        "page": page,
        "pages": pages,
        "offset": offset,
        "page_address": lambda page: f"/sessions?page={page}",
        "problem": found.problem,
    }


async def session_context(parts: ApiParts, session_id: str) -> dict[str, Any] | None:
    """One session; None if there is none of that name."""
    history = parts.history
    row, events, decisions = await asyncio.gather(
        from_history(lambda: history.session(session_id), None),
        list_from_history(lambda: history.session_events(session_id)),
        list_from_history(lambda: history.session_decisions(session_id)),
    )
    problem = row.problem or events.problem or decisions.problem
    if not problem and row.value is None and not decisions.value:
        return None
    now_ms = time.time_ns() // 1_000_000
    live = row.value is not None and is_live(row.value, now_ms, parts.settings.console_live_s)
    line = build_timeline(events.value, decisions.value, now_ms if live else None)
    lines = await rule_lines(parts, {(one.rule_id, one.rule_version) for one in decisions.value})
    return {
        "session_id": session_id,
        "row": row.value,
        "live": live,
        "line": line,
        "drawing": draw(line) if line.end_ms else None,
        "events": events.value,
        "decisions": decisions.value,
        "rule_lines": lines,
        "problem": problem,
    }


def add_sessions(router: APIRouter, parts: ApiParts) -> None:
    """Routes of the list and of one session, each with its live part."""

    @router.get("/sessions")
    async def sessions(request: Request) -> HTMLResponse:
        return render(request, "sessions.html", **await list_context(request, parts))

    @router.get("/console/fragments/sessions")
    async def sessions_live(request: Request) -> HTMLResponse:
        return render(request, "sessions_live.html", **await list_context(request, parts))

    @router.get("/sessions/{session_id:path}")
    async def session(request: Request, session_id: str) -> HTMLResponse:
        context = await session_context(parts, session_id)
        if context is None:
            return render(request, "missing.html", 404, what=f"session {session_id}")
        return render(request, "session.html", **context)

    @router.get("/console/fragments/session/{session_id:path}")
    async def session_live(request: Request, session_id: str) -> HTMLResponse:
        context = await session_context(parts, session_id)
        if context is None:
            return render(request, "missing.html", 404, what=f"session {session_id}")
        return render(request, "session_live.html", **context)

"""The console: server-rendered pages for people, mounted into the API's application."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from fastapi import APIRouter, Depends, FastAPI
from starlette.exceptions import HTTPException
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send

from cuepoint.ops.api_parts import ApiParts
from cuepoint.ops.api_player import add_player
from cuepoint.ops.api_problems import answer_http
from cuepoint.ops.console_asset import add_asset
from cuepoint.ops.console_changes import add_change_list
from cuepoint.ops.console_consumption import add_consumption
from cuepoint.ops.console_faults import add_faults
from cuepoint.ops.console_line_items import add_line_items
from cuepoint.ops.console_overview import add_overview
from cuepoint.ops.console_pages import STATIC, render
from cuepoint.ops.console_quarantine import add_quarantine
from cuepoint.ops.console_reports import add_reports
from cuepoint.ops.console_rules import add_rules
from cuepoint.ops.console_sampler import Sampler
from cuepoint.ops.console_sessions import add_sessions
from cuepoint.ops.settings import Settings

_TEXTS = (".js", ".mjs", ".css", ".svg", ".ts")


class BundledFiles(StaticFiles):
    """Static files: those asked for with a digest (``?v=``) never change, others are checked again each time. Texts are
    sent gzipped to who takes it; clips and fonts are compressed already."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory=directory)
        self._gzipped = GZipMiddleware(super().__call__)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        whole = all(name != b"range" for name, _ in scope["headers"])
        answer = self._gzipped if whole and scope["path"].endswith(_TEXTS) else super().__call__
        await answer(scope, receive, send)

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        versioned = b"v=" in scope.get("query_string", b"")
        response.headers["cache-control"] = "public, max-age=31536000, immutable" if versioned else "no-cache"
        return response


def wants_page(request: Request) -> bool:
    """Whether an error is for a person: a browser, outside the API."""
    return not request.url.path.startswith("/v1") and "text/html" in request.headers.get("accept", "")


async def not_found(request: Request, error: Exception) -> Response:
    """404 as a page for people, as a problem for programs."""
    if wants_page(request):
        return render(request, "missing.html", 404, what=f"page {request.url.path}")
    assert isinstance(error, HTTPException)
    return await answer_http(request, error)


def mount_console(app: FastAPI, settings: Settings, parts: ApiParts) -> None:
    """Add pages, live fragments, chart data and bundled files to ``app``. Call it after the API's routes are there."""

    sampler = Sampler(parts, settings.console_refresh_ms / 1000)

    @contextlib.asynccontextmanager
    async def sampling(_: FastAPI) -> AsyncIterator[None]:
        sampler.start()
        yield
        await sampler.stop()

    app.state.console_refresh_ms = settings.console_refresh_ms
    router = APIRouter(
        include_in_schema=False, dependencies=[Depends(parts.console_user)], lifespan=sampling, tags=["console"]
    )
    add_overview(router, parts, sampler)
    add_change_list(router, parts)
    add_asset(router, parts)
    add_consumption(router, parts)
    add_reports(router, parts)
    add_quarantine(router, parts)
    add_sessions(router, parts)
    add_rules(router, parts)
    add_line_items(router, parts)
    add_faults(router, parts)
    add_player(router, parts)
    app.include_router(router)
    app.mount("/static", BundledFiles(directory=STATIC), name="static")
    app.add_exception_handler(404, not_found)

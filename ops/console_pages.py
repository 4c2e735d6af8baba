"""Rendering of the console: templates, headers, and static files with a version in their address."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse

from cuepoint.ops import console_format as form
from cuepoint.streams.change_search import SIMULATED_PREFIX

HERE = Path(__file__).parent
STATIC = HERE / "static"
PAGE_HEADERS = {"cache-control": "no-store"}  # the security headers are set around every answer, see api_middleware
# name, address, key after g, icon of the navigation
PAGES = (
    ("Overview", "/", "o", "overview"),
    ("Changes", "/changes", "c", "changes"),
    ("Catalogue", "/assets", "a", "catalogue"),
    ("Reports", "/reports", "p", "reports"),
    ("Quarantine", "/quarantine", "u", "quarantine"),
    ("Sessions", "/sessions", "s", "sessions"),
    ("Rules", "/rules", "r", "rules"),
    ("Line items", "/line-items", "i", "line items"),
    ("Player", "/player", "w", "player"),
    ("Dead letters", "/dead-letters", "d", "dead"),
)


@cache
def file_address(name: str) -> str:
    """The address of a bundled file with a digest of its content, so that browsers may keep it for ever."""
    digest = hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]
    return f"/static/{name}?v={digest}"


@cache
def environment() -> Environment:
    """Templates: everything is escaped, an unknown name is an error."""
    env = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    writers = (form.number, form.rate, form.signed, form.percent, form.probability, form.seconds, form.criterion)
    makers = (form.day, form.clock, form.sparkline, form.printable)
    env.filters.update({writer.__name__: writer for writer in (*writers, *makers)})
    env.tests["simulated"] = lambda asset_id: asset_id.startswith(SIMULATED_PREFIX)
    env.filters["address"] = lambda value: quote(str(value), safe="")
    env.globals.update(file=file_address, PAGES=PAGES)
    return env


def render(request: Request, template: str, status: int = 200, /, **context: Any) -> HTMLResponse:
    """A page or fragment as a response with the console's headers. ``context`` is what the template names."""
    refresh_ms = getattr(request.app.state, "console_refresh_ms", 2000)
    text = environment().get_template(template).render(path=request.url.path, refresh_ms=refresh_ms, **context)
    return HTMLResponse(text, status, headers=PAGE_HEADERS)

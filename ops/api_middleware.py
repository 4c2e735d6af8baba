"""Around every request: its id, security headers, metrics, the access log; nothing escapes as a bare 500."""

from __future__ import annotations

import itertools
import logging
import re
import secrets
import time
from typing import Any

import msgspec
from starlette.routing import Match, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cuepoint.ops.api_problems import PROBLEM_JSON, as_problem, problem_body
from cuepoint.streams.metrics import HTTP_REQUESTS, HTTP_SECONDS

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
SECURITY_HEADERS = [
    (b"content-security-policy", CONTENT_SECURITY_POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
]
_PROCESS, _COUNT = secrets.token_hex(5), itertools.count(1)
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}\Z")
_log = logging.getLogger("cuepoint.api")
_access = logging.getLogger("cuepoint.access")
_json = msgspec.json.Encoder().encode


class Observed:
    """ASGI middleware. Never logs query strings, headers or bodies: tokens and keys stand there."""

    def __init__(self, app: ASGIApp, access_log: bool = True) -> None:
        self._app, self._access_log = app, access_log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = _Exchange(scope, send)
        try:
            await self._app(scope, receive, exchange.send)
        except Exception as error:
            _log.exception("%s %s [%s]", scope["method"], scope["path"], exchange.request_id)
            if exchange.status:  # too late for another answer
                raise
            await exchange.send_problem(error)
        finally:
            exchange.count()
            if self._access_log:
                exchange.log()


class _Exchange:
    """One request and its answer."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self._scope, self._send = scope, send
        self._began = time.perf_counter()
        self.status = 0
        self._streams = False
        self.request_id = _request_id(scope)
        scope.setdefault("state", {})["request_id"] = self.request_id

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = list(message.get("headers", ()))
            names = dict(headers)
            self._streams = names.get(b"content-type", b"").startswith(b"text/event-stream")
            headers += [header for header in SECURITY_HEADERS if header[0] not in names]
            headers.append((b"x-request-id", self.request_id.encode()))
            message["headers"] = headers
        await self._send(message)

    async def send_problem(self, error: Exception) -> None:
        problem = as_problem(error)
        body = problem_body(problem, self._scope["path"], self.request_id)
        headers = [(b"content-type", PROBLEM_JSON.encode()), (b"content-length", str(len(body)).encode())]
        headers += [(name.lower().encode(), value.encode()) for name, value in problem.headers.items()]
        await self.send({"type": "http.response.start", "status": problem.status, "headers": headers})
        await self.send({"type": "http.response.body", "body": body})

    def count(self) -> None:
        route = route_of(self._scope)
        HTTP_REQUESTS.labels(route, str(self.status)).inc()
        if not self._streams:  # how long a stream stays open says nothing of speed
            HTTP_SECONDS.labels(route).observe(time.perf_counter() - self._began)

    def log(self) -> None:
        client = self._scope.get("client")
        line: dict[str, Any] = {
            "method": self._scope["method"],
            "path": self._scope["path"][:512],
            "status": self.status,
            "duration_ms": round((time.perf_counter() - self._began) * 1000, 2),
            "client": client[0] if client else "",
            "request_id": self.request_id,
        }
        _access.info("%s", _json(line).decode())


class NamedRoute(Route):
    """A Starlette route that says in the scope which it is, as FastAPI's do: for the metrics' label."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        match, found = super().matches(scope)
        if match is not Match.NONE:
            found["route"] = self
        return match, found


def route_of(scope: Scope) -> str:
    """The route's template, so that metrics have one series a route and not one a session."""
    template = getattr(scope.get("route"), "path", None)
    if isinstance(template, str):
        return template
    return "/static" if scope["path"].startswith("/static/") else "unmatched"


def _request_id(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == b"x-request-id":
            given = str(value, "latin-1")
            if _REQUEST_ID.match(given):
                return given
            break
    return f"{_PROCESS}{next(_COUNT):06x}"

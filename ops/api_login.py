"""Signing in to the console: the admin key once, then a signed cookie."""

from __future__ import annotations

import time
from urllib.parse import parse_qs

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from cuepoint.ops.api_auth import CONSOLE_COOKIE
from cuepoint.ops.api_bodies import media_type, read_body
from cuepoint.ops.api_limits import TokenBuckets
from cuepoint.ops.api_parts import ApiParts
from cuepoint.ops.api_problems import Problem, too_many

_BODY_BYTES = 4096
_TRIES_PER_S, _TRIES = 0.2, 10  # one client's guesses


def login_router(parts: ApiParts) -> APIRouter:
    """GET and POST /login, POST /logout."""
    router = APIRouter(include_in_schema=False)
    settings, access = parts.settings, parts.access
    tries = TokenBuckets(_TRIES_PER_S, _TRIES)

    @router.get("/login")
    def form(request: Request) -> Response:
        return _form(request, request.query_params.get("next", "/"), "")

    @router.post("/login")
    async def sign_in(request: Request) -> Response:
        if media_type(request) != "application/x-www-form-urlencoded":
            raise Problem(415, "unsupported-media-type", "Send the form.")
        wait_s = tries.take(request.client.host if request.client else "", 1, time.monotonic())
        if wait_s > 0:
            raise too_many("Too many attempts to sign in.", wait_s)
        fields = parse_qs((await read_body(request, _BODY_BYTES)).decode("utf-8", "replace"))
        key, after = fields.get("key", [""])[0], fields.get("next", ["/"])[0]
        found = access.role_of_key(key)
        if found is None or found[0] != "admin":
            return _form(request, after, "This is not the admin key.", status=401)
        answer = RedirectResponse(local_path(after), status_code=303)
        answer.set_cookie(
            CONSOLE_COOKIE,
            access.signer.sign("console", "admin", int(time.time()) + settings.login_s),
            max_age=settings.login_s,
            httponly=True,
            samesite="strict",
            secure=request.url.scheme == "https",
        )
        return answer

    @router.post("/logout")
    def sign_out() -> Response:
        answer = RedirectResponse("/login", status_code=303)
        answer.delete_cookie(CONSOLE_COOKIE, httponly=True, samesite="strict")
        return answer

    return router


def local_path(target: str) -> str:
    """Where to go after the login: a path of this site, never another site.

    >>> local_path("/sessions"), local_path("//evil.example"), local_path("/" + chr(92) + "evil"), local_path("https://x")
    ('/sessions', '/', '/', '/')
    """
    bad = not target.startswith("/") or target.startswith(("//", "/\\")) or any(c < " " for c in target)
    return "/" if bad else target


def _form(request: Request, after: str, error: str, status: int = 200) -> Response:
    from cuepoint.ops.console_pages import render

    return render(request, "login.html", status, error=error, next=local_path(after))

"""Errors of the HTTP API: RFC 9457 problem details, whatever went wrong."""

from __future__ import annotations

import http
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import redis.exceptions
import sqlalchemy.exc
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from cuepoint.schemas.errors import ContractError, CuepointError, RuleError, Unavailable

PROBLEM_JSON = "application/problem+json"
RETRY_AFTER_S = 2
_AWAY: tuple[tuple[tuple[type[Exception], ...], str], ...] = (
    ((Unavailable,), "The broker or a store"),
    ((redis.exceptions.ConnectionError, redis.exceptions.TimeoutError), "Redis"),
    ((sqlalchemy.exc.OperationalError, sqlalchemy.exc.InterfaceError, sqlalchemy.exc.TimeoutError), "The database"),
)
_log = logging.getLogger("cuepoint.api")


class Problem(CuepointError):
    """An answer that is an error. ``code`` is short and stable and becomes ``type`` (``urn:cuepoint:problem:CODE``);
    ``errors`` lists ``{"field": JSON path, "reason": sentence}``."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        errors: list[dict[str, Any]] | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status, self.code, self.detail = status, code, detail
        self.errors, self.headers = errors, headers or {}


def too_many(detail: str, wait_s: float, code: str = "rate-limited") -> Problem:
    """429 with Retry-After in whole seconds, at least one."""
    return Problem(429, code, detail, headers={"Retry-After": str(max(1, round(wait_s + 0.5)))})


def problem_body(problem: Problem, instance: str, request_id: str) -> bytes:
    """The problem as JSON."""
    body: dict[str, Any] = {
        "type": f"urn:cuepoint:problem:{problem.code}",
        "title": http.HTTPStatus(problem.status).phrase,
        "status": problem.status,
        "detail": problem.detail,
        "instance": instance,
        "request_id": request_id,
    }
    if problem.errors is not None:
        body["errors"] = problem.errors
    return msgspec.json.encode(body)


def answer(request: Request, problem: Problem) -> Response:
    """The response for a problem."""
    request_id = request.scope.get("state", {}).get("request_id", "")
    return Response(
        problem_body(problem, request.url.path, request_id),
        status_code=problem.status,
        media_type=PROBLEM_JSON,
        headers=problem.headers,
    )


def as_problem(error: Exception) -> Problem:
    """The problem that stands for an error of ours or of the parts we use; 500 for what nobody expected."""
    match error:
        case Problem():
            return error
        case RuleError():
            errors = [{"field": field, "reason": reason} for field, reason in error.problems]
            return Problem(422, "invalid-rule", "The rule cannot be used.", errors=errors)
        case ContractError():
            status = 400 if error.code == "malformed" else 422
            errors = [{"field": error.field, "reason": error.reason}]
            return Problem(status, error.code.replace("_", "-"), "The body breaks its contract.", errors=errors)
    for kinds, name in _AWAY:
        if isinstance(error, kinds):
            detail = f"{name} does not answer; try again."
            return Problem(503, "unavailable", detail, headers={"Retry-After": str(RETRY_AFTER_S)})
    return Problem(500, "internal", "Something went wrong on our side; the log has it under the request id.")


async def answer_http(request: Request, error: Exception) -> Response:
    """Starlette's own errors (404, 405, redirects to the login) as problems."""
    assert isinstance(error, HTTPException)
    headers = dict(error.headers or {})
    if error.status_code < 400:
        return Response(status_code=error.status_code, headers=headers)
    code = http.HTTPStatus(error.status_code).phrase.lower().replace(" ", "-")
    return answer(request, Problem(error.status_code, code, str(error.detail), headers=headers))


async def answer_validation(request: Request, error: Exception) -> Response:
    """FastAPI's validation errors: 422 with the place of each."""
    assert isinstance(error, RequestValidationError)
    errors = [{"field": ".".join(str(part) for part in e["loc"]), "reason": str(e["msg"])} for e in error.errors()]
    return answer(request, Problem(422, "invalid", "The request breaks its contract.", errors=errors))


async def answer_error(request: Request, error: Exception) -> Response:
    """Errors of ours and of the parts we use."""
    problem = as_problem(error)
    if problem.status >= 500:
        _log.warning("%s %s: %s: %s", request.method, request.url.path, type(error).__name__, error)
    return answer(request, problem)


PROBLEM_HANDLERS: dict[type[Exception], Callable[[Request, Exception], Awaitable[Response]]] = {
    HTTPException: answer_http,
    RequestValidationError: answer_validation,
    CuepointError: answer_error,
    redis.exceptions.RedisError: answer_error,
    sqlalchemy.exc.SQLAlchemyError: answer_error,
}


def install_problem_handlers(app: FastAPI) -> None:
    """Every error of the app answers as application/problem+json."""
    for kind, handler in PROBLEM_HANDLERS.items():
        app.add_exception_handler(kind, handler)

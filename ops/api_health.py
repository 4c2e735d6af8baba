"""Probes that tell the truth, and /metrics."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import sqlalchemy
from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.responses import Response

from cuepoint.ops.api_bodies import Json
from cuepoint.ops.api_contracts import Alive, PartHealth, Readiness
from cuepoint.ops.api_openapi import described
from cuepoint.ops.api_parts import ApiParts
from cuepoint.schemas.errors import Unavailable
from cuepoint.streams.metrics import DEPENDENCY_UP, REGISTRY
from cuepoint.streams.topics_admin import missing_topics

_FRESH_S = 1.0


async def check_parts(parts: ApiParts) -> dict[str, PartHealth]:
    """Ask broker, Redis and database, all at once, each at most ``settings.ready_timeout_s``."""
    checks = {"broker": _broker, "redis": _redis, "database": _database}
    found = await asyncio.gather(*(_check(check, parts) for check in checks.values()))
    healths = dict(zip(checks, found, strict=True))
    for name, health in healths.items():
        DEPENDENCY_UP.labels(name).set(health.state == "up")
    return healths


async def _check(check: Callable[[ApiParts], Awaitable[str]], parts: ApiParts) -> PartHealth:
    began = time.perf_counter()
    try:
        async with asyncio.timeout(parts.settings.ready_timeout_s + 0.5):  # their own timeouts come first
            detail = await check(parts)
    except TimeoutError:
        detail = "no answer in time"
    except Unavailable as error:
        detail = str(error)
    except Exception as error:  # any reason why a part cannot be used; its text might hold an address with a password
        detail = type(error).__name__
    latency_ms = round((time.perf_counter() - began) * 1000, 1)
    return PartHealth(state="down" if detail else "up", latency_ms=latency_ms, detail=detail)


async def _broker(parts: ApiParts) -> str:
    settings = parts.settings
    missing = await asyncio.to_thread(missing_topics, settings.broker, settings.topic_prefix, settings.ready_timeout_s)
    return f"topics are missing: {', '.join(missing)}; run `cuepoint topics create`" if missing else ""


async def _redis(parts: ApiParts) -> str:
    async with asyncio.timeout(parts.settings.ready_timeout_s):
        await parts.redis.ping()
    return ""


async def _database(parts: ApiParts) -> str:
    def ask() -> None:
        with parts.engine.connect() as connection:
            connection.execute(sqlalchemy.text("SELECT COUNT(*) FROM alembic_version")).scalar_one()

    await asyncio.to_thread(ask)
    return ""


class _Recent:
    """The last finding, for a second: a flood of probes is not a flood of questions to the parts."""

    def __init__(self, parts: ApiParts) -> None:
        self._parts, self._lock = parts, asyncio.Lock()
        self._at, self._found = float("-inf"), dict[str, PartHealth]()

    async def get(self) -> dict[str, PartHealth]:
        async with self._lock:
            if time.monotonic() - self._at > _FRESH_S:
                self._found = await check_parts(self._parts)
                self._at = time.monotonic()
            return self._found


def health_router(parts: ApiParts) -> APIRouter:
    """/healthz, /readyz and /metrics; open to all, and without secrets."""
    router = APIRouter(tags=["operations"])
    recent = _Recent(parts)

    @router.get("/healthz", **described(Alive))
    async def healthz() -> Response:
        """The process is alive; says nothing of what it needs."""
        return Json(Alive())

    @router.get("/readyz", **described(Readiness))
    async def readyz() -> Response:
        """200 when broker, Redis and database answer, else 503; the parts say which does not."""
        healths = await recent.get()
        ready = all(health.state == "up" for health in healths.values())
        headers = {"cache-control": "no-store"}
        return Json(Readiness(ready=ready, parts=healths), status_code=200 if ready else 503, headers=headers)

    @router.get("/metrics", response_class=Response)
    def metrics() -> Response:
        """Prometheus' text format."""
        return Response(generate_latest(REGISTRY), media_type=CONTENT_TYPE_LATEST)

    return router

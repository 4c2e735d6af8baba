"""The API process: collector, decisions, rules, reading, probes, and the console, in one ASGI app."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from granian.constants import Interfaces
from granian.server.embed import Server
from starlette.middleware.cors import CORSMiddleware

from cuepoint.ops.api_ads import ads_router
from cuepoint.ops.api_collector import Collector
from cuepoint.ops.api_consumption import consumption_router
from cuepoint.ops.api_decisions import Decisions
from cuepoint.ops.api_health import health_router
from cuepoint.ops.api_line_items import line_items_router
from cuepoint.ops.api_login import login_router
from cuepoint.ops.api_media import media_router
from cuepoint.ops.api_middleware import NamedRoute, Observed
from cuepoint.ops.api_openapi import install_openapi
from cuepoint.ops.api_parts import ApiParts, make_parts
from cuepoint.ops.api_problems import install_problem_handlers
from cuepoint.ops.api_reads import reads_router
from cuepoint.ops.api_rule_trials import trials_router
from cuepoint.ops.api_rules import rules_router
from cuepoint.ops.api_viewers import viewers_router
from cuepoint.ops.api_webhooks import webhooks_router
from cuepoint.ops.console import mount_console
from cuepoint.ops.settings import Settings
from cuepoint.schemas.errors import ConfigurationError

_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_ROUTERS = (
    health_router,
    login_router,
    rules_router,
    trials_router,
    reads_router,
    consumption_router,
    webhooks_router,
    media_router,
    line_items_router,
    ads_router,
    viewers_router,
)
_log = logging.getLogger("cuepoint.api")


def build_app(settings: Settings, parts: ApiParts | None = None) -> FastAPI:
    """The app; its lifespan opens and closes the parts.

    The hot routes (events, decisions) are plain Starlette routes with msgspec, asked first; the rest is FastAPI's.
    Interactive documentation pages are off: FastAPI's load scripts from elsewhere. /openapi.json has it all.
    """
    made = parts if parts is not None else make_parts(settings)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncGenerator[None, None]:
        await made.open()
        yield
        await made.close()

    app = FastAPI(title="Cuepoint", version="1", docs_url=None, redoc_url=None, lifespan=lifespan)
    app.state.parts = made
    decisions = Decisions(settings, made.access, made.decisions)
    app.state.end_streams = decisions.end_streams
    app.router.routes += _player_routes(made, decisions)
    for make_router in _ROUTERS:
        app.include_router(make_router(made))
    install_problem_handlers(app)
    install_openapi(app)
    mount_console(app, settings, made)
    origins = [origin.strip() for origin in settings.cors_origins.split(",") if origin.strip()]
    if origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=origins,
            allow_methods=["GET", "POST"],
            allow_headers=["authorization", "content-type", "last-event-id"],
        )
    app.add_middleware(Observed, access_log=settings.access_log)
    return app


def _player_routes(parts: ApiParts, decisions: Decisions) -> list[NamedRoute]:
    collector = Collector(parts.settings, parts.access, parts.producer, parts.stamps)
    path = "/v1/sessions/{session_id}/decisions"
    return [
        NamedRoute("/v1/events", collector.post, methods=["POST"], include_in_schema=False),
        NamedRoute(path, decisions.poll, methods=["GET"], include_in_schema=False),
        NamedRoute(path + "/stream", decisions.stream, methods=["GET"], include_in_schema=False),
    ]


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT, in this process; start more processes for more replicas.

    Raises ConfigurationError for an address that is taken.
    """
    logging.basicConfig(level=settings.log_level, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    if settings.console_open and settings.api_host not in _LOOPBACK:
        _log.warning("the console is open to everyone who reaches %s: unset CUEPOINT_CONSOLE_OPEN", settings.api_host)
    if not settings.player_keys():
        _log.warning("CUEPOINT_API_KEYS is empty: no player can send events")
    _require_free(settings.api_host, settings.api_port)
    asyncio.run(_serve(settings))


def _require_free(host: str, port: int) -> None:
    """Raises ConfigurationError where the address cannot be listened on; the server itself would panic."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        reason = (
            f"the API cannot listen on {host}:{port} ({error.strerror}): set CUEPOINT_API_PORT or CUEPOINT_API_HOST"
        )
        raise ConfigurationError(reason) from error


def make_server(app: FastAPI, host: str, port: int) -> Server:
    """A server for the running event loop: ``await .serve()`` until ``.stop()``."""
    return Server(app, host, port, interface=Interfaces.ASGI, websockets=False, log_enabled=False)


async def _serve(settings: Settings) -> None:
    app = build_app(settings)
    server = make_server(app, settings.api_host, settings.api_port)
    stopping = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    _log.info("serving on http://%s:%d", settings.api_host, settings.api_port)
    serving = asyncio.create_task(server.serve())
    stop = asyncio.create_task(stopping.wait())
    await asyncio.wait({serving, stop}, return_when=asyncio.FIRST_COMPLETED)
    stop.cancel()
    app.state.end_streams()
    server.stop()  # type: ignore[no-untyped-call]
    done, _ = await asyncio.wait({serving}, timeout=settings.stop_timeout_s)
    if not done:
        _log.warning("requests still open after %g s are dropped", settings.stop_timeout_s)
        return
    await serving

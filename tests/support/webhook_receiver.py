"""A subscriber of webhooks: a real HTTP server on loopback that answers as told and keeps what it got."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from standardwebhooks import Webhook


@dataclass
class Receiver:
    """``answers``: status (and headers) of the next requests; then 204."""

    url: str = ""
    answers: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    def opened(self, secret: str, index: int = -1) -> dict[str, Any]:
        """A body that the reference implementation of Standard Webhooks has verified."""
        headers, body = self.got[index]
        found: dict[str, Any] = Webhook(secret).verify(body, headers)
        return found


@contextlib.asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    receiver = Receiver()

    async def take(request: web.Request) -> web.Response:
        receiver.got.append((dict(request.headers), await request.read()))
        status, headers = receiver.answers.pop(0) if receiver.answers else (204, {})
        return web.Response(status=status, headers=headers)

    app = web.Application()
    app.router.add_post("/{path:.*}", take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    assert site._server is not None
    port = site._server.sockets[0].getsockname()[1]  # type: ignore[attr-defined]
    receiver.url = f"http://127.0.0.1:{port}/hook"
    try:
        yield receiver
    finally:
        await runner.cleanup()

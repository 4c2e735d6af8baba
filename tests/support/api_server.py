"""The whole API as a real server on a free port of loopback, in the test's event loop."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import httpx

from cuepoint.ops.api import build_app, make_server
from cuepoint.ops.settings import Settings
from cuepoint.streams.embedded_parts import free_port

ADMIN = {"authorization": "Bearer admin-key"}
READ = {"authorization": "Bearer read-key"}
PLAYER = {"authorization": "Bearer player-key"}
KEYS: dict[str, Any] = {"api_keys": "player-key", "admin_key": "admin-key", "read_keys": "read-key"}
START_S = 90.0


def with_keys(settings: Settings, **changes: Any) -> Settings:
    """The settings with the keys above."""
    return Settings(**(settings.model_dump() | KEYS | {"console_open": False} | changes))


@contextlib.asynccontextmanager
async def serving(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a server that runs until the block ends."""
    port = free_port()
    server = make_server(build_app(settings), "127.0.0.1", port)
    task = asyncio.create_task(server.serve())
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60.0) as client:
        try:
            await until(lambda: answers(client))
            yield client
        finally:
            server.stop()
            await asyncio.wait_for(task, 60.0)


async def answers(client: httpx.AsyncClient) -> bool:
    try:
        return (await client.get("/healthz")).status_code == 200
    except httpx.TransportError:
        return False


async def until(condition: Any, seconds: float = START_S) -> Any:
    """What ``condition`` (a coroutine function) answers, once that is true."""
    deadline = asyncio.get_running_loop().time() + seconds
    while not (found := await condition()):
        assert asyncio.get_running_loop().time() < deadline, "it did not come about"
        await asyncio.sleep(0.05)
    return found

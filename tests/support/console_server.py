"""The whole app on a free port, in a thread, for tests that drive a real browser."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from pathlib import Path

import httpx
from granian.constants import Interfaces
from granian.server.embed import Server

from cuepoint.ops.api import build_app
from cuepoint.ops.settings import Settings
from cuepoint.streams.embedded_parts import free_port


def serve(settings: Settings) -> tuple[str, Callable[[], None]]:
    """Run the app in a thread: its address, and what stops it."""
    port, started, stop = free_port(), threading.Event(), []

    async def run() -> None:
        server = Server(build_app(settings), "127.0.0.1", port, interface=Interfaces.ASGI, log_enabled=False)
        loop = asyncio.get_running_loop()
        stop.append(lambda: loop.call_soon_threadsafe(server.stop))
        started.set()
        await server.serve()

    thread = threading.Thread(target=lambda: asyncio.run(run()), daemon=True)
    thread.start()
    assert started.wait(90)
    url = f"http://127.0.0.1:{port}"
    wait_for(url + "/healthz")

    def end() -> None:
        stop[0]()
        thread.join(10)

    return url, end


def wait_for(url: str) -> None:
    """Until the address answers, 20 s at most."""
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        try:
            if httpx.get(url).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.05)
    raise AssertionError(f"{url} does not answer")


def console_settings(folder: Path, redis_url: str, console_open: bool = True) -> Settings:
    """Settings of a console that refreshes quickly; its broker does not exist."""
    return Settings(
        broker=f"127.0.0.1:{free_port()}",
        redis_url=redis_url,  # type: ignore[arg-type]
        database_url=f"sqlite:///{folder}/history.db",  # type: ignore[arg-type]
        data_dir=folder,
        console_refresh_ms=250,
        forecast_wait_s=120,
        console_open=console_open,
        admin_key="admin-key",  # type: ignore[arg-type]
        access_log=False,
    )

"""A real console for real Chromium: the whole app on a free port, a real Redis, a history filled by its writer."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest
import redis as redis_sync
from console_rows import Console, fill
from console_server import console_settings, serve
from playwright.sync_api import Browser, Page, expect, sync_playwright

from cuepoint.streams.database import open_engine, upgrade
from cuepoint.streams.embedded_parts import free_port, start_redis

expect.set_options(timeout=60_000)  # what is awaited comes late on a busy machine, and never for nothing
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def chromium_path() -> str:
    """The browser; without one the tests are skipped, and fail in CI, where it is installed."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        sentence = "no Chromium: install the Debian package `chromium` to run the browser tests"
        if os.environ.get("CI") == "true":
            pytest.fail(sentence)
        pytest.skip(sentence)
    return found


@pytest.fixture(scope="session")
def console_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    part = start_redis(tmp_path_factory.mktemp("redis"))
    yield part.address
    part.stop(5)


@pytest.fixture(scope="session")
def console(tmp_path_factory: pytest.TempPathFactory, console_redis: str) -> Iterator[Console]:
    """A console with something on every page."""
    settings = console_settings(tmp_path_factory.mktemp("console"), console_redis)
    engine = open_engine(settings.database_url.get_secret_value())
    upgrade(engine)
    engine.dispose()
    url, end = serve(settings)
    made = Console(url, settings)
    fill(made)
    yield made
    end()


@pytest.fixture(scope="session")
def bare_console(tmp_path_factory: pytest.TempPathFactory, console_redis: str) -> Iterator[Console]:
    """A console that has nothing to show: empty history, no worker."""
    settings = console_settings(tmp_path_factory.mktemp("bare"), console_redis.rsplit("/", 1)[0] + "/5")
    redis_sync.Redis.from_url(settings.redis_url.get_secret_value()).flushdb()
    engine = open_engine(settings.database_url.get_secret_value())
    upgrade(engine)
    engine.dispose()
    url, end = serve(settings)
    yield Console(url, settings)
    end()


@pytest.fixture(scope="session")
def closed_console(tmp_path_factory: pytest.TempPathFactory, console_redis: str) -> Iterator[Console]:
    """A console that asks for the key."""
    settings = console_settings(tmp_path_factory.mktemp("closed"), console_redis, console_open=False)
    url, end = serve(settings)
    yield Console(url, settings)
    end()


@pytest.fixture(scope="session")
def broken_console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    """A console whose database is not one and whose Redis is not there."""
    folder = tmp_path_factory.mktemp("broken")
    (folder / "history.db").write_bytes(b"this is not a database" * 100)
    settings = console_settings(folder, f"redis://127.0.0.1:{free_port()}/0")
    url, end = serve(settings)
    yield Console(url, settings)
    end()


@pytest.fixture(scope="module")  # not longer: Playwright's loop would be in the way of later asynchronous tests
def browser() -> Iterator[Browser]:
    path = chromium_path()
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield chromium
        chromium.close()


@dataclass
class Watched:
    """A page with what went wrong on it and what it asked for from outside."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    outside: list[str] = field(default_factory=list)


@pytest.fixture
def open_page(browser: Browser, console: Console) -> Iterator[Callable[..., Watched]]:
    """Opens pages in a fresh context; at the end none may have complained or asked anything from elsewhere."""
    opened: list[Watched] = []

    def make(path: str = "/", theme: str = "light", width: int = 1280, base: str = "") -> Watched:
        context = browser.new_context(
            viewport={"width": width, "height": 900},
            color_scheme=theme,  # type: ignore[arg-type]
            timezone_id="America/New_York",
            reduced_motion="reduce",
        )
        context.set_default_timeout(90_000)
        watched = Watched(context.new_page())
        page, home = watched.page, base or console.url
        page.on("console", lambda m: watched.complaints.append(m.text) if m.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: watched.complaints.append(str(error)))
        page.on("request", lambda r: None if r.url.startswith((home, "data:")) else watched.outside.append(r.url))
        opened.append(watched)
        page.goto(home + path)
        return watched

    yield make
    for watched in opened:
        watched.page.context.close()
        assert watched.outside == []
        assert watched.complaints == []

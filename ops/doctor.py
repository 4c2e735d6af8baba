"""``cuepoint doctor``: does this machine have what Cuepoint needs? A table, and an exit code."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rich.console import Console
from rich.table import Table

from cuepoint.ops.embedded_folder import LEAST_FREE_BYTES, port_trouble
from cuepoint.ops.settings import Settings
from cuepoint.schemas.errors import CuepointError

Verdict = Literal["fine", "missing", "optional"]
_COLOURS = {"fine": "green", "missing": "red", "optional": "yellow"}


@dataclass(frozen=True)
class Finding:
    """``missing``: something will not work, and ``found`` says what to do; ``optional``: only a nicety is absent."""

    what: str
    verdict: Verdict
    found: str


def examine(read_settings: Callable[[], Settings], console: Console | None = None) -> int:
    """Print the findings. Returns 0, or 1 where something needed is missing."""
    findings = list(look(read_settings))
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("what", "verdict", "found"):
        table.add_column(heading, overflow="fold")
    for finding in findings:
        table.add_row(finding.what, f"[{_COLOURS[finding.verdict]}]{finding.verdict}[/]", finding.found)
    console = console or Console()
    console.print(table)
    missing = sum(finding.verdict == "missing" for finding in findings)
    console.print(f"{missing} of {len(findings)} need attention" if missing else "everything needed is there")
    return 1 if missing else 0


def look(read_settings: Callable[[], Settings]) -> Iterator[Finding]:
    """Every finding, in the order of the table."""
    yield _python()
    try:
        settings = read_settings()
    except CuepointError as error:
        yield Finding("settings", "missing", str(error))
        settings = Settings.model_construct()
    else:
        yield Finding("settings", "fine", "every CUEPOINT_ variable can be read")
    yield _broker_binary()
    yield _redis_binary()
    yield _port(settings)
    yield _folder(settings.data_dir)
    yield _disk(settings.data_dir)
    yield _sample()
    yield from _services(settings)
    yield _tool("chromium", "browser tests", ("chromium", "chromium-browser", "google-chrome"))
    yield _tool("prometheus", "metrics tests", ("prometheus",))


def _python() -> Finding:
    version = ".".join(str(part) for part in sys.version_info[:3])
    fits = (3, 11) <= sys.version_info[:2] < (3, 13)
    return Finding("Python", "fine" if fits else "missing", version if fits else f"{version}: 3.11 or 3.12 is needed")


def _broker_binary() -> Finding:
    from cuepoint.streams.embedded_parts import broker_binary

    return _binary("embedded broker", broker_binary)


def _redis_binary() -> Finding:
    from cuepoint.streams.embedded_parts import redis_binary

    return _binary("Redis", redis_binary)


def _binary(what: str, find: Callable[[], Path]) -> Finding:
    try:
        return Finding(what, "fine", str(find()))
    except CuepointError as error:
        return Finding(what, "missing", str(error))


def _port(settings: Settings) -> Finding:
    what = f"port {settings.api_port}"
    if trouble := port_trouble(settings.api_host, settings.api_port):
        return Finding(what, "missing", f"{trouble}: set CUEPOINT_API_PORT, or `cuepoint run --port 0`")
    return Finding(what, "fine", f"free on {settings.api_host}")


def _folder(folder: Path) -> Finding:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"x" * 4096)
    except OSError as error:
        return Finding("data folder", "missing", f"{folder}: {error.strerror}: set CUEPOINT_DATA_DIR to another")
    return Finding("data folder", "fine", str(folder.resolve()))


def _disk(folder: Path) -> Finding:
    try:
        free = shutil.disk_usage(folder if folder.exists() else Path.cwd()).free
    except OSError as error:
        return Finding("disk", "missing", f"{folder}: {error.strerror}")
    said = f"{free / 1e9:.1f} GB free"
    if free < LEAST_FREE_BYTES:
        return Finding("disk", "missing", f"{said}: a run needs {LEAST_FREE_BYTES >> 20} MB; free some space")
    return Finding("disk", "fine", said)


def _sample() -> Finding:
    from importlib import resources

    there = (resources.files("cuepoint.ops") / "samples" / "spotify_us_daily.csv.gz").is_file()
    return Finding("bundled sample", "fine" if there else "missing", "there" if there else "install Cuepoint again")


def _services(settings: Settings) -> Iterator[Finding]:
    """What is named in the environment must answer; `cuepoint run` brings its own."""
    from cuepoint.streams.topics_admin import broker_answers

    if "CUEPOINT_BROKER" in os.environ:
        there = broker_answers(settings.broker)
        yield _answer("CUEPOINT_BROKER", there, f"{settings.broker} does not answer: is the broker running?")
    if "CUEPOINT_REDIS_URL" in os.environ:
        import redis

        client = redis.Redis.from_url(settings.redis_url.get_secret_value(), socket_connect_timeout=2, socket_timeout=2)
        try:
            there = bool(client.ping())
        except redis.RedisError:
            there = False
        yield _answer("CUEPOINT_REDIS_URL", there, "does not answer: is Redis running, is the password right?")


def _answer(what: str, there: bool, otherwise: str) -> Finding:
    return Finding(what, "fine", "answers") if there else Finding(what, "missing", otherwise)


def _tool(what: str, needed_for: str, names: tuple[str, ...]) -> Finding:
    for name in names:
        if found := shutil.which(name):
            return Finding(what, "fine", found)
    return Finding(what, "optional", f"not on PATH; only the {needed_for} need it")

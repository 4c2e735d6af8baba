"""The children of ``cuepoint run``: their commands, their environment, and how all of them are stopped."""

from __future__ import annotations

import json
import os
import secrets
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from cuepoint.ops.settings import Settings
from cuepoint.schemas.errors import CuepointError
from cuepoint.streams.embedded_parts import Part, launch

ROLES = ("trends", "sessions", "counts", "views", "store", "catalogue", "alerts")
_TAIL_BYTES = 2000


class ChildDied(CuepointError):
    """A child of the embedded run ended by itself; the message carries the end of its log."""


@dataclass(frozen=True)
class Place:
    """Where the parts of one run are found. Secrets stay in the environment of the children."""

    folder: Path
    broker: str
    redis_url: str
    console: str
    admin_key: str
    player_key: str

    @property
    def api_port(self) -> int:
        return urlsplit(self.console).port or 0

    @property
    def database_url(self) -> str:
        return f"sqlite:///{(self.folder / 'cuepoint.db').resolve()}"


def trend_partitions(settings: Settings) -> int:
    """The catalogue is small, and its assets are to estimate their market together."""
    return settings.trend_partitions or 1


def child_environment(place: Place, settings: Settings) -> dict[str, str]:
    """What the children find in place of whatever our own environment says."""
    return {
        "CUEPOINT_SECRETS_DIR": "",
        "CUEPOINT_BROKER": place.broker,
        "CUEPOINT_REDIS_URL": place.redis_url,
        "CUEPOINT_DATABASE_URL": place.database_url,
        "CUEPOINT_DATA_DIR": str(place.folder.resolve()),
        "CUEPOINT_API_HOST": "127.0.0.1",
        "CUEPOINT_API_PORT": str(place.api_port),
        "CUEPOINT_API_KEYS": place.player_key,
        "CUEPOINT_ADMIN_KEY": place.admin_key,
        "CUEPOINT_CONSOLE_OPEN": "true",
        "CUEPOINT_MANIFEST_HOSTS": f"127.0.0.1:{place.api_port}",  # the sample's HLS clip
        "CUEPOINT_MANIFEST_PRIVATE": "true",
        "CUEPOINT_METRICS_HOST": "127.0.0.1",
        "CUEPOINT_METRICS_PORT": "0",
        "CUEPOINT_PARTITIONS": str(settings.partitions),
        "CUEPOINT_TREND_PARTITIONS": str(trend_partitions(settings)),
        "CUEPOINT_MARKETS": json.dumps(settings.markets or {"sim-*/*": "simulated"}),
        "CUEPOINT_REPLICATION": "1",
        "CUEPOINT_TOPIC_PREFIX": "",
        # The broker forgets everything with each run: nothing kept of an earlier log may be taken for this one's.
        "CUEPOINT_LOG_ID": secrets.token_hex(8),
        "CUEPOINT_HEARTBEAT_INTERVAL_S": "0.5",
        "CUEPOINT_ACCESS_LOG": "false",  # the simulated viewers ask a hundred times a second
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "PYTHONUNBUFFERED": "1",
    }


def start_child(name: str, arguments: Sequence[str], folder: Path, environment: Mapping[str, str]) -> Part:
    """``cuepoint ARGUMENTS...`` as a child that dies with us. Raises ConfigurationError where it cannot be started."""
    command = [sys.executable, "-m", "cuepoint.ops.cli", *arguments]
    return launch(name, "", command, folder, environment)


def require_alive(parts: Sequence[Part]) -> None:
    """Raises ChildDied for the first of them that has ended."""
    for part in parts:
        if not part.alive():
            code = part.process.returncode
            ended = f"by signal {-code}" if code < 0 else f"with code {code}"
            raise ChildDied(f"{part.name} ended {ended}; the end of {part.log}:\n{tail_of(part.log)}")


def tail_of(log: Path) -> str:
    """The last lines of a log."""
    try:
        with log.open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - _TAIL_BYTES))
            return file.read().decode(errors="replace").strip() or "(empty)"
    except OSError as error:
        return f"(cannot be read: {error.strerror})"


def stop_all(parts: Sequence[Part], timeout_s: float) -> None:
    """End them together: SIGTERM, then SIGKILL after ``timeout_s``; nothing of their process groups remains."""
    for part in parts:
        if part.alive():
            _signal_group(part, signal.SIGTERM)
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline and any(part.alive() for part in parts):
        time.sleep(0.02)
    for part in parts:
        _signal_group(part, signal.SIGKILL)
        part.process.wait()


def _signal_group(part: Part, number: signal.Signals) -> None:
    try:
        os.killpg(part.pid, number)
    except ProcessLookupError:
        return  # the whole group has gone
    except PermissionError:  # macOS says so of a group of zombies
        return

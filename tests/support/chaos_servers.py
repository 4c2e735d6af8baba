"""The servers of a chaos run, as children that can be killed, stalled and started again: Kafka, Redis, a full disk."""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import threading
import time
from pathlib import Path
from random import Random

import redis
from real_kafka import KafkaCluster, jars

from cuepoint.streams.embedded_parts import Part, free_port, launch, redis_binary

_LIBC = ctypes.CDLL(None, use_errno=True)
_CLONE_NEWNS, _MS_REC, _MS_PRIVATE, _MNT_DETACH = 0x00020000, 0x4000, 1 << 18, 2
# So that a killed member or broker is missed within seconds, and a cycle has time for both.
QUICK = {
    "group.min.session.timeout.ms": 1000,
    "broker.session.timeout.ms": 3000,
    "broker.heartbeat.interval.ms": 500,
    "controller.quorum.election.timeout.ms": 500,
    "controller.quorum.fetch.timeout.ms": 1500,
    "controlled.shutdown.enable": "false",
    "log.cleaner.enable": "false",
}


class ChaosKafka(KafkaCluster):
    """Apache Kafka whose nodes die with us. Start nodes from the main thread."""

    def _configure(self, node: int) -> None:
        super()._configure(node)
        with self._config(node).open("a") as file:
            file.writelines(f"{key}={value}\n" for key, value in QUICK.items())

    def _java(self, main: str, *args: str) -> subprocess.Popen[bytes]:
        command = ["java", "-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", f"{jars()}/*", main, *args]
        return launch("kafka", "", command, self.folder).process

    @property
    def down(self) -> list[int]:
        """Nodes that are not running."""
        return [node for node in range(self.brokers) if node not in self.processes]


class ChaosRedis:
    """A Redis that keeps what it acknowledged: every write is in the append-only file before it is answered."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._port = folder, free_port()
        self.url = f"redis://127.0.0.1:{self._port}/0"
        self._part: Part | None = None
        self.start()
        self.wait_ready()

    def start(self) -> None:
        """Main thread only: the child dies with the thread that made it."""
        command = [str(redis_binary()), "--port", str(self._port), "--bind", "127.0.0.1", "--save", ""]
        command += ["--appendonly", "yes", "--appendfsync", "always", "--dir", str(self._folder.resolve())]
        self._part = launch("redis", self.url, command, self._folder)

    @property
    def up(self) -> bool:
        return self._part is not None and self._part.alive()

    def client(self) -> redis.Redis:
        return redis.Redis.from_url(self.url, decode_responses=True, socket_timeout=5.0)

    def wait_ready(self, timeout_s: float = 30.0) -> None:
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            with contextlib.suppress(redis.RedisError), self.client() as client:
                if client.ping():
                    return
            time.sleep(0.05)
        raise TimeoutError(f"Redis was not ready within {timeout_s} s")

    def kill(self) -> None:
        if self._part is not None:
            self._part.process.kill()
            self._part.process.wait()
            self._part = None

    def forget(self) -> None:
        """Lose everything; only while it is not running."""
        shutil.rmtree(self._folder / "appendonlydir")

    def send(self, number: signal.Signals) -> None:
        if self._part is not None:
            self._part.process.send_signal(number)


class SnapshotDisk:
    """The folder of snapshots as a small disk of its own that can be full.

    With the right to mount it is a tmpfs in a mount namespace of this process and its children, which goes with them.
    Without, "full" is a file in the folder's place: writing fails as well, but so does reading, so that no worker may
    start meanwhile (``readable_when_full``).
    """

    SIZE = 64 << 20

    def __init__(self, folder: Path) -> None:
        self._folder, self._filler = folder, folder / "filler"
        folder.mkdir(parents=True)
        self.readable_when_full = _mount(folder, self.SIZE)
        self.full = False

    def fill(self) -> None:
        self.full = True
        if not self.readable_when_full:
            self._folder.rename(self._folder.with_suffix(".away"))
            self._folder.write_bytes(b"")
            return
        handle = os.open(self._filler, os.O_WRONLY | os.O_CREAT)
        try:
            for size in (1 << 20, 4096, 1):
                with contextlib.suppress(OSError):
                    while True:
                        os.write(handle, bytes(size))
        finally:
            os.close(handle)

    @property
    def readable(self) -> bool:
        return self.readable_when_full or not self.full

    def lose(self, role: str) -> None:
        """All snapshots of the role are gone."""
        shutil.rmtree(self._folder / role, ignore_errors=True)

    def lose_archive(self, rng: Random) -> str | None:
        """A file of the archive that a snapshot names is gone: its name, None if there is none. No worker may run that
        has it."""
        named = []
        for path in sorted((self._folder.parent / "archive").glob("*/*/*/*")):
            agent, topic, partition, name = path.parts[-4:]
            for snapshot in self._folder.glob(f"*/{agent}/{topic}/{partition}.snapshot"):
                if name.encode() in snapshot.read_bytes():
                    named.append(path)
        if not named:
            return None
        lost = rng.choice(named)
        lost.unlink()
        return lost.name

    def names(self, lost: str) -> bool:
        """Whether a snapshot still names the file."""
        return any(lost.encode() in path.read_bytes() for path in self._folder.glob("**/*.snapshot"))

    def free(self) -> None:
        self.full = False
        if self.readable_when_full:
            self._filler.unlink()
            return
        self._folder.unlink()
        self._folder.with_suffix(".away").rename(self._folder)

    def close(self) -> None:
        """Leave what is on the disk in the folder it was mounted on."""
        if not self.readable_when_full:
            return
        kept = self._folder.with_suffix(".kept")
        shutil.copytree(self._folder, kept, ignore=shutil.ignore_patterns(self._filler.name))
        _LIBC.umount2(bytes(self._folder), _MNT_DETACH)
        self._folder.rmdir()
        kept.rename(self._folder)


def _mount(folder: Path, size: int) -> bool:
    """Whether a tmpfs could be mounted there, for this process and its future children only."""
    assert threading.active_count() == 1, "a thread that runs already would stay in the old mount namespace"
    if _LIBC.unshare(_CLONE_NEWNS) != 0 or _LIBC.mount(b"none", b"/", None, _MS_REC | _MS_PRIVATE, None) != 0:
        return False
    return bool(_LIBC.mount(b"tmpfs", bytes(folder), b"tmpfs", 0, b"size=%d" % size) == 0)

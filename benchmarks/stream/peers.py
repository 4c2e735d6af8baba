"""The competitors: installed into a virtual environment of their own, run one at a time on the measured core."""

from __future__ import annotations

import ast
import dataclasses
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import java_peers
from machine import ROOT, Place
from ours import Speed
from workload import PARTITIONS, TrendLog

from cuepoint.ops.settings import Settings
from cuepoint.schemas.topics import TREND_RECORDS

HERE = Path(__file__).parent
LOCK = HERE / "requirements.lock"
CACHE = ROOT / ".cache"
VENV = CACHE / "bench-venv"
LINKS = CACHE / "bench-path"
LIMIT_S = 900


class Peer(NamedTuple):
    """``key`` names it in the JSON line; no ``script``: it is one of java_peers; ``most`` records of the log are enough
    to measure it by (None: all)."""

    key: str
    label: str
    script: str
    own_environment: bool
    most: int | None = None


PEERS = (
    Peer("plain_faust", "plain Faust, per event", "peer_faust.py", False, 300_000),
    Peer("quixstreams", "quixstreams", "peer_quixstreams.py", True),
    Peer("bytewax", "bytewax", "peer_bytewax.py", True),
    Peer("confluent", "bare confluent-kafka loop, vectorised", "peer_confluent.py", True),
    Peer("kafka_streams", "Kafka Streams (Java), store in memory", "", False),
    Peer("flink", "Apache Flink (Java), one chained task, state on the heap", "", False),
)
OF_GOALS = 3  # the first of them


@dataclasses.dataclass
class Run:
    """One run of a peer. ``opened`` is None where it did not read the whole log."""

    speed: Speed
    opened: int | None


def install() -> str | None:
    """Make the peers' environment from the lock, once; what went wrong, or None."""
    stamp = VENV / hashlib.sha256(LOCK.read_bytes()).hexdigest()[:16]
    if stamp.exists():
        return None
    uv = [sys.executable, "-m", "uv"]
    python = str(VENV / "bin" / "python")
    locked = ["--require-hashes", "-r", str(LOCK)]
    commands = (
        [*uv, "venv", "-q", "--seed", "--allow-existing", "--python", sys.executable, str(VENV)],
        [*uv, "pip", "install", "-q", "--python", python, *locked],
    )
    for command in commands:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode and "install" in command:  # pip may know of an index or a proxy that uv does not
            done = subprocess.run(
                [python, "-m", "pip", "install", "-q", *locked], capture_output=True, text=True, check=False
            )
        if done.returncode:
            return done.stderr.strip().splitlines()[-1] if done.stderr.strip() else f"{command[1]} failed"
    stamp.touch()
    return None


def _python_path() -> str:
    """A folder in which the peers' interpreter finds the package ``cuepoint`` (kernels, contracts) and nothing else."""
    package = LINKS / "cuepoint"
    package.mkdir(parents=True, exist_ok=True)
    for name in ("models", "schemas", "cuepoint/__init__.py"):
        link = package / Path(name).name
        if not link.is_symlink():
            link.symlink_to(ROOT / name)
    return str(LINKS)


def _kernels() -> str:
    """A digest of all that is compiled for the peers: numba's own cache looks at one file only."""
    sources, waiting = dict[Path, bytes](), [HERE / "scalar_filter.py"]
    while waiting:
        path = waiting.pop()
        sources[path] = path.read_bytes()
        waiting += {ROOT / "models" / f"{name}.py" for name in _models(sources[path])} - sources.keys()
    return hashlib.sha256(b"".join(sources[path] for path in sorted(sources))).hexdigest()[:16]


def _models(source: bytes) -> Iterator[str]:
    """Which of the models a source imports."""
    package = "cuepoint.models"
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module == package:
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None and node.module.startswith(f"{package}."):
            yield node.module.removeprefix(f"{package}.")


def run(place: Place, peer: Peer, log: TrendLog, number: int) -> Run:
    """Let the peer read the log. Raises RuntimeError with its last words when it does not get through."""
    records = min(log.messages, peer.most or log.messages)
    task = {
        "broker": place.broker,
        "topic": log.prefix + TREND_RECORDS.name,
        "group": f"{peer.key}-{number}-{os.getpid()}",
        "partitions": PARTITIONS,
        "records": records,
        "gc_threshold": Settings().gc_threshold,
    }
    if not peer.script:
        words = java_peers.command(peer.key, task, place.folder / f"{peer.key}-{number}")
    else:
        python = str(VENV / "bin" / "python") if peer.own_environment else sys.executable
        words = [python, str(HERE / peer.script), json.dumps(task)]
    command = place.pinned(words)
    environment = {
        **os.environ,
        "PYTHONPATH": _python_path(),
        "PYTHONWARNINGS": "ignore",
        "NUMBA_CACHE_DIR": str(CACHE / f"bench-numba-{_kernels()}"),
    }
    if peer.script == "peer_faust.py":
        command += ["worker"]
    try:
        done = subprocess.run(
            command, env=environment, cwd=place.folder, capture_output=True, text=True, check=False, timeout=LIMIT_S
        )
    except subprocess.TimeoutExpired as error:
        raise RuntimeError(f"not done within {LIMIT_S} s") from error
    lines = [line for line in done.stdout.splitlines() if line.startswith('{"records"')]
    if not lines:
        raise RuntimeError((done.stderr or done.stdout).strip()[-2000:] or "no word")
    said = json.loads(lines[-1])
    speed = Speed(said["records"] / said["wall_s"], said["records"] / said["cpu_s"])
    return Run(speed, said["opened"] if said["records"] >= log.messages else None)

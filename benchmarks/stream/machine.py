"""The place of the measurement: which core is whose, the broker and Redis, and what to say of all that."""

from __future__ import annotations

import contextlib
import os
import platform
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from cuepoint.streams.embedded_parts import start_broker, start_redis

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tests" / "support"))

import real_kafka  # noqa: E402

# The optimizing compiler of a fresh virtual machine takes a quarter of a minute of the core that the broker shares with
# loader and reader; requests as small as those of the latency runs queue behind it for seconds.
QUICK_START = ("-XX:TieredStopAtLevel=1",)


@dataclass(frozen=True)
class Place:
    """``worker_cores``: the first is the one measured on; everything else runs on ``other_cores``."""

    broker: str
    broker_kind: str
    redis_url: str
    redis_pid: int
    folder: Path
    worker_cores: tuple[int, ...]
    other_cores: tuple[int, ...]

    def pinned(self, command: list[str], core: int | None = None) -> list[str]:
        """The command, held to one core from its first instruction on."""
        return ["taskset", "-c", str(self.worker_cores[0] if core is None else core), *command]


@contextlib.contextmanager
def prepare(*, embedded: bool = False) -> Iterator[Place]:
    """Starts broker and Redis on the cores that are not measured; removes everything afterwards."""
    cores = sorted(os.sched_getaffinity(0))
    others = tuple(cores[1:]) or tuple(cores)
    os.sched_setaffinity(0, others)
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # else each process started compiles all sources: seconds
    os.environ["PYTHONPYCACHEPREFIX"] = str(ROOT / ".cache" / "pycache")
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cuepoint-bench-")))
        broker, kind = _broker(stack, folder, embedded)
        redis = start_redis(folder / "redis")
        stack.callback(redis.stop)
        yield Place(broker, kind, redis.address, redis.pid, folder, tuple(cores), others)


def _broker(stack: contextlib.ExitStack, folder: Path, embedded: bool) -> tuple[str, str]:
    missing = "as was asked for" if embedded else real_kafka.missing()
    if missing is None:
        cluster = stack.enter_context(real_kafka.KafkaCluster(folder / "kafka", jvm=QUICK_START))
        return cluster.bootstrap, f"Apache {real_kafka.CACHE.name.replace('-', ' ').replace('kafka', 'Kafka')}"
    part = start_broker(folder / "broker")
    stack.callback(part.stop)
    return part.address, f"the embedded broker, Tansu (not Apache Kafka: {missing})"


def describe(place: Place) -> list[str]:
    """Lines about the machine, the broker and how busy it was before."""
    load = os.getloadavg()
    memory_gb = psutil.virtual_memory().total / 1e9
    count = len(place.worker_cores)
    return [
        f"{_processor()}, {count} core{'s' if count > 1 else ''}, {memory_gb:.0f} GB; {platform.system()}, "
        f"Python {platform.python_version()}.",
        f"Broker: {place.broker_kind}, one node. The worker measured is held to core {place.worker_cores[0]}; broker, "
        f"loader, Redis and observer share core {', '.join(map(str, place.other_cores))}.",
        f"Load average before the start: {load[0]:.1f}"
        + ("." if load[0] < 0.5 else " (the machine was NOT quiet: the figures are too low)."),
    ]


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()

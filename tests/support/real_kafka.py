"""Apache Kafka itself (KRaft) on loopback, from Maven Central: for what the embedded broker does differently."""

from __future__ import annotations

import base64
import fcntl
import os
import shutil
import signal
import socket
import subprocess
import time
import uuid
from pathlib import Path

from confluent_kafka.admin import AdminClient

POM = Path(__file__).with_name("kafka.pom.xml")
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "cuepoint" / "kafka-4.1.0"


def missing() -> str | None:
    """What is not here, or None when Kafka can run."""
    return next((f"`{tool}` is not on PATH" for tool in ("java", "mvn") if shutil.which(tool) is None), None)


def jars() -> Path:
    """The folder of Kafka's jars; fetched by Maven the first time."""
    CACHE.parent.mkdir(parents=True, exist_ok=True)
    with (CACHE.parent / "kafka.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not CACHE.exists():
            part = CACHE.with_suffix(".part")
            shutil.rmtree(part, ignore_errors=True)
            fetch = ["mvn", "-q", "-B", "-f", str(POM), "dependency:copy-dependencies", f"-DoutputDirectory={part}"]
            # Maven colours even silence: nothing of it may stand on the standard output of who asked for the jars.
            subprocess.run([*fetch, "-DincludeScope=runtime"], check=True, timeout=600, stdout=subprocess.DEVNULL)
            part.rename(CACHE)
    return CACHE


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


class KafkaCluster:
    """One or more combined broker-controllers. ``with KafkaCluster(folder, brokers=3) as kafka: kafka.bootstrap``."""

    def __init__(self, folder: Path, brokers: int = 1, jvm: tuple[str, ...] = ()) -> None:
        self.folder, self.brokers, self._jvm = folder, brokers, jvm
        ports = _free_ports(2 * brokers)
        self.ports, self.controllers = ports[:brokers], ports[brokers:]
        self.bootstrap = ",".join(f"127.0.0.1:{port}" for port in self.ports)
        self.processes: dict[int, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> KafkaCluster:
        try:
            cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
            for node in range(self.brokers):
                self._configure(node)
                config = str(self._config(node))
                self._java("kafka.tools.StorageTool", "format", f"--cluster-id={cluster}", "-c", config).wait(60)
            for node in range(self.brokers):
                self.start(node)
            self.wait_ready()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for node in list(self.processes):
            self.kill(node)

    def _config(self, node: int) -> Path:
        return self.folder / f"server-{node}.properties"

    def _configure(self, node: int) -> None:
        replicas = min(3, self.brokers)
        voters = ",".join(f"{n}@127.0.0.1:{port}" for n, port in enumerate(self.controllers))
        settings = {
            "process.roles": "broker,controller",
            "node.id": node,
            "controller.quorum.voters": voters,
            "listeners": f"PLAINTEXT://127.0.0.1:{self.ports[node]},CONTROLLER://127.0.0.1:{self.controllers[node]}",
            "advertised.listeners": f"PLAINTEXT://127.0.0.1:{self.ports[node]}",
            "controller.listener.names": "CONTROLLER",
            "log.dirs": self.folder / f"data-{node}",
            "default.replication.factor": replicas,
            "min.insync.replicas": max(1, replicas - 1),
            "offsets.topic.replication.factor": replicas,
            "offsets.topic.num.partitions": 4,
            "transaction.state.log.replication.factor": replicas,
            "transaction.state.log.min.isr": max(1, replicas - 1),
            "group.initial.rebalance.delay.ms": 0,
            "auto.create.topics.enable": "false",
        }
        self.folder.mkdir(parents=True, exist_ok=True)
        self._config(node).write_text("".join(f"{key}={value}\n" for key, value in settings.items()))

    def _java(self, main: str, *args: str) -> subprocess.Popen[bytes]:
        with (self.folder / "kafka.log").open("ab") as log:
            command = ["java", "-Xmx512m", *self._jvm, "-cp", f"{jars()}/*", main, *args]
            return subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)

    def start(self, node: int = 0) -> None:
        self.processes[node] = self._java("kafka.Kafka", str(self._config(node)))

    def kill(self, node: int = 0) -> None:
        """SIGKILL: what was acknowledged must survive it."""
        process = self.processes.pop(node)
        process.send_signal(signal.SIGKILL)
        process.wait(30)

    def wait_ready(self, timeout_s: float = 60) -> None:
        """Until every started broker is in the cluster's metadata."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            for node, process in self.processes.items():
                if process.poll() is not None:
                    raise RuntimeError(f"Kafka node {node} ended:\n{(self.folder / 'kafka.log').read_text()[-2000:]}")
            try:
                client = AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0})
                if len(client.list_topics(timeout=2).brokers) >= len(self.processes):
                    return
            except Exception:
                pass
        raise TimeoutError(f"Kafka was not ready within {timeout_s} s")

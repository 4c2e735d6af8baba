"""`cuepoint run` as a person starts it: it ends by itself, on signals, when a part dies; nothing remains."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]
READY_S = 90.0
KEYS = {"CUEPOINT_ADMIN_KEY": "admin-key-of-this-test", "CUEPOINT_API_KEYS": "player-key-of-this-test"}


class Run:
    """A `cuepoint run` and every process it ever started."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("CUEPOINT_")}
        self.folder = folder
        self.output, self.errors = folder / "out.txt", folder / "err.txt"
        with self.output.open("w") as out, self.errors.open("w") as err:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "cuepoint.ops.cli", "run", "--no-open", "--port", "0", *arguments],
                cwd=folder,
                env=kept | KEYS,
                stdout=out,
                stderr=err,
                stdin=subprocess.DEVNULL,
            )
        self._seen: dict[int, psutil.Process] = {}

    def look(self) -> None:
        try:
            for child in psutil.Process(self.process.pid).children(recursive=True):
                self._seen[child.pid] = child
        except psutil.NoSuchProcess:
            pass

    def until(self, what: str, there: Callable[[], bool], within_s: float) -> None:
        deadline = time.monotonic() + within_s
        while not there():
            self.look()
            assert time.monotonic() < deadline, f"not within {within_s} s: {what}\n{self.said()}"
            time.sleep(0.1)

    def ends(self, within_s: float) -> int:
        self.until("its end", lambda: self.process.poll() is not None, within_s)
        return self.process.returncode

    def said(self) -> str:
        return self.output.read_text() + self.errors.read_text()

    def console(self) -> str:
        self.until(
            "console", lambda: "Console: " in self.output.read_text() or self.process.poll() is not None, READY_S
        )
        found = re.search(r"Console: (http://\S+)", self.output.read_text())
        assert found, self.said()
        return found[1]

    def children(self) -> list[psutil.Process]:
        self.look()
        return list(self._seen.values())

    def child(self, *words: str) -> psutil.Process:
        return next(p for p in self.children() if p.is_running() and all(word in p.cmdline() for word in words))

    def remains(self) -> list[str]:
        """Children that outlived it, after a moment's grace for the kernel."""
        _, alive = psutil.wait_procs(list(self._seen.values()), timeout=3)
        return [f"{p.pid} {p.name()}" for p in alive if p.status() != psutil.STATUS_ZOMBIE]

    def logs(self) -> str:
        return "".join(log.read_text(errors="replace") for log in self.folder.glob(".cuepoint/run-*/*.log"))


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Run]]:
    runs: list[Run] = []

    def begin(*arguments: str) -> Run:
        runs.append(Run(tmp_path, *arguments))
        return runs[-1]

    yield begin
    for run in runs:
        run.look()
        if run.process.poll() is None:
            run.process.kill()
            run.process.wait()
        assert run.remains() == []


def test_it_ends_by_itself_with_figures_of_both_halves(start: Callable[..., Run]) -> None:
    run = start("--for", "40", "--sessions", "20")
    console = run.console()
    with urllib.request.urlopen(console, timeout=10) as page:
        assert b"Cuepoint" in page.read()
    targets = next(run.folder.glob(".cuepoint/run-*/metrics-targets.json"))
    roles = {target["labels"]["role"] for target in json.loads(targets.read_text())}
    assert roles == {"trends", "sessions", "counts", "views", "api"}
    assert run.ends(60) == 0, run.said()
    outcome = json.loads(run.output.read_text().splitlines()[-1])
    assert set(outcome) == {
        "trend_records",
        "changes",
        "player_events",
        "decisions",
        "dead_letters",
        "seconds_to_first_alert",
    }
    assert outcome["trend_records"] > 500
    assert outcome["player_events"] > 50
    assert outcome["decisions"] > 0
    assert outcome["changes"] > 0
    assert outcome["dead_letters"] == 0
    assert 0 < outcome["seconds_to_first_alert"] < 40
    assert run.remains() == []
    everything = run.said() + run.logs()
    assert not [key for key in KEYS.values() if key in everything], "a key stands in a log"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_within_seconds(start: Callable[..., Run], number: signal.Signals) -> None:
    run = start("--sessions", "5")
    run.console()
    began = time.monotonic()
    run.process.send_signal(number)
    assert run.ends(20) == 0, run.said()
    assert time.monotonic() - began < 15
    assert "trend_records" in json.loads(run.output.read_text().splitlines()[-1])
    assert run.remains() == []


def test_children_die_with_a_parent_that_is_killed_and_a_dead_child_ends_the_run(start: Callable[..., Run]) -> None:
    run = start("--sessions", "0")
    run.console()
    run.child("worker", "counts").kill()
    assert run.ends(30) == 1
    assert "counts ended by signal 9; the end of" in run.errors.read_text()
    assert run.remains() == []

    run = start("--sessions", "0")
    run.until("workers", lambda: len(run.children()) >= 6, READY_S)
    run.process.kill()
    run.process.wait()
    assert run.remains() == []


def test_a_taken_port_is_one_sentence(start: Callable[..., Run]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        run = start("--port", port)
        assert run.ends(30) == 2
    said = run.errors.read_text()
    assert f"port {port} cannot be used" in said
    assert "--port" in said
    assert said.count("\n") == 1

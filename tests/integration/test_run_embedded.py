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
from typing import Any
from urllib.parse import urljoin

import psutil
import pytest

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]
READY_S = 330.0
FIGURES = {"trend_records", "changes", "player_events", "decisions", "dead_letters", "seconds_to_first_alert"}
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

    def told(self, pattern: str) -> bool:
        return re.search(pattern, self.output.read_text()) is not None

    def outcome(self) -> dict[str, Any]:
        found = json.loads(self.output.read_text().splitlines()[-1])
        assert isinstance(found, dict)
        return found

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
        return next(p for p in self.children() if all(word in p.cmdline() for word in words))

    def remains(self) -> list[str]:
        """Children that outlived it, after a moment's grace for the kernel."""
        _, alive = psutil.wait_procs(list(self._seen.values()), timeout=15)
        return [f"{p.pid} {p.name()}" for p in alive if p.status() != psutil.STATUS_ZOMBIE]

    def logs(self) -> str:
        return "".join(log.read_text(errors="replace") for log in self.folder.glob(".cuepoint/run-*/*.log"))


def explained(console: str) -> dict[str, Any] | None:
    """A simulated change that the read API tells with its causes and what it is worth."""

    def ask(path: str) -> Any:
        headers = {"authorization": f"Bearer {KEYS['CUEPOINT_ADMIN_KEY']}"}
        with urllib.request.urlopen(urllib.request.Request(urljoin(console, path), headers=headers), timeout=60) as got:
            return json.load(got)

    listed = ask("/v1/changes?simulated=true&limit=200")["items"]
    rows = (ask(f"/v1/changes/{each['change']['change_id']}") for each in listed)
    return next((row for row in rows if row.get("explanation") and row.get("opportunity")), None)


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


def test_both_halves_work_and_ctrl_c_ends_them_within_seconds(start: Callable[..., Run]) -> None:
    run = start("--sessions", "20", "--speed", "20")
    console = run.console()
    with urllib.request.urlopen(console, timeout=60) as page:
        assert b"Cuepoint" in page.read()
    targets = next(run.folder.glob(".cuepoint/run-*/metrics-targets.json"))
    roles = {target["labels"]["role"] for target in json.loads(targets.read_text())}
    assert roles == {"trends", "sessions", "counts", "views", "store", "catalogue", "alerts", "api"}
    run.until("first alert", lambda: run.told("First alert after"), 150)
    run.until("decisions", lambda: run.told(r"[1-9]\d* decisions"), 150)
    run.until("player events", lambda: run.told(r"[1-9]\d+ player events"), 150)
    run.until("trend records", lambda: run.told(r"[1-9]\d{2,} trend records"), 150)
    run.until("a change that is explained", lambda: explained(console) is not None, 150)
    row = explained(console)
    assert row is not None
    change, why, worth = row["change"], row["explanation"], row["opportunity"]
    assert change["asset_id"].startswith("sim-")
    assert {why["change_id"], worth["change_id"]} == {change["change_id"]}
    assert why["causes"] and why["dimensions"] and worth["drivers"]
    began = time.monotonic()
    run.process.send_signal(signal.SIGINT)
    assert run.ends(120) == 0, run.said()
    assert time.monotonic() - began < 60
    outcome = run.outcome()
    assert set(outcome) == FIGURES
    assert outcome["trend_records"] > 100
    assert outcome["player_events"] >= 10
    assert outcome["decisions"] > 0
    assert outcome["changes"] > 0
    assert outcome["dead_letters"] == 0
    assert outcome["seconds_to_first_alert"] > 0
    assert run.remains() == []
    everything = run.said() + run.logs()
    assert not [key for key in KEYS.values() if key in everything], "a key stands in a log"


def test_it_ends_by_itself(start: Callable[..., Run]) -> None:
    run = start("--sessions", "0", "--for", "4")
    assert run.ends(120) == 0, run.said()
    assert set(run.outcome()) == FIGURES
    assert run.remains() == []


def test_sigterm_while_starting(start: Callable[..., Run]) -> None:
    run = start()
    run.until("workers", lambda: len(run.children()) >= 4, READY_S)
    run.process.send_signal(signal.SIGTERM)
    assert run.ends(120) == 0, run.said()
    assert set(run.outcome()) == FIGURES
    assert run.remains() == []


def test_a_part_that_dies_is_named_and_ends_the_run(start: Callable[..., Run]) -> None:
    run = start("--sessions", "0")
    run.until("workers", lambda: any("counts" in child.cmdline() for child in run.children()), READY_S)
    run.child("worker", "counts").kill()
    assert run.ends(120) == 1
    assert "counts ended by signal 9; the end of" in run.errors.read_text()
    assert run.remains() == []


def test_children_die_with_a_parent_that_is_killed(start: Callable[..., Run]) -> None:
    run = start("--sessions", "0")
    run.until("all children", lambda: len(run.children()) >= 10, READY_S)
    run.process.kill()
    run.process.wait()
    assert run.remains() == []


def test_a_taken_port_is_one_sentence(start: Callable[..., Run]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        run = start("--port", port)
        assert run.ends(120) == 2
    said = run.errors.read_text()
    assert f"port {port} cannot be used" in said
    assert "--port" in said
    assert said.count("\n") == 1

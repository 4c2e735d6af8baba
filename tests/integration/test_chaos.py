"""A few cycles of chaos on Apache Kafka; hundreds by hand: ``make chaos CYCLES=100``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from real_kafka import missing

CHAOS = Path(__file__).parents[1] / "chaos"
CYCLES = 3


def chaos(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Its last line of output is JSON. In a process of its own: it changes its mount namespace."""
    return subprocess.run(
        [sys.executable, str(CHAOS), *arguments], capture_output=True, text=True, timeout=580, check=False
    )


@pytest.mark.timeout(600)
def test_nothing_is_lost_or_told_twice() -> None:
    reason = missing()
    if reason and os.environ.get("CI") != "true":
        pytest.skip(f"Apache Kafka cannot run here: {reason}")
    assert reason is None, "CI must be able to run Apache Kafka"
    run = chaos("--cycles", str(CYCLES), "--seed", "20")
    assert run.returncode == 0, run.stderr[-6000:] + run.stdout
    told = json.loads(run.stdout.splitlines()[-1])
    assert told["cycles"] == CYCLES
    assert told["lost"] == told["duplicated"] == told["state_mismatches"] == told["unchecked"] == 0
    assert told["records"] > 10_000
    assert sum(told["faults"].values()) == 4 * CYCLES
    assert told["recoveries"] > 0
    assert not [exit for exit in told["worker_exits"] if "stop" in exit], told["worker_exits"]


def test_says_what_is_missing(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, str(CHAOS), "--cycles", "1"],
        capture_output=True,
        text=True,
        env={**os.environ, "PATH": str(tmp_path)},
        check=False,
    )
    assert run.returncode == 2
    assert "`java` is not on PATH" in run.stderr

"""A large file: memory does not grow with its rows, and a sending that is killed goes on where it was."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from stream_helpers import environment, read_topic, wait_until

from cuepoint.ops.settings import Settings
from cuepoint.schemas.codec import decoder
from cuepoint.schemas.topics import TREND_RECORDS
from cuepoint.schemas.trends import ReportCompleted, ReportOpened, TrendMessage, TrendRecord

pytestmark = pytest.mark.integration
DAYS, ASSETS = 4, 40


def counts(path: Path, rows: int) -> Path:
    """A row for each stream, of assets by our own ids."""
    each = rows // (DAYS * ASSETS)
    with path.open("w") as file:
        file.write("asset_id,day,dsp,territory,count\n")
        for day in range(1, DAYS + 1):
            file.writelines(f"a{asset},2026-01-0{day},sim-wave,US,1\n" * each for asset in range(ASSETS))
    return path


def ingest(env: dict[str, str], *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "cuepoint.ops.cli", "ingest", *arguments],
        env=env, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def peak_bytes(env: dict[str, str], file: Path) -> int:
    """Of a process that reads the file and adds it up, by the kernel."""
    child = ingest(env, str(file), "--dry-run")
    assert child.stderr is not None
    said = child.stderr.read()
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    assert child.returncode == 0, said
    return used.ru_maxrss << 10


def test_memory_does_not_grow_with_the_rows(tmp_path: Path) -> None:
    """A row kept as Python has it takes half a kilobyte and more."""
    env = os.environ | {"CUEPOINT_DATA_DIR": str(tmp_path / "data"), "CUEPOINT_INGEST_MEMORY_BYTES": str(32 << 20)}
    some, many = 8_000, 160_000
    small = peak_bytes(env, counts(tmp_path / "some.csv", some))
    large = peak_bytes(env, counts(tmp_path / "many.csv", many))
    assert large - small < (many - some) * 250


def test_a_sending_that_is_killed_goes_on(settings: Settings, tmp_path: Path) -> None:
    env, file = environment(settings), counts(tmp_path / "counts.csv", 1_600)
    first = ingest(env, str(file), "--speed", "0.8")
    positions = settings.data_dir / "ingest"
    wait_until(lambda: list(positions.glob("*.position")) or first.poll() is not None, "a report is acknowledged")
    first.send_signal(signal.SIGKILL)
    first.communicate(timeout=60)
    assert first.returncode == -signal.SIGKILL
    _, said = ingest(env, str(file)).communicate(timeout=120)
    assert "sent before the last run was interrupted" in said
    messages = [decoder(TrendMessage).decode(message.value()) for message in read_topic(settings, TREND_RECORDS)]
    records = [message for message in messages if isinstance(message, TrendRecord)]
    told = {(record.day, record.asset_id): record.count for record in records}
    assert len(told) == DAYS * ASSETS and set(told.values()) == {10}
    completed = {(m.day, m.partition_records) for m in messages if isinstance(m, ReportCompleted)}
    assert len({day for day, _ in completed}) == DAYS
    opened = [message.day for message in messages if isinstance(message, ReportOpened)]
    assert opened.count(min(opened)) == settings.partitions, "what was acknowledged is not sent again"
    assert not list(positions.iterdir())

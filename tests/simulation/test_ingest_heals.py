"""Ingest and `watch_trends` together, without a broker: repeats, a run killed half-way, a revision."""

from __future__ import annotations

import asyncio
import datetime as dt
from pathlib import Path

import pytest
from rich.console import Console

from cuepoint.agents.watch_trends import WatchTrends
from cuepoint.ops.ingest import Ingest
from cuepoint.ops.ingest_mapping import override
from cuepoint.ops.ingest_presets import PRESETS
from cuepoint.ops.ingest_progress import IngestProgress
from cuepoint.ops.ingest_reports import Privacy, ReportSender
from cuepoint.ops.ingest_spool import Spool
from cuepoint.schemas.base import Contract
from cuepoint.schemas.codec import encode
from cuepoint.schemas.topics import ASSET_DAYS, CHANGES, DEAD_TREND_RECORDS, TREND_RECORDS, Topic
from cuepoint.schemas.trends import AssetDay
from cuepoint.streams.batch import Batch
from cuepoint.streams.outgoing import Outgoing
from cuepoint.streams.producer import partition_of

PARTITIONS = 2
SONGS, DAYS = 6, 50


class Killed(Exception):
    """The end of a process, as far as its log is concerned."""


class Log:
    """The partitions of the trend records; ends with Killed after ``limit`` messages in all topics."""

    def __init__(self, limit: int | None = None) -> None:
        self.partitions: list[list[bytes]] = [[] for _ in range(PARTITIONS)]
        self._left = limit

    def send(self, topic: Topic, key: str, message: Contract, *, id: str = "", partition: int | None = None) -> None:
        if self._left is not None:
            if self._left == 0:
                raise Killed
            self._left -= 1
        if topic == TREND_RECORDS:
            assert partition is not None
            self.partitions[partition].append(encode(message))

    def flush(self, timeout_s: float | None = None) -> None:
        pass


def chart(path: Path, *, lift: int = 1) -> Path:
    """Steady songs; the first is heard ``lift`` times as much from day 40 on."""
    lines = ["asset_id,day,dsp,territory,count"]
    for song in range(SONGS):
        for number in range(DAYS):
            day = dt.date(2018, 1, 1) + dt.timedelta(days=number)
            count = 10_000 * (song + 1) + 37 * (number * 7 % 11)
            lines.append(f"song{song},{day},x,US,{count * (lift if song == 0 and number >= 40 else 1)}")
    path.write_text("\n".join(lines) + "\n")
    return path


def ingest(tmp_path: Path, file: Path, log: Log, version: int | None = None) -> Log:
    progress = IngestProgress(Console(file=(tmp_path / "progress.txt").open("w")))
    with Spool(tmp_path / "spool") as spool:
        mapping = override(PRESETS["cuepoint"], None, None, version)
        reports = ReportSender(log, PARTITIONS, PARTITIONS, partition_of, Privacy())
        Ingest(log, reports, progress).run([file], mapping, spool)
    return log


class Watcher:
    """The agent, fed with what was added to the logs since it last looked."""

    def __init__(self) -> None:
        self.agent = WatchTrends()
        self._next = [0] * PARTITIONS

    def read(self, log: Log) -> list[Outgoing]:
        out: list[Outgoing] = []
        for partition, values in enumerate(log.partitions):
            first = self._next[partition]
            self._next[partition] = first + len(values)
            offsets = range(first, first + len(values))
            batch = Batch(
                TREND_RECORDS.name,
                partition,
                first,
                first + len(values) - 1,
                values,
                [None] * len(values),
                offsets,
                [1_600_000_000_000] * len(values),
            )
            if values:
                out += asyncio.run(self.agent.process(batch))
        return out


def days_of(out: list[Outgoing]) -> dict[tuple[str, dt.date], AssetDay]:
    """The latest word on each asset's day."""
    found = [outgoing.message for outgoing in out if outgoing.topic == ASSET_DAYS]
    return {(day.asset_id, day.day): day for day in found if isinstance(day, AssetDay)}


def changes(out: list[Outgoing]) -> dict[str, Contract]:
    """Every revision of every change, by id."""
    return {outgoing.id: outgoing.message for outgoing in out if outgoing.topic == CHANGES}


def dead(out: list[Outgoing]) -> list[Contract]:
    return [outgoing.message for outgoing in out if outgoing.topic == DEAD_TREND_RECORDS]


def test_the_second_run_changes_nothing(tmp_path: Path) -> None:
    file, watcher = chart(tmp_path / "a.csv", lift=4), Watcher()
    first = watcher.read(ingest(tmp_path, file, Log()))
    assert len(days_of(first)) == SONGS * DAYS
    assert watcher.read(ingest(tmp_path, file, Log())) == []
    assert watcher.agent.repeats > 0


@pytest.mark.parametrize("limit", [7, 150, 203, 420])
def test_a_run_killed_half_way_is_healed_by_the_next(tmp_path: Path, limit: int) -> None:
    file = chart(tmp_path / "a.csv", lift=4)
    undisturbed = Watcher().read(ingest(tmp_path, file, Log()))
    watcher, cut = Watcher(), Log(limit)
    with pytest.raises(Killed):
        ingest(tmp_path, file, cut)
    out = watcher.read(cut)
    assert len(days_of(out)) < SONGS * DAYS
    out += watcher.read(ingest(tmp_path, file, Log()))
    assert dead(out) == []
    assert days_of(out) == days_of(undisturbed)
    assert changes(out) == changes(undisturbed) != {}


def test_a_higher_version_revises_what_was_scored(tmp_path: Path) -> None:
    watcher = Watcher()
    watcher.read(ingest(tmp_path, chart(tmp_path / "a.csv"), Log()))
    out = watcher.read(ingest(tmp_path, chart(tmp_path / "b.csv", lift=4), Log(), version=2))
    undisturbed = days_of(Watcher().read(ingest(tmp_path, tmp_path / "b.csv", Log(), version=2)))
    revised = days_of(out)
    late = dt.date(2018, 2, 12)
    assert revised["song0", late].count == undisturbed["song0", late].count
    assert revised["song0", late].level == pytest.approx(undisturbed["song0", late].level, rel=1e-6)

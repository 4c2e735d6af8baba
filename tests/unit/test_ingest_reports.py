"""Files to whole reports: order, markers, partitions, broken rows. The producer is replaced by a list."""

from __future__ import annotations

import datetime as dt
import random
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from rich.console import Console

from cuepoint.ops.ingest import Ingest, Summary, check_files
from cuepoint.ops.ingest_presets import PRESETS
from cuepoint.ops.ingest_progress import IngestProgress
from cuepoint.ops.ingest_reports import Privacy, ReportSender
from cuepoint.ops.ingest_spool import Spool
from cuepoint.schemas.base import Contract
from cuepoint.schemas.errors import ConfigurationError
from cuepoint.schemas.faults import DeadLetter
from cuepoint.schemas.topics import ASSETS, DEAD_TREND_RECORDS, REPORTS, TREND_RECORDS, Topic
from cuepoint.schemas.trends import Asset, ReportCompleted, ReportOpened, TrendRecord
from cuepoint.streams.producer import partition_of

PARTITIONS = 3


@dataclass
class ListSender:
    sent: list[tuple[Topic, str, Contract, str, int | None]] = field(default_factory=list)

    def send(self, topic: Topic, key: str, message: Contract, *, id: str = "", partition: int | None = None) -> None:
        self.sent.append((topic, key, message, id, partition))

    def flush(self, timeout_s: float | None = None) -> None:
        pass

    def of(self, topic: Topic, partition: int | None = None) -> list[Contract]:
        return [m for t, _, m, _, p in self.sent if t == topic and (partition is None or p == partition)]


def ingest(tmp_path: Path, *files: Path, preset: str = "cuepoint", strict: bool = False) -> tuple[ListSender, Summary]:
    sender = ListSender()
    progress = IngestProgress(Console(file=(tmp_path / "progress.txt").open("w")))
    with Spool(tmp_path / "data") as spool:
        run = Ingest(sender, ReportSender(sender, PARTITIONS, PARTITIONS, partition_of, Privacy()), progress)
        summary = run.run(files, PRESETS[preset], spool, strict=strict)
    assert list((tmp_path / "data").iterdir()) == []  # nothing temporary remains
    return sender, summary


def write(path: Path, rows: list[str]) -> Path:
    path.write_text("asset_id,day,dsp,territory,count,title\n" + "".join(row + "\n" for row in rows))
    return path


def test_unsorted_rows_become_whole_reports_in_order_of_days(tmp_path: Path) -> None:
    days = [dt.date(2019, 1, 1) + dt.timedelta(days=number) for number in range(20)]
    rows = [f"song{asset},{day},{dsp},US,{asset},T{asset}" for day in days for dsp in ("x", "y") for asset in range(30)]
    random.Random(5).shuffle(rows)
    sender, summary = ingest(tmp_path, write(tmp_path / "a.csv", rows[:700]), write(tmp_path / "b.csv", rows[700:]))
    assert (summary.rows, summary.records, summary.reports, summary.assets) == (1200, 1200, 40, 30)
    for partition in range(PARTITIONS):
        log = sender.of(TREND_RECORDS, partition)
        opened: ReportOpened | None = None
        seen, reports = 0, []
        for message in log:
            if isinstance(message, ReportOpened):
                assert opened is None
                opened, seen = message, 0
            elif isinstance(message, TrendRecord):
                assert opened is not None
                assert (message.dsp, message.day) == (opened.dsp, opened.day)
                assert partition_of(message.asset_id.encode(), PARTITIONS) == partition
                seen += 1
            else:
                assert isinstance(message, ReportCompleted)
                assert (message.partition_records, message.records) == (seen, 30)
                reports.append((message.day, message.dsp))
                opened = None
        assert opened is None
        assert reports == [(day, dsp) for day in days for dsp in ("x", "y")]
    assert len(sender.of(REPORTS)) == 80
    assert all(m.partition_records is None for m in sender.of(REPORTS) if isinstance(m, ReportCompleted))
    topics = [topic for topic, *_ in sender.sent]
    assert topics.index(TREND_RECORDS) == 30, "all assets come first"
    assert [m.asset_id for m in sender.of(ASSETS) if isinstance(m, Asset)] == sorted(f"song{n}" for n in range(30))


def test_metadata_of_the_latest_day_counts(tmp_path: Path) -> None:
    file = write(tmp_path / "a.csv", ["s,2019-01-05,x,US,1,New", "s,2019-01-01,x,US,1,Old"])
    sender, _ = ingest(tmp_path, file)
    assert sender.of(ASSETS) == [Asset(asset_id="s", title="New")]


def test_broken_rows_are_dead_letters_and_the_rest_is_sent(tmp_path: Path) -> None:
    file = write(tmp_path / "a.csv", ["s,2019-01-01,x,US,1,T", "s,2019-01-02,x,US,-4,T", "s", "t,2019-01-02,x,USA,4,T"])
    sender, summary = ingest(tmp_path, file)
    letters = [letter for letter in sender.of(DEAD_TREND_RECORDS) if isinstance(letter, DeadLetter)]
    assert [(x.source, x.line, x.code, x.field, x.original) for x in letters] == [
        ("a.csv", 3, "invalid", "$.count", b"s,2019-01-02,x,US,-4,T"),
        ("a.csv", 4, "malformed", "$", b"s"),
        ("a.csv", 5, "invalid", "$.territory", b"t,2019-01-02,x,USA,4,T"),
    ]
    assert (summary.records, summary.reports, dict(summary.broken)) == (1, 1, {"invalid": 2, "malformed": 1})
    again, _ = ingest(tmp_path, file)
    ids = [id for topic, _, _, id, _ in sender.sent if topic == DEAD_TREND_RECORDS]
    assert ids == [id for topic, _, _, id, _ in again.sent if topic == DEAD_TREND_RECORDS]
    assert len(set(ids)) == 3


def test_the_second_run_sends_the_same(tmp_path: Path) -> None:
    file = write(tmp_path / "a.csv", [f"s{n},2019-01-0{n % 5 + 1},x,US,{n},T" for n in range(50)])
    assert ingest(tmp_path, file)[0].sent == ingest(tmp_path, file)[0].sent


def test_strict_sends_no_record_of_a_file_with_a_broken_row(tmp_path: Path) -> None:
    file = write(tmp_path / "a.csv", ["s,2019-01-01,x,US,1,T", "s,never,x,US,4,T"])
    sender, summary = ingest(tmp_path, file, strict=True)
    assert summary.dead_letters == 1
    assert sender.of(TREND_RECORDS) == sender.of(REPORTS) == sender.of(ASSETS) == []
    assert len(sender.of(DEAD_TREND_RECORDS)) == 1


def test_a_file_that_breaks_off_sends_no_report(tmp_path: Path) -> None:
    good = write(tmp_path / "a.csv", ["s,2019-01-01,x,US,1,T"])
    (tmp_path / "b.parquet").write_bytes(b"PAR1 and no more")
    sender = ListSender()
    progress = IngestProgress(Console(file=(tmp_path / "p.txt").open("w")))
    run = Ingest(sender, ReportSender(sender, PARTITIONS, PARTITIONS, partition_of, Privacy()), progress)
    with Spool(tmp_path / "data") as spool, pytest.raises(ConfigurationError):
        run.run([good, tmp_path / "b.parquet"], PRESETS["cuepoint"], spool)
    assert sender.sent == []


def test_every_file_is_looked_at_before_any_is_read(tmp_path: Path) -> None:
    good = write(tmp_path / "a.csv", ["s,2019-01-01,x,US,1,T"])
    (tmp_path / "b.csv").write_text("asset_id,day\ns,2019-01-01\n")
    check_files([good], PRESETS["cuepoint"])
    with pytest.raises(ConfigurationError, match=r"b\.csv has no column `count`"):
        check_files([good, tmp_path / "b.csv"], PRESETS["cuepoint"])


def test_a_folder_that_cannot_be_written_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="set CUEPOINT_DATA_DIR"):
        Spool(tmp_path / "file" / "data")

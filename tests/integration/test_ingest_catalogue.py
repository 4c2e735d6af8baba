"""Reports of several services on the broker: one asset whatever it is called, metadata before or after, no person."""

from __future__ import annotations

import base64
import datetime as dt
import json
import shutil
import subprocess
import sys
from collections import Counter
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from disk_texts import disk_texts
from sqlalchemy.exc import SQLAlchemyError
from stream_helpers import child, environment, read_topics, wait_until

from cuepoint.ops.ingest_command import IngestOptions, ingest_assets, ingest_files, withdraw_report
from cuepoint.ops.ingest_rows import Report
from cuepoint.ops.settings import Settings
from cuepoint.schemas.codec import decoder, encode
from cuepoint.schemas.consumption import Cell, Consumption, ConsumptionAmendment, ConsumptionMessage
from cuepoint.schemas.errors import Unavailable
from cuepoint.schemas.topics import ASSETS, CONSUMPTION, QUARANTINE, TOPICS, TREND_RECORDS, Topic
from cuepoint.schemas.trends import (
    Asset,
    ReportCompleted,
    ReportOpened,
    ReportWithdrawn,
    TrendAmendment,
    TrendMessage,
    TrendRecord,
)
from cuepoint.streams.database import open_engine
from cuepoint.streams.history_reads import HistoryReader
from cuepoint.streams.topics_admin import create_topics

RUN_ROLE = str(Path(__file__).parent.parent / "support" / "run_role.py")
SAMPLES = Path(str(resources.files("cuepoint.ops") / "samples" / "reports"))
MADE = (
    ("trends-simulated.jsonl", IngestOptions(preset="trends-jsonl")),
    ("apple-simulated.tsv", IngestOptions(preset="apple")),
    ("ddex-blocks-simulated.tsv", IngestOptions(preset="ddex-sr")),
    ("ddex-single-simulated.tsv", IngestOptions(preset="ddex-sr")),
    ("counts-simulated.csv", IngestOptions(mapping_file=SAMPLES / "counts-mapping.yaml")),
)
STREAMS = {"sim-wave": 446, "apple-music": 1988, "sim-tide": 1965, "sim-kiosk": 1602}
PLANTED = "planted-7f3c9d"


def ingest_samples(settings: Settings) -> None:
    for name, options in MADE:
        assert ingest_files(settings, [SAMPLES / name], options) == 0


def read(settings: Settings, *topics: Topic) -> dict[Topic, list[Any]]:
    """Decoded messages by topic."""
    found = read_topics(settings, topics)
    kinds: dict[Topic, Any] = {TREND_RECORDS: TrendMessage, CONSUMPTION: ConsumptionMessage, ASSETS: Asset}
    return {topic: [decoder(kinds[topic]).decode(each.value()) for each in found[topic]] for topic in topics}


def counts(messages: list[Any]) -> Counter[tuple[Any, ...]]:
    """What the trend records say in the end: reports' own counts, and each part's once."""
    found: Counter[tuple[Any, ...]] = Counter()
    parts: dict[tuple[Any, ...], int] = {}
    for message in messages:
        if isinstance(message, TrendRecord):
            found[message.asset_id, message.dsp, message.territory, message.day] += message.count
        elif isinstance(message, TrendAmendment):
            parts[message.asset_id, message.dsp, message.territory, message.day, message.part] = message.count
    for (*place, _), count in parts.items():
        found[tuple(place)] += count
    return found


def cells(messages: list[Any]) -> set[tuple[Any, ...]]:
    found = set()
    for message in messages:
        if isinstance(message, Consumption | ConsumptionAmendment):
            place = (message.asset_id, message.dsp, message.territory, message.day)
            of_asset = message.cells if isinstance(message, ConsumptionAmendment) else [message]
            found |= {(*place, *(getattr(cell, name) for name in Cell.__struct_fields__)) for cell in of_asset}
    return found


def results(settings: Settings) -> tuple[Counter[tuple[Any, ...]], set[tuple[Any, ...]]]:
    log = read(settings, TREND_RECORDS, CONSUMPTION)
    return counts(log[TREND_RECORDS]), cells(log[CONSUMPTION])


def _recorded_letters(settings: Settings) -> int:
    engine = open_engine(settings.database_url.get_secret_value())
    try:
        return HistoryReader(engine).overview().dead_letters
    except (SQLAlchemyError, Unavailable):
        return 0  # the worker has not made its tables yet
    finally:
        engine.dispose()


def test_one_asset_across_services_whether_metadata_comes_first_or_last(settings: Settings, tmp_path: Path) -> None:
    """The worker is killed between; what waits survives, and nothing is released twice in effect."""
    early = settings.model_copy(update={"topic_prefix": f"{settings.topic_prefix}early-"})
    create_topics(early.broker, 2, prefix=early.topic_prefix)
    ingest_assets(early, [SAMPLES / "assets-simulated.csv"])
    ingest_samples(early)
    expected, told = results(early)
    assert {asset for asset, *_ in expected} == {"sim-song-1", "sim-song-2", "sim-song-3"}
    by_dsp: Counter[str] = Counter()
    for (_, dsp, _, _), count in expected.items():
        by_dsp[dsp] += count
    assert by_dsp == STREAMS

    env = environment(settings, CUEPOINT_LOG_LEVEL="WARNING")
    ingest_samples(settings)
    assert {type(message) for message in read(settings, TREND_RECORDS)[TREND_RECORDS]} == {
        ReportOpened,
        ReportCompleted,
    }
    with child([RUN_ROLE, "catalogue"], env, tmp_path / "first.log") as worker:
        snapshots = settings.data_dir / "snapshots" / "catalogue" / "release_quarantine"
        wait_until(lambda: list(snapshots.rglob("*.snapshot")), "what waits is saved", 60)
        worker.kill()
    ingest_samples(settings)  # again: all repeats
    with child([RUN_ROLE, "catalogue"], env, tmp_path / "second.log"):
        ingest_assets(settings, [SAMPLES / "assets-simulated.csv"])
        wait_until(lambda: results(settings) == (expected, told), "everything is released", 60)

    ingest_assets(settings, [SAMPLES / "assets-simulated.csv"])
    assert len(read(settings, ASSETS)[ASSETS]) == 3, "metadata that is known is not sent again"


def test_a_withdrawn_report_is_taken_back_everywhere(settings: Settings) -> None:
    report = Report("sim-wave", "US", dt.date(2026, 1, 5), 3)
    withdraw_report(settings, report)
    withdrawn = ReportWithdrawn(dsp="sim-wave", territory="US", day=report.day, version=3)
    found = read_topics(settings, (TREND_RECORDS, CONSUMPTION, QUARANTINE))
    for topic, copies in ((TREND_RECORDS, 2), (CONSUMPTION, 2), (QUARANTINE, 1)):
        assert [message.value() for message in found[topic]] == [encode(withdrawn)] * copies


def test_an_interrupted_sending_goes_on(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut off after some reports were acknowledged, the next run sends the others only."""
    from cuepoint.ops import ingest as module

    ingest_assets(settings, [SAMPLES / "assets-simulated.csv"])
    monkeypatch.setattr(module, "_MARK_EVERY_S", 0.0)
    done: list[int] = []

    def stop(self: module.Ingest, steps: int) -> None:
        mark(self, steps)
        done.append(steps)
        if len(done) == 1:
            raise KeyboardInterrupt

    mark = module.Ingest._mark
    monkeypatch.setattr(module.Ingest, "_mark", stop)
    file, options = MADE[4]
    with pytest.raises(KeyboardInterrupt):
        ingest_files(settings, [SAMPLES / file], options)
    first = len(read(settings, TREND_RECORDS)[TREND_RECORDS])
    assert ingest_files(settings, [SAMPLES / file], options) == 0
    log = read(settings, TREND_RECORDS)[TREND_RECORDS]
    opened = [message for message in log if isinstance(message, ReportOpened)]
    assert len(opened) == 2 * 2, "two reports, each opened once in both partitions"
    assert first < len(log)
    assert sum(counts(log).values()) == STREAMS["sim-kiosk"]
    assert not list((settings.data_dir / "ingest").iterdir())


def test_a_planted_id_is_in_no_topic_and_in_no_file(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Good and broken rows of a person; roles that write files run beside; then everything is searched, what is
    compressed decoded first. What an ingest has on disk while it runs (a crash would leave it there) is copied."""
    good = json.loads((SAMPLES / "trends-simulated.jsonl").read_text().splitlines()[0]) | {"user_id": PLANTED}
    broken = [good | {"quantity": -1}, good | {"country": PLANTED}, good | {"transaction_date": PLANTED}]
    lines = [json.dumps(row) for row in (good, good | {"isrc": "QZSIM2699999"}, *broken)]
    reports = tmp_path / "in" / "reports.jsonl"
    reports.parent.mkdir()
    reports.write_text((SAMPLES / "trends-simulated.jsonl").read_text() + "\n".join([*lines, f'{{"{PLANTED}']) + "\n")
    ingest_assets(settings, [SAMPLES / "assets-simulated.csv"])
    env = environment(settings, TMPDIR=str(tmp_path / "data"), CUEPOINT_CONSUMPTION_FLUSH_S="0.2")
    settings.data_dir.mkdir(exist_ok=True)
    views = child([RUN_ROLE, "views"], env, settings.data_dir / "views.log")
    with views, child([RUN_ROLE, "store"], env, settings.data_dir / "store.log"):
        command = [sys.executable, "-m", "cuepoint.ops.cli", "ingest", str(reports), "--preset", "trends-jsonl"]
        done = subprocess.run(command, env=env, capture_output=True, check=True)
        assert PLANTED.encode() not in done.stdout + done.stderr
        assert b"4 broken rows" in done.stderr
        wait_until(lambda: _recorded_letters(settings) == 4, "the dead letters are in the history", 60)
        wait_until(lambda: _whole(settings.consumption_root()), "consumption is stored", 60)
    for messages in read_topics(settings, TOPICS).values():
        for message in messages:
            assert PLANTED not in repr((message.key(), message.headers()))
            assert PLANTED.encode() not in (message.value() or b"")
            if b'"original"' in (message.value() or b""):
                letter = json.loads(message.value())
                assert PLANTED.encode() not in base64.b64decode(letter["original"])
    _copy_while_running(settings, reports, monkeypatch)
    searched = Counter[str]()
    for path, kind, held in disk_texts(tmp_path / "data"):
        assert PLANTED.encode() not in held, path
        searched[kind] += len(held.splitlines()) > 300 if kind == "duckdb" else b"sim-wave" in held
    assert searched.keys() == {"raw", "parquet", "sqlite", "duckdb"}
    assert all(searched.values()), "each kind holds what was sent, as far as the search can read it"


def _whole(folder: Path) -> bool:
    """Whether a Parquet file is there to its end."""
    return any(path.read_bytes()[-4:] == b"PAR1" for path in folder.rglob("*.parquet"))


def _copy_while_running(settings: Settings, reports: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of another ingest of the file: its folder, once all its rows are read."""
    from cuepoint.ops import ingest_spool as module

    settle = module.Spool.settle

    def copy(self: module.Spool, *given: Any) -> list[Report]:
        ordered = settle(self, *given)
        shutil.copytree(self._folder.name, settings.data_dir / "copied")
        return ordered

    monkeypatch.setattr(module.Spool, "settle", copy)
    assert ingest_files(settings, [reports], IngestOptions(preset="trends-jsonl")) == 0

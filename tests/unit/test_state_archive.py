"""Earlier states in files: what is put is what is got, nothing broken is taken for whole, old files go."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import pytest

from cuepoint.agents.watch_trends import WatchTrends
from cuepoint.models import market_days, report_parts
from cuepoint.models.snapshot_parts import join, split
from cuepoint.models.trend_state import TrendState
from cuepoint.schemas.codec import encode
from cuepoint.schemas.errors import SnapshotError
from cuepoint.schemas.topics import TREND_RECORDS
from cuepoint.schemas.trends import ReportCompleted, ReportOpened, TrendAmendment, TrendRecord
from cuepoint.streams.batch import Batch
from cuepoint.streams.state_archive import FileArchive

FIRST = 737_002


def test_the_same_bytes_are_the_same_file_and_a_broken_one_is_refused(tmp_path: Path):
    archive, parts = FileArchive(tmp_path), [np.arange(6, dtype=np.float32), np.arange(3, dtype=np.float32)]
    name = archive.put(parts)
    assert name == archive.put([np.concatenate(parts)]) and archive.size(name) == 36
    assert archive.get(name).view(np.float32).tolist() == [0, 1, 2, 3, 4, 5, 0, 1, 2]
    (tmp_path / name).write_bytes(b"x" * 36)
    with pytest.raises(SnapshotError, match="broken"):
        FileArchive(tmp_path).get(name)
    with pytest.raises(SnapshotError, match="cannot be read"):
        archive.get("gone")


def test_what_is_not_named_stays_for_its_grace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    now = 1000.0
    monkeypatch.setattr("cuepoint.streams.state_archive.monotonic", lambda: now)
    archive = FileArchive(tmp_path, grace_s=60.0)
    first, second = (archive.put([np.full(2, i, dtype=np.float32)]) for i in range(2))
    now += 600.0
    archive.keep([second])  # the first was named until now, however long ago it was written
    now += 59.0
    archive.keep([second])
    assert archive.size(first) == archive.size(second) == 8
    now += 1.0
    archive.keep([second])
    assert archive.size(first) == -1 and archive.size(second) == 8


def test_without_room_on_disk_it_stays_in_memory_and_goes_there_later(tmp_path: Path):
    (tmp_path / "folder").write_text("where the folder should be")
    y = np.random.default_rng(3).poisson(1000.0, (80, 3)).astype(float)
    plain = TrendState(lambda day, rows: y[day - FIRST, rows])
    full = TrendState(lambda day, rows: y[day - FIRST, rows], archive=FileArchive(tmp_path / "folder"))
    for state in (plain, full):
        state.grow(3)
        for day in range(80):
            state.step(FIRST + day)
    assert join(*full.to_parts()) == join(*plain.to_parts())
    (tmp_path / "folder").unlink()
    small = join(*full.to_parts())
    assert len(small) < len(join(*plain.to_parts())) / 3 and len(list((tmp_path / "folder").iterdir())) >= 5
    y[40, 1] = 3
    for state in (plain, full):
        list(state.refilter(FIRST + 40, np.array([1])).days)
    again = TrendState(full.observe, archive=FileArchive(tmp_path / "folder"))
    again.load(*split(join(*full.to_parts())))
    for state in (plain, full, again):
        list(state.refilter(FIRST + 60, np.array([0, 1, 2])).days)
    assert [again.fingerprint(i) for i in range(3)] == [plain.fingerprint(i) for i in range(3)]
    assert join(*again.to_parts()) == join(*full.to_parts())
    with pytest.raises(SnapshotError, match="archive"):
        TrendState(full.observe, archive=FileArchive(tmp_path / "elsewhere")).load(*split(small))


def report(n: int, counts: np.ndarray, version: int = 1) -> list[bytes]:
    who = {"dsp": "d", "day": dt.date(2019, 3, 1) + dt.timedelta(days=n)}
    records = [TrendRecord(**who, asset_id=f"a{i}", count=int(c), report_version=version) for i, c in enumerate(counts)]
    end = ReportCompleted(**who, version=version, records=len(records), partition_records=len(records))
    return [encode(m) for m in (ReportOpened(**who, version=version), *records, end)]


async def follow(agent: WatchTrends, values: list[bytes]) -> list:
    n = len(values)
    batch = Batch(TREND_RECORDS.name, 0, 0, n - 1, values, [None] * n, range(n), [1_577_000_000_000] * n)
    return [(out.id, out.message) for out in await agent.process(batch)]


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


async def test_counts_and_states_on_disk_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(report_parts, "SHELVED_BYTES", 1)
    monkeypatch.setattr(market_days, "SHELVED_BYTES", 1)
    y = np.random.default_rng(5).poisson(np.repeat([[40.0, 900.0, 70_000.0]], 85, axis=0))
    log = [value for n in range(80) for value in report(n, y[n])]
    amended = TrendAmendment(dsp="d", day=dt.date(2019, 3, 1) + dt.timedelta(days=30), asset_id="a1", count=5)
    late = [*report(40, y[40] * 2, version=2), encode(amended), *report(80, y[80])]
    plain = WatchTrends()
    stored = WatchTrends(archive=lambda _: FileArchive(tmp_path, grace_s=0))
    assert await follow(stored, log) == await follow(plain, log)
    blob = stored.snapshot(0)
    assert len(stored._partitions[0].ledger.archived) >= 45
    assert len(stored._partitions[0].state.market.archived) >= 45
    stored.saved(0)
    again = WatchTrends(archive=lambda _: FileArchive(tmp_path, grace_s=0))
    again.restore(0, blob)
    told = await follow(plain, late)
    assert await follow(stored, late) == told and await follow(again, late) == told
    assert again.snapshot(0) == stored.snapshot(0)
    states = [[a._partitions[0].state.fingerprint(i) for i in range(3)] for a in (plain, stored, again)]
    assert states[0] == states[1] == states[2]
    again.saved(0)
    held = again._partitions[0]
    assert names_in(tmp_path) == {*held.ledger.archived, *held.state.archived}
    (tmp_path / held.ledger.archived[0]).unlink()
    with pytest.raises(SnapshotError, match="counts of a day"):
        WatchTrends(archive=lambda _: FileArchive(tmp_path)).restore(0, again.snapshot(0))

"""Earlier states in files: what is put is what is got, nothing broken is taken for whole, old files go."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from cuepoint.models.snapshot_parts import join, split
from cuepoint.models.trend_state import TrendState
from cuepoint.schemas.errors import SnapshotError
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


def test_only_what_is_named_or_young_is_kept(tmp_path: Path):
    archive = FileArchive(tmp_path)
    old, older, young = (archive.put([np.full(2, i, dtype=np.float32)]) for i in range(3))
    for name in (old, older):
        os.utime(tmp_path / name, (0, 0))
    archive.keep([older])
    assert archive.size(old) == -1 and archive.size(older) == archive.size(young) == 8


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
        state.refilter(FIRST + 40, np.array([1]))
    again = TrendState(full.observe, archive=FileArchive(tmp_path / "folder"))
    again.load(*split(join(*full.to_parts())))
    for state in (plain, full, again):
        state.refilter(FIRST + 60, np.array([0, 1, 2]))
    assert [again.fingerprint(i) for i in range(3)] == [plain.fingerprint(i) for i in range(3)]
    assert join(*again.to_parts()) == join(*full.to_parts())
    with pytest.raises(SnapshotError, match="archive"):
        TrendState(full.observe, archive=FileArchive(tmp_path / "elsewhere")).load(*split(small))

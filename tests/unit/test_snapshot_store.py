"""Snapshots: whole or refused, never misread."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cuepoint.schemas.errors import SnapshotError
from cuepoint.streams.snapshot_store import Overtaken, Snapshot, SnapshotStore

STATE = b"state of many assets" * 20


def saved(folder: Path) -> tuple[SnapshotStore, Path]:
    store = SnapshotStore(folder, "log-1")
    store.save("agent", "topic", 3, 41, STATE)
    return store, store.path("agent", "topic", 3)


def test_the_newest_is_read(tmp_path: Path) -> None:
    store, path = saved(tmp_path)
    assert store.load("agent", "topic", 3) == Snapshot(41, STATE)
    store.save("agent", "topic", 3, 50, b"")
    assert store.load("agent", "topic", 3) == Snapshot(50, b"")
    assert store.load("agent", "topic", 4) is None
    assert [each.name for each in path.parent.iterdir()] == ["3.snapshot"]


def test_one_that_stood_still_undoes_nothing(tmp_path: Path) -> None:
    """A worker frozen while its partition went to another one wakes up and saves what it held."""
    store, path = saved(tmp_path)
    with pytest.raises(Overtaken, match="another worker has the partition"):
        store.save("agent", "topic", 3, 40, b"older")
    assert store.load("agent", "topic", 3) == Snapshot(41, STATE)
    assert [each.name for each in path.parent.iterdir()] == ["3.snapshot"]
    store.save("agent", "topic", 3, 40, b"older", back=True)
    assert store.load("agent", "topic", 3) == Snapshot(40, b"older")
    SnapshotStore(tmp_path, "log-2").save("agent", "topic", 3, 1, b"")
    path.write_bytes(b"CUEP")
    store.save("agent", "topic", 3, 0, STATE)
    assert store.load("agent", "topic", 3) == Snapshot(0, STATE)


def test_another_log_begins_anew(tmp_path: Path) -> None:
    saved(tmp_path)
    assert SnapshotStore(tmp_path, "log-2").load("agent", "topic", 3) is None


@given(st.data())
def test_any_flipped_byte_is_noticed(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    store, path = saved(tmp_path_factory.mktemp("s"))
    content = bytearray(path.read_bytes())
    at = data.draw(st.integers(0, len(content) - 1))
    content[at] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    with pytest.raises(SnapshotError, match="refused"):
        store.load("agent", "topic", 3)


@given(st.integers(0, 470))
def test_any_cut_is_noticed(tmp_path_factory: pytest.TempPathFactory, length: int) -> None:
    store, path = saved(tmp_path_factory.mktemp("s"))
    content = path.read_bytes()
    path.write_bytes(content[: min(length, len(content) - 1)])
    with pytest.raises(SnapshotError, match="refused"):
        store.load("agent", "topic", 3)


def test_a_newer_version_says_so(tmp_path: Path) -> None:
    store, path = saved(tmp_path)
    content = bytearray(path.read_bytes())
    content[8] = 9
    path.write_bytes(content)
    with pytest.raises(SnapshotError, match="version is 9"):
        store.load("agent", "topic", 3)


def test_a_full_disk_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, path = saved(tmp_path)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        store.save("agent", "topic", 3, 99, b"new")
    monkeypatch.undo()
    assert store.load("agent", "topic", 3) == Snapshot(41, STATE)
    assert [each.name for each in path.parent.iterdir()] == ["3.snapshot"]

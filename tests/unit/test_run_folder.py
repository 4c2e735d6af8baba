"""The folder of a run: fresh, with room, and the old ones tidied away."""

from __future__ import annotations

import os
import shutil
from collections import namedtuple
from pathlib import Path

import pytest

from cuepoint.ops.embedded_folder import new_folder
from cuepoint.schemas.errors import ConfigurationError

Usage = namedtuple("Usage", "total used free")


def test_a_full_disk_is_a_sentence_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: Usage(10**12, 10**12, 5 << 20))
    with pytest.raises(ConfigurationError, match=r"only 5 MB are free in .*a run needs 500: free some space"):
        new_folder(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="set CUEPOINT_DATA_DIR"):
        new_folder(tmp_path / "file")


def test_old_runs_go_but_the_newest_and_those_that_still_run(tmp_path: Path) -> None:
    gone = 2**22 + 1  # above the kernel's largest process id
    for day in range(1, 7):
        (tmp_path / f"run-2020010{day}-000000-{gone}").mkdir()
    (tmp_path / f"run-20190101-000000-{os.getppid()}").mkdir()
    (tmp_path / "mine").mkdir()
    folder = new_folder(tmp_path)
    left = {path.name for path in tmp_path.iterdir()}
    kept = {f"run-2020010{day}-000000-{gone}" for day in (4, 5, 6)}
    assert left == {folder.name, "mine", f"run-20190101-000000-{os.getppid()}"} | kept

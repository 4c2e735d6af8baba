"""Parts of a state that are seldom looked at, in files beside the snapshots that name them."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import secrets
from collections.abc import Collection, Sequence
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cuepoint.schemas.errors import SnapshotError

_LOG = logging.getLogger(__name__)


def name_of(parts: Sequence[NDArray[Any]]) -> str:
    """The digest of these bytes."""
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        digest.update(np.ascontiguousarray(part).data)
    return digest.hexdigest()


class FileArchive:
    """A folder for one agent's partition. A name is the digest of what is in the file: the same bytes put again, after
    a crash, are the same file, and no file is ever changed. ``grace_s``: so long a file stays after it was last named,
    for while a partition moves, two workers may hold it for a moment."""

    def __init__(self, folder: Path, grace_s: float = 120.0) -> None:
        self._folder, self._grace_s = folder, grace_s
        self._checked: set[str] = set()
        self._unnamed_since: dict[str, float] = {}

    def put(self, parts: Sequence[NDArray[Any]]) -> str | None:
        """The name of these bytes, on disk when this returns; None if they cannot be written."""
        name = name_of(parts)
        path, partial = self._folder / name, self._folder / f"{name}.{secrets.token_hex(4)}.part"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            if not path.exists():
                with partial.open("wb") as file:
                    file.writelines(np.ascontiguousarray(part).data for part in parts)
                    file.flush()
                    os.fsync(file.fileno())
                partial.replace(path)
        except OSError as error:
            _LOG.error("an earlier state could not be written (%s); it stays in memory", error)
            with contextlib.suppress(OSError):
                partial.unlink(missing_ok=True)
            return None
        self._checked.add(name)
        return name

    def size(self, name: str) -> int:
        """In bytes; -1 if it is not there."""
        try:
            return (self._folder / name).stat().st_size
        except OSError:
            return -1

    def get(self, name: str) -> NDArray[np.uint8]:
        """A view of the file. Raises SnapshotError if it is gone or broken."""
        path = self._folder / name
        try:
            data = np.memmap(path, dtype=np.uint8, mode="r") if path.stat().st_size else np.empty(0, dtype=np.uint8)
        except OSError as error:
            raise SnapshotError(f"{path}, which a state refers to, cannot be read: {error}") from error
        if name not in self._checked:
            if name_of([data]) != name:
                raise SnapshotError(f"{path}, which a state refers to, is broken")
            self._checked.add(name)
        return np.asarray(data)

    def keep(self, names: Collection[str]) -> None:
        """Remove all other files, each once its grace is over."""
        now = monotonic()
        there = {path.name for path in self._folder.glob("*")} if self._folder.is_dir() else set()
        self._unnamed_since = {name: self._unnamed_since.get(name, now) for name in there.difference(names)}
        for name, since in self._unnamed_since.items():
            if now - since >= self._grace_s:
                with contextlib.suppress(OSError):
                    (self._folder / name).unlink()
        self._checked.intersection_update(names)

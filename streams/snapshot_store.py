"""Snapshots of agents' states on disk: a folder per role and topic, a file per partition."""

from __future__ import annotations

import os
import secrets
import struct
import zlib
from pathlib import Path
from typing import NamedTuple

from cuepoint.schemas.errors import SnapshotError

_MAGIC = b"CUEPOINT"
_VERSION = 1
_HEADER = struct.Struct(
    "<8sHHqQI"
)  # magic, version, length of the log's id, offset, length of the state, crc32 of all that


class Overtaken(Exception):
    """A worker that stood still while its partition went to another one must not undo what that one saved."""


class Snapshot(NamedTuple):
    """A state and the offset of the last record in it."""

    offset: int
    state: bytes


class SnapshotStore:
    """Keeps one snapshot per (agent, topic, partition). ``log_id`` is the incarnation of the log they stand for."""

    def __init__(self, folder: Path, log_id: str = "") -> None:
        self._folder, self._log_id = folder, log_id.encode()

    def path(self, agent: str, topic: str, partition: int) -> Path:
        return self._folder / agent / topic / f"{partition}.snapshot"

    def save(self, agent: str, topic: str, partition: int, offset: int, state: bytes, *, back: bool = False) -> None:
        """Replace the snapshot; after a crash either the old or the new one is there, whole. Raises OSError, and
        Overtaken where the one that is there stands for a later offset, unless the way ``back`` is meant."""
        path = self.path(agent, topic, partition)
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(f".{secrets.token_hex(8)}.part")
        header = _HEADER.pack(
            _MAGIC, _VERSION, len(self._log_id), offset, len(state), _checksum(offset, self._log_id, state)
        )
        try:
            with part.open("wb") as file:
                file.writelines((header, self._log_id, state))
                file.flush()
                os.fsync(file.fileno())
            if not back and self._stands_at(path) > offset:
                raise Overtaken(f"{path} stands for a later offset than {offset}: another worker has the partition")
            part.replace(path)
        except (OSError, Overtaken):
            part.unlink(missing_ok=True)
            raise
        _sync_folder(path.parent)

    def _stands_at(self, path: Path) -> int:
        """The offset of the snapshot that is there, -1 if there is none of this log."""
        try:
            with path.open("rb") as file:
                header = file.read(_HEADER.size)
                log_id = file.read(len(self._log_id))
        except FileNotFoundError:
            return -1
        if len(header) < _HEADER.size or header[:8] != _MAGIC:
            return -1
        _, _, id_length, offset, _, _ = _HEADER.unpack(header)
        return int(offset) if (id_length, log_id) == (len(self._log_id), self._log_id) else -1

    def load(self, agent: str, topic: str, partition: int) -> Snapshot | None:
        """The newest snapshot; None if there is none or it stands for an earlier incarnation of the log.

        Raises SnapshotError for a file that is broken or not ours.
        """
        path = self.path(agent, topic, partition)
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise SnapshotError(f"the snapshot {path} cannot be read: {error}") from error
        if len(data) < _HEADER.size or data[:8] != _MAGIC:
            raise SnapshotError(_refusal(path, "it is no snapshot of Cuepoint"))
        _, version, id_length, offset, length, crc = _HEADER.unpack_from(data)
        if version != _VERSION:
            raise SnapshotError(_refusal(path, f"its version is {version}, this Cuepoint reads version {_VERSION}"))
        start = _HEADER.size + id_length
        state = data[start:]
        if len(state) != length or _checksum(offset, data[_HEADER.size : start], state) != crc:
            raise SnapshotError(_refusal(path, "it is broken"))
        if data[_HEADER.size : start] != self._log_id:
            return None
        return Snapshot(offset, state)


def _checksum(offset: int, log_id: bytes, state: bytes) -> int:
    return zlib.crc32(state, zlib.crc32(log_id, zlib.crc32(b"%d" % offset)))


def _refusal(path: Path, reason: str) -> str:
    return f"the snapshot {path} is refused: {reason}. Move it away to have the state rebuilt from the log"


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

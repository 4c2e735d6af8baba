"""How far the sending of some files has come, in two small files: an ingest that was interrupted goes on there."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec


class _Kept(msgspec.Struct, frozen=True):
    run: str
    steps: int


def run_of(files: Sequence[Path], *settings: object) -> str:
    """What makes two runs the same: the files as they lie there, and all that decides what is sent of them."""
    about = [(str(path.resolve()), path.stat().st_size, path.stat().st_mtime_ns) for path in files]
    return hashlib.sha256(repr((about, settings)).encode()).hexdigest()[:32]


class Position:
    """``steps`` that are done and acknowledged. Nothing of the files' contents is kept but what unknown assets are
    called: an asset that has become known meanwhile must still come by way of the quarantine, for the reports that were
    sent lack it."""

    def __init__(self, folder: Path, run: str) -> None:
        self._steps = folder / "ingest" / f"{run}.position"
        self._names = folder / "ingest" / f"{run}.unknown"
        self._run = run
        self.steps = self._read()

    def _read(self) -> int:
        try:
            kept = msgspec.json.decode(self._steps.read_bytes(), type=_Kept)
        except (OSError, msgspec.MsgspecError):
            return 0  # none, or broken off while it was written: repeats are harmless
        return kept.steps if kept.run == self._run else 0

    def unknown(self) -> frozenset[str] | None:
        """What the interrupted run held for unknown; None if there was none."""
        try:
            return frozenset(msgspec.json.decode(self._names.read_bytes(), type=list[str]))
        except (OSError, msgspec.MsgspecError):
            return None

    def begin(self, unknown: Iterable[str]) -> None:
        """Nothing is sent yet; these are unknown. Raises OSError."""
        self._write(self._names, msgspec.json.encode(list(unknown)))

    def mark(self, steps: int) -> None:
        """All before step number ``steps`` is acknowledged. Raises OSError."""
        self._write(self._steps, msgspec.json.encode(_Kept(self._run, steps)))
        self.steps = steps

    def done(self) -> None:
        """Everything is sent: the next run over the same files sends it again."""
        self._steps.unlink(missing_ok=True)
        self._names.unlink(missing_ok=True)

    def _write(self, path: Path, content: bytes) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        part.write_bytes(content)
        part.replace(path)

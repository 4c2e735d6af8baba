"""A state as bytes: a small value that says what follows, then arrays, each copied once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cuepoint.schemas.errors import SnapshotError

_FORM = b"parts-1\n"
_HEAD = len(_FORM) + 8  # bytes: and how long the value is


def join(value: bytes | memoryview, arrays: Sequence[NDArray[Any]]) -> bytes:
    """
    >>> value, data = split(join(b"says", [np.array([1, 2], dtype=np.uint8)]))
    >>> bytes(value), data.tolist()
    (b'says', [1, 2])
    """
    head = _FORM + len(value).to_bytes(8, "little")
    return b"".join([head, value, *[np.ascontiguousarray(array).data for array in arrays]])


def split(blob: bytes) -> tuple[memoryview, NDArray[np.uint8]]:
    """The value and the bytes behind it, as views. Raises SnapshotError."""
    if blob[: len(_FORM)] != _FORM:
        raise SnapshotError("the state has a form that this program does not read; another version wrote it")
    end = _HEAD + int.from_bytes(blob[len(_FORM) : _HEAD], "little")
    if len(blob) < end:
        raise SnapshotError("the state is truncated")
    return memoryview(blob)[_HEAD:end], np.frombuffer(blob, dtype=np.uint8)[end:]


class Cutter:
    """Takes arrays off the front of ``data``, as copies, so that the whole may be given free."""

    def __init__(self, data: NDArray[np.uint8]) -> None:
        self._data = data

    def take(self, kind: Any, number: int) -> NDArray[Any]:
        """Raises SnapshotError where there are not so many."""
        size = number * np.dtype(kind).itemsize
        if number < 0 or size > len(self._data):
            raise SnapshotError("the state is truncated")
        found: NDArray[Any] = self._data[:size].view(kind).copy()
        self._data = self._data[size:]
        return found

    def rest(self) -> NDArray[np.uint8]:
        return self._data

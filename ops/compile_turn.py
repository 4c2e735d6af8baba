"""Compiling in turn: the first process fills numba's cache, the others wait for it instead of doing the same again."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def compile_turn(name: str) -> Iterator[None]:
    """Hold this user's lock ``name`` on this machine. Where no lock can be had, go on: it saves time and no more.

    >>> with compile_turn("example"):
    ...     pass
    """
    path = Path(tempfile.gettempdir()) / f"cuepoint-compile-{os.getuid()}-{name}"
    try:
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError:
        yield
        return
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)

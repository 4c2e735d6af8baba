"""Compiling in turn: the first process fills numba's cache, the others wait for it instead of doing the same again."""

from __future__ import annotations

import fcntl
import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def compile_turn(name: str) -> Iterator[None]:
    """Hold the lock ``name`` of this installation, whose cache it is about. Where no lock can be had, go on: it saves
    time and no more.

    >>> with compile_turn("example"):
    ...     pass
    """
    installation = hashlib.blake2b(__file__.encode(), digest_size=6).hexdigest()
    path = Path(tempfile.gettempdir()) / f"cuepoint-compile-{os.getuid()}-{installation}-{name}"
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

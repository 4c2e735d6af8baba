"""Where an embedded run may live: a fresh folder with room on its disk, and a port that is free."""

from __future__ import annotations

import os
import shutil
import socket
import time
from pathlib import Path

from cuepoint.schemas.errors import ConfigurationError

LEAST_FREE_BYTES = 500 << 20
_KEPT_RUNS = 3


def new_folder(data_dir: Path) -> Path:
    """A folder of this run alone; those of old runs go, the newest few excepted. Raises ConfigurationError."""
    folder = data_dir / f"run-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"
    try:
        folder.mkdir(parents=True)
        free = shutil.disk_usage(folder).free
    except OSError as error:
        raise ConfigurationError(
            f"cannot make {folder} ({error.strerror}): set CUEPOINT_DATA_DIR to a folder that can be written"
        ) from None
    if free < LEAST_FREE_BYTES:
        folder.rmdir()
        raise ConfigurationError(
            f"only {free >> 20} MB are free in {data_dir}, a run needs {LEAST_FREE_BYTES >> 20}: "
            "free some space, or set CUEPOINT_DATA_DIR to another disk"
        )
    for old in sorted(data_dir.glob("run-*-*"))[: -_KEPT_RUNS - 1]:
        if not _runs(old):
            shutil.rmtree(old, ignore_errors=True)
    return folder


def _runs(folder: Path) -> bool:
    try:
        os.kill(int(folder.name.rpartition("-")[2]), 0)
    except (ValueError, ProcessLookupError):
        return False
    except PermissionError:
        return True
    return True


def port_trouble(host: str, port: int) -> str | None:
    """Why nothing can listen there, or None where it can.

    >>> port_trouble("127.0.0.1", 0) is None
    True
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            return error.strerror or str(error)
    return None

"""Memory under back-pressure: a worker of role counts, whose Redis stops answering in the middle of its log."""

from __future__ import annotations

import os
import signal
import time
from typing import NamedTuple

from machine import Place
from ours import watch, workers

from cuepoint.schemas.topics import PLAYER_EVENTS

STALL_S = 15.0


class Pressure(NamedTuple):
    """Resident bytes: when Redis stopped, the most while it stood still, and what of the log was left to read then."""

    before: int
    most: int
    left_records: int


def measure(place: Place, prefix: str, total: int) -> Pressure:
    """The topics with ``prefix`` hold ``total`` player events."""
    with workers(place, "counts", PLAYER_EVENTS, prefix, "pressure") as running:
        for seen in watch(place, running):
            if seen[0].received:
                break
        done = running[0].received
        os.kill(place.redis_pid, signal.SIGSTOP)
        try:
            before = most = running[0].rss_bytes()
            deadline = time.monotonic() + STALL_S
            while time.monotonic() < deadline:
                time.sleep(0.2)
                most = max(most, running[0].rss_bytes())
        finally:
            os.kill(place.redis_pid, signal.SIGCONT)
    return Pressure(before, most, total - done)

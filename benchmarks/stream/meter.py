"""What every competitor that is not Cuepoint measures of itself: from its first record to its last, wall and CPU."""

from __future__ import annotations

import datetime as dt
import gc
import json
import os
import sys
import time
from typing import NamedTuple

# Regions of change opened before this day are not counted: in its first days the whole catalogue is new, and Cuepoint,
# which takes out what all assets have in common, opens fewer than a filter that sees one asset
COUNT_FROM = dt.date(2024, 1, 15).toordinal()


class Task(NamedTuple):
    """What a competitor is to do: read ``records`` messages (all of the topic, or so many of it) of ``topic``."""

    broker: str
    topic: str
    group: str
    partitions: int
    records: int
    gc_threshold: int


def read_task() -> Task:
    """The task as JSON in the first argument."""
    return Task(**json.loads(sys.argv[1]))


class Meter:
    """Call ``count`` for every record; the last one reports and ends the process."""

    def __init__(self, task: Task) -> None:
        self._records, self._left = task.records, task.records
        self._opened = 0
        self._began_s = self._cpu_s = 0.0
        settle_memory(task.gc_threshold)

    def count(self, opened: int, records: int = 1) -> None:
        """``records`` more are done, and ``opened`` regions of change were opened by them."""
        if not self._cpu_s:
            self._began_s, self._cpu_s = time.perf_counter(), time.process_time()
        self._opened += opened
        self._left -= records
        if self._left <= 0:
            self._report()

    def _report(self) -> None:
        wall_s, cpu_s = time.perf_counter() - self._began_s, time.process_time() - self._cpu_s
        done = self._records - self._left
        said = {"records": done, "wall_s": wall_s, "cpu_s": cpu_s, "opened": self._opened}
        os.write(1, json.dumps(said).encode() + b"\n")  # Faust takes sys.stdout for its log
        os._exit(0)  # frameworks take seconds to say good-bye


def settle_memory(threshold: int) -> None:
    """The garbage collector as Cuepoint's workers set it."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(threshold, 20, 50)

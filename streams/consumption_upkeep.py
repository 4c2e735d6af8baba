"""Upkeep of the consumption store: many small files become few large ones, what is replaced or too old goes."""

from __future__ import annotations

import datetime as dt
import itertools
import logging
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from cuepoint.streams import metrics
from cuepoint.streams.consumption_catalogue import ConsumptionCatalogue
from cuepoint.streams.consumption_files import ParquetFiles, week_of

_LOG = logging.getLogger(__name__)
_ORPHAN_AGE_S = 3600  # a file that no catalogue knows may be one that is being written
Files = Sequence[Any]


class UpkeepOptions(NamedTuple):
    """``merge_files``: small files of a week and partition before they are merged; ``dead_share``: of rows, above which
    a week is rewritten; ``most_bytes`` 0: no bound."""

    retention_days: int = 1100
    most_bytes: int = 0
    merge_files: int = 8
    dead_share: float = 0.1
    grace_s: float = 300.0  # how long replaced files stay for those who are reading them


class Upkeep:
    """``run`` is to be called now and then, by one thread. Raises Unavailable."""

    def __init__(
        self, catalogue: ConsumptionCatalogue, files: ParquetFiles, root: Path, options: UpkeepOptions
    ) -> None:
        self._catalogue, self._files, self._root, self._options = catalogue, files, root, options

    def run(self, now_ms: int) -> int:
        """All there is to do; returns the number of merges."""
        self.expire(now_ms)
        merges = 0
        while self.merge_one(now_ms):
            merges += 1
        self.sweep(now_ms)
        live = self._catalogue.live_files()
        metrics.CONSUMPTION_FILES.set(len(live))
        metrics.CONSUMPTION_BYTES.set(sum(file.bytes for file in live))
        return merges

    def merge_one(self, now_ms: int) -> bool:
        """Merge the files of one partition's week, if any has too many or too many dead rows."""
        dead: dict[tuple[int, dt.date], dict[int, int]] = {}
        for partition, mark in self._catalogue.dead_reports():
            dead.setdefault((partition, week_of(mark.key.day)), {})[mark.report_id] = mark.rows
        live = self._catalogue.live_files()
        seen = set()
        for (partition, week), group in itertools.groupby(live, key=lambda file: (file.partition, file.week)):
            files = list(group)
            seen.add((partition, week))
            here = dead.get((partition, week), {})
            chosen = _chosen(files, sum(here.values()), self._options)
            # a report that is dead can be forgotten only once no file of the week has rows of it
            if chosen and self._merge(chosen, list(here), now_ms, forget=len(chosen) == len(files)):
                return True
        for (partition, week), here in dead.items():  # reports that never had a row on the disk
            if (partition, week) not in seen:
                self._catalogue.replace(partition, [], None, now_ms, here)
        return False

    def expire(self, now_ms: int) -> int:
        """Whole weeks older than the retention, counted from the newest day stored (but not from the future), and the
        oldest weeks beyond ``most_bytes``; the newest week stays. Returns the number of rows removed."""
        live = self._catalogue.live_files()
        if not live:
            return 0
        today = dt.datetime.fromtimestamp(now_ms / 1000, dt.UTC).date()
        sizes: dict[dt.date, int] = {}
        for file in live:
            sizes[file.week] = sizes.get(file.week, 0) + file.bytes
        newest = min(max(sizes), today)
        first = week_of(newest - dt.timedelta(days=self._options.retention_days))
        if self._options.most_bytes:
            room = self._options.most_bytes
            for week in sorted(sizes, reverse=True):
                room -= sizes[week]
                if room < 0 and week != max(sizes):
                    first = max(first, week + dt.timedelta(weeks=1))
                    break
        if first <= min(sizes):
            return 0
        rows = self._catalogue.remove_before(first, now_ms)
        metrics.CONSUMPTION_EXPIRED.inc(rows)
        _LOG.info("consumption: %s rows of the weeks before %s are removed", rows, first)
        return rows

    def sweep(self, now_ms: int) -> int:
        """Delete the files that were replaced a while ago, and those that no catalogue knows; returns how many."""
        old = self._catalogue.removed_files(now_ms - int(self._options.grace_s * 1000))
        for path in old:
            self._files.delete(path)
        self._catalogue.forget_files(old)
        known, strays = self._catalogue.all_paths(), 0
        for file in self._root.glob("week=*/*.parquet"):
            name = str(file.relative_to(self._root))
            if name not in known and file.stat().st_mtime * 1000 < now_ms - _ORPHAN_AGE_S * 1000:
                self._files.delete(name)
                strays += 1
        return len(old) + strays

    def _merge(self, chosen: Files, dead: list[int], now_ms: int, *, forget: bool) -> bool:
        partition, week = chosen[0].partition, chosen[0].week
        name = f"p{partition:04d}-merged-{secrets.token_hex(8)}"
        new = self._files.merge([file.path for file in chosen], week, dead, name)
        old = [file.file_id for file in chosen]
        if self._catalogue.replace(partition, old, new, now_ms, dead if forget else ()):
            metrics.CONSUMPTION_MERGES.inc()
            return True
        if new is not None:
            self._files.delete(new.path)
        return False


def _chosen(files: Files, dead_rows: int, options: UpkeepOptions) -> Files:
    """All of them where much is dead; else the small ones, if there are many, and none that is larger than those
    together: so a row is rewritten a number of times that grows with the logarithm of the rows only."""
    if dead_rows > options.dead_share * sum(file.rows for file in files):
        return files
    if len(files) < options.merge_files:
        return []
    by_size = sorted(files, key=lambda file: file.rows)
    chosen = by_size[: options.merge_files]
    for file in by_size[options.merge_files :]:
        if file.rows > sum(each.rows for each in chosen):
            break
        chosen.append(file)
    return chosen

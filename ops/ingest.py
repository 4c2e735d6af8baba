"""``cuepoint ingest``: files of daily counts become whole reports on the trend-records topic.

A file is read to its end first (``ingest_spool``); then, day by day, each report is sent in band: ReportOpened to every
partition, the records by asset, ReportCompleted with the number of records to every partition. A killed run leaves one
report open at most; running it again heals that, and repeats the others, which changes nothing.
"""

from __future__ import annotations

import datetime as dt
import functools
import hashlib
import itertools
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from cuepoint.ops.ingest_mapping import Mapping, RowReader, require_columns
from cuepoint.ops.ingest_progress import IngestProgress
from cuepoint.ops.ingest_read import Read, Source, original_of
from cuepoint.ops.ingest_spool import Report, Spool
from cuepoint.schemas.base import Contract
from cuepoint.schemas.errors import ConfigurationError, ContractError
from cuepoint.schemas.faults import DeadLetter
from cuepoint.schemas.topics import ASSETS, DEAD_TREND_RECORDS, REPORTS, TREND_RECORDS, Topic
from cuepoint.schemas.trends import ReportCompleted, ReportOpened, TrendRecord

MAX_ORIGINAL_BYTES = 1 << 17  # of a broken row, as kept in its dead letter
_TELL_EVERY_ROWS = 2_000


class Sender(Protocol):
    """What ingest needs of a producer (``cuepoint.streams.producer.SyncProducer``)."""

    def send(
        self, topic: Topic, key: str, message: Contract, *, id: str = "", partition: int | None = None
    ) -> None: ...

    def flush(self, timeout_s: float = 30.0) -> None: ...


def check_files(files: Sequence[Path], mapping: Mapping) -> None:
    """Look at every file's beginning before anything is read or sent.

    Raises ConfigurationError for one that is not there, is of an unknown kind, or lacks a column the mapping needs.
    """
    for path in files:
        with Source(path, mapping.delimiter) as source:
            if source.kind != "jsonl":
                require_columns(mapping, source.header, str(path))


@dataclass
class Summary:
    """What an ingest did."""

    rows: int = 0
    records: int = 0
    reports: int = 0
    assets: int = 0
    broken: Counter[str] = field(default_factory=Counter)  # code -> rows
    first_broken: list[str] = field(default_factory=list)

    @property
    def dead_letters(self) -> int:
        return sum(self.broken.values())


class Ingest:
    """One run over some files. ``partition_of(key, partitions)`` says where a record goes."""

    def __init__(
        self,
        sender: Sender,
        partitions: int,
        partition_of: Callable[[bytes, int], int],
        progress: IngestProgress,
        days_per_s: float | None = None,
    ) -> None:
        self._sender, self._partitions = sender, partitions
        # The same assets return day after day, and murmur2 in Python costs as much as all else of a record.
        self._partition_of = functools.lru_cache(maxsize=1 << 17)(partition_of)
        self._progress, self._days_per_s = progress, days_per_s
        self.summary = Summary()

    def run(self, files: Sequence[Path], mapping: Mapping, spool: Spool, *, strict: bool = False) -> Summary:
        """Read all files (which ``check_files`` has let pass), then send; with ``strict`` nothing if a row is broken.

        Raises ConfigurationError for a file that cannot be read to its end (nothing but dead letters was sent then),
        Unavailable where the broker does not acknowledge.
        """
        for path in files:
            self._read(path, mapping, spool)
        self._sender.flush()
        if not (strict and self.summary.broken):
            try:
                self._send(spool, ", ".join(path.name for path in files)[:512])
            except sqlite3.Error as error:
                raise ConfigurationError(
                    f"cannot sort the rows by day ({error}): free some space in CUEPOINT_DATA_DIR"
                ) from None
        return self.summary

    def _read(self, path: Path, mapping: Mapping, spool: Spool) -> None:
        # A report of today's date may come from a place where it is already tomorrow.
        reader = RowReader(mapping, latest=dt.datetime.now(dt.UTC).date() + dt.timedelta(days=1))
        with Source(path, mapping.delimiter) as source:
            self._progress.begin(f"reading {path.name}", source.size_bytes)
            for read in source.rows():
                self.summary.rows += 1
                try:
                    if read.row is None:
                        raise read.fault or ContractError("malformed", "$", "not a row")
                    row = reader.read(read.row)
                except ContractError as fault:
                    self._refuse(path, read, fault)
                else:
                    spool.add(row.record, row.asset)
                if self.summary.rows % _TELL_EVERY_ROWS == 0:
                    self._progress.at(source.done_bytes)

    def _refuse(self, path: Path, read: Read, fault: ContractError) -> None:
        original = original_of(read)[:MAX_ORIGINAL_BYTES]
        letter = DeadLetter(
            topic=TREND_RECORDS.name,
            source=path.name[:512],
            line=read.line,
            code=fault.code,
            field=fault.field[:512],
            reason=fault.reason[:2048],
            original=original,
            at=int(time.time() * 1000),
        )
        content = f"{path.name}\0{read.line}\0{fault.code}\0".encode() + original
        self._sender.send(DEAD_TREND_RECORDS, TREND_RECORDS.name, letter, id=hashlib.sha256(content).hexdigest()[:32])
        self.summary.broken[fault.code] += 1
        if len(self.summary.first_broken) < 5:
            self.summary.first_broken.append(f"{path.name}:{read.line}: {fault.field}: {fault.reason}")

    def _send(self, spool: Spool, source: str) -> None:
        for asset in spool.assets():
            self._sender.send(ASSETS, asset.asset_id, asset)
            self.summary.assets += 1
        reports = spool.reports()
        records = spool.records()
        self._progress.begin("sending", sum(size for _, size in reports))
        began = time.monotonic()
        by_day = itertools.groupby(reports, key=lambda item: item[0].day)
        for days, (day, of_day) in enumerate(by_day):
            if self._days_per_s:
                self._sender.flush()
                time.sleep(max(0.0, began + days / self._days_per_s - time.monotonic()))
            for report, size in of_day:
                self._send_report(report, itertools.islice(records, size), size, source)
            self._progress.at(self.summary.records, day.isoformat())
        self._sender.flush()

    def _send_report(self, report: Report, records: Iterator[TrendRecord], size: int, source: str) -> None:
        dsp, territory, day, version = report
        opened = ReportOpened(dsp=dsp, territory=territory, day=day, version=version, source=source)
        for partition in range(self._partitions):
            self._sender.send(TREND_RECORDS, dsp, opened, partition=partition)
        self._sender.send(REPORTS, dsp, opened)
        sent = [0] * self._partitions
        for record in records:
            partition = self._partition_of(record.asset_id.encode(), self._partitions)
            sent[partition] += 1
            self._sender.send(TREND_RECORDS, record.asset_id, record, partition=partition)
        completed = ReportCompleted(dsp=dsp, territory=territory, day=day, version=version, records=size, source=source)
        for partition, count in enumerate(sent):
            in_band = ReportCompleted(
                dsp=dsp,
                territory=territory,
                day=day,
                version=version,
                records=size,
                partition_records=count,
                source=source,
            )
            self._sender.send(TREND_RECORDS, dsp, in_band, partition=partition)
        self._sender.send(REPORTS, dsp, completed)
        self.summary.records += size
        self.summary.reports += 1

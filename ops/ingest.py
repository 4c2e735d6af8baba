"""``cuepoint ingest``: files of reports become whole reports on the topics.

A file is read to its end first (``ingest_spool``); then, day by day, each report is sent in band: ReportOpened to every
partition, records and cells by asset, ReportCompleted with their number to every partition. Behind all reports stands
what they say of unknown assets, on the quarantine topic. A killed run leaves one report open at most; running it again
heals that, and repeats the others, which changes nothing.
"""

from __future__ import annotations

import datetime as dt
import itertools
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cuepoint.ops import ingest_letters
from cuepoint.ops.ingest_identity import Identities, merged
from cuepoint.ops.ingest_mapping import Mapping, require_columns
from cuepoint.ops.ingest_position import Position
from cuepoint.ops.ingest_progress import IngestProgress
from cuepoint.ops.ingest_read import Read, Source
from cuepoint.ops.ingest_reports import ReportSender, Sender
from cuepoint.ops.ingest_rows import AssetKey, Report, RowReader
from cuepoint.ops.ingest_spool import Part, Spool
from cuepoint.schemas.errors import ContractError
from cuepoint.schemas.topics import ASSETS, DEAD_TREND_RECORDS, QUARANTINE, TREND_RECORDS
from cuepoint.schemas.trends import Asset

_TELL_EVERY_ROWS = 2_000
_MARK_EVERY_S = 1.0
Catalogue = Callable[[int], Iterable[tuple[int, Asset]]]
"""The assets topic, (offset, asset), from an offset on."""


def check_files(files: Sequence[Path], mapping: Mapping) -> None:
    """Look at every file's beginning before anything is read or sent.

    Raises ConfigurationError for one that is not there, is of an unknown kind, or lacks a column the mapping needs.
    """
    for path in files:
        with Source(path, mapping.delimiter, mapping.format) as source:
            if source.header:
                require_columns(mapping, source.header, str(path))


@dataclass
class Summary:
    """What an ingest did."""

    rows: int = 0
    records: int = 0
    cells: int = 0
    reports: int = 0
    resumed: int = 0  # reports that an interrupted run had sent
    assets: int = 0
    quarantined: int = 0  # assets in reports
    streams: int = 0
    broken: Counter[str] = field(default_factory=Counter)  # code -> rows
    broken_fields: Counter[str] = field(default_factory=Counter)
    first_broken: list[str] = field(default_factory=list)

    @property
    def dead_letters(self) -> int:
        return sum(self.broken.values())


class Ingest:
    """One run over some files."""

    def __init__(
        self,
        sender: Sender,
        reports: ReportSender,
        progress: IngestProgress,
        *,
        catalogue: Catalogue | None = None,
        position: Position | None = None,
        days_per_s: float | None = None,
        beside: Callable[[dt.date], None] = lambda day: None,
    ) -> None:
        """``beside`` is called with each day whose reports were sent."""
        self._sender, self._reports, self._progress = sender, reports, progress
        self._catalogue: Catalogue = catalogue or (lambda first: ())
        self._position, self._days_per_s, self._beside = position, days_per_s, beside
        self._marked_at = time.monotonic()
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
            self._send(spool, ", ".join(path.name for path in files)[:512])
        return self.summary

    # -- reading

    def _read(self, path: Path, mapping: Mapping, spool: Spool) -> None:
        # A report of today's date may come from a place where it is already tomorrow.
        reader = RowReader(mapping, latest=dt.datetime.now(dt.UTC).date() + dt.timedelta(days=1))
        summary = self.summary
        with Source(path, mapping.delimiter, mapping.format) as source:
            self._progress.begin(f"reading {path.name}", source.size_bytes)
            for read in source.rows():
                summary.rows += 1
                try:
                    if read.row is None:
                        raise read.fault or ContractError("malformed", "$", "not a row")
                    row = reader.read(read.row)
                except ContractError as fault:
                    self._refuse(path, read, fault, mapping, source.header)
                else:
                    spool.add(row)
                    summary.streams += row.streams
                if summary.rows % _TELL_EVERY_ROWS == 0:
                    self._progress.at(source.done_bytes)

    def _refuse(self, path: Path, read: Read, fault: ContractError, mapping: Mapping, header: list[str]) -> None:
        personal = ingest_letters.is_personal(mapping, header, read)
        letter = ingest_letters.letter(path, read, fault, mapping, personal=personal, at_ms=int(time.time() * 1000))
        self._sender.send(DEAD_TREND_RECORDS, TREND_RECORDS.name, letter, id=ingest_letters.id_of(letter))
        self.summary.broken[fault.code] += 1
        self.summary.broken_fields[fault.field] += 1
        if len(self.summary.first_broken) < 5:
            self.summary.first_broken.append(f"{path.name}:{read.line}: {fault.field}: {fault.reason}")

    # -- sending

    def _send(self, spool: Spool, source: str) -> None:
        told = {asset.asset_id: asset for asset in spool.metadata()}
        identities = Identities(spool.assets, told)
        end = 0
        for offset, asset in self._catalogue(0):
            identities.add(asset)
            end = offset + 1
        self._send_assets(told, identities)
        keys = spool.assets
        meant = self._meant(keys, identities)
        names = list(dict.fromkeys(asset_id for asset_id in meant if asset_id is not None))
        place = {asset_id: number for number, asset_id in enumerate(names)}
        items = [place[asset_id] if asset_id is not None else number for number, asset_id in enumerate(meant)]
        reports = spool.settle([asset_id is not None for asset_id in meant], items)
        self._send_reports(spool, reports, names, source)
        self._send_unknown(spool, reports, keys, source)
        self._catch_up([key for key, asset_id in zip(keys, meant, strict=True) if asset_id is None], end)
        self._sender.flush()
        if self._position is not None:
            self._position.done()

    def _meant(self, keys: Sequence[AssetKey], identities: Identities) -> list[str | None]:
        """The catalogue's id of each; unknown is also what was so when an interrupted run began."""
        meant = [identities.resolve(key) for key in keys]
        if self._position is None:
            return meant
        unknown = self._position.unknown()
        if unknown is None:
            self._position.begin(key[0] for key, name in zip(keys, meant, strict=True) if name is None)
            return meant
        return [
            None if isinstance(key, tuple) and key[0] in unknown else name
            for key, name in zip(keys, meant, strict=True)
        ]

    def _send_assets(self, told: dict[str, Asset], identities: Identities) -> None:
        """Metadata that says something new."""
        for asset_id, asset in told.items():
            known = identities.asset(asset_id)
            whole = merged(known, asset)
            if whole != known:
                self._sender.send(ASSETS, asset_id, whole)
                self.summary.assets += 1

    def _send_reports(self, spool: Spool, reports: list[Report], names: list[str], source: str) -> None:
        sizes = spool.sizes()
        parts = _Cursor(spool.parts(known=True))
        self._progress.begin("sending", sum(sizes.values()))
        began = time.monotonic()
        for days, (day, of_day) in enumerate(itertools.groupby(enumerate(reports), key=lambda item: item[1].day)):
            if self._days_per_s:
                self._sender.flush()
                time.sleep(max(0.0, began + days / self._days_per_s - time.monotonic()))
            for rank, report in of_day:
                size = sizes.get(rank, 0)
                assets = ((names[part.item], part.cells) for part in parts.of(rank))
                if self._position is not None and rank < self._position.steps:
                    self.summary.resumed += 1
                    continue
                self.summary.cells += self._reports.send(report, assets, size, source)
                self.summary.records += size
                self.summary.reports += 1
                self._mark(rank + 1)
            self._beside(day)
            self._progress.at(self.summary.records, day.isoformat())
        self._sender.flush()

    def _send_unknown(self, spool: Spool, reports: list[Report], keys: Sequence[AssetKey], source: str) -> None:
        """Behind the reports, so that what is released later always finds its report complete."""
        parts = _Cursor(spool.parts(known=False))
        for rank, report in enumerate(reports):
            unknown = ((keys[part.item], part.cells) for part in parts.of(rank))
            if self._position is not None and len(reports) + rank < self._position.steps:
                continue
            self.summary.quarantined += self._reports.quarantine(report, unknown, source)
            self._mark(len(reports) + rank + 1)

    def _catch_up(self, unknown: list[AssetKey], first: int) -> None:
        """Metadata that came while we sent: the relay may have passed it on before there was anything to release."""
        if not unknown:
            return
        self._sender.flush()
        identities = Identities(unknown)
        for _, asset in self._catalogue(first):
            if identities.add(asset):
                self._sender.send(QUARANTINE, asset.asset_id, asset)

    def _mark(self, steps: int) -> None:
        if self._position is not None and time.monotonic() - self._marked_at >= _MARK_EVERY_S:
            self._sender.flush()
            self._position.mark(steps)
            self._marked_at = time.monotonic()


class _Cursor:
    """Parts in the order of their reports, handed out report by report; what nobody asks for is passed over."""

    def __init__(self, parts: Iterator[Part]) -> None:
        self._parts = parts
        self._next = next(parts, None)

    def of(self, rank: int) -> Iterator[Part]:
        while self._next is not None and self._next.rank <= rank:
            part, self._next = self._next, next(self._parts, None)
            if part.rank == rank:
                yield part

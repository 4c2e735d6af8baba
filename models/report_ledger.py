"""Which reports came, which days are ready to be scored, and with which counts (one ledger a partition; pure).

A day of the catalogue is a sum over sources (a DSP in a territory) whose reports arrive on different days,
late, twice, or revised. A source that has not reported is a missing part, never a drop (maths.md 1). What the
ledger says of a day is a function of the reports it holds, not of the order they came in.
"""

from __future__ import annotations

import datetime as dt
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cuepoint.models import report_shares
from cuepoint.models.market_map import MarketMap
from cuepoint.models.report_amendments import Amendments, Source, Sum
from cuepoint.models.report_columns import Forms, Key, Located, OpenReport
from cuepoint.models.report_names import Names
from cuepoint.models.report_parts import NONE, Ints, Parts, Rows, Stored
from cuepoint.models.trend_bases import REVISABLE_DAYS, SPACING, Archive
from cuepoint.schemas.faults import Refusal
from cuepoint.schemas.trends import ReportCompleted, ReportOpened, ReportWithdrawn, TrendAmendment, TrendRecord

DAY_MS = 86_400_000
EPOCH = dt.date(1970, 1, 1).toordinal()
FUTURE_DAYS = 2  # a day this far past the broker's clock is refused (time zones, clocks)


class Revision(NamedTuple):
    """Rows whose observations changed from ``day`` on."""

    day: int
    rows: Rows


class ReportLedger:
    """``repeats`` counts messages that changed nothing. Days are ordinals."""

    def __init__(
        self,
        *,
        late_report_days: int = 3,
        source_active_days: int = 7,
        max_open_reports: int = 256,
        max_early_amendments: int = 100_000,
        archive: Archive | None = None,
        markets: MarketMap | None = None,
    ) -> None:
        self.late_report_days, self.source_active_days = late_report_days, min(source_active_days, 7)
        self.max_open_reports, self.max_early_amendments = max_open_reports, max_early_amendments
        self.archive, self.names, self.markets = archive, Names(), markets or MarketMap()
        self.parts: dict[Source, Parts] = {}
        self.versions: dict[Source, dict[int, int]] = {}  # completed reports: day -> version
        self.withdrawn: dict[Source, dict[int, int]] = {}  # day -> the highest version taken back
        self.amendments = Amendments()
        self.open: dict[Key, OpenReport] = {}
        self.pending: dict[int, dict[Source, tuple[Rows, NDArray[np.int64]]]] = {}  # completed, day not scored yet
        self.scored: int | None = None
        self.repeats = 0
        self._forms: tuple[list[Key], Forms] | None = None

    @property
    def rows(self) -> dict[str, int]:
        """Rows by asset id, made when asked for."""
        return {name: row for row, name in enumerate(self.names)}

    def opened(self, message: ReportOpened, at_ms: int) -> Refusal | None:
        """Begin a report; one that was begun and not completed starts over."""
        if self._is_repeat(message.dsp, message.territory, message.day, message.version):
            return None
        refusal = self.refuse_day(message.day, at_ms)
        if refusal:
            return refusal
        key = (message.dsp, message.territory, message.day, message.version)
        if key not in self.open and len(self.open) >= self.max_open_reports:
            return Refusal("too_many_open_reports", "$", f"{len(self.open)} reports are open and not completed")
        self.open[key] = OpenReport()
        return None

    def record(self, message: TrendRecord, at_ms: int) -> Refusal | None:
        """Add a record to its open report."""
        report = self.open.get((message.dsp, message.territory, message.day, message.report_version))
        if report is None:
            if self._is_repeat(message.dsp, message.territory, message.day, message.report_version):
                return None
            return self.refuse_day(message.day, at_ms) or Refusal(
                "no_open_report",
                "$.report_version",
                "no report of this source, day and version is open in this partition",
            )
        report.add(self.names.row(message.asset_id), message.count)
        return None

    def append(self, located: Located, first: int) -> int:
        """Add the records from ``first`` on that look as our encoder writes those of the open reports, which are what
        ``record`` would make of them; returns the first that does not (or their number)."""
        if not self.open:
            return first
        keys = list(self.open)
        if self._forms is None or self._forms[0] != keys:
            self._forms = keys, Forms(keys)
        return self._forms[1].read(located, first, self.names, list(self.open.values()))

    def completed(self, message: ReportCompleted, at_ms: int) -> Refusal | Revision | None:
        """Accept a report if it is whole. A Revision where its day had been scored already."""
        key = (message.dsp, message.territory, message.day, message.version)
        report = self.open.get(key)
        if report is None:
            if self._is_repeat(*key):
                return None
            return self.refuse_day(message.day, at_ms) or Refusal(
                "no_open_report", "$.version", "no report of this source, day and version is open in this partition"
            )
        expected, came = message.partition_records, len(report)
        if expected is None:
            return Refusal("invalid", "$.partition_records", "needed in band: how many records this partition was sent")
        if expected != came:
            reason = f"{came} records came of {expected} announced; they are held until the report is sent again"
            return Refusal("incomplete_report", "$.partition_records", reason)
        late = self.refuse_day(message.day, at_ms)  # the window may have moved on while it was open
        if late:
            return late
        for other in [k for k in self.open if k[:3] == key[:3] and k[3] <= message.version]:
            del self.open[other]
        return self._accept((message.dsp, message.territory), message.day.toordinal(), message.version, report)

    def withdraw(self, message: ReportWithdrawn, at_ms: int) -> Refusal | Revision | None:
        """Take a report back, or see to it that it does not count when it comes."""
        source, day, version = (message.dsp, message.territory), message.day.toordinal(), message.version
        if version < self._version(source, day) or version <= self.withdrawn.get(source, {}).get(day, 0):
            self.repeats += 1
            return None
        refusal = self.refuse_day(message.day, at_ms)
        if refusal:
            return refusal
        begun = [k for k in self.open if k[:3] == (*source, message.day) and k[3] <= version]
        for key in begun:
            del self.open[key]
        self.withdrawn.setdefault(source, {})[day] = version
        self.amendments.forget(source, day, version + 1)
        if self.versions.get(source, {}).pop(day, None) is None:
            reason = "no such report came so far; should it come, it will not count"
            return None if begun else Refusal("unknown_report", "$.version", reason)
        if self.scored is None or day > self.scored:
            del self.pending[day][source]
            if not self.pending[day]:
                del self.pending[day]
            return None
        self.parts[source].drop(day)
        return Revision(day, np.arange(len(self.names), dtype=np.int64))

    def amend(self, message: TrendAmendment, at_ms: int) -> Refusal | Revision | None:
        """Put right one count of a report that is completed, or will be."""
        source, day, version = (message.dsp, message.territory), message.day.toordinal(), message.report_version
        complete = self._version(source, day)
        refusal = self._refuse_amendment(message, complete, at_ms) if version >= complete else None
        if refusal:
            return refusal
        row = self.names.row(message.asset_id)
        change = None
        if version >= complete:
            change = self.amendments.add((*source, day, version), row, message.part, message.revision, message.count)
        if change is None:
            self.repeats += 1
        elif version > complete:
            known = (*source, message.day, version) in self.open
            reason = "no such report came so far; it is kept, and counts should the report come"
            return None if known else Refusal("unknown_report", "$.report_version", reason)
        elif self.scored is None or day > self.scored:
            self.pending[day][source] = _amended(*self.pending[day][source], {row: change})
        else:
            parts, rows = self.parts[source], np.array([row])
            if parts.put(day, row, change.total(int(parts.read(day, rows)[0]))):
                return Revision(day, rows)
        return None

    def _refuse_amendment(self, message: TrendAmendment, complete: int, at_ms: int) -> Refusal | None:
        version = message.report_version
        if version <= self.withdrawn.get((message.dsp, message.territory), {}).get(message.day.toordinal(), 0):
            return Refusal("withdrawn_report", "$.report_version", "the report this belongs to was withdrawn")
        if version > complete and self._early() >= self.max_early_amendments:
            reason = f"{self._early()} amendments wait for reports that are not completed"
            return Refusal("too_many_early_amendments", "$", reason)
        return self.refuse_day(message.day, at_ms)

    def due(self) -> int | None:
        """The next day to score, if ready: every active source has completed it, or later days have overtaken it."""
        if not self.pending:
            return None
        day = min(self.pending) if self.scored is None else self.scored + 1
        if day in self.pending and not self.missing(day):
            return day
        later = sum(1 for d in self.pending if d > day)
        return day if later >= self.late_report_days else None

    def take(self, day: int) -> None:
        """The day is being scored now: its pending reports move into the window of days."""
        for parts in self.parts.values():
            parts.forget(day)
        for source, (rows, counts) in self.pending.pop(day, {}).items():
            self.parts[source].write(day, rows, counts, len(self.names))
        self.scored = day
        self.shelve()
        for key in [k for k in self.open if k[2].toordinal() <= day - REVISABLE_DAYS]:
            del self.open[key]  # too late to be completed; its marker would be refused
        self.amendments.forget_days(day - REVISABLE_DAYS)

    def shelve(self) -> None:
        """The counts of all but the last two to four weeks may lie in the archive."""
        if self.scored is not None:
            for parts in self.parts.values():
                parts.shelve(self.scored - self.scored % SPACING - SPACING)

    @property
    def archived(self) -> list[str]:
        """What must stay in the archive."""
        columns = [column for parts in self.parts.values() for column in parts.days.values()]
        return [column.name for column in columns if isinstance(column, Stored)]

    def missing(self, day: int) -> list[Source]:
        """Sources that completed a report in the week before and have not completed this day."""
        return report_shares.missing(self.versions, day, self.source_active_days)

    def observe(self, day: int, rows: Rows) -> NDArray[np.float64]:
        """Counts (k,) of a scored day: NaN where unknown, NONE where absent from all its reports. Where a source is
        missing, what the others say is raised by the share they are expected to be."""
        return self._observed(day, rows).counts

    def doubt(self, day: int, rows: Rows) -> NDArray[np.float64]:
        """Variance (k,), squared log units, that missing sources add to these counts; of length 0 where none is."""
        return self._observed(day, rows).doubt if self.missing(day) else report_shares.NO_DOUBT

    def market_of(self, day: int, rows: Rows) -> NDArray[np.int64]:
        """The market (k,) of each of ``rows`` on a scored day; of length 0 where there is one market only."""
        here = [source for source, done in self.versions.items() if day in done]
        return self.markets.of(self.parts, here, day, rows)

    def _observed(self, day: int, rows: Rows) -> report_shares.Observed:
        return report_shares.observe(self.parts, self.versions, day, rows, self.source_active_days)

    def _accept(self, source: Source, day: int, version: int, report: OpenReport) -> Revision | None:
        self.amendments.forget(source, day, version)
        rows, counts = _amended(*report.totals(len(self.names)), self.amendments.of((*source, day, version)))
        parts = self.parts.setdefault(source, Parts(self.archive))
        versions = self.versions.setdefault(source, {})
        revised = day in versions
        versions[day] = version
        if self.scored is None or day > self.scored:
            self.pending.setdefault(day, {})[source] = (rows, counts)
            return None
        changed = parts.write(day, rows, counts, len(self.names))
        # a source's first report of a day changes what is unknown of it, for all assets; a revision only what differs
        return Revision(day, changed if revised else np.arange(len(self.names), dtype=np.int64))

    def _version(self, source: Source, day: int) -> int:
        """Of the completed report, 0 if there is none."""
        return self.versions.get(source, {}).get(day, 0)

    def _early(self) -> int:
        held = self.amendments.by_report.items()
        return sum(len(rows) for (*who, day, version), rows in held if version > self._version((who[0], who[1]), day))

    def _is_repeat(self, dsp: str, territory: str, day: dt.date, version: int) -> bool:
        source, ordinal = (dsp, territory), day.toordinal()
        if max(self._version(source, ordinal), self.withdrawn.get(source, {}).get(ordinal, 0)) < version:
            return False
        self.repeats += 1
        return True

    def refuse_day(self, day: dt.date, at_ms: int) -> Refusal | None:
        """Why nothing can be said of the day any more, or yet."""
        ordinal = day.toordinal()
        if ordinal > EPOCH + at_ms // DAY_MS + FUTURE_DAYS:
            return Refusal("future_day", "$.day", f"{day} lies in the future")
        if self.scored is not None and ordinal <= self.scored - REVISABLE_DAYS:
            oldest = dt.date.fromordinal(self.scored - REVISABLE_DAYS + 1)
            return Refusal("too_late", "$.day", f"{day} is older than the revisable days (from {oldest})")
        return None


def _amended(rows: Rows, counts: Ints, changes: dict[int, Sum]) -> tuple[Rows, Ints]:
    """A report's totals (rows in order) with what replaces some of them."""
    if not changes:
        return rows, counts
    found = dict(zip(rows.tolist(), counts.tolist(), strict=True))
    found |= {row: change.total(found.get(row, NONE)) for row, change in changes.items()}
    ordered = np.array(sorted(found), dtype=np.int64)
    return ordered, np.array([found[row] for row in ordered.tolist()], dtype=np.int64)

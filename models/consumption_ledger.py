"""Which reports of consumption a partition of the topic holds, and what each record belongs to (pure).

Of a source and day the highest settled version counts: a completed one shows its rows, a withdrawn one shows none. So
the outcome is a function of what was delivered, not of the order it came in.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from cuepoint.schemas.consumption import Consumption, ConsumptionAmendment
from cuepoint.schemas.faults import Refusal
from cuepoint.schemas.trends import ReportCompleted, ReportOpened, ReportWithdrawn

Status = Literal["open", "complete", "waiting", "replaced", "withdrawn"]
_SETTLED = ("complete", "withdrawn")
_REMEMBERED = 200_000


class ReportKey(NamedTuple):
    """What a report is of."""

    dsp: str
    territory: str
    day: dt.date


@dataclass(frozen=True, slots=True)
class Mark:
    """How one delivery stands: of a report, or (with ``asset_id``) of an amendment to one.

    ``rows`` came of it so far; ``records`` were announced for all partitions together. ``waiting``: an amendment whose
    report is not complete (yet); ``replaced``: begun again, or made void, by something later.
    """

    report_id: int
    key: ReportKey
    version: int
    status: Status
    rows: int = 0
    records: int = 0
    asset_id: str = ""
    part: str = ""


def resolve(marks: Sequence[Mark]) -> list[Mark]:
    """How all deliveries of one report key stand, given in the order they were stored; statuses as they shall be.

    >>> day = ReportKey("d", "WW", dt.date(2026, 1, 1))
    >>> [mark.status for mark in resolve([Mark(1, day, 1, "complete"), Mark(2, day, 2, "complete")])]
    ['replaced', 'complete']
    """
    settled = max((m.version for m in marks if not m.asset_id and m.status in _SETTLED), default=0)
    taken_back = any(m.version == settled and m.status == "withdrawn" for m in marks if not m.asset_id)
    newest = {(m.asset_id, m.part): m.report_id for m in marks if m.asset_id and m.version == settled}
    found = []
    for mark in marks:
        status = mark.status
        if mark.version < settled or status == "replaced":
            status = "replaced"
        elif mark.version == settled:
            amends = bool(mark.asset_id)
            if taken_back:
                status = "withdrawn" if status == "withdrawn" else "replaced"
            elif amends:
                status = "complete" if newest[mark.asset_id, mark.part] == mark.report_id else "replaced"
            elif status == "open":
                status = "replaced"
        found.append(replace(mark, status=status))
    return found


@dataclass(slots=True)
class _Open:
    """A report that is coming in. ``grown``: since the marks were last asked for."""

    mark: Mark
    rows: int = 0
    grown: bool = False

    def stands(self, status: Status) -> Mark:
        return replace(self.mark, rows=self.rows, status=status)


class ConsumptionLedger:
    """One partition's. ``settled(key)`` is the highest version stored as completed or withdrawn, 0 for none; ``begun``
    are the reports stored as open. ``repeats`` counts messages that changed nothing."""

    def __init__(self, settled: Callable[[ReportKey], int], begun: Iterable[Mark] = ()) -> None:
        self._stored = settled
        self._settled: dict[ReportKey, int] = {}
        self._open = {(mark.key, mark.version): _Open(mark, mark.rows) for mark in begun}
        self._grown: set[tuple[ReportKey, int]] = set()
        self._marks: list[Mark] = []
        self.repeats = 0

    def opened(self, message: ReportOpened, report_id: int) -> None:
        """Begin a report; one that was begun and not completed starts over."""
        key = ReportKey(message.dsp, message.territory, message.day)
        if self._is_repeat(key, message.version):
            return
        before = self._open.get((key, message.version))
        if before is not None:
            self._marks.append(before.stands("replaced"))
        self._open[key, message.version] = _Open(Mark(report_id, key, message.version, "open"))
        self._grown.add((key, message.version))

    def record(self, message: Consumption) -> int | Refusal | None:
        """The id of the report the record belongs to; None for a repeat."""
        place = ReportKey(message.dsp, message.territory, message.day), message.report_version
        report = self._open.get(place)
        if report is None:
            return None if self._is_repeat(*place) else _no_open_report("$.report_version")
        if not report.grown:
            report.grown = True
            self._grown.add(place)
        report.rows += 1
        return report.mark.report_id

    def completed(self, message: ReportCompleted) -> Refusal | None:
        """The report settles if it is whole."""
        key = ReportKey(message.dsp, message.territory, message.day)
        report = self._open.get((key, message.version))
        if report is None:
            return None if self._is_repeat(key, message.version) else _no_open_report("$.version")
        expected = message.partition_records
        if expected is None:
            return Refusal("invalid", "$.partition_records", "needed in band: how many records this partition was sent")
        if expected != report.rows:
            reason = f"{report.rows} records came of {expected} announced; they are held until the report is sent again"
            return Refusal("incomplete_report", "$.partition_records", reason)
        self._settle(replace(report.stands("complete"), records=message.records))
        return None

    def withdrawn(self, message: ReportWithdrawn, report_id: int) -> None:
        """The report, and every version before it, is taken back. ``report_id`` is for the withdrawal itself."""
        key = ReportKey(message.dsp, message.territory, message.day)
        if self._settled_version(key) > message.version:
            self.repeats += 1
            return
        self._settle(Mark(report_id, key, message.version, "withdrawn"))

    def amended(self, message: ConsumptionAmendment, report_id: int) -> int | None:
        """The id the amendment's rows are to carry; None where a newer version has made it void."""
        key = ReportKey(message.dsp, message.territory, message.day)
        version = message.report_version
        if self._settled_version(key) > version:
            self.repeats += 1
            return None
        rows, asset_id, part = len(message.cells), message.asset_id, message.part
        self._marks.append(Mark(report_id, key, version, "waiting", rows, asset_id=asset_id, part=part))
        return report_id

    def marks(self) -> list[Mark]:
        """What is to be stored since this was last asked, in order."""
        grown = [self._open[place] for place in sorted(self._grown) if place in self._open]
        for report in grown:
            report.grown = False
        # an open report stands before all else: what follows may replace or settle it
        marks, self._marks = [*(report.stands("open") for report in grown), *self._marks], []
        self._grown.clear()
        if len(self._settled) > _REMEMBERED:
            self._settled.clear()
        return marks

    def _settle(self, mark: Mark) -> None:
        self._settled[mark.key] = max(mark.version, self._settled_version(mark.key))
        for place in [place for place in self._open if place[0] == mark.key and place[1] <= mark.version]:
            other = self._open.pop(place)
            self._grown.discard(place)
            if other.mark.report_id != mark.report_id:  # its rows stay behind, and have to be known for what they are
                self._marks.append(other.stands("replaced"))
        self._marks.append(mark)

    def _settled_version(self, key: ReportKey) -> int:
        found = self._settled.get(key)
        if found is None:
            found = self._settled[key] = self._stored(key)
        return found

    def _is_repeat(self, key: ReportKey, version: int) -> bool:
        if self._settled_version(key) < version:
            return False
        self.repeats += 1
        return True


def _no_open_report(field: str) -> Refusal:
    return Refusal("no_open_report", field, "no report of this source, day and version is open in this partition")

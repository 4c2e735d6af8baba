"""Counts of single assets that put right what a completed report said of them."""

from __future__ import annotations

from typing import NamedTuple

Source = tuple[str, str]  # dsp, territory
Report = tuple[str, str, int, int]  # dsp, territory, day (ordinal), version
OWN = ""  # the part that replaces the report's own count; others add to it


class Amendment(NamedTuple):
    revision: int
    streams: int


class Sum(NamedTuple):
    """A count's change: ``own`` instead of what was said before (None: of that), and ``more``."""

    own: int | None
    more: int

    def total(self, before: int) -> int:
        """The count now; ``before`` is negative where there was none."""
        return (max(before, 0) if self.own is None else self.own) + self.more


class Amendments:
    """Kept as long as their report can be revised, so that it may be accepted (again) after them.

    >>> report, amendments = ("d", "WW", 5, 1), Amendments()
    >>> amendments.add(report, 0, "", revision=2, streams=70), amendments.add(report, 0, "", revision=1, streams=60)
    (Sum(own=70, more=0), None)
    >>> amendments.add(report, 0, "isrc:x", revision=1, streams=5).total(before=70), amendments.of(report)[0].total(40)
    (75, 75)
    """

    def __init__(self) -> None:
        self.by_report: dict[Report, dict[int, dict[str, Amendment]]] = {}

    def add(self, report: Report, row: int, part: str, revision: int, streams: int) -> Sum | None:
        """How the count changes, where the earlier amendments are in it; None for a repeat."""
        parts = self.by_report.setdefault(report, {}).setdefault(row, {})
        last = parts.get(part, Amendment(0, 0))
        if last.revision >= revision:
            return None
        parts[part] = Amendment(revision, streams)
        return _sum(parts) if part == OWN else Sum(None, streams - last.streams)

    def of(self, report: Report) -> dict[int, Sum]:
        """What becomes of the report's own counts, by row."""
        return {row: _sum(parts) for row, parts in self.by_report.get(report, {}).items()}

    def forget(self, source: Source, day: int, below: int) -> None:
        """Drop those of the day's reports of a version below ``below``: replaced or withdrawn."""
        for report in [r for r in self.by_report if r[:2] == source and r[2] == day and r[3] < below]:
            del self.by_report[report]

    def forget_days(self, up_to: int) -> None:
        """Drop those of days that can no longer be revised."""
        for report in [r for r in self.by_report if r[2] <= up_to]:
            del self.by_report[report]


def _sum(parts: dict[str, Amendment]) -> Sum:
    own = parts.get(OWN)
    return Sum(own and own.streams, sum(a.streams for part, a in parts.items() if part != OWN))

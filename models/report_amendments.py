"""Counts of single assets that replace what a completed report said of them."""

from __future__ import annotations

from typing import NamedTuple

Source = tuple[str, str]  # dsp, territory
Report = tuple[str, str, int, int]  # dsp, territory, day (ordinal), version


class Amendment(NamedTuple):
    revision: int
    total: int


class Amendments:
    """Kept as long as their report can be revised, so that it may be accepted (again) after them.

    >>> amendments = Amendments()
    >>> amendments.add(("d", "WW", 5, 1), 0, Amendment(2, 70)), amendments.add(("d", "WW", 5, 1), 0, Amendment(1, 60))
    (True, False)
    >>> amendments.of(("d", "WW", 5, 1))
    {0: Amendment(revision=2, total=70)}
    """

    def __init__(self) -> None:
        self.by_report: dict[Report, dict[int, Amendment]] = {}

    def __len__(self) -> int:
        return sum(map(len, self.by_report.values()))

    def add(self, report: Report, row: int, amendment: Amendment) -> bool:
        """Whether it is newer than what is known."""
        rows = self.by_report.setdefault(report, {})
        if row in rows and rows[row].revision >= amendment.revision:
            return False
        rows[row] = amendment
        return True

    def of(self, report: Report) -> dict[int, Amendment]:
        return self.by_report.get(report, {})

    def forget(self, source: Source, day: int, below: int) -> None:
        """Drop those of the day's reports of a version below ``below``: replaced or withdrawn."""
        for report in [r for r in self.by_report if r[:2] == source and r[2] == day and r[3] < below]:
            del self.by_report[report]

    def forget_days(self, up_to: int) -> None:
        """Drop those of days that can no longer be revised."""
        for report in [r for r in self.by_report if r[2] <= up_to]:
            del self.by_report[report]

"""What must become of trend records, told record by record from the rules in the contracts' docstrings.

Written for itself, in plain Python over the JSON values; it shares no code with models/report_*.
"""

from __future__ import annotations

import datetime as dt
import json
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any, ClassVar

REVISABLE_DAYS = 56
LATE_REPORT_DAYS = 3
ACTIVE_DAYS = 7
Source = tuple[str, str]
Key = tuple[str, str, dt.date, int]


@dataclass
class ReportRecount:
    """One partition. ``take`` is given each record in the order of the log and says its dead-letter code, or ""."""

    record_type: ClassVar[str] = "trend-record.v1"
    open: dict[Key, list[tuple[str, int]]] = field(default_factory=dict)
    accepted: dict[Source, dict[dt.date, Counter[str]]] = field(default_factory=lambda: defaultdict(dict))
    versions: dict[Source, dict[dt.date, int]] = field(default_factory=lambda: defaultdict(dict))
    waiting: set[dt.date] = field(default_factory=set)  # days with a report, not scored yet
    scored: dt.date | None = None
    repeats: int = 0

    def take(self, value: bytes, at_ms: int) -> str:
        message = json.loads(value)
        day = dt.date.fromisoformat(message["day"])
        is_record = message["type"] == self.record_type
        version = message.get("report_version" if is_record else "version", 1)
        key: Key = (message["dsp"], message.get("territory", "WW"), day, version)
        if message["type"] == "report-opened.v1":
            return self._opened(key, at_ms)
        if key not in self.open:
            return self._unopened(key, at_ms)
        if is_record:
            self.open[key].append((message["asset_id"], message["count"]))
            return ""
        return self._completed(key, message, at_ms)

    def state(self) -> dict[tuple[str, str, str], dict[str, int]]:
        """Counts by asset of each accepted report that may still be asked for."""
        oldest = self.scored - dt.timedelta(days=REVISABLE_DAYS - 1) if self.scored else dt.date.min
        return {
            (*source, day.isoformat()): dict(counts)
            for source, days in self.accepted.items()
            for day, counts in days.items()
            if day >= oldest
        }

    def unfinished(self) -> dict[tuple[str, str, str, int], dict[str, int]]:
        """Counts by asset of the reports that were opened and not accepted."""
        return {
            (dsp, territory, day.isoformat(), version): dict(_totals(records))
            for (dsp, territory, day, version), records in self.open.items()
        }

    def _opened(self, key: Key, at_ms: int) -> str:
        if self._is_repeat(key):
            return ""
        code = self._refused_day(key[2], at_ms)
        if not code:
            self.open[key] = []
        return code

    def _unopened(self, key: Key, at_ms: int) -> str:
        return "" if self._is_repeat(key) else self._refused_day(key[2], at_ms) or "no_open_report"

    def _completed(self, key: Key, message: dict[str, Any], at_ms: int) -> str:
        if len(self.open[key]) != message["partition_records"]:
            return "incomplete_report"
        code = self._refused_day(key[2], at_ms)
        if code:
            return code
        source, day, version = key[:2], key[2], key[3]
        self.accepted[source][day] = _totals(self.open[key])
        self.versions[source][day] = version
        for other in [k for k in self.open if k[:3] == key[:3] and k[3] <= version]:
            del self.open[other]
        if self.scored is None or day > self.scored:
            self.waiting.add(day)
        while self._score_next():
            pass
        return ""

    def _score_next(self) -> bool:
        """A day is scored when every source that reported in the week before has, or three later days are there."""
        if not self.waiting:
            return False
        day = min(self.waiting) if self.scored is None else self.scored + dt.timedelta(days=1)
        week = [day - dt.timedelta(days=back) for back in range(1, ACTIVE_DAYS + 1)]
        active = [days for days in self.versions.values() if any(d in days for d in week)]
        complete = day in self.waiting and all(day in days for days in active)
        if not complete and sum(1 for other in self.waiting if other > day) < LATE_REPORT_DAYS:
            return False
        self.waiting.discard(day)
        self.scored = day
        too_old = day - dt.timedelta(days=REVISABLE_DAYS)
        for key in [k for k in self.open if k[2] <= too_old]:
            del self.open[key]
        return True

    def _is_repeat(self, key: Key) -> bool:
        repeat = self.versions[key[:2]].get(key[2], 0) >= key[3]
        self.repeats += repeat
        return repeat

    def _refused_day(self, day: dt.date, at_ms: int) -> str:
        today = dt.datetime.fromtimestamp(at_ms / 1000, dt.UTC).date()
        if day > today + dt.timedelta(days=2):
            return "future_day"
        if self.scored is not None and day <= self.scored - dt.timedelta(days=REVISABLE_DAYS):
            return "too_late"
        return ""


def _totals(records: list[tuple[str, int]]) -> Counter[str]:
    totals: Counter[str] = Counter()
    for asset, count in records:
        totals[asset] += count
    return totals

"""Trend reports of a chaos run, day by day: late ones, revisions, repeats, halves, and broken records in between."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable
from random import Random
from typing import Any, NamedTuple

from chaos_plan import Send, Step, good, interleaved, spoilt

from cuepoint.schemas.topics import TREND_RECORDS
from cuepoint.schemas.trends import ReportCompleted, ReportOpened, TrendRecord
from cuepoint.streams.producer import partition_of

FIRST_DAY = dt.date(1990, 1, 1)  # thousands of days before today: no day of a long run lies in the future
SOURCES = (("north", "US"), ("north", "DE"), ("south", "WW"))
FAULTS: list[tuple[dict[str, Any], str]] = [
    ({"type": "trend-record.v9"}, "unknown_version"),
    ({"count": -1}, "invalid"),
    ({"count": "12"}, "invalid"),
    ({"count": 1.5}, "invalid"),
    ({"asset_id": None}, "invalid"),
    ({"asset_id": "two words"}, "invalid"),
    ({"day": "1990-02-30"}, "invalid"),
    ({"territory": "usa"}, "invalid"),
]


class Report(NamedTuple):
    """Counts by asset; an asset may stand in several records, which add up."""

    dsp: str
    territory: str
    day: dt.date
    version: int
    counts: tuple[tuple[str, int], ...]


class ReportPlan:
    """``step()`` gives the next ``step_sends`` records or fewer."""

    def __init__(self, seed: int, partitions: int, assets: int = 40, step_sends: int = 36) -> None:
        self._step_sends = step_sends
        self._rng = Random(f"reports {seed}")
        self._partitions, self._day = partitions, 0
        self._levels = {f"asset-{n:03d}": self._rng.lognormvariate(6.5, 1.0) for n in range(assets)}
        self._bursts: dict[str, tuple[int, float]] = {}  # asset -> (until which day, factor)
        self._sent: dict[tuple[str, str, int], Report] = {}  # the latest version of what was sent
        self._late: list[tuple[int, Report]] = []
        self._queue: list[Send] = []

    def step(self) -> Step:
        while not self._queue:
            self._queue = self._next_day()
            self._day += 1
        step, self._queue = self._queue[: self._step_sends], self._queue[self._step_sends :]
        return step

    def _next_day(self) -> list[Send]:
        """All that is sent on one day, the sources' reports mixed."""
        rng, today = self._rng, self._day
        self._move_levels()
        reports = [report for due, report in self._late if due <= today]
        self._late = [(due, report) for due, report in self._late if due > today]
        for source in SOURCES:
            report = self._make(source, today)
            chance = rng.random()
            if chance < 0.03:
                continue  # it never comes
            if chance < 0.13:
                self._late.append((today + rng.choice((1, 2, 2, 4, 9, 20)), report))
            else:
                reports.append(report)
        reports += self._revisions()
        sequences = [self._sequence(report) for report in reports]
        if self._sent and rng.random() < 0.12:
            sequences.append(self._whole(rng.choice(self._recent(15))))  # a run of the ingest, repeated
        if today > 90 and rng.random() < 0.04:
            sequences.append(self._whole(self._make(rng.choice(SOURCES), today - 85, version=7)))  # too late for ever
        if rng.random() < 0.05:
            sequences.append([self._future()])
        return interleaved(rng, sequences)

    def _revisions(self) -> list[Report]:
        """A day of the last weeks said anew: some counts corrected, now and then an asset gone or new."""
        rng = self._rng
        if not self._sent or rng.random() > 0.12:
            return []
        old = rng.choice(self._recent(30))
        counts = [(asset, count * 2 + 1 if rng.random() < 0.1 else count) for asset, count in old.counts]
        if rng.random() < 0.3:
            counts.pop(rng.randrange(len(counts)))
        if rng.random() < 0.3:
            counts.append((f"new-{self._day}", 50))
        return [old._replace(version=old.version + 1, counts=tuple(counts))]

    def _recent(self, days: int) -> list[Report]:
        latest = max(day for _, _, day in self._sent)
        return [report for (_, _, day), report in self._sent.items() if day > latest - days]

    def _move_levels(self) -> None:
        rng = self._rng
        for asset in self._levels:
            self._levels[asset] *= math.exp(rng.gauss(0.0, 0.03))
            if rng.random() < 0.004:
                self._bursts[asset] = (self._day + rng.randint(1, 12), rng.choice((0.2, 4.0, 8.0)))

    def _make(self, source: tuple[str, str], day: int, version: int = 1) -> Report:
        rng = self._rng
        counts: list[tuple[str, int]] = []
        for asset, level in self._levels.items():
            if rng.random() < 0.04:
                continue
            until, factor = self._bursts.get(asset, (-1, 1.0))
            expected = level * (factor if day <= until else 1.0) / len(SOURCES)
            count = max(0, round(rng.gauss(expected, math.sqrt(expected) * 2)))
            parts = [count] if rng.random() > 0.05 else [count // 2, count - count // 2]
            counts += [(asset, part) for part in parts]
        rng.shuffle(counts)
        return Report(*source, FIRST_DAY + dt.timedelta(days=day), version, tuple(counts))

    # -- how a report is sent

    def _sequence(self, report: Report) -> list[Send]:
        """The report as its source sends it, with what may go wrong on the way."""
        rng, whole = self._rng, self._whole(report)
        self._sent[report.dsp, report.territory, (report.day - FIRST_DAY).days] = report
        for _ in range(rng.choice((0, 0, 0, 1, 2))):  # broken records, of the report but not counted in its markers
            victim = rng.choice([send for send in whole if isinstance(send.message, TrendRecord)])
            whole.insert(rng.randint(0, len(whole)), spoilt(rng, victim, FAULTS))
        chance = rng.random()
        if chance < 0.04:  # killed in the middle, and run again from its beginning
            return whole[: rng.randrange(len(whole))] + whole
        if chance < 0.08:  # a chunk sent twice: the report is refused as incomplete, and sent again
            at = rng.randrange(self._partitions, len(whole) - self._partitions)
            chunk = whole[at : at + rng.randint(1, 25)]
            return whole[: at + len(chunk)] + chunk + whole[at + len(chunk) :] + whole
        if chance < 0.1:  # a record without its report
            stray = TrendRecord(asset_id="stray", dsp="nobody", day=report.day, count=1)
            whole.insert(0, self._record(stray))
        return whole

    def _whole(self, report: Report) -> list[Send]:
        """As ``cuepoint ingest`` sends it: markers to every partition round the records."""
        key = (report.dsp, report.territory, report.day, report.version)
        names = dict(zip(("dsp", "territory", "day", "version"), key, strict=True))
        sends = self._marked(lambda partition: ReportOpened(**names))
        in_partition = [0] * self._partitions
        for asset, count in report.counts:
            record = TrendRecord(
                asset_id=asset,
                dsp=report.dsp,
                territory=report.territory,
                day=report.day,
                count=count,
                report_version=report.version,
            )
            sends.append(self._record(record))
            in_partition[sends[-1].partition] += 1
        records = len(report.counts)
        return sends + self._marked(
            lambda partition: ReportCompleted(**names, records=records, partition_records=in_partition[partition])
        )

    def _marked(self, marker: Callable[[int], ReportOpened | ReportCompleted]) -> list[Send]:
        made = [marker(partition) for partition in range(self._partitions)]
        return [good(TREND_RECORDS, each.dsp, partition, each) for partition, each in enumerate(made)]

    def _record(self, record: TrendRecord) -> Send:
        partition = partition_of(record.asset_id.encode(), self._partitions)
        return good(TREND_RECORDS, record.asset_id, partition, record)

    def _future(self) -> Send:
        return self._record(
            TrendRecord(asset_id="asset-000", dsp="north", territory="US", day=dt.date(9000, 1, 1), count=1)
        )

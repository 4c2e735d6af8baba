"""Which days are ready, with which counts."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest

from cuepoint.models import report_snapshot
from cuepoint.models.report_ledger import ReportLedger, Revision
from cuepoint.models.snapshot_parts import Cutter, join, split
from cuepoint.schemas.errors import SnapshotError
from cuepoint.schemas.faults import Refusal
from cuepoint.schemas.trends import ReportCompleted, ReportOpened, TrendRecord

DAY = dt.date(2019, 1, 1)
NOW = 1_577_000_000_000  # December 2019


def to_bytes(ledger: ReportLedger) -> bytes:
    return join(*report_snapshot.to_parts(ledger))


def load(ledger: ReportLedger, blob: bytes) -> None:
    value, data = split(blob)
    report_snapshot.load(ledger, value, Cutter(data))


def day(n: int) -> dt.date:
    return DAY + dt.timedelta(days=n)


def report(
    ledger: ReportLedger, n: int, counts: dict[str, int], *, dsp: str = "a", version: int = 1, said: int | None = None
):
    """Send a whole report; what its completion answered."""
    who = {"dsp": dsp, "territory": "US", "day": day(n)}
    refused = ledger.opened(ReportOpened(**who, version=version), NOW)
    if refused:
        return refused
    for asset, count in counts.items():
        assert ledger.record(TrendRecord(**who, asset_id=asset, count=count, report_version=version), NOW) is None
    records = len(counts) if said is None else said
    return ledger.completed(ReportCompleted(**who, version=version, records=records, partition_records=records), NOW)


def score(ledger: ReportLedger) -> list[int]:
    scored = []
    while (due := ledger.due()) is not None:
        ledger.take(due)
        scored.append(due - DAY.toordinal())
    return scored


def counts(ledger: ReportLedger, n: int) -> dict[str, float]:
    rows = np.arange(len(ledger.names))
    return dict(zip(ledger.names, ledger.observe(day(n).toordinal(), rows).tolist(), strict=True))


def test_a_day_is_scored_when_complete_and_records_add_up():
    ledger = ReportLedger()
    who = {"dsp": "a", "day": DAY}
    ledger.opened(ReportOpened(**who), NOW)
    for count in (3, 4):
        ledger.record(TrendRecord(**who, asset_id="x", count=count), NOW)
    assert ledger.due() is None
    ledger.completed(ReportCompleted(**who, records=2, partition_records=2), NOW)
    assert score(ledger) == [0] and counts(ledger, 0) == {"x": 7}


def test_repeats_change_nothing_and_a_higher_version_replaces():
    ledger = ReportLedger()
    report(ledger, 0, {"x": 5, "y": 6})
    score(ledger)
    before = to_bytes(ledger)
    assert report(ledger, 0, {"x": 9, "z": 1}) is None
    ledger.repeats = 0
    assert to_bytes(ledger) == before
    revision = report(ledger, 0, {"x": 7}, version=2)
    assert isinstance(revision, Revision) and revision.rows.tolist() == [0, 1]
    assert counts(ledger, 0) == {"x": 7, "y": -1}
    assert report(ledger, 0, {"y": 1}, version=1) is None and counts(ledger, 0)["y"] == -1


def test_a_report_begun_twice_starts_over():
    ledger = ReportLedger()
    who = {"dsp": "a", "day": DAY}
    ledger.opened(ReportOpened(**who), NOW)
    ledger.record(TrendRecord(**who, asset_id="x", count=3), NOW)
    assert report(ledger, 0, {}) is None  # other territory: its own report
    ledger.opened(ReportOpened(**who), NOW)
    ledger.record(TrendRecord(**who, asset_id="x", count=3), NOW)
    assert ledger.completed(ReportCompleted(**who, records=1, partition_records=1), NOW) is None
    score(ledger)
    assert counts(ledger, 0)["x"] == 3


def test_a_report_with_records_missing_is_held_until_sent_again():
    ledger = ReportLedger()
    refused = report(ledger, 0, {"x": 1}, said=2)
    assert (
        isinstance(refused, Refusal) and refused.code == "incomplete_report" and "1 records came of 2" in refused.reason
    )
    assert score(ledger) == []
    report(ledger, 0, {"x": 1, "y": 2})
    assert score(ledger) == [0] and counts(ledger, 0) == {"x": 1, "y": 2}


def test_a_source_that_is_late_is_waited_for_then_missing_then_put_right():
    ledger = ReportLedger(late_report_days=3)
    for n in range(3):
        report(ledger, n, {"x": 10, "only_a": 1})
        report(ledger, n, {"x": 100}, dsp="b")
        score(ledger)
    for n in (3, 4, 5):
        report(ledger, n, {"x": 10, "only_a": 1})
        assert score(ledger) == []
    report(ledger, 6, {"x": 10, "only_a": 1})
    assert score(ledger) == [3]
    unknown = counts(ledger, 3)
    assert np.isnan(unknown["x"]) and unknown["only_a"] == 1  # never a drop; b never carried the other
    revision = report(ledger, 3, {"x": 90}, dsp="b")
    assert isinstance(revision, Revision) and revision.day == day(3).toordinal()
    assert counts(ledger, 3) == {"x": 100, "only_a": 1}


def test_a_source_that_went_silent_is_waited_for_no_longer():
    ledger = ReportLedger()
    report(ledger, 0, {"x": 1}, dsp="b")
    for n in range(12):
        report(ledger, n, {"x": 1})
    assert score(ledger) == list(range(12))


def test_days_without_any_report_are_overtaken():
    ledger = ReportLedger()
    for n in (0, 2, 3, 4):
        report(ledger, n, {"x": 1})
    assert score(ledger) == [0, 1, 2, 3, 4]
    assert np.isnan(counts(ledger, 1)["x"])


def test_what_cannot_be_used_says_why():
    ledger = ReportLedger(max_open_reports=2)
    who = {"dsp": "a", "territory": "US"}
    assert ledger.record(TrendRecord(**who, day=DAY, asset_id="x", count=1), NOW).code == "no_open_report"
    assert ledger.completed(ReportCompleted(**who, day=DAY, records=0), NOW).code == "no_open_report"
    future = ledger.opened(ReportOpened(**who, day=dt.date(2020, 6, 1)), NOW)
    assert (future.code, future.field) == ("future_day", "$.day")
    for n in range(70):
        report(ledger, n, {"x": 1})
        score(ledger)
    assert report(ledger, 2, {"x": 1}) is None  # a repeat, however old
    assert report(ledger, 2, {"x": 1}, version=2).code == "too_late"
    ledger.opened(ReportOpened(**who, day=day(70)), NOW)
    assert ledger.completed(ReportCompleted(**who, day=day(70), records=0), NOW).field == "$.partition_records"
    ledger.opened(ReportOpened(**who, day=day(71)), NOW)
    assert ledger.opened(ReportOpened(**who, day=day(72)), NOW).code == "too_many_open_reports"


def test_reports_never_completed_are_dropped_when_too_late():
    ledger = ReportLedger()
    ledger.opened(ReportOpened(dsp="b", day=DAY), NOW)
    for n in range(60):
        report(ledger, n, {"x": 1})
        score(ledger)
    assert not ledger.open


def test_a_snapshot_is_exact_and_broken_ones_are_refused():
    ledger = ReportLedger()
    for n in range(5):
        report(ledger, n, {"x": 2**40 + n, "y": n})
        score(ledger)
    report(ledger, 9, {"z": 1})
    report(ledger, 10, {"z": 1}, said=3)
    blob, fresh = to_bytes(ledger), ReportLedger()
    load(fresh, blob)
    assert to_bytes(fresh) == blob and counts(fresh, 4) == counts(ledger, 4)
    for broken in (b"", blob[:40], b"\x98\x09" + blob[2:]):
        with pytest.raises(SnapshotError):
            load(ReportLedger(), broken)

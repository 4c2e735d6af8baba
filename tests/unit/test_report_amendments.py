"""Reports taken back and counts replaced, by hand: what is observed, what is revised, what is refused and why."""

from __future__ import annotations

import datetime as dt

import numpy as np

from cuepoint.models import report_snapshot
from cuepoint.models.report_ledger import ReportLedger, Revision
from cuepoint.models.snapshot_parts import Cutter, join, split
from cuepoint.schemas.faults import Refusal
from cuepoint.schemas.trends import ReportCompleted, ReportOpened, ReportWithdrawn, TrendAmendment, TrendRecord

DAY = dt.date(2019, 1, 1)
NOW = 1_577_000_000_000  # December 2019


def to_bytes(ledger: ReportLedger) -> bytes:
    return join(*report_snapshot.to_parts(ledger))


def load(ledger: ReportLedger, blob: bytes) -> None:
    value, data = split(blob)
    report_snapshot.load(ledger, value, Cutter(data))


def who(n: int, dsp: str) -> dict:
    return {"dsp": dsp, "day": DAY + dt.timedelta(days=n)}


def report(ledger: ReportLedger, n: int, counts: dict[str, int], dsp: str = "a", version: int = 1):
    ledger.opened(ReportOpened(**who(n, dsp), version=version), NOW)
    for asset, count in counts.items():
        ledger.record(TrendRecord(**who(n, dsp), asset_id=asset, count=count, report_version=version), NOW)
    end = ReportCompleted(**who(n, dsp), version=version, records=len(counts), partition_records=len(counts))
    verdict = ledger.completed(end, NOW)
    while (due := ledger.due()) is not None:
        ledger.take(due)
    return verdict


def withdraw(ledger: ReportLedger, n: int, dsp: str = "a", version: int = 1):
    return ledger.withdraw(ReportWithdrawn(**who(n, dsp), version=version), NOW)


def amend(ledger: ReportLedger, n: int, asset: str, count: int, dsp: str = "a", version: int = 1, **more):
    return ledger.amend(TrendAmendment(**who(n, dsp), asset_id=asset, count=count, report_version=version, **more), NOW)


def counts(ledger: ReportLedger, n: int) -> dict[str, float]:
    observed = ledger.observe(DAY.toordinal() + n, np.arange(len(ledger.names))).tolist()
    return dict(zip(ledger.names, observed, strict=True))


def two_sources(days: int = 3) -> ReportLedger:
    ledger = ReportLedger()
    for n in range(days):
        report(ledger, n, {"x": 10, "only_a": 1})
        report(ledger, n, {"x": 100, "only_b": 2}, dsp="b")
    return ledger


def test_a_withdrawn_report_is_subtracted_as_if_it_had_never_come():
    ledger, never = two_sources(), two_sources(2)
    report(never, 2, {"x": 10, "only_a": 1})
    revision = withdraw(ledger, 2, "b")
    assert isinstance(revision, Revision) and revision.day == DAY.toordinal() + 2
    for n in range(3, 7):
        report(ledger, n, {"x": 10, "only_a": 1})
        report(never, n, {"x": 10, "only_a": 1})
    assert repr(counts(ledger, 2)) == repr(counts(never, 2)) and counts(ledger, 2)["only_a"] == 1


def test_what_was_withdrawn_does_not_come_back_and_a_higher_version_does():
    ledger = two_sources()
    withdraw(ledger, 2, "b", version=2)
    for version in (1, 2):
        assert report(ledger, 2, {"x": 7}, dsp="b", version=version) is None
    assert ledger.repeats > 0 and withdraw(ledger, 2, "b") is None  # a repeat
    assert isinstance(report(ledger, 2, {"x": 7}, dsp="b", version=3), Revision) and counts(ledger, 2)["x"] == 17
    assert withdraw(ledger, 2, "b", version=2) is None and counts(ledger, 2)["x"] == 17


def test_a_report_not_scored_yet_is_withdrawn_without_a_trace():
    ledger = two_sources()
    report(ledger, 3, {"x": 999})  # b is waited for
    assert withdraw(ledger, 3) is None and not ledger.pending
    ledger.opened(ReportOpened(**who(4, "a")), NOW)
    assert withdraw(ledger, 4) is None and not ledger.open
    report(ledger, 3, {"x": 11}, version=2)
    report(ledger, 3, {"x": 100}, dsp="b")
    assert counts(ledger, 3) == {"x": 111, "only_a": -1, "only_b": -1}


def test_an_amendment_replaces_one_count_and_goes_with_its_report():
    ledger = two_sources()
    revision = amend(ledger, 1, "x", 15)
    assert isinstance(revision, Revision) and revision.rows.tolist() == [0] and counts(ledger, 1)["x"] == 115
    assert amend(ledger, 1, "new", 3).rows.tolist() == [3] and counts(ledger, 1)["new"] == 3
    assert amend(ledger, 1, "x", 99) is None and counts(ledger, 1)["x"] == 115  # a repeat
    assert amend(ledger, 1, "x", 2**40, revision=2) is not None and counts(ledger, 1)["x"] == 2**40 + 100
    report(ledger, 1, {"x": 20}, version=2)
    assert counts(ledger, 1)["x"] == 120 and counts(ledger, 1)["new"] == -1
    assert amend(ledger, 1, "x", 1, revision=9) is None and counts(ledger, 1)["x"] == 120  # of the one replaced


def test_a_part_adds_to_what_the_report_said_and_replaces_only_itself():
    ledger = two_sources()
    amend(ledger, 2, "x", 5, part="isrc:1")
    amend(ledger, 2, "x", 5, part="isrc:1")
    assert counts(ledger, 2)["x"] == 115
    amend(ledger, 2, "x", 7, part="isrc:1", revision=2)
    amend(ledger, 2, "x", 1, part="isrc:2")
    assert counts(ledger, 2)["x"] == 118
    amend(ledger, 2, "x", 20)
    assert counts(ledger, 2)["x"] == 128
    report(ledger, 2, {"x": 30}, version=2)
    assert counts(ledger, 2)["x"] == 130


def test_an_amendment_before_its_day_is_scored_or_its_report_is_complete_counts_all_the_same():
    ledger = two_sources()
    report(ledger, 3, {"x": 10})  # b is waited for
    assert amend(ledger, 3, "x", 12) is None and amend(ledger, 3, "only_a", 4) is None
    ledger.opened(ReportOpened(**who(3, "b")), NOW)
    assert amend(ledger, 3, "x", 50, dsp="b") is None  # its report is under way
    report(ledger, 3, {"x": 100}, dsp="b")
    assert counts(ledger, 3) == {"x": 62, "only_a": 4, "only_b": -1}


def test_what_cannot_be_used_says_why_and_what_may_still_come_is_kept():
    ledger = two_sources()
    early = amend(ledger, 3, "x", 77, version=2)
    assert (early.code, early.field) == ("unknown_report", "$.report_version") and "kept" in early.reason
    report(ledger, 3, {"x": 1}, version=2)
    report(ledger, 3, {"x": 100}, dsp="b")
    assert counts(ledger, 3)["x"] == 177
    unheard = withdraw(ledger, 4, "b")
    assert (unheard.code, unheard.field) == ("unknown_report", "$.version")
    assert amend(ledger, 4, "x", 5, dsp="b").code == "withdrawn_report"
    future = who(500, "a") | {"day": dt.date(2020, 6, 1)}
    assert ledger.withdraw(ReportWithdrawn(**future), NOW).code == "future_day"
    assert ledger.amend(TrendAmendment(**future, asset_id="x", count=1), NOW).code == "future_day"
    for n in range(4, 70):
        report(ledger, n, {"x": 10})
    assert withdraw(ledger, 5, version=2).code == amend(ledger, 5, "x", 3).code == "too_late"
    assert not ledger.amendments.by_report
    small = ReportLedger(max_early_amendments=1)
    assert [amend(small, 3, asset, 1).code for asset in "xy"] == ["unknown_report", "too_many_early_amendments"]


def test_a_snapshot_keeps_what_was_withdrawn_and_amended():
    ledger = two_sources()
    withdraw(ledger, 1, "b")
    amend(ledger, 2, "x", 3)
    amend(ledger, 5, "x", 3)
    blob, fresh = to_bytes(ledger), ReportLedger()
    load(fresh, blob)
    assert to_bytes(fresh) == blob
    for held in (ledger, fresh):
        assert isinstance(report(held, 1, {"x": 4}, dsp="b", version=2), Revision)
        assert amend(held, 2, "x", 4) is None and not isinstance(amend(held, 5, "x", 4), Refusal)

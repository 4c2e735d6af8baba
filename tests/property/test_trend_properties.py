"""What must hold of the filter and the ledger for any input."""

from __future__ import annotations

import datetime as dt

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from cuepoint.models import trend_kernel as k
from cuepoint.models.report_ledger import ReportLedger, Revision
from cuepoint.models.snapshot_parts import join, split
from cuepoint.models.trend_state import TrendState
from cuepoint.schemas.trends import ReportCompleted, ReportOpened, TrendRecord

FIRST = 737_000
counts = st.one_of(
    st.integers(0, 2**53).map(float), st.integers(0, 2000).map(float), st.just(float("nan")), st.just(-1.0)
)
series = st.integers(1, 4).flatmap(
    lambda n: st.lists(st.lists(counts, min_size=n, max_size=n), min_size=1, max_size=70).map(np.array)
)


def run(y: np.ndarray) -> tuple[TrendState, list[np.ndarray]]:
    state = TrendState(lambda day, rows: y[day - FIRST, rows])
    state.grow(y.shape[1])
    return state, [state.step(FIRST + t).filtered for t in range(len(y))]


@given(series)
@settings(max_examples=60, deadline=None)
def test_a_batch_equals_one_by_one_bit_for_bit(y: np.ndarray):
    together, out = run(y)
    for asset in range(y.shape[1]):
        alone, single = run(y[:, [asset]])
        assert alone.fingerprint(0) == together.fingerprint(asset)
        assert all(np.array_equal(a[asset], b[0]) for a, b in zip(out, single, strict=True))


@given(series)
@settings(max_examples=60, deadline=None)
def test_the_covariance_stays_positive_and_everything_finite(y: np.ndarray):
    state, out = run(y)
    assert all(np.isfinite(o).all() for o in out)
    for asset in range(y.shape[1]):
        row = np.frombuffer(state.fingerprint(asset), dtype=np.float32)
        if row[k.AGE] == k.NEVER:
            continue
        p = np.zeros((8, 8))
        p[np.triu_indices(8)] = row[k.COVARIANCE : k.COVARIANCE + 36]
        p = p + p.T - np.diag(np.diag(p))
        assert np.linalg.eigvalsh(p).min() > -1e-6 * max(1.0, np.trace(p))
    for o in out:
        assert ((o[:, k.P_SAME] >= 0) & (o[:, k.P_SAME] <= 1)).all()
        assert ((o[:, k.P_TREND] >= 0) & (o[:, k.P_TREND] <= 1)).all()
        assert (o[:, k.LOWER_95] <= o[:, k.LOWER_80]).all() and (o[:, k.UPPER_80] <= o[:, k.UPPER_95]).all()


@given(series, st.data())
@settings(max_examples=40, deadline=None)
def test_days_revised_in_any_order_end_bit_equal(y: np.ndarray, data: st.DataObject):
    days = range(max(0, len(y) - 50), len(y))
    revised = data.draw(st.permutations(list(days)))[:8]
    seen = y.copy()
    seen[revised] = np.where(np.isnan(seen[revised]), 7.0, np.nan)  # first heard otherwise
    state = TrendState(lambda day, rows: seen[day - FIRST, rows])
    state.grow(y.shape[1])
    for t in range(len(y)):
        state.step(FIRST + t)
    for t in revised:
        seen[t] = y[t]
        assert sum(len(d.rows) for d in state.refilter(FIRST + t, np.arange(y.shape[1])).days) >= y.shape[1]
    straight, _ = run(y)
    assert [state.fingerprint(a) for a in range(y.shape[1])] == [straight.fingerprint(a) for a in range(y.shape[1])]


@given(series, st.integers(0, 69))
@settings(max_examples=40, deadline=None)
def test_a_snapshot_continues_bit_exactly(y: np.ndarray, cut: int):
    whole, _ = run(y)
    state, _ = run(y[: min(cut, len(y) - 1) + 1])
    fresh = TrendState(lambda day, rows: y[day - FIRST, rows])
    fresh.load(*split(join(*state.to_parts())))
    for t in range(state.day - FIRST + 1, len(y)):
        fresh.step(FIRST + t)
    assert join(*fresh.to_parts()) == join(*whole.to_parts())


reports = st.lists(
    st.tuples(
        st.integers(0, 9),
        st.sampled_from("ab"),
        st.integers(1, 3),
        st.dictionaries(st.sampled_from("xyz"), st.integers(0, 99)),
    ),
    max_size=25,
    unique_by=lambda r: r[:3],
)


def feed(order: list) -> ReportLedger:
    ledger = ReportLedger()
    for n, dsp, version, records in order:
        who = {"dsp": dsp, "day": dt.date(2019, 1, 1) + dt.timedelta(days=n)}
        ledger.opened(ReportOpened(**who, version=version), 1_600_000_000_000)
        for asset, count in records.items():
            ledger.record(TrendRecord(**who, asset_id=asset, count=count, report_version=version), 1_600_000_000_000)
        end = ReportCompleted(**who, version=version, records=len(records), partition_records=len(records))
        verdict = ledger.completed(end, 1_600_000_000_000)
        assert verdict is None or isinstance(verdict, Revision)
        while (due := ledger.due()) is not None:
            ledger.take(due)
    return ledger


@given(reports, st.data())
@settings(max_examples=80, deadline=None)
def test_what_the_ledger_observes_does_not_depend_on_the_order_or_on_repeats(order: list, data: st.DataObject):
    shuffled = data.draw(st.permutations(order + order[:5]))
    one, two = feed(order), feed(shuffled)
    if one.scored is None:
        return
    for day in range(dt.date(2019, 1, 1).toordinal(), min(one.scored, two.scored) + 1):
        seen = [
            {
                name: repr(v)
                for name, v in zip(ledger.names, ledger.observe(day, np.arange(len(ledger.names))), strict=True)
            }
            for ledger in (one, two)
        ]
        for name in {*seen[0], *seen[1]}:
            left, right = seen[0].get(name), seen[1].get(name)
            assert left == right or None in (left, right)

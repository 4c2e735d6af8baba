"""Any order of any deliveries of the same reports, revisions, withdrawals and amendments ends in the same state."""

from __future__ import annotations

import asyncio
import datetime as dt

from hypothesis import given, settings
from hypothesis import strategies as st

from cuepoint.agents.watch_trends import WatchTrends
from cuepoint.schemas.codec import encode
from cuepoint.schemas.topics import TREND_RECORDS
from cuepoint.schemas.trends import ReportCompleted, ReportOpened, ReportWithdrawn, TrendAmendment, TrendRecord
from cuepoint.streams.batch import Batch

FIRST, ASSETS, DAYS = dt.date(2019, 3, 1), "wxyz", 8
days, dsps, versions, counts = st.integers(0, DAYS - 1), st.sampled_from("ab"), st.integers(1, 3), st.integers(0, 5000)
reports = st.dictionaries(
    st.tuples(dsps, days, versions), st.dictionaries(st.sampled_from(ASSETS), counts), min_size=4, max_size=20
)
withdrawals = st.sets(st.tuples(dsps, days, st.integers(1, 2)), max_size=5)
amendments = st.dictionaries(
    st.tuples(
        st.tuples(dsps, days, versions), st.sampled_from(ASSETS), st.sampled_from(["", "p", "q"]), st.integers(1, 2)
    ),
    counts,
    max_size=10,
)


def who(dsp: str, n: int) -> dict:
    return {"dsp": dsp, "day": FIRST + dt.timedelta(days=n)}


def report(dsp: str, n: int, version: int, told: dict[str, int]) -> list[bytes]:
    records = [TrendRecord(**who(dsp, n), asset_id=a, count=c, report_version=version) for a, c in told.items()]
    end = ReportCompleted(**who(dsp, n), version=version, records=len(told), partition_records=len(told))
    return [encode(m) for m in (ReportOpened(**who(dsp, n), version=version), *records, end)]


def follow(deliveries: list[list[bytes]]) -> dict[str, bytes]:
    """The state by asset after these deliveries and, at last, days that push all before them through."""
    values = [value for delivery in deliveries for value in delivery]
    for n in range(DAYS, DAYS + 5):
        values += report("a", n, 1, dict.fromkeys(ASSETS, 1000)) + report("b", n, 1, dict.fromkeys(ASSETS, 500))
    agent, n = WatchTrends(), len(values)
    asyncio.run(
        agent.process(Batch(TREND_RECORDS.name, 0, 0, n - 1, values, [None] * n, range(n), [1_577_000_000_000] * n))
    )
    held = agent._partitions[0]
    assert held.ledger.scored == (FIRST + dt.timedelta(days=DAYS + 4)).toordinal()
    return {name: held.state.fingerprint(row) for name, row in held.ledger.rows.items()}


@given(reports, withdrawals, amendments, st.data())
@settings(max_examples=60, deadline=None)
def test_any_order_of_any_deliveries_ends_in_the_same_state(sent: dict, taken: set, amended: dict, data: st.DataObject):
    deliveries = [report(*key, told) for key, told in sent.items()]
    deliveries += [[encode(ReportWithdrawn(**who(dsp, n), version=version))] for dsp, n, version in sorted(taken)]
    for ((dsp, n, version), asset, part, revision), count in amended.items():
        more = {"asset_id": asset, "count": count, "report_version": version, "part": part, "revision": revision}
        deliveries.append([encode(TrendAmendment(**who(dsp, n), **more))])
    began = [delivery[:-1] for delivery in deliveries if len(delivery) > 1]  # ingests that died
    repeats = data.draw(st.lists(st.sampled_from(deliveries + began), max_size=6))
    first = follow(deliveries)
    assert follow(data.draw(st.permutations(deliveries + repeats))) == first

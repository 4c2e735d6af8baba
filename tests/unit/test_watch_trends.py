"""The agent: records in, changes, asset days and dead letters out."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest

from cuepoint.agents.agent import StatefulAgent
from cuepoint.agents.watch_trends import WatchTrends
from cuepoint.schemas.codec import encode
from cuepoint.schemas.errors import SnapshotError
from cuepoint.schemas.faults import DeadLetter
from cuepoint.schemas.topics import TREND_RECORDS
from cuepoint.schemas.trends import AssetDay, Change, ReportCompleted, ReportOpened, TrendRecord
from cuepoint.streams.batch import Batch

DAY = dt.date(2019, 1, 1)


class Log:
    """A partition's log that an agent follows."""

    def __init__(self, agent: WatchTrends | None = None) -> None:
        self.agent, self.offset = agent or WatchTrends(), 0

    async def send(self, *values: bytes) -> list:
        offsets = list(range(self.offset, self.offset + len(values)))
        self.offset += len(values)
        batch = Batch(
            TREND_RECORDS.name,
            0,
            offsets[0],
            offsets[-1],
            values,
            [None] * len(values),
            offsets,
            [1_577_000_000_000] * len(values),
        )
        return [out.message for out in await self.agent.process(batch)]

    async def report(self, n: int, counts: dict[str, int], version: int = 1) -> list:
        who = {"dsp": "d", "day": DAY + dt.timedelta(days=n)}
        records = [TrendRecord(**who, asset_id=a, count=c, report_version=version) for a, c in counts.items()]
        end = ReportCompleted(**who, version=version, records=len(records), partition_records=len(records))
        return await self.send(*map(encode, [ReportOpened(**who, version=version), *records, end]))


def changes(messages: list) -> list[Change]:
    return [m for m in messages if isinstance(m, Change)]


async def steady(log: Log, days: range, factor: float = 1.0, seed: int = 3) -> list:
    rng, out = np.random.default_rng(seed), []
    for n in days:
        out += await log.report(n, {f"s{i}": int(factor * 5000 * np.exp(rng.normal(0, 0.03))) for i in range(3)})
    return out


async def test_each_day_scores_each_asset_once():
    out = await steady(Log(), range(30), seed=5)
    days = [m for m in out if isinstance(m, AssetDay)]
    assert len(days) == 90 and not changes(out)
    assert all(0 <= d.lower_95 <= d.lower_80 <= d.mean <= d.upper_80 <= d.upper_95 for d in days)
    assert isinstance(WatchTrends(), StatefulAgent)


async def test_a_doubling_is_told_once_updated_and_closed():
    log = Log()
    await steady(log, range(40))
    out = changes(await steady(log, range(40, 70), 2.0))
    mine = [c for c in out if c.asset_id == "s0"]
    assert mine[0].status == "opened" and mine[0].day <= DAY + dt.timedelta(days=41)
    assert len({c.change_id for c in mine}) == 1
    assert [c.revision for c in mine] == list(range(1, len(mine) + 1))
    assert {c.status for c in mine[1:-1]} == {"updated"} and mine[-1].status == "closed" and mine[-1].end
    assert 70 < mine[0].size_percent < 130 and mine[0].direction == "up" and mine[0].kind == "rapid"
    assert log.agent.open_regions == 0


async def test_a_revision_withdraws_what_it_takes_back_and_tells_again_what_it_puts_right():
    log = Log()
    await steady(log, range(40))
    (opened,) = changes(await log.report(40, {"s0": 25_000, "s1": 5000, "s2": 5000}))
    out = await log.report(40, {"s0": 5000, "s1": 5000, "s2": 5000}, version=2)
    (withdrawn,) = changes(out)
    assert withdrawn.status == "withdrawn" and withdrawn.change_id == opened.change_id and withdrawn.revision == 2
    assert [m.asset_id for m in out if isinstance(m, AssetDay)] == ["s0"]
    (again,) = changes(await log.report(40, {"s0": 26_000, "s1": 5000, "s2": 5000}, version=3))
    assert (
        again.change_id == opened.change_id
        and again.revision == 3
        and again.status == "opened"
        and again.count == 26_000
    )


async def test_a_late_day_leaves_the_same_state_as_in_order():
    rng = np.random.default_rng(4)
    counts = [{"a": int(rng.poisson(900)), "b": int(rng.poisson(90))} for _ in range(80)]
    ordered, late = Log(), Log()
    for n, c in enumerate(counts):
        await ordered.report(n, c)
    for n, c in enumerate(counts):
        if n != 60:
            await late.report(n, c)
    out = await late.report(60, counts[60])
    assert {m.day for m in out if isinstance(m, AssetDay)} == {DAY + dt.timedelta(days=n) for n in range(60, 80)}
    states = [log.agent._partitions[0].state for log in (ordered, late)]
    assert [states[0].fingerprint(r) for r in (0, 1)] == [states[1].fingerprint(r) for r in (0, 1)]


@pytest.mark.parametrize(
    ("value", "code", "field"),
    [
        (b'{"type":"trend-record.v1","asset_id":"a"', "malformed", "$"),
        (b"\xff\xfe", "malformed", "$"),
        (b'{"type":"trend-record.v7"}', "unknown_version", "$.type"),
        (b'{"type":"trend-record.v1","asset_id":"a","day":"2019-01-01","dsp":"d","count":-1}', "invalid", "$.count"),
        (b'{"type":"trend-record.v1","asset_id":"a","day":"2019-13-01","dsp":"d","count":1}', "invalid", "$.day"),
        (b'{"type":"trend-record.v1","asset_id":"a","day":"2031-01-01","dsp":"d","count":1}', "future_day", "$.day"),
        (
            b'{"type":"trend-record.v1","asset_id":"a","day":"2019-01-01","dsp":"d","count":1}',
            "no_open_report",
            "$.report_version",
        ),
    ],
)
async def test_bad_records_become_dead_letters_and_stop_nothing(value: bytes, code: str, field: str):
    log = Log()
    (letter,) = await log.send(value)
    assert isinstance(letter, DeadLetter)
    assert (letter.code, letter.field, letter.original, letter.offset) == (code, field, value, 0)
    assert len(await log.report(0, {"a": 1})) == 1


async def test_a_snapshot_continues_bit_exactly_and_bad_ones_are_refused():
    whole, first = Log(), Log()
    await steady(whole, range(70))
    await steady(first, range(70))
    second = Log(WatchTrends())
    second.agent.restore(0, first.agent.snapshot(0))
    second.offset = first.offset
    assert await steady(whole, range(70, 80), 1.5) == await steady(second, range(70, 80), 1.5)
    assert whole.agent.snapshot(0) == second.agent.snapshot(0)
    for broken in (b"", b"nonsense", whole.agent.snapshot(0)[:100]):
        with pytest.raises(SnapshotError):
            second.agent.restore(0, broken)


async def test_forgetting_a_partition_starts_empty():
    log = Log()
    await steady(log, range(5))
    log.agent.forget(0)
    log.agent.restore(0, None)
    assert log.agent.snapshot(0) == WatchTrends().snapshot(0)

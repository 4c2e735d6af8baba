"""Which asset days are told: of all assets, or of those with an open region."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
from pathlib import Path

import numpy as np

from cuepoint.agents.watch_trends import WatchTrends
from cuepoint.schemas.codec import encode
from cuepoint.schemas.topics import TREND_RECORDS
from cuepoint.schemas.trends import AssetDay, Change, ReportCompleted, ReportOpened, TrendRecord
from cuepoint.streams.batch import Batch

DAY = dt.date(2019, 1, 1)


def messages(n: int, counts: np.ndarray, version: int = 1, order: np.ndarray | None = None) -> list[bytes]:
    who = {"dsp": "d", "day": DAY + dt.timedelta(days=n)}
    told = [(i, int(counts[i])) for i in (range(len(counts)) if order is None else order.tolist())]
    records = [TrendRecord(**who, asset_id=f"s{i}", count=c, report_version=version) for i, c in told]
    end = ReportCompleted(**who, version=version, records=len(records), partition_records=len(records))
    return [encode(m) for m in (ReportOpened(**who, version=version), *records, end)]


async def follow(agent: WatchTrends, values: list[bytes]) -> list:
    n = len(values)
    batch = Batch(TREND_RECORDS.name, 0, 0, n - 1, values, [None] * n, range(n), [1_577_000_000_000] * n)
    return [out.message for out in await agent.process(batch)]


def history(assets: int = 5) -> np.ndarray:
    """The first doubles on day 40, the others do nothing."""
    counts = 5000 * np.exp(np.random.default_rng(5).normal(0, 0.03, (70, assets)))
    counts[40:, 0] *= 2
    return counts


async def test_open_tells_the_days_of_open_regions_only_and_the_same_changes():
    log = [value for n, counts in enumerate(history()) for value in messages(n, counts)]
    every, some = WatchTrends(), WatchTrends(asset_days="open")
    told_all, told_open = await follow(every, log), await follow(some, log)
    changes = [m for m in told_all if isinstance(m, Change)]
    assert changes == [m for m in told_open if isinstance(m, Change)]
    wanted = {(c.asset_id, c.day) for c in changes}
    days = [m for m in told_open if isinstance(m, AssetDay)]
    assert days == [m for m in told_all if isinstance(m, AssetDay) and (m.asset_id, m.day) in wanted]
    assert {d.asset_id for d in days} == {"s0"} and len(days) >= 5
    assert every.snapshot(0) == some.snapshot(0)


async def test_open_puts_right_the_days_it_told_when_they_are_revised():
    counts = history()
    agent = WatchTrends(asset_days="open")
    told = await follow(agent, [value for n in range(43) for value in messages(n, counts[n])])
    first = {m.day for m in told if isinstance(m, AssetDay)}
    assert DAY + dt.timedelta(days=41) in first
    right = counts[:43].copy()
    right[40:, 0] /= 2
    again = await follow(agent, [value for n in range(40, 43) for value in messages(n, right[n], version=2)])
    put_right = {m.day: m.count for m in again if isinstance(m, AssetDay) and m.asset_id == "s0"}
    assert first <= put_right.keys()
    assert all(put_right[DAY + dt.timedelta(days=n)] == int(right[n, 0]) for n in (40, 41, 42))
    assert [m.status for m in again if isinstance(m, Change)][-1] == "withdrawn"


async def test_where_assets_stand_among_many_changes_nothing():
    """More than a block of them: the borders of blocks show nowhere. A third of the market doubles."""
    counts = np.concatenate([history(3)] * 800, axis=1)
    order, results = np.random.default_rng(8).permutation(counts.shape[1]), []
    for place in (np.arange(counts.shape[1]), order):
        agent = WatchTrends(asset_days="open")
        log = [value for n in range(45) for value in messages(n, counts[n], order=place)]
        out = await follow(agent, log + messages(42, counts[42] * 1.5, version=2, order=place))
        last = {m.asset_id: (m.status, m.day, m.probability, m.size_percent) for m in out if isinstance(m, Change)}
        held = agent._partitions[0]
        states = {name: held.state.fingerprint(row) for name, row in held.ledger.rows.items()}
        results.append((last, states))
    assert len(results[0][0]) >= 800 and results[0] == results[1]


WARM = """
import asyncio, test_watch_trends_told as t
from cuepoint.agents.watch_trends import WatchTrends, warm_up
from cuepoint.models import region_kernel, report_kernel, trend_kernel
compiled = lambda: {f: len(f.signatures) for m in (region_kernel, report_kernel, trend_kernel)
                    for f in vars(m).values() if hasattr(f, "signatures")}
warm_up()
before = compiled()
log = [v for n, c in enumerate(t.history()) for v in t.messages(n, c)]
asyncio.run(t.follow(WatchTrends(), log + t.messages(60, t.history()[0], version=2)))
assert before[report_kernel.parse] and compiled() == before, (before, compiled())
"""


def test_after_warming_up_nothing_is_compiled_any_more():
    folder = Path(__file__).parent
    done = subprocess.run([sys.executable, "-c", WARM], capture_output=True, check=False, cwd=folder, timeout=120)
    assert done.returncode == 0, done.stderr.decode()

"""The market factor of the stream: whatever the order of deliveries, the same market, and the same states."""

from __future__ import annotations

import datetime as dt
import random

import numpy as np
import pytest

from cuepoint.agents.watch_trends import WatchTrends
from cuepoint.models.market_factor import DISPERSION, SHIFT
from cuepoint.models.market_map import MarketMap
from cuepoint.schemas.codec import encode
from cuepoint.schemas.topics import TREND_RECORDS
from cuepoint.schemas.trends import ReportCompleted, ReportOpened, ReportWithdrawn, TrendAmendment, TrendRecord
from cuepoint.streams.batch import Batch

FIRST, DAYS, ASSETS, HOLIDAY, REVIEW = dt.date(2019, 3, 1), 50, 24, 30, 38


def world(seed: int) -> np.ndarray:
    """(2 services, days, assets): on one day all fall by a fifth, on another all move differently."""
    rng = np.random.default_rng(seed)
    log = rng.uniform(7, 9, ASSETS) + rng.normal(0, 0.03, (DAYS, ASSETS))
    log[HOLIDAY] -= 0.25
    log[REVIEW] += rng.normal(0, 0.2, ASSETS)
    return rng.poisson(np.exp(log) * np.array([0.6, 0.4])[:, None, None])


def who(dsp: int, n: int) -> dict:
    return {"dsp": "ab"[dsp], "day": FIRST + dt.timedelta(days=n)}


def report(dsp: int, n: int, counts: np.ndarray, version: int = 1) -> list[bytes]:
    told = [TrendRecord(**who(dsp, n), asset_id=f"s{i}", count=c, report_version=version) for i, c in enumerate(counts)]
    end = ReportCompleted(**who(dsp, n), version=version, records=len(told), partition_records=len(told))
    return [encode(m) for m in (ReportOpened(**who(dsp, n), version=version), *told, end)]


async def follow(
    deliveries: list[list[bytes]], restart: random.Random | None = None, markets: MarketMap | None = None
) -> WatchTrends:
    """After each delivery the worker may end and another go on from the snapshot."""
    agent, at = WatchTrends(late_report_days=1, markets=markets), 0
    for values in deliveries:
        n = len(values)
        offsets = range(at, at + n)
        batch = Batch(TREND_RECORDS.name, 0, at, at + n - 1, values, [None] * n, offsets, [1_577_000_000_000] * n)
        await agent.process(batch)
        at += n
        if restart and restart.random() < 0.3:
            blob, agent = agent.snapshot(0), WatchTrends(late_report_days=1, markets=markets)
            agent.restore(0, blob)
            assert agent.snapshot(0) == blob
    return agent


def known(agent: WatchTrends) -> tuple[dict[str, bytes], np.ndarray]:
    """States by asset, effects by day."""
    held = agent._partitions[0]
    states = {name: held.state.fingerprint(row) for name, row in held.ledger.rows.items()}
    return states, np.array([held.state.market.effects(FIRST.toordinal() + n)[0] for n in range(DAYS)])


@pytest.mark.parametrize(("seed", "markets"), [(0, None), (1, None), (2, None), (3, {"b/*": "b"}), (4, {"b/*": "b"})])
async def test_late_revised_withdrawn_and_amended_reports_end_in_the_market_of_a_run_in_order(seed: int, markets: dict):
    print("seed", seed)
    rng, known_markets = random.Random(seed), MarketMap(markets)
    counts = [[[int(c) for c in day] for day in service] for service in world(seed)]
    straight = await follow(
        [report(dsp, n, counts[dsp][n]) for n in range(DAYS) for dsp in (0, 1)], markets=known_markets
    )
    due: list[tuple[float, list[bytes]]] = []
    for n in range(DAYS):
        for dsp in (0, 1):
            late = rng.randrange(1, 12) if n < DAYS - 12 and rng.random() < 0.2 else 0
            if rng.random() < 0.15:  # first another count of some assets, put right by a revision, or one by one
                wrong = {i: counts[dsp][n][i] * 2 for i in rng.sample(range(ASSETS), rng.choice((1, 3, 20)))}
                due.append((n, report(dsp, n, [wrong.get(i, c) for i, c in enumerate(counts[dsp][n])])))
                if len(wrong) < 4:
                    for i in wrong:
                        put = TrendAmendment(**who(dsp, n), asset_id=f"s{i}", count=counts[dsp][n][i])
                        due.append((n + late + 0.5, [encode(put)]))
                else:
                    due.append((n + late + 0.5, report(dsp, n, counts[dsp][n], version=2)))
            elif rng.random() < 0.1:  # one that was never meant
                due.append((n, report(dsp, n, [1 + c // 3 for c in counts[dsp][n]])))
                due.append((n + 0.2, [encode(ReportWithdrawn(**who(dsp, n)))]))
                due.append((n + late + 0.5, report(dsp, n, counts[dsp][n], version=2)))
            else:
                due.append((n + late, report(dsp, n, counts[dsp][n])))
    crooked = await follow([values for _, values in sorted(due, key=lambda d: d[0])], rng, known_markets)
    states, effects = known(straight)
    again, moved = known(crooked)
    assert np.array_equal(effects, moved)
    assert states == again
    assert -0.35 < effects[HOLIDAY, SHIFT] < -0.1 and effects[REVIEW, DISPERSION] > 1.5
    assert np.median(np.abs(effects[10:, SHIFT])) < 0.03


async def test_what_the_whole_market_does_is_no_news_of_an_asset_and_what_one_does_is():
    counts = world(3)
    counts[:, 45:, 5] *= 2
    agent = await follow([report(dsp, n, counts[dsp, n].tolist()) for n in range(DAYS) for dsp in (0, 1)])
    said = [said.change for row in agent._partitions[0].log.said.values() for said in row.values()]
    late = [c for c in said if c.start >= FIRST + dt.timedelta(days=HOLIDAY)]
    assert {c.asset_id for c in late if c.kind == "rapid"} == {"s5"}
    assert not [c for c in late if c.start == FIRST + dt.timedelta(days=HOLIDAY)]


async def test_a_market_of_its_own_moves_no_other():
    """Services a and b with assets of their own; b falls on the holiday."""
    rng = np.random.default_rng(11)
    log = rng.uniform(7, 9, 2 * ASSETS) + rng.normal(0, 0.03, (DAYS, 2 * ASSETS))
    log[HOLIDAY, ASSETS:] -= 0.4
    counts = [[int(c) for c in day] for day in rng.poisson(np.exp(log))]
    sent = []
    for n in range(DAYS):
        for dsp in (0, 1):
            told = {f"s{i}": c for i, c in enumerate(counts[n]) if i // ASSETS == dsp}
            records = [TrendRecord(**who(dsp, n), asset_id=a, count=c) for a, c in told.items()]
            end = ReportCompleted(**who(dsp, n), records=len(told), partition_records=len(told))
            sent.append([encode(m) for m in (ReportOpened(**who(dsp, n)), *records, end)])
    agent = await follow(sent, markets=MarketMap({"b/*": "b"}))
    shifts = agent._partitions[0].state.market.effects(FIRST.toordinal() + HOLIDAY)[:, SHIFT]
    assert abs(shifts[0]) < 0.08 and -0.5 < shifts[1] < -0.2
    one = await follow(sent)
    assert -0.2 < one._partitions[0].state.market.effects(FIRST.toordinal() + HOLIDAY)[0, SHIFT] <= 0
    again = WatchTrends(late_report_days=1)  # fewer markets: those known keep their numbers
    again.restore(0, agent.snapshot(0))
    assert again.snapshot(0) == agent.snapshot(0)


def test_a_pattern_of_markets_that_is_none_is_refused():
    with pytest.raises(ValueError, match="DSP/TERRITORY"):
        MarketMap({"US": "us"})

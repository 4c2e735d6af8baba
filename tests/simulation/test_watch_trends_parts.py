"""A DSP that has not reported is a missing part, never a drop; the rest comes late, and puts right what was said."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest

from cuepoint.agents.watch_trends import WatchTrends
from cuepoint.schemas.codec import encode
from cuepoint.schemas.topics import TREND_RECORDS
from cuepoint.schemas.trends import AssetDay, Change, ReportCompleted, ReportOpened, TrendRecord
from cuepoint.streams.batch import Batch

FIRST, ASSETS, DAYS, GONE = dt.date(2019, 3, 1), 40, 62, range(50, 55)
SHARES = {"big": 0.6, "small": 0.4}


def report(n: int, dsp: str, counts: np.ndarray) -> list[bytes]:
    who = {"dsp": dsp, "day": FIRST + dt.timedelta(days=n)}
    records = [TrendRecord(**who, asset_id=f"a{i}", count=int(c)) for i, c in enumerate(counts) if c >= 0]
    end = ReportCompleted(**who, records=len(records), partition_records=len(records))
    return [encode(m) for m in (ReportOpened(**who), *records, end)]


class Agent:
    """Follows reports one by one; the last word of each region, and all words of it."""

    def __init__(self) -> None:
        self.agent, self.at = WatchTrends(late_report_days=1), 0
        self.days: dict[tuple[str, int], AssetDay] = {}
        self.words: dict[str, list[Change]] = {}

    async def follow(self, values: list[bytes]) -> None:
        n = len(values)
        offsets = range(self.at, self.at + n)
        self.at += n
        batch = Batch(
            TREND_RECORDS.name, 0, offsets[0], offsets[-1], values, [None] * n, offsets, [1_577_000_000_000] * n
        )
        for message in (out.message for out in await self.agent.process(batch)):
            if isinstance(message, AssetDay):
                self.days[message.asset_id, (message.day - FIRST).days] = message
            elif isinstance(message, Change):
                self.words.setdefault(message.change_id, []).append(message)

    def since(self, n: int) -> list[Change]:
        """Regions that began on that day or later, as they stand."""
        last = [words[-1] for words in self.words.values()]
        return [c for c in last if c.status != "withdrawn" and (c.start - FIRST).days >= n]

    def states(self) -> dict[str, bytes]:
        held = self.agent._partitions[0]
        return {name: held.state.fingerprint(row) for name, row in held.ledger.rows.items()}


def world(seed: int, change: np.ndarray | float = 0.0) -> dict[str, np.ndarray]:
    """(days, assets) by DSP. ``change``: of the log level from the first day without ``small`` on, by asset."""
    rng = np.random.default_rng(seed)
    level = rng.uniform(7, 11, ASSETS) + rng.normal(0, 0.03, (DAYS, ASSETS))
    level[GONE[0] :] += change
    return {dsp: rng.poisson(np.exp(level) * share) for dsp, share in SHARES.items()}


def in_order(told: dict[str, np.ndarray]) -> list[bytes]:
    return [value for n in range(DAYS) for dsp in SHARES for value in report(n, dsp, told[dsp][n])]


def late(told: dict[str, np.ndarray]) -> tuple[list[bytes], list[bytes]]:
    """All but what ``small`` says of some days; and that."""
    first = [
        v for n in range(DAYS) for dsp in SHARES if dsp == "big" or n not in GONE for v in report(n, dsp, told[dsp][n])
    ]
    return first, [value for n in GONE for value in report(n, "small", told["small"][n])]


@pytest.mark.parametrize("seed", range(3))
async def test_a_missing_part_is_no_drop_and_ends_in_the_state_of_the_run_in_order(seed: int):
    print("seed", seed)
    told, agent, straight = world(seed), Agent(), Agent()
    first, rest = late(told)
    await agent.follow(first)
    assert len(agent.since(GONE[0])) <= 1
    whole = told["big"] + told["small"]
    for n in GONE:
        heard = [agent.days[f"a{i}", n] for i in range(ASSETS)]
        off = [abs(day.count / whole[n, i] - 1) for i, day in enumerate(heard)]
        assert np.median(off) < 0.03 and max(off) < 0.2  # as if all had come
        before = [agent.days[f"a{i}", GONE[0] - 1] for i in range(ASSETS)]
        wider = [(d.upper_95 / d.lower_95) / (b.upper_95 / b.lower_95) for d, b in zip(heard, before, strict=True)]
        assert np.median(wider) > 1.02, "what is not known of the share widens the forecast"
    await agent.follow(rest)
    await straight.follow(in_order(told))
    assert agent.states() == straight.states()
    assert {c.change_id for c in agent.since(0)} == {c.change_id for c in straight.since(0)}


async def test_a_real_change_is_seen_from_the_part_that_came_and_keeps_its_name():
    change = np.zeros(ASSETS)
    change[:10] = 0.8
    told, agent = world(7, change), Agent()
    first, rest = late(told)
    await agent.follow(first)
    found = {c.asset_id: c.change_id for c in agent.since(GONE[0]) if c.direction == "up"}
    assert {f"a{i}" for i in range(10)} <= found.keys()
    await agent.follow(rest)
    assert {c.change_id for c in agent.since(GONE[0])} >= {found[f"a{i}"] for i in range(10)}


async def test_an_alert_that_a_late_report_takes_back_is_withdrawn_under_its_own_name():
    told, agent = world(3), Agent()
    moved = (told["small"][50:55, :3] * 0.9).astype(int)  # for some days these are streamed at the other DSP
    told["big"][50:55, :3] += moved
    told["small"][50:55, :3] -= moved
    first, rest = late(told)
    await agent.follow(first)
    told_of = [c for c in agent.since(50) if c.asset_id in ("a0", "a1", "a2")]
    assert {c.asset_id for c in told_of if c.direction == "up"} == {"a0", "a1", "a2"}
    await agent.follow(rest)
    for change in told_of:
        words = agent.words[change.change_id]
        assert words[-1].status == "withdrawn" and words[-1].revision == change.revision + 1
    assert not [c for c in agent.since(50) if c.asset_id in ("a0", "a1", "a2")]


async def test_what_is_mostly_missing_is_unknown():
    told, agent = world(1), Agent()
    told["big"] //= 10
    told["small"] *= 3
    await agent.follow(late(told)[0])
    assert all(
        agent.days.get((f"a{i}", n)) is None or agent.days[f"a{i}", n].count is None
        for i in range(ASSETS)
        for n in GONE
    )
    assert not agent.since(GONE[0])

"""Reports reordered, repeated, begun and not finished, workers restarted at random offsets: same words, same state."""

from __future__ import annotations

import datetime as dt
import random

import msgspec
import numpy as np
import pytest

from cuepoint.agents.watch_trends import WatchTrends
from cuepoint.schemas.codec import encode
from cuepoint.schemas.topics import CHANGES, DEAD_TREND_RECORDS, TREND_RECORDS
from cuepoint.schemas.trends import ReportCompleted, ReportOpened, TrendRecord
from cuepoint.streams.batch import Batch

DAYS, ASSETS = 75, 12
Report = tuple[int, str, int, dict[str, int]]  # day, dsp, version, counts


def world(rng: np.random.Generator) -> list[Report]:
    """Two DSPs, assets that double, spike, ramp or do nothing; some reports revised."""
    level = rng.uniform(5, 10, ASSETS)
    out: list[Report] = []
    for n in range(DAYS):
        change = np.zeros(ASSETS)
        change[0] = 0.9 * (n > 40)
        change[1] = 2.0 * (n == 45)
        change[2] = -0.05 * max(0, n - 35)
        for dsp, share in (("d1", 0.7), ("d2", 0.3)):
            counts = rng.poisson(share * np.exp(level + change + rng.normal(0, 0.03, ASSETS)))
            report = {f"a{i}": int(c) for i, c in enumerate(counts)}
            if rng.random() < 0.1:
                out.append((n, dsp, 1, {a: c // 2 for a, c in report.items() if rng.random() < 0.9}))
                out.append((n, dsp, 2, report))
            else:
                out.append((n, dsp, 1, report))
    return out


def messages(report: Report) -> list[bytes]:
    n, dsp, version, counts = report
    who = {"dsp": dsp, "day": dt.date(2019, 3, 1) + dt.timedelta(days=n)}
    records = [TrendRecord(**who, asset_id=a, count=c, report_version=version) for a, c in counts.items()]
    end = ReportCompleted(**who, version=version, records=len(records), partition_records=len(records))
    return [encode(m) for m in (ReportOpened(**who, version=version), *records, end)]


async def play(log: list[bytes], rng: random.Random, restarts: bool = False) -> tuple[WatchTrends, list]:
    """Follow the log in random batches; with restarts, from a snapshot, some of the log a second time."""
    agent, out, at, saved = WatchTrends(), {}, 0, (0, None)
    while at < len(log):
        values = log[at : at + rng.randrange(1, 400)]
        offsets = range(at, at + len(values))
        batch = Batch(
            TREND_RECORDS.name,
            0,
            at,
            offsets[-1],
            values,
            [None] * len(values),
            offsets,
            [1_577_000_000_000] * len(values),
        )
        for message in await agent.process(batch):
            known = out.setdefault(message.id, message)
            assert known == message, "the same id with other content"
        at += len(values)
        if restarts and rng.random() < 0.2:
            saved = (at, agent.snapshot(0))
        if restarts and rng.random() < 0.1:
            agent = WatchTrends()
            at, blob = saved
            agent.restore(0, blob)
    return agent, list(out.values())


def final(agent: WatchTrends, out: list) -> tuple[dict, dict]:
    """State by asset; regions that stand at the end, without the history of how they were told."""
    partition = agent._partitions[0]
    states = {name: partition.state.fingerprint(row) for name, row in partition.ledger.rows.items()}
    last = {}
    for message in (o.message for o in out if o.topic is CHANGES):
        last[message.change_id] = message
    stand = {
        key: msgspec.structs.replace(m, revision=1, status="open" if m.status in ("opened", "updated") else m.status)
        for key, m in last.items()
        if m.status != "withdrawn"
    }
    return states, stand


@pytest.mark.parametrize("seed", range(4))
async def test_restarts_and_batch_borders_change_nothing(seed: int):
    print("seed", seed)
    log = [m for report in world(np.random.default_rng(seed)) for m in messages(report)]
    plain, told = await play(log, random.Random(seed))
    again, retold = await play(log, random.Random(seed + 100), restarts=True)
    assert told == retold
    assert plain.snapshot(0) == again.snapshot(0)


@pytest.mark.parametrize("seed", range(6))
async def test_reports_late_repeated_or_begun_twice_end_in_the_same_state(seed: int):
    print("seed", seed)
    rng = random.Random(seed)
    reports = world(np.random.default_rng(seed))
    straight = [r for r in reports if not any(o[:2] == r[:2] and o[2] > r[2] for o in reports)]
    late = sorted(
        reports, key=lambda r: r[0] + (rng.randrange(1, 25) if 3 < r[0] < DAYS - 3 and rng.random() < 0.15 else 0)
    )
    log: list[bytes] = []
    for report in late:
        if rng.random() < 0.1:
            log += messages(report)[: rng.randrange(1, ASSETS)]  # an ingest that died
        log += messages(report)
        if rng.random() < 0.1:
            log += messages(rng.choice(late[: late.index(report) + 1]))  # and one that ran twice
    expected = final(*await play([m for r in straight for m in messages(r)], rng))
    agent, out = await play(log, rng, restarts=True)
    assert not [o for o in out if o.topic is DEAD_TREND_RECORDS]
    states, stand = final(agent, out)
    assert states == expected[0] and len(stand) >= 3
    assert stand == expected[1]
    assert agent.repeats > 0

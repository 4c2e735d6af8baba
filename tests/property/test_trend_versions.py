"""Hyperparameters told in the log: whatever the order of reports and versions, the same states and the same words."""

from __future__ import annotations

import datetime as dt
import random

import msgspec
import numpy as np
import pytest

from cuepoint.agents.watch_trends import WatchTrends
from cuepoint.models.trend_state import BEFORE_VERSIONS, VERSION, TrendState
from cuepoint.schemas.codec import decoder, encode
from cuepoint.schemas.errors import SnapshotError
from cuepoint.schemas.faults import DeadLetter
from cuepoint.schemas.topics import TREND_RECORDS
from cuepoint.schemas.trends import (
    AssetDay,
    Change,
    ReportCompleted,
    ReportOpened,
    TrendHyperparameters,
    TrendRecord,
)
from cuepoint.streams.batch import Batch

FIRST, DAYS, ASSETS, AT_MS = dt.date(2019, 3, 1), 40, 18, 1_577_000_000_000
VERSIONS = [  # number, from day, values: 3 overtakes 2 before its day, and 4 comes with a day that is past
    (1, 8, {"level_variance": 0.01}),
    (2, 25, {"tail": 9.0}),
    (3, 20, {"level_variance": 0.004, "observation_variance": 0.002}),
    (4, 31, {"season_variance": 0.0001, "young_days": 20.0}),
]


def on(n: int) -> dt.date:
    return FIRST + dt.timedelta(days=n)


def told(number: int, n: int, values: dict[str, float], made_at: int = 1) -> bytes:
    return encode(TrendHyperparameters(version=number, from_day=on(n), params=values, made_at=made_at))


def report(n: int, counts: list[int], version: int = 1) -> list[bytes]:
    who = {"dsp": "d", "day": on(n)}
    records = [TrendRecord(**who, asset_id=f"s{i}", count=c, report_version=version) for i, c in enumerate(counts)]
    end = ReportCompleted(**who, version=version, records=len(records), partition_records=len(records))
    return [encode(m) for m in (ReportOpened(**who, version=version), *records, end)]


def world(seed: int) -> list[list[int]]:
    rng = np.random.default_rng(seed)
    log = rng.uniform(6, 9, ASSETS) + np.cumsum(rng.normal(0, 0.04, (DAYS, ASSETS)), axis=0)
    log[28:, 3] += 0.8
    return [[int(c) for c in day] for day in rng.poisson(np.exp(log))]


class Run:
    """Deliveries to an agent, which may end after each and go on elsewhere from its snapshot."""

    def __init__(self, restart: random.Random | None = None) -> None:
        self.agent, self._at, self._restart = WatchTrends(late_report_days=1), 0, restart
        self.days: dict[tuple[str, dt.date], AssetDay] = {}
        self.changes: dict[str, Change] = {}
        self.refused: list[DeadLetter] = []

    async def take(self, values: list[bytes]) -> None:
        n, at = len(values), self._at
        self._at += n
        batch = Batch(TREND_RECORDS.name, 0, at, at + n - 1, values, [None] * n, range(at, at + n), [AT_MS] * n)
        for message in [each.message for each in await self.agent.process(batch)]:
            if isinstance(message, AssetDay):
                self.days[message.asset_id, message.day] = message
            elif isinstance(message, Change):
                self.changes[message.change_id] = message
            elif isinstance(message, DeadLetter):
                self.refused.append(message)
        if self._restart and self._restart.random() < 0.3:
            blob, self.agent = self.agent.snapshot(0), WatchTrends(late_report_days=1)
            self.agent.restore(0, blob)
            assert self.agent.snapshot(0) == blob

    def states(self) -> dict[str, bytes]:
        held = self.agent._partitions[0]
        return {name: held.state.fingerprint(row) for name, row in held.ledger.rows.items()}

    def said(self) -> tuple[list[tuple[object, ...]], set[tuple[object, ...]]]:
        """What a reader of the topics knows in the end, but for when it was said."""
        days = [(*key, day.mean, day.upper_95, day.level, day.p_same) for key, day in sorted(self.days.items())]
        held = {
            (c.change_id, c.day, c.status in ("opened", "updated"), c.effect, c.expected)
            for c in self.changes.values()
            if c.status != "withdrawn"
        }
        return days, held


@pytest.mark.parametrize("seed", range(4))
async def test_any_order_of_versions_and_reports_ends_in_the_same_bits(seed: int) -> None:
    print("seed", seed)
    rng, counts = random.Random(seed), world(seed)
    straight = Run()
    for number, n, values in VERSIONS:
        await straight.take([told(number, n, values)])
    for n in range(DAYS):
        await straight.take(report(n, counts[n]))
    due: list[tuple[float, list[bytes]]] = [
        (min(DAYS + 1.0, n + rng.uniform(-8, 20)), [told(number, n, values)]) for number, n, values in VERSIONS
    ]
    due.append((rng.uniform(0, DAYS), [told(2, 25, {"tail": 9.0})]))  # a repeat
    for n in range(DAYS):
        late = rng.randrange(1, 9) if rng.random() < 0.2 else 0
        if rng.random() < 0.2:
            due.append((n, report(n, [1 + c // 2 for c in counts[n]])))
            due.append((n + late + 0.5, report(n, counts[n], version=2)))
        else:
            due.append((n + late, report(n, counts[n])))
    crooked = Run(rng)
    for _, values in sorted(due, key=lambda d: d[0]):
        await crooked.take(values)
    assert not straight.refused and not crooked.refused
    assert crooked.states() == straight.states()
    assert crooked.said() == straight.said()
    assert crooked.agent.params_version == straight.agent.params_version == 4
    without = Run()
    for n in range(DAYS):
        await without.take(report(n, counts[n]))
    assert without.states() != straight.states()
    before = [day for day in straight.said()[0] if day[1] < on(8)]
    assert before and before == [day for day in without.said()[0] if day[1] < on(8)]


async def test_a_version_that_cannot_be_used_is_refused_with_its_field_and_changes_nothing() -> None:
    run, counts = Run(), world(9)
    for n in range(60):
        await run.take(report(n, counts[n % DAYS]))
    states = run.states()
    for value in (
        told(1, 2, {"tail": 5.0}),  # of a day that cannot be scored again
        told(1, 50, {"tails": 5.0}),
        told(1, 50, {"tail": -5.0}),
        told(1, 50, {"day_prior": [0.0]}),
        told(1, 5000, {"tail": 5.0}),
    ):
        await run.take([value])
    assert [(letter.code, letter.field) for letter in run.refused] == [
        ("too_late", "$.from_day"),
        ("invalid", "$.params.tails"),
        ("invalid", "$.params.tail"),
        ("invalid", "$.params.day_prior"),
        ("future_day", "$.from_day"),
    ]
    assert run.states() == states
    assert run.agent.params_version == 0


async def test_of_two_versions_with_one_number_the_one_made_later_holds_in_either_order() -> None:
    counts, ends = world(3), []
    for order in ((1, 2), (2, 1)):
        run = Run()
        for n in range(20):
            await run.take(report(n, counts[n]))
        for made_at in order:
            await run.take([told(1, 10, {"level_variance": 0.01 * made_at}, made_at)])
        ends.append(run.states())
    assert ends[0] == ends[1]


async def test_a_state_from_before_there_were_versions_is_read_and_one_from_later_refused() -> None:
    run, counts = Run(), world(4)
    for n in range(20):
        await run.take(report(n, counts[n]))
    held = run.agent._partitions[0].state
    value, arrays = held.to_parts()
    data = np.concatenate([array.reshape(-1).view(np.uint8) for array in arrays])
    fields = msgspec.msgpack.decode(value)
    again = TrendState(held.observe)
    again.load(msgspec.msgpack.encode([BEFORE_VERSIONS, *fields[1:-1]]), data)
    assert again.to_parts()[0] == value
    with pytest.raises(SnapshotError, match=f"version {VERSION + 1}, this program reads {VERSION}"):
        TrendState(held.observe).load(msgspec.msgpack.encode([VERSION + 1, *fields[1:]]), data)
    fields[-1] = [(1, 1, 1, {"tails": 4.0})]
    with pytest.raises(SnapshotError, match="tails: no such hyperparameter"):
        TrendState(held.observe).load(msgspec.msgpack.encode(fields), data)


def test_a_message_survives_the_wire() -> None:
    value = told(7, 3, {"tail": 4.5, "day_prior": [0.0] * 6})
    assert encode(decoder(TrendHyperparameters).decode(value)) == value

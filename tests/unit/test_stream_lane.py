"""A lane fed with repeats, gaps and failures gives its agent every record once, in order."""

from __future__ import annotations

import asyncio
import datetime as dt
import os
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import tally_worker
from hypothesis import given, settings
from hypothesis import strategies as st

from cuepoint.schemas.errors import SnapshotError, Unavailable
from cuepoint.schemas.topics import TREND_RECORDS
from cuepoint.schemas.trends import TrendRecord
from cuepoint.streams import lane as lane_module
from cuepoint.streams.batch import Batch
from cuepoint.streams.lane import Lane, LaneParts
from cuepoint.streams.outgoing import Outgoing
from cuepoint.streams.processor import StateLost
from cuepoint.streams.snapshot_store import SnapshotStore

TOPIC = TREND_RECORDS.name
END = 60


class MemoryLog:
    """A partition's log; a seek is remembered as the place to read from."""

    def __init__(self, begins: int = 0, committed: int | None = None) -> None:
        self.begins, self.reads_from, self.seeks = begins, 0, [0]
        self._committed = committed

    async def seek(self, topic: str, partition: int, offset: int) -> None:
        self.reads_from = max(offset, self.begins)
        self.seeks.append(offset)

    async def earliest(self, topic: str, partition: int) -> int:
        return self.begins

    async def committed(self, topic: str, partition: int) -> int | None:
        return self._committed


class Stateless:
    """Remembers what it was given."""

    name = "stateless"
    topics = (TREND_RECORDS,)

    def __init__(self) -> None:
        self.offsets: list[int] = []

    async def process(self, batch: Batch) -> Sequence[Outgoing]:
        self.offsets += batch.offsets
        return []


def batch(first: int, last: int, end: int = END) -> Batch:
    offsets = list(range(first, last + 1))
    values = [b"v%d" % offset for offset in offsets]
    return Batch(TOPIC, 0, first, last, values, values, offsets, [0] * len(offsets), end)


async def deliver(_agent: str, _batch: Batch, _produced: Sequence[Outgoing]) -> None:
    return None


async def until(check: Callable[[], Any]) -> None:
    async with asyncio.timeout(90):
        while not check():  # noqa: ASYNC110
            await asyncio.sleep(0)


@asynccontextmanager
async def running(agent: Any, log: MemoryLog, folder: Path, **more: Any) -> AsyncIterator[Lane]:
    more.setdefault("deliver", deliver)
    lane = Lane(agent, TOPIC, 0, LaneParts(log=log, snapshots=SnapshotStore(folder), retry_max_s=0.05, **more))
    task = asyncio.create_task(lane.run())
    try:
        while lane.done is None and not task.done():  # noqa: ASYNC110
            await asyncio.sleep(0)
        yield lane
    finally:
        lane.close()
        await asyncio.wait_for(task, 60)


class Storing(Stateless):
    """Keeps in its store the offset of the last record, and what it was given."""

    name = "storing"

    def __init__(self) -> None:
        super().__init__()
        self.held = -1

    async def process(self, batch: Batch) -> Sequence[Outgoing]:
        self.held = batch.last
        return await super().process(batch)

    async def position(self, topic: str, partition: int) -> int:
        return self.held


async def test_a_store_that_lost_all_while_nothing_came_is_filled_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lane_module, "_LOOK_S", 0.0)
    agent, log = Storing(), MemoryLog()
    async with running(agent, log, tmp_path, snapshot_interval_s=0.2) as lane:
        await lane.put(batch(0, 9))
        await until(lambda: lane.done == 10)
        agent.held = -1
        await until(lambda: lane.done == 0)
        assert log.reads_from == 0
        await lane.put(batch(0, 9))
        await until(lambda: lane.done == 10)
    assert agent.offsets == [*range(10), *range(10)]


async def test_several_may_wait_to_hand_a_batch_over_and_one_of_them_may_give_up(tmp_path: Path) -> None:
    agent = Stateless()
    async with running(agent, MemoryLog(committed=0), tmp_path) as lane:
        callers = [asyncio.create_task(lane.put(batch(first, first + 4))) for first in range(0, 25, 5)]
        await asyncio.sleep(0)
        callers.pop().cancel()
        await asyncio.wait_for(asyncio.gather(*callers), 60)
        await until(lambda: lane.done == 20)
    assert agent.offsets == list(range(20))


class Telling(Storing):
    """Has a message about every record; stores as ``Storing`` does."""

    async def process(self, batch: Batch) -> Sequence[Outgoing]:
        await super().process(batch)
        record = TrendRecord(asset_id="a", dsp="d", day=dt.date(2026, 1, 1), count=1)
        return [Outgoing(TREND_RECORDS, "a", record, str(offset)) for offset in batch.offsets]


async def test_what_was_stored_and_not_told_before_a_crash_is_told_after_it(tmp_path: Path) -> None:
    agent, told = Telling(), list[str]()

    async def crash(_agent: str, batch: Batch, _produced: Sequence[Outgoing]) -> None:
        if batch.last >= 5:
            raise ZeroDivisionError

    async def tell(_agent: str, _batch: Batch, produced: Sequence[Outgoing]) -> None:
        told.extend(outgoing.id for outgoing in produced)

    with pytest.raises(ZeroDivisionError):
        async with running(agent, MemoryLog(), tmp_path, deliver=crash) as lane:
            await lane.put(batch(0, 4))
            await lane.put(batch(5, 9))
            await until(lambda: agent.held == 9)
    log = MemoryLog(committed=5)
    async with running(agent, log, tmp_path, deliver=tell) as lane:
        assert log.reads_from == 5
        await lane.put(batch(5, 9))
        await until(lambda: lane.done == 10)
    assert told == ["5", "6", "7", "8", "9"]


@pytest.mark.parametrize("committed", [None, 0, 30])
async def test_a_log_that_lost_what_is_stored_is_refused(tmp_path: Path, committed: int | None) -> None:
    agent = Storing()
    agent.held = 40
    with pytest.raises(SnapshotError, match="the log ends at 20, but the stored state stands for all below 41"):
        async with running(agent, MemoryLog(committed=committed), tmp_path) as lane:
            await lane.put(batch(0, 19, end=20))
            await asyncio.sleep(0)
            await until(lambda: lane._closing or agent.offsets or lane.end == 20)
    assert agent.offsets == []


async def test_one_that_gathers_is_told_when_its_messages_arrived(tmp_path: Path) -> None:
    said: list[str] = []

    class Gathering(Telling):
        def told(self, partition: int) -> None:
            said.append(f"told {partition}")

    async def arrive(_agent: str, batch: Batch, _produced: Sequence[Outgoing]) -> None:
        said.append(f"arrived {batch.last}")

    async with running(Gathering(), MemoryLog(), tmp_path, deliver=arrive) as lane:
        await lane.put(batch(0, 4))
        await lane.put(batch(5, 9))
        await until(lambda: lane.done == 10)
    assert said == ["arrived 4", "told 0", "arrived 9", "told 0"]


@settings(max_examples=40, deadline=None)
@given(moves=st.lists(st.tuples(st.integers(-8, 8), st.integers(0, 9)), max_size=12))
async def test_every_record_once(moves: list[tuple[int, int]], tmp_path_factory: pytest.TempPathFactory) -> None:
    """Whatever jumps a reader makes: it reads on where the last seek put it, or from somewhere near it."""
    agent, log = Stateless(), MemoryLog()
    async with running(agent, log, tmp_path_factory.mktemp("s")) as lane:
        for jump, length in moves:
            first = max(0, min(END - 1, log.reads_from + jump))
            await lane.put(batch(first, min(END - 1, first + length)))
        lane_module._SEEK_PATIENCE_S, patience = 0.0, lane_module._SEEK_PATIENCE_S
        try:
            while lane.done != END:
                await lane.put(batch(log.seeks[-1], END - 1))
                await asyncio.sleep(0)
        finally:
            lane_module._SEEK_PATIENCE_S = patience
    assert agent.offsets == list(range(END))


async def test_a_gap_is_read_again(tmp_path: Path) -> None:
    agent, log = Stateless(), MemoryLog(committed=5)
    async with running(agent, log, tmp_path) as lane:
        await lane.put(batch(5, 9))
        await lane.put(batch(15, 19))  # 10 to 14 were lost on the way
        await until(lambda: log.seeks[-1] == 10)
        await lane.put(batch(20, 24))  # was on its way already
        await lane.put(batch(10, 24))
        await until(lambda: lane.done == 25)
    assert agent.offsets == list(range(5, 25))
    assert log.seeks == [0, 5, 10], "one seek is enough"


async def test_records_the_log_no_longer_has(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    agent, log = Stateless(), MemoryLog(committed=5)
    async with running(agent, log, tmp_path) as lane:
        log.begins = 12
        await lane.put(batch(12, 14))
        await until(lambda: lane.done == 15)
    assert agent.offsets == [12, 13, 14]
    assert "records from 5 on are gone" in caplog.text


async def test_a_log_that_began_anew_is_refused(tmp_path: Path) -> None:
    lane = Lane(Stateless(), TOPIC, 0, LaneParts(MemoryLog(committed=50), deliver, SnapshotStore(tmp_path)))
    task = asyncio.create_task(lane.run())
    await lane.put(batch(0, 3, end=4))
    with pytest.raises(SnapshotError, match="the broker lost its log"):
        await asyncio.wait_for(task, 60)


async def test_retries_until_the_store_answers(tmp_path: Path) -> None:
    failures = 3

    async def sometimes(_agent: str, _batch: Batch, _produced: Sequence[Outgoing]) -> None:
        nonlocal failures
        if failures:
            failures -= 1
            raise Unavailable("not now")

    agent = tally_worker.Chain()
    async with running(agent, MemoryLog(), tmp_path, deliver=sometimes) as lane:
        await lane.put(batch(0, 4))
        waiting = asyncio.create_task(lane.put(batch(5, 9)))
        more = asyncio.create_task(lane.put(batch(10, 14)))
        await until(lambda: failures == 2)
        assert not more.done(), "the intake must wait"
        await until(lambda: lane.done == 15)
        await asyncio.gather(waiting, more)
    assert agent.seen[0] == list(range(15)), "only the delivery is tried again"


async def test_snapshots_cover_what_may_be_committed(tmp_path: Path) -> None:
    agent, log = tally_worker.Chain(), MemoryLog()
    async with running(agent, log, tmp_path, snapshot_interval_s=3600) as lane:
        await lane.put(batch(0, 4))
        await until(lambda: lane.done == 5)
        assert lane.covered == 0
        await lane.save()
        assert lane.covered == 5
        await lane.put(batch(5, 9))
        await until(lambda: lane.done == 10)
        digest = agent.digests[0]
    again, log = tally_worker.Chain(), MemoryLog()
    async with running(again, log, tmp_path) as lane:
        assert log.seeks[-1] == 5
        await lane.put(batch(5, 9))
        await until(lambda: lane.done == 10)
        assert again.digests[0] == digest


async def test_a_slow_disk_holds_up_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    agent, log, written, fsync = tally_worker.Chain(), MemoryLog(), threading.Event(), os.fsync

    def slow(handle: int) -> None:
        assert written.wait(60)
        fsync(handle)

    monkeypatch.setattr("os.fsync", slow)
    async with running(agent, log, tmp_path, snapshot_interval_s=1e-6) as lane:
        for first in range(0, 20, 5):
            await lane.put(batch(first, first + 4))
        await until(lambda: lane.done == 20)
        assert lane.covered == 0
        written.set()
        await until(lambda: lane.covered == 20)
    assert SnapshotStore(tmp_path).load(agent.name, TOPIC, 0).offset == 19


async def test_one_that_stood_still_undoes_nothing(tmp_path: Path) -> None:
    agent = tally_worker.Chain()
    async with running(agent, MemoryLog(), tmp_path, snapshot_interval_s=3600) as lane:
        await lane.put(batch(0, 4))
        await until(lambda: lane.done == 5)
        SnapshotStore(tmp_path).save(agent.name, TOPIC, 0, 9, b"its successor's")
        await lane.save()
        assert lane.covered == 0, "what is not saved may not be committed"
    assert SnapshotStore(tmp_path).load(agent.name, TOPIC, 0) == (9, b"its successor's")


async def test_a_full_disk_stops_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    agent, log = tally_worker.Chain(), MemoryLog()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    async with running(agent, log, tmp_path, snapshot_interval_s=3600) as lane:
        await lane.put(batch(0, 4))
        await until(lambda: lane.done == 5)
        monkeypatch.setattr("os.fsync", full)
        await lane.save()
        assert lane.covered == 0
        await lane.put(batch(5, 9))
        await until(lambda: lane.done == 10)
        monkeypatch.undo()
        await lane.save()
        assert lane.covered == 10


async def test_a_store_that_lost_its_state(tmp_path: Path) -> None:
    class Store(Stateless):
        """Loses everything at record 7, once."""

        lost = False

        async def process(self, batch: Batch) -> Sequence[Outgoing]:
            if 7 in batch.offsets and not self.lost:
                self.lost, self.offsets = True, []
                raise StateLost("gone")
            return await super().process(batch)

        async def position(self, topic: str, partition: int) -> int | None:
            return self.offsets[-1] if self.offsets else None

    agent, log = Store(), MemoryLog()
    async with running(agent, log, tmp_path) as lane:
        await lane.put(batch(0, 4))
        await lane.put(batch(5, 9))
        await until(lambda: log.seeks[-1] == 0 and len(log.seeks) == 3)
        await lane.put(batch(0, 9))
        await until(lambda: lane.done == 10)
    assert agent.offsets == list(range(10))

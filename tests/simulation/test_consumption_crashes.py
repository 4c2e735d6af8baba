"""The store's writer and its upkeep, killed at each step: nothing is lost, nothing is there twice."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
from consumption_feed import DAY, Feed, amendment, batch_of, cell, report, withdrawal

from cuepoint.schemas.errors import Unavailable
from cuepoint.schemas.topics import CONSUMPTION
from cuepoint.streams.consumption_upkeep import Upkeep, UpkeepOptions
from cuepoint.streams.consumption_writer import ConsumptionWriter
from cuepoint.streams.processor import StateLost

NOW_MS = int(dt.datetime(2026, 4, 1, tzinfo=dt.UTC).timestamp() * 1000)
STEPS = ("add", "replace", "forget_files", "write", "merge", "delete")


class Killed(BaseException):
    """Not an Exception: nothing that would tidy up after an error runs, as after SIGKILL."""


class Dying:
    """A part of the store that is killed before or after its n-th call of one of the steps."""

    def __init__(self, part: Any, countdown: list[int], after: bool) -> None:
        self._part, self._countdown, self._after = part, countdown, after

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._part, name)
        if name not in STEPS:
            return method

        def call(*arguments: Any) -> Any:
            self._countdown[0] -= 1
            if self._countdown[0] == 0 and not self._after:
                raise Killed(name)
            result = method(*arguments)
            if self._countdown[0] == 0:
                raise Killed(name)
            return result

        return call


def week_of_reports() -> list[Any]:
    """Eleven days over two weeks, revised, amended, one withdrawn."""
    log: list[Any] = []
    for n in range(11):
        day = DAY + dt.timedelta(days=n)
        log += report([cell(f"a{k}", 10 * n + k) for k in range(3)], day=day)
    log += report([cell("a0", 7777), cell("new", 1)], 2)
    log += amendment("late", 5, 2)
    log += withdrawal(day=DAY + dt.timedelta(days=3))
    return log


def outcome(feed: Feed) -> tuple[Any, Any]:
    return feed.visible(), feed.store.watermarks()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any]:
    feed = Feed(tmp_path_factory.mktemp("undisturbed"))
    feed.send(week_of_reports())
    feed.run([4])
    assert sum(feed.visible().values()) > 7777
    return outcome(feed)


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("step", [1, 2, 3, 5, 7, 9, 12])
def test_a_kill_at_any_step_leaves_the_same_store(
    tmp_path: Path, undisturbed: tuple[Any, Any], step: int, after: bool
) -> None:
    feed = Feed(tmp_path)
    feed.send(week_of_reports())
    options = UpkeepOptions(merge_files=2, dead_share=0.0, grace_s=0)
    countdown = [step]
    catalogue, files = Dying(feed.catalogue, countdown, after), Dying(feed.files, countdown, after)
    killed = 0
    for round_ in range(2):
        try:
            feed.restart(ConsumptionWriter(catalogue, files))
            feed.run([12])
            Upkeep(catalogue, files, feed.root, options).run(NOW_MS + round_)
        except Killed:
            killed += 1
    assert killed == 1
    assert outcome(feed) == undisturbed
    Upkeep(feed.catalogue, feed.files, feed.root, options).run(NOW_MS + 10)
    assert outcome(feed) == undisturbed
    later = NOW_MS + 10 * 365 * 86_400_000  # strays are old enough now
    Upkeep(feed.catalogue, feed.files, feed.root, options).sweep(later)
    on_disk = {str(path.relative_to(feed.root)) for path in feed.root.glob("week=*/*")}
    assert on_disk == {file.path for file in feed.catalogue.live_files()}
    assert outcome(feed) == undisturbed


def test_a_partition_that_another_worker_took_over_is_not_written_twice(tmp_path: Path) -> None:
    ours = Feed(tmp_path, flush_interval_s=1000.0)
    ours.send(report([cell("a", 3)]))
    theirs = Feed(tmp_path)
    theirs.send(report([cell("a", 3)]))
    stuck = ours.agent
    ours.restart(Unanswering(ours))
    with pytest.raises(Unavailable):
        ours.run()
    theirs.run()
    assert theirs.visible() == {("a", "dsp1", "2026-03-02"): 3}
    with pytest.raises(StateLost):
        ours.catalogue.add(0, None, 2, [], [])
    ours.agent = stuck
    ours.run()
    assert theirs.visible() == {("a", "dsp1", "2026-03-02"): 3}


async def test_nothing_is_stored_before_its_dead_letters_arrived(tmp_path: Path) -> None:
    feed = Feed(tmp_path)
    messages = [*report([cell("a", 3)]), cell("stray", 1, dsp="nobody")]
    assert await feed.agent.position(CONSUMPTION.name, 0) is None
    [letter] = await feed.agent.process(batch_of(messages))
    await feed.agent.flush(only_due=False)
    feed.restart()
    assert await feed.agent.position(CONSUMPTION.name, 0) is None  # killed now, all of it is read and told again
    assert await feed.agent.process(batch_of(messages)) == [letter]
    feed.agent.told(0)
    await feed.agent.flush()
    assert feed.visible() == {("a", "dsp1", "2026-03-02"): 3}


async def test_a_database_that_is_away_in_the_midst_of_a_batch_counts_nothing_twice(tmp_path: Path) -> None:
    feed = Feed(tmp_path)
    writer, failures = ConsumptionWriter(feed.catalogue, feed.files), [2]

    class Moody:
        """Answers every question but the second."""

        def settled(self, partition: int, key: Any) -> int:
            failures[0] -= 1
            if failures[0] == 0:
                raise Unavailable("away")
            return writer.settled(partition, key)

        def __getattr__(self, name: str) -> Any:
            return getattr(writer, name)

    feed.restart(Moody())
    first, second = report([cell("a", 3), cell("a", 4)]), report([cell("b", 5)], dsp="dsp2")
    messages = [*first[:2], *second, *first[2:]]
    await feed.agent.position(CONSUMPTION.name, 0)
    with pytest.raises(Unavailable):
        await feed.agent.process(batch_of(messages))
    assert await feed.agent.process(batch_of(messages)) == []
    await feed.agent.flush()
    assert feed.visible() == {("a", "dsp1", "2026-03-02"): 7, ("b", "dsp2", "2026-03-02"): 5}


class Unanswering:
    """A store whose disk is full."""

    def __init__(self, feed: Feed) -> None:
        self._writer = ConsumptionWriter(feed.catalogue, feed.files)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._writer, name)

    def write(self, *_: Any) -> None:
        raise Unavailable("no space left")

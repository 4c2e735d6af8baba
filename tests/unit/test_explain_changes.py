"""Agent explain_changes over a real store: causes named, repeats alike, withdrawn with its change, shown by history."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from consumption_feed import Feed, cell, report

from cuepoint.agents.explain_changes import ExplainChanges
from cuepoint.ops.consumption_parts import StoredConsumption
from cuepoint.schemas.base import Contract
from cuepoint.schemas.codec import encode
from cuepoint.schemas.opportunities import Explanation, Opportunity
from cuepoint.schemas.topics import CHANGES, EXPLANATIONS, OPPORTUNITIES
from cuepoint.schemas.trends import Change
from cuepoint.streams.batch import Batch
from cuepoint.streams.history import HistoryWriter
from cuepoint.streams.history_reads import HistoryReader
from cuepoint.streams.history_rows import Recorded

ids: list[tuple[str, bytes]] = []  # of all that was ever said here
FIRST, START, LAST = dt.date(2026, 1, 1), dt.date(2026, 2, 8), dt.date(2026, 2, 14)


@pytest.fixture(scope="module")
def feed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Feed]:
    """45 days of a steady market; asset song gets a playlist on day 38."""
    feed, rng, log = Feed(tmp_path_factory.mktemp("store")), np.random.default_rng(5), list[Contract]()
    for number in range((LAST - FIRST).days + 1):
        day, cells = FIRST + dt.timedelta(days=number), []
        for asset, mean in (("song", 200), ("other", 900)):
            for context, share in (("library", 0.6), ("search", 0.2), ("radio", 0.2)):
                activity = "passive" if context == "radio" else "active"
                count = int(rng.poisson(mean * share))
                heard = {"context": context, "activity": activity, "consumers": count // 2, "completed": count // 2}
                cells.append(cell(asset, count, container="r:1" if context == "radio" else "", **heard))
        if day >= START:
            new = {"context": "playlist", "activity": "passive", "container": "p:9", "container_name": "Sunday"}
            cells.append(cell("song", int(rng.poisson(150)), consumers=120, completed=100, **new))
        log += report(cells, day=day)
    feed.send(log)
    assert feed.run() == []
    yield feed
    feed.engine.dispose()


def change(revision: int = 1, status: str = "opened", day: dt.date = LAST, **more: object) -> Change:
    numbers = dict.fromkeys(("size_per_day", "size_percent", "expected", "lower_80", "upper_80"), 1.0)
    given = {"change_id": "c", "asset_id": "song", "kind": "rapid", "direction": "up", "start": START, **more}
    return Change(
        revision=revision, status=status, day=day, probability=0.99, count=1.0, lower_95=1.0, upper_95=1.0,
        **given, **numbers,
    )  # fmt: skip


def ask(feed: Feed, *changes: Change | bytes) -> list[Contract]:
    values = [each if isinstance(each, bytes) else encode(each) for each in changes]
    n = len(values)
    batch = Batch(CHANGES.name, 0, 0, n - 1, values, [None] * n, list(range(n)), [0] * n, n)
    agent = ExplainChanges(StoredConsumption(feed.store), wait_s=0.0)
    out = asyncio.run(agent.process(batch))
    assert [o.topic for o in out] == [EXPLANATIONS, OPPORTUNITIES] * (len(out) // 2)
    ids.extend((o.id, encode(o.message)) for o in out)
    return [o.message for o in out]


def test_the_playlist_is_named_and_parts_sum_to_the_change(feed: Feed) -> None:
    explanation, opportunity = ask(feed, change())
    assert isinstance(explanation, Explanation)
    cause = explanation.causes[0]
    assert (cause.dimension, cause.value, cause.name) == ("container", "p:9", "Sunday")
    assert explanation.change.mean == pytest.approx(150, rel=0.2)
    for dimension in explanation.dimensions:
        total = sum(part.effect.mean for part in dimension.parts) + dimension.unexplained.mean + explanation.market.mean
        assert total == pytest.approx(explanation.change.mean, abs=1e-6)
    assert isinstance(opportunity, Opportunity)
    assert opportunity.goal == "expand"
    assert opportunity.drivers
    assert 0 < opportunity.probability < 1


def test_a_repeat_says_the_same(feed: Feed) -> None:
    assert ask(feed, change()) == ask(feed, change())


def test_of_several_revisions_the_last_is_explained_and_what_is_unreadable_is_passed_over(feed: Feed) -> None:
    day = START + dt.timedelta(days=3)
    said = ask(feed, change(1, day=START), b"{", change(2, "updated", day), change(3, "updated", LAST))
    assert [each.revision for each in said if isinstance(each, Explanation)] == [3]
    assert ask(feed, change(2, "updated", day)) == []  # an open region is looked at again on some days only


def test_an_asset_without_consumption_is_left_unexplained(feed: Feed) -> None:
    assert ask(feed, change(asset_id="nobody")) == []


def test_reports_that_have_not_come_are_missing_not_nothing(feed: Feed) -> None:
    """The change's day lies two days beyond what is stored: nothing is read as a fall to zero."""
    explanation, _ = ask(feed, change(day=LAST + dt.timedelta(days=2)))
    assert isinstance(explanation, Explanation)
    assert explanation.change.mean == pytest.approx(150, rel=0.25)


def test_what_was_explained_without_its_reports_is_explained_again_with_the_next_revision(feed: Feed) -> None:
    agent = ExplainChanges(StoredConsumption(feed.store), wait_s=0.0)

    def revisions(*changes: Change) -> list[int]:
        values = [encode(each) for each in changes]
        n = len(values)
        batch = Batch(CHANGES.name, 0, 0, n - 1, values, [None] * n, list(range(n)), [0] * n, n)
        said = [out.message for out in asyncio.run(agent.process(batch))]
        return [each.revision for each in said if isinstance(each, Explanation)]

    beyond = LAST + dt.timedelta(days=1)
    assert revisions(change(1, day=beyond)) == [1]  # of this day nothing has come
    assert revisions(change(2, "updated", START + dt.timedelta(days=3))) == [2]  # of this all
    assert revisions(change(3, "updated", START + dt.timedelta(days=4))) == []


def test_history_keeps_the_newest_and_forgets_the_withdrawn(feed: Feed, tmp_path: Path) -> None:
    writer, reader = HistoryWriter(feed.engine), HistoryReader(feed.engine)
    writer.write(CHANGES.name, 0, 0, [Recorded(0, 1, change())])

    def record(offset: int, said: list[Contract]) -> None:
        writer.write(EXPLANATIONS.name, 0, offset, [Recorded(offset, 1, each) for each in said])

    newer = ask(feed, change(4, "closed", end=LAST))
    record(0, newer)
    record(1, ask(feed, change(2, day=START + dt.timedelta(days=1))))
    row = reader.change("c")
    assert row is not None
    assert [row.explanation, row.opportunity] == newer
    record(2, ask(feed, change(5, "withdrawn")))
    row = reader.change("c")
    assert row is not None
    assert (row.explanation, row.opportunity) == (None, None)


def test_reports_that_come_between_make_another_edition_and_no_id_has_two_contents(feed: Feed, tmp_path: Path) -> None:
    """Explained before and after the last days were stored, as after a restart or in batches of other sizes."""
    early = Feed(tmp_path / "early")
    rng = np.random.default_rng(6)
    for part in (range(42), range(42, 45)):
        days = [(FIRST + dt.timedelta(days=n), int(rng.poisson(300 if n > 37 else 200))) for n in part]
        early.send([message for day, count in days for message in report([cell("song", count)], day=day)])
        assert early.run() == []
        ask(early, change())
        ask(early, change(), change(2, "closed", end=LAST))
    early.engine.dispose()
    contents: dict[str, set[bytes]] = {}
    for name, content in ids:
        contents.setdefault(name, set()).add(content)
    assert all(len(different) == 1 for different in contents.values())
    first = {name.rsplit(":", 1)[0]: 0 for name in contents}
    assert len(contents) > len(first)  # of some revision there were several

"""The consumption store as its readers see it: cells, totals, what is in, what goes with time."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import pytest
from consumption_feed import DAY, Feed, amendment, cell, report, withdrawal

from cuepoint.schemas.consumption import Consumption
from cuepoint.schemas.trends import ReportCompleted, ReportOpened
from cuepoint.streams.consumption_files import DIMENSIONS
from cuepoint.streams.consumption_store import TooSlow, Where
from cuepoint.streams.consumption_upkeep import Upkeep, UpkeepOptions

DAY_MS = 86_400_000
NOW_MS = int(dt.datetime(2026, 4, 1, tzinfo=dt.UTC).timestamp() * 1000)
NEXT = DAY + dt.timedelta(days=1)


@pytest.fixture
def feed(tmp_path: Path) -> Feed:
    return Feed(tmp_path)


def test_cells_of_an_asset_are_summed_alike_and_typed(feed: Feed) -> None:
    cells = [
        cell("a", 3, context="playlist", container="p1", consumers=2, played_seconds=90, completed=1),
        cell("a", 4, context="playlist", container="p1", consumers=3, played_seconds=10),
        cell("a", 5, gender="female"),
        cell("b", 100),
    ]
    feed.send(report(cells) + report([cell("a", 6)], day=NEXT) + report([cell("a", 7)], day=NEXT, dsp="it's;DROP"))
    feed.run()
    found = feed.store.cells("a", DAY, DAY)
    assert set(found) == {*DIMENSIONS[1:], "count", "consumers", "played_seconds", "completed"}
    assert found["day"].dtype == np.dtype("datetime64[D]")
    by_context = dict(zip(found["context"], found["count"].tolist(), strict=True))
    assert by_context == {"playlist": 7, "unknown": 5}
    playlist = found["context"] == "playlist"
    assert [found[name][playlist] for name in ("consumers", "completed", "played_seconds")] == [5, 1, 100]
    assert np.isnan(found["consumers"][~playlist]).all()
    assert len(feed.store.cells("nobody", DAY, DAY)["count"]) == 0
    assert feed.store.cells("a", DAY, NEXT)["count"].sum() == 25
    assert feed.store.totals(("asset_id",), Where(dimensions={"dsp": ["it's;DROP"]}))["count"].tolist() == [7]
    assert feed.store.totals((), Where(last_day=DAY))["count"].tolist() == [112]
    with pytest.raises(ValueError, match="1=1 is no dimension"):
        feed.store.totals(("1=1",))
    with pytest.raises(ValueError, match="no dimension"):
        feed.store.totals((), Where(dimensions={"day) OR (1": ["1"]}))


def test_a_report_is_seen_when_it_is_whole_and_the_watermark_says_so(feed: Feed) -> None:
    opened = ReportOpened(dsp="dsp1", day=DAY)
    feed.send([opened, cell("a", 3), cell("b", 4)])
    feed.send([opened, cell("c", 5)], partition=1)
    assert feed.run() == []
    assert feed.visible() == {}
    assert feed.store.watermarks() == []
    feed.send([ReportCompleted(dsp="dsp1", day=DAY, records=3, partition_records=2)])
    feed.run()
    [mark] = feed.store.watermarks()
    assert (mark.version, mark.rows, mark.complete) == (1, 2, False)
    feed.send([ReportCompleted(dsp="dsp1", day=DAY, records=3, partition_records=1)], partition=1)
    feed.run()
    [mark] = feed.store.watermarks(DAY, DAY)
    assert (mark.rows, mark.complete, mark.withdrawn) == (3, True, False)
    assert sum(feed.visible().values()) == 12
    assert feed.store.watermarks(NEXT) == []
    feed.send(withdrawal())
    feed.run()
    assert [mark.withdrawn for mark in feed.store.watermarks()] == [True]


def test_what_cannot_be_used_is_a_dead_letter_with_its_place(feed: Feed) -> None:
    feed.send([cell("a", 3), ReportOpened(dsp="dsp1", day=DAY), cell("b", 4)])
    feed.send([ReportCompleted(dsp="dsp1", day=DAY, records=2, partition_records=2)])
    feed.send([ReportCompleted(dsp="dsp2", day=DAY, records=2, partition_records=2)])
    feed.send([ReportCompleted(dsp="dsp1", day=DAY, records=1)])
    letters = feed.run()
    assert [(letter.code, letter.field, letter.offset) for letter in letters] == [
        ("no_open_report", "$.report_version", 0),
        ("incomplete_report", "$.partition_records", 3),
        ("no_open_report", "$.version", 4),
        ("invalid", "$.partition_records", 5),
    ]
    assert feed.visible() == {}
    feed.send(report([cell("b", 4)]) + report([cell("b", 5)]))  # sent again whole; and once more
    assert feed.run() == []
    assert list(feed.visible().values()) == [4]


def test_an_amendment_adds_and_its_repeat_replaces(feed: Feed) -> None:
    feed.send(report([cell("a", 3)]) + amendment("a", 10) + amendment("a", 20) + amendment("a", 5, part="upc:1"))
    feed.run()
    assert list(feed.visible().values()) == [28]
    feed.send(report([cell("a", 1)], 2) + amendment("a", 99, version=1))
    feed.run()
    assert list(feed.visible().values()) == [1]


def test_many_small_files_become_few_and_say_the_same(feed: Feed) -> None:
    for n in range(20):
        feed.send(report([cell(f"a{k}", n + k) for k in range(3)], dsp=f"dsp{n}"))
    feed.run([3])
    before = feed.visible()
    small = len(feed.catalogue.live_files())
    assert small > 20
    Upkeep(feed.catalogue, feed.files, feed.root, UpkeepOptions()).run(NOW_MS)
    assert len(feed.catalogue.live_files()) < 8
    assert len(list(feed.root.glob("week=*/*"))) > small  # those being read are left alone for a while
    assert feed.visible() == before
    Upkeep(feed.catalogue, feed.files, feed.root, UpkeepOptions()).run(NOW_MS + 400_000)
    assert len(list(feed.root.glob("week=*/*"))) == len(feed.catalogue.live_files())
    assert feed.visible() == before


def test_old_weeks_go_by_age_and_by_size_but_not_the_newest(feed: Feed) -> None:
    for week in range(6):
        feed.send(report([cell("a", week)], day=DAY + dt.timedelta(weeks=week)))
    feed.send(report([cell("a", 77)], day=DAY + dt.timedelta(weeks=5000)))  # a clock that is wrong removes nothing
    feed.run()
    now_ms = NOW_MS + 30 * DAY_MS
    assert Upkeep(feed.catalogue, feed.files, feed.root, UpkeepOptions(retention_days=700)).expire(now_ms) == 0
    assert Upkeep(feed.catalogue, feed.files, feed.root, UpkeepOptions(retention_days=42)).expire(now_ms) == 2
    assert sorted(feed.visible().values()) == [2, 3, 4, 5, 77]
    size = feed.catalogue.live_files()[0].bytes
    bounded = UpkeepOptions(retention_days=30_000, most_bytes=int(3.5 * size))
    assert Upkeep(feed.catalogue, feed.files, feed.root, bounded).expire(now_ms) == 2
    assert sorted(feed.visible().values()) == [4, 5, 77]
    least = UpkeepOptions(retention_days=30_000, most_bytes=1)
    Upkeep(feed.catalogue, feed.files, feed.root, least).expire(now_ms)
    assert list(feed.visible().values()) == [77]


def test_a_reader_outlives_the_merging_of_its_files(feed: Feed, monkeypatch: pytest.MonkeyPatch) -> None:
    for n in range(9):
        feed.send(report([cell("a", n)], dsp=f"dsp{n}"))
    feed.run([3])
    stale = feed.store.view()
    Upkeep(feed.catalogue, feed.files, feed.root, UpkeepOptions(grace_s=0)).run(NOW_MS)
    Upkeep(feed.catalogue, feed.files, feed.root, UpkeepOptions(grace_s=0)).run(NOW_MS + 1)
    views = [stale, feed.store.view()]
    monkeypatch.setattr(feed.store, "view", lambda _where=None: views.pop(0))
    assert feed.store.totals(())["count"].tolist() == [36]


def test_a_question_that_takes_too_long_is_given_up(tmp_path: Path) -> None:
    from cuepoint.streams.consumption_files import connect
    from cuepoint.streams.consumption_store import timed

    with pytest.raises(TooSlow, match="longer than"), timed(connect(1, 1 << 28), 0.05) as cursor:
        cursor.execute("SELECT sum(a.range * b.range) FROM range(1000000) a, range(1000000) b").fetchall()


def test_no_column_of_a_cell_is_forgotten() -> None:
    from cuepoint.streams.consumption_files import MEASURES

    assert {*DIMENSIONS, *MEASURES, "report_version"} == set(Consumption.__struct_fields__)


def test_an_asset_is_looked_for_in_its_own_partition_only_where_that_is_known(tmp_path: Path) -> None:
    from cuepoint.streams.consumption_store import ConsumptionStore
    from cuepoint.streams.producer import partition_of

    feed = Feed(tmp_path)
    names = [f"asset{n}" for n in range(40)]
    for partition in (0, 1, 2):
        feed.send(report([cell(name, 1) for name in names if partition_of(name.encode(), 3) == partition]), partition)
    feed.run()
    for partitions, files in ((None, 3), (3, 1), (2, 3)):  # 2: a setting that is not the topic's
        store = ConsumptionStore(feed.root, feed.engine, partitions=partitions)
        assert [int(store.cells(name, DAY, DAY)["count"].sum()) for name in names] == [1] * 40
        middle = sorted(names)[20]
        assert len(store.view(Where(assets=[middle])).paths) == files

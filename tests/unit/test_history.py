"""History in SQLite: written once each, the higher revision wins, read as console and API need it."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, text

from cuepoint.schemas.codec import encode
from cuepoint.schemas.errors import ConfigurationError, Unavailable
from cuepoint.schemas.faults import DeadLetter
from cuepoint.schemas.opportunities import Explanation, Opportunity
from cuepoint.schemas.playback import AdDecision, PlayerEvent
from cuepoint.schemas.rules import AdFormat
from cuepoint.schemas.trends import Asset, AssetDay, Change, ReportCompleted, ReportOpened
from cuepoint.streams import database
from cuepoint.streams.change_search import ChangeFilter, select_ids
from cuepoint.streams.database import open_engine, upgrade, writing
from cuepoint.streams.document_tables import DOCUMENTS
from cuepoint.streams.history import HistoryWriter
from cuepoint.streams.history_reads import HistoryReader
from cuepoint.streams.history_rows import Recorded
from cuepoint.streams.tables import METADATA
from cuepoint.streams.webhook_tables import WEBHOOKS

DAY_MS = 86_400_000


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = open_engine(f"sqlite:///{tmp_path}/sub/history.db")
    upgrade(engine)
    yield engine
    engine.dispose()


def change(revision: int = 1, **more: Any) -> Change:
    given = {
        "change_id": "change-1",
        "asset_id": "song",
        "status": "opened",
        "kind": "rapid",
        "direction": "up",
        "start": dt.date(2020, 1, 1),
        "day": dt.date(2020, 1, revision),
        **more,
    }
    numbers = dict.fromkeys(("size_per_day", "size_percent", "count", "expected"), 1.0)
    band = dict.fromkeys(("lower_80", "upper_80", "lower_95", "upper_95"), 1.0)
    return Change(**{"revision": revision, "probability": 0.9, **numbers, **band, **given})


def asset_day(day: int, mean: float = 1.0, asset_id: str = "song") -> AssetDay:
    names = ("lower_80", "upper_80", "lower_95", "upper_95", "level", "trend", "p_same", "p_trend")
    numbers = dict.fromkeys(names, 0.5)
    return AssetDay(asset_id=asset_id, day=dt.date(2020, 1, day), count=3, mean=mean, **numbers)


def event(seq: int, kind: str, session: str = "s", at: int = 1000, **more: Any) -> PlayerEvent:
    id = f"{session}-{seq}"
    return PlayerEvent(event_id=id, session_id=session, seq=seq, kind=kind, at=1, received_at=at + seq, **more)


def decision(number: int, session: str = "s", event_id: str = "s-1") -> AdDecision:
    return AdDecision(
        decision_id=f"{session}/{number}",
        session_id=session,
        video_id="v",
        rule_id="r",
        rule_version=1,
        event_id=event_id,
        decided_at=1000 + number,
        number=number,
        position_s=0.0,
        format=AdFormat(),
        duration_s=15.0,
        spot_load=1.0,
        reason="because",
    )


def write(engine: Engine, topic: str, *messages: Any, first: int = 0, at: int = 10) -> bool:
    recorded = [Recorded(first + n, at + n, message) for n, message in enumerate(messages)]
    return HistoryWriter(engine).write(topic, 0, first + len(messages) - 1, recorded)


def test_the_migrations_make_what_the_queries_name(engine: Engine) -> None:
    assert {WEBHOOKS.name, DOCUMENTS.name} <= set(METADATA.tables)  # these stand in files of their own
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), METADATA) == []
    upgrade(engine)


def test_several_processes_may_upgrade_at_once(tmp_path: Path) -> None:
    url, errors = f"sqlite:///{tmp_path}/at-once.db", []

    def one() -> None:
        try:
            upgrade(open_engine(url))
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=one) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


def test_a_newer_database_is_left_alone(engine: Engine) -> None:
    with writing(engine) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(ConfigurationError, match="newer Cuepoint"):
        upgrade(engine)


@pytest.mark.parametrize("url", ["no url", "mysql://host/db"])
def test_other_databases_are_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="CUEPOINT_DATABASE_URL"):
        open_engine(url)


def test_a_locked_database_is_unavailable(engine: Engine) -> None:
    impatient = open_engine(str(engine.url), busy_s=0.05)
    with writing(engine), pytest.raises(Unavailable, match="locked"), writing(impatient):
        pass
    impatient.dispose()


@settings(max_examples=25, deadline=None)
@given(cuts=st.lists(st.integers(0, 12), max_size=6), order=st.permutations(range(1, 6)))
def test_replays_change_nothing(cuts: list[int], order: list[int], tmp_path_factory: pytest.TempPathFactory) -> None:
    """Any overlapping replay of the log leaves the history of one straight pass; the highest revision wins."""
    log = [*(change(revision) for revision in order), event(1, "video_started"), decision(1), decision(1)]
    log += [
        ReportOpened(dsp="d", day=dt.date(2020, 1, 1)),
        asset_day(1, 1.0),
        asset_day(1, 2.0),
        event(1, "video_started"),
    ]
    recorded = [Recorded(n, 100 + n, message) for n, message in enumerate(log)]
    engine = open_engine(f"sqlite:///{tmp_path_factory.mktemp('h')}/history.db")
    upgrade(engine)
    writer, reader = HistoryWriter(engine), HistoryReader(engine)
    reached = 0
    for cut in [*cuts, len(log)]:
        start = min(cut, reached)
        reached = max(reached, cut)
        if cut > start:
            writer.write("topic", 0, cut - 1, recorded[start:cut])
    assert writer.position("topic", 0) == len(log) - 1
    found = reader.changes()
    assert (found.total, found.rows[0].change.revision, found.rows[0].opened_at) == (1, 5, 100)
    assert [day.mean for day in reader.asset_days("song")] == [2.0]
    overview = reader.overview()
    assert (overview.decisions, overview.sessions, overview.reports) == (1, 1, 1)
    assert reader.session("s").events == 1
    engine.dispose()


def test_another_incarnation_of_the_log_has_its_own_positions(engine: Engine) -> None:
    assert HistoryWriter(engine, "first").write("topic", 0, 7, [])
    assert HistoryWriter(engine, "second").position("topic", 0) is None


def test_changes_are_filtered_and_paged(engine: Engine) -> None:
    write(
        engine, "assets", Asset(asset_id="song", title="All I Want", artist="Mariah"), Asset(asset_id="x", title="50%")
    )
    down = {"direction": "down", "kind": "gradual", "asset_id": "x", "status": "closed"}
    withdrawn = change(4, change_id="change-3", status="withdrawn")
    write(engine, "changes", change(2), change(3, change_id="change-2", **down), withdrawn)
    reader = HistoryReader(engine)

    def read(**wanted: Any) -> list[str]:
        page = reader.changes(ChangeFilter(**wanted))
        assert page.total == len(page.rows)
        return [row.change.change_id for row in page.rows]

    assert read() == ["change-2", "change-1"]
    assert [row.title for row in reader.changes(ChangeFilter(query="mariah WANT")).rows] == ["All I Want"]
    assert read(query="50%") == ["change-2"]
    assert read(query="5_%") == []
    assert read(direction="down") == read(kind="gradual") == read(asset_id="x") == ["change-2"]
    assert read(status="withdrawn") == ["change-3"]
    assert read(status="open") == ["change-1"]
    assert read(since=dt.date(2020, 1, 3)) == ["change-2"]
    assert read(until=dt.date(2020, 1, 2)) == ["change-1"]
    page = reader.changes(limit=1, offset=1)
    assert (page.total, [row.change.change_id for row in page.rows]) == (2, ["change-1"])
    asset = HistoryReader(engine).asset("song")
    assert asset is not None and (asset.artist, asset.changes, asset.last_day) == ("Mariah", 1, None)
    assert HistoryReader(engine).asset("unheard-of") is None
    assert [row.asset_id for row in HistoryReader(engine).assets("mar").rows] == ["song"]


def test_changes_are_found_by_owner_size_verdict_and_origin(engine: Engine) -> None:
    assets = [Asset(asset_id="song", title="A", owner="Label"), Asset(asset_id="sim-1", title="B", owner="Other")]
    sizes = {"asset_id": "sim-1", "size_per_day": -900.0, "size_percent": -30.0, "direction": "down"}
    write(engine, "changes", change(2), change(1, change_id="big", **sizes))
    write(engine, "assets", *assets)
    day = dt.date(2020, 1, 1)
    base = {"revision": 1, "asset_id": "song", "day": day}
    judged = Opportunity(change_id="change-1", opportunity=True, goal="expand", probability=0.8, **base)
    write(
        engine, "reasons", judged, Opportunity(change_id="big", **base), Explanation(change_id="big", start=day, **base)
    )
    reader = HistoryReader(engine)

    def read(**wanted: Any) -> list[str]:
        return [row.change.change_id for row in reader.changes(ChangeFilter(**wanted)).rows]

    assert read(owner="Label") == read(verdict="any") == read(verdict="expand") == read(simulated=False) == ["change-1"]
    assert (
        read(least_percent=10.0) == read(least_per_day=900.0) == read(verdict="none") == read(simulated=True) == ["big"]
    )
    assert read() == ["change-1", "big"]
    assert read(order="largest") == ["big", "change-1"]
    assert read(verdict="sustain") == read(least_percent=31.0) == read(owner="label") == []
    assert reader.owners() == ["Label", "Other"]
    rows = {row.change.change_id: row for row in reader.changes(reasons=True).rows}
    assert rows["change-1"].opportunity == judged
    assert rows["big"].explanation is not None
    assert [len(some) for some in reader.each_change(ChangeFilter(), 10, at_once=1)] == [1, 1]
    write(engine, "reasons", Opportunity(change_id="change-1", status="withdrawn", **base), first=9)
    assert read(verdict="any") == []


def test_lists_of_changes_read_no_bodies_but_the_page(engine: Engine) -> None:
    """Ids come off the index alone, in its order: what keeps a page quick among a hundred thousand."""
    from sqlalchemy.dialects import sqlite

    for wanted in (ChangeFilter(), ChangeFilter(kind="rapid", status="open", least_percent=5.0, simulated=False)):
        rows = select_ids(wanted, 50, 1000).compile(dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True})
        with engine.connect() as connection:
            plan = [row[-1] for row in connection.execute(text(f"EXPLAIN QUERY PLAN {rows}"))]
        assert len(plan) == 1, plan
        assert "USING COVERING INDEX ix_changes_list" in plan[0]


def test_an_older_database_gets_its_columns_filled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = open_engine(f"sqlite:///{tmp_path}/old.db")
    with monkeypatch.context() as patch:
        patch.setattr(database, "_MIGRATIONS", database._MIGRATIONS[:5])
        upgrade(engine)
    row = change(1, size_percent=25.0, size_per_day=7.0)
    columns = {
        name: getattr(row, name) for name in ("change_id", "revision", "status", "asset_id", "kind", "direction")
    }
    about = columns | {"start": row.start, "day": row.day, "opened_at": 1, "updated_at": 1, "body": encode(row)}
    judged = Opportunity(change_id="change-1", revision=1, asset_id="song", day=row.day, opportunity=True)
    said = {"change_id": "change-1", "kind": "opportunity", "revision": 1, "day": row.day, "body": encode(judged)}
    with writing(engine) as connection:
        for table, values in (("changes", about), ("reasons", said)):
            names = ", ".join(f":{name}" for name in values)
            connection.execute(text(f"INSERT INTO {table} ({', '.join(values)}) VALUES ({names})"), values)
    upgrade(engine)
    found = HistoryReader(engine).changes(ChangeFilter(least_percent=20.0, verdict="other"))
    assert [one.change for one in found.rows] == [row]
    engine.dispose()


def test_a_session_and_its_timeline(engine: Engine) -> None:
    events = [event(0, "session_started", device="tv"), event(1, "video_started", video_id="v"), event(2, "paused")]
    write(engine, "events", events[2], events[0], events[1])
    write(engine, "decisions", decision(1), decision(2, event_id="not-yet-recorded"))
    read = HistoryReader(engine)
    kinds = [entry.event.kind if entry.event else entry.decision.number for entry in read.timeline("s")]
    assert kinds == ["session_started", "video_started", 1, "paused", 2]
    row = read.sessions().rows[0]
    assert (row.events, row.videos, row.decisions, row.ended, row.device) == (3, 1, 2, False, "tv")
    assert (row.first_at, row.last_at, row.video_id) == (1000, 1002, "v")
    write(engine, "events", event(3, "session_ended"), first=3)
    assert read.session("s").ended
    assert read.session("other") is None


def test_reports_open_and_complete(engine: Engine) -> None:
    day = dt.date(2020, 1, 1)
    write(engine, "reports", ReportOpened(dsp="d", day=day, source="file"))
    assert HistoryReader(engine).reports().rows[0].completed_at is None
    write(engine, "reports", ReportCompleted(dsp="d", day=day, records=9), first=1, at=20)
    row = HistoryReader(engine).reports().rows[0]
    assert (row.opened_at, row.completed_at, row.records, row.source) == (10, 20, 9, "file")


def test_a_dead_letter_told_twice_is_one(engine: Engine) -> None:
    letter = {"topic": "t", "partition": 0, "offset": 3, "code": "malformed", "reason": "no", "original": b"\xff"}
    write(engine, "dead", DeadLetter(**letter, at=5), DeadLetter(**letter, at=6))
    write(engine, "dead", DeadLetter(**{**letter, "code": "invalid"}, at=7), first=2)
    read = HistoryReader(engine)
    assert read.overview().dead_by_code == {"invalid": 1, "malformed": 1}
    assert read.dead_letters(code="malformed").rows[0].letter.original == b"\xff"
    assert read.dead_letters(topic="t").total == 2


def test_what_is_too_old_goes(engine: Engine) -> None:
    now = int(dt.datetime(2020, 1, 31, tzinfo=dt.UTC).timestamp() * 1000)
    write(engine, "events", event(1, "paused", "old", now - 40 * DAY_MS), event(1, "paused", "new", now - DAY_MS))
    closed = change(1, change_id="closed", status="closed")
    write(engine, "trends", asset_day(1), asset_day(30), change(1), closed, first=10)
    HistoryWriter(engine).prune(now, 30, 10)
    read = HistoryReader(engine)
    assert [row.session_id for row in read.sessions().rows] == ["new"]
    assert [day.day.day for day in read.asset_days("song")] == [30]
    assert [row.change.change_id for row in read.changes().rows] == ["change-1"], "an open region stays"

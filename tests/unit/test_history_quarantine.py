"""What the history says of the quarantine is what the agent holds."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, select

from cuepoint.models.ingest_identity import names_of
from cuepoint.models.ingest_quarantine import Quarantine
from cuepoint.schemas.quarantine import Quarantined
from cuepoint.schemas.topics import QUARANTINE, REPORTS
from cuepoint.schemas.trends import Asset, ReportCompleted, ReportOpened, ReportWithdrawn
from cuepoint.streams.database import open_engine, upgrade
from cuepoint.streams.history import HistoryWriter
from cuepoint.streams.history_reads import HistoryReader
from cuepoint.streams.history_rows import Recorded
from cuepoint.streams.tables import QUARANTINED

DAY = dt.date(2020, 1, 1)
DAY_MS = 86_400_000
logs = itertools.count()
names = st.sampled_from([f"isrc:{letter}" for letter in "ABCDE"])
days = st.integers(0, 2).map(lambda days: DAY + dt.timedelta(days=days))
versions = st.integers(1, 3)
held = st.builds(
    lambda names, day, version, dsp: Quarantined(
        identifiers=names, day=day, report_version=version, dsp=dsp, count=version
    ),
    st.lists(names, min_size=1, max_size=3, unique=True),
    days,
    versions,
    st.sampled_from(["a", "b"]),
)
markers = st.builds(
    lambda completed, **about: ReportCompleted(records=0, **about) if completed else ReportWithdrawn(**about),
    completed=st.booleans(),
    day=days,
    version=versions,
    dsp=st.sampled_from(["a", "b"]),
)
assets = st.builds(lambda names: Asset(asset_id="x", title="X", identifiers=names), st.lists(names, max_size=2))


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = open_engine(f"sqlite:///{tmp_path}/history.db")
    upgrade(engine)
    yield engine
    engine.dispose()


def write(engine: Engine, *messages: Any, first: int = 0, log: str = "", most: int = 100, at: int = 10) -> None:
    recorded = [Recorded(first + n, at, message) for n, message in enumerate(messages)]
    HistoryWriter(engine, log, most).write(QUARANTINE.name, 0, first + len(messages) - 1, recorded)


def agent_holds(messages: list[Any]) -> set[tuple[Any, ...]]:
    model = Quarantine(1000)
    for message in messages:
        if isinstance(message, Quarantined):
            model.add(message)
        elif isinstance(message, Asset):
            model.release(names_of(message))
        else:
            below = message.version + isinstance(message, ReportWithdrawn)
            model.forget_report(message.dsp, message.territory, message.day, below)
    return {(row.identifiers[0], row.dsp, row.day, row.report_version) for row in model}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(held | held | markers | assets, max_size=25), st.integers(0, 25))
def test_history_holds_what_the_agent_holds(engine: Engine, messages: list[Any], cut: int) -> None:
    log = f"log-{next(logs)}"
    write(engine, first=0, log=log)
    if messages[:cut]:
        write(engine, *messages[:cut], first=0, log=log)
    if messages[cut:]:
        write(engine, *messages[cut:], first=len(messages[:cut]), log=log)
    column = QUARANTINED.c
    with engine.connect() as connection:
        rows = connection.execute(select(column.part, column.dsp, column.day, column.version)).all()
    assert {tuple(row) for row in rows} == agent_holds(messages)
    waiting = HistoryReader(engine).waiting_assets(limit=100)
    assert waiting.total == len(waiting.rows) == len({row.part for row in rows})
    assert sum(asset.counts for asset in waiting.rows) == len(rows)


def row(name: str, dsp: str = "a", count: int = 1, day: dt.date = DAY, **more: Any) -> Quarantined:
    return Quarantined(identifiers=[name, *more.pop("also", [])], day=day, dsp=dsp, count=count, **more)


def test_services_and_assets_are_summed_and_aged(engine: Engine) -> None:
    now = 100 * DAY_MS
    write(engine, row("isrc:A", count=5), row("isrc:B", "b", 7, also=["b:1"]), at=now - 9 * DAY_MS)
    write(engine, row("isrc:A", count=6, day=DAY + dt.timedelta(days=1)), row("isrc:C"), first=2, at=now - DAY_MS // 2)
    read = HistoryReader(engine)
    services = read.waiting_services(now)
    assert [(one.dsp, one.assets, one.counts, one.streams, one.ages) for one in services] == [
        ("a", 2, 3, 12, [1, 0, 1, 0]),
        ("b", 1, 1, 7, [0, 0, 1, 0]),
    ]
    page = read.waiting_assets(limit=2)
    assert (page.total, [one.identifiers for one in page.rows]) == (3, [["isrc:A"], ["isrc:B", "b:1"]])
    assert (page.rows[0].first_day, page.rows[0].last_day, page.rows[0].streams) == (
        DAY,
        DAY + dt.timedelta(days=1),
        11,
    )
    assert [one.identifiers[0] for one in read.waiting_assets(query="B:").rows] == ["isrc:B"]
    assert [one.identifiers[0] for one in read.waiting_assets(dsp="a", offset=1).rows] == ["isrc:C"]


def test_beyond_the_most_the_oldest_go_and_a_new_log_begins_empty(engine: Engine) -> None:
    write(engine, *(row(f"isrc:{n}") for n in range(6)), most=4)
    kept = [one.identifiers[0] for one in HistoryReader(engine).waiting_assets().rows]
    assert sorted(kept) == [f"isrc:{n}" for n in range(2, 6)]
    write(engine, row("isrc:new"), log="another")
    assert [one.identifiers[0] for one in HistoryReader(engine).waiting_assets().rows] == ["isrc:new"]


def test_a_report_taken_back_says_so_in_either_order(engine: Engine) -> None:
    opened = ReportOpened(dsp="a", day=DAY, source="f.csv")
    write(engine, ReportWithdrawn(dsp="a", day=DAY), at=7)
    HistoryWriter(engine).write(REPORTS.name, 0, 0, [Recorded(0, 5, opened)])
    found = HistoryReader(engine).reports().rows
    assert [(one.opened_at, one.withdrawn_at) for one in found] == [(5, 7)]


def test_a_row_without_identifiers_is_no_row(engine: Engine) -> None:
    write(engine, Quarantined(identifiers=[], day=DAY, dsp="a", count=1), row("isrc:A"))
    assert HistoryReader(engine).waiting_assets().total == 1

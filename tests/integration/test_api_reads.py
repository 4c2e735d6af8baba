"""The read API over rows that the history really holds."""

from __future__ import annotations

import datetime as dt

import msgspec
import pytest
from api_server import ADMIN, READ, serving, until, with_keys
from collector_app import player_event
from redis.asyncio import Redis

from cuepoint.schemas.faults import DeadLetter
from cuepoint.schemas.playback import AdDecision, PlayerEvent
from cuepoint.schemas.rules import AdFormat
from cuepoint.schemas.topics import AD_DECISIONS, ASSET_DAYS, ASSETS, CHANGES, DEAD_PLAYER_EVENTS, PLAYER_EVENTS
from cuepoint.schemas.trends import Asset, AssetDay, Change
from cuepoint.streams.database import open_engine, upgrade
from cuepoint.streams.history import HistoryWriter
from cuepoint.streams.history_rows import Recorded
from cuepoint.streams.redis_counters import RedisCounters

pytestmark = pytest.mark.integration
DAY = dt.date(2018, 12, 1)
BAND = {"lower_80": 90.0, "upper_80": 110.0, "lower_95": 80.0, "upper_95": 120.0}


def change(n, **changes):
    values = {
        "change_id": f"c{n}",
        "revision": 1,
        "status": "opened",
        "asset_id": "a1",
        "kind": "rapid",
        "direction": "up",
        "start": DAY,
        "day": DAY + dt.timedelta(days=n),
        "probability": 0.99,
        "size_per_day": 50.0,
        "size_percent": 50.0,
        "count": 150.0,
        "expected": 100.0,
    }
    return Change(**(values | BAND | changes))


def asset_day(n):
    values = {"count": 100.0 + n, "mean": 100.0, "level": 100.0, "trend": 0.0, "p_same": 0.5, "p_trend": 0.5}
    return AssetDay(asset_id="a1", day=DAY + dt.timedelta(days=n), **values, **BAND)


def write(writer, topic, messages):
    recorded = [Recorded(offset, 1_700_000_000_000 + offset, message) for offset, message in enumerate(messages)]
    assert writer.write(topic.name, 0, len(messages) - 1, recorded)


@pytest.fixture
async def api(settings):
    engine = open_engine(settings.database_url.get_secret_value())
    upgrade(engine)
    writer = HistoryWriter(engine)
    write(
        writer,
        ASSETS,
        [Asset(asset_id="a1", title="All I Want", artist="M"), Asset(asset_id="a2", title="Other", owner="Label")],
    )
    write(writer, ASSET_DAYS, [asset_day(n) for n in range(5)])
    others = [
        change(5, asset_id="a2", direction="down", kind="gradual", size_percent=-70.0),
        change(6, status="closed", end=DAY),
    ]
    write(writer, CHANGES, [change(n) for n in range(5)] + others)
    events = [msgspec.convert(player_event(n, received_at=1_700_000_000_000 + n), PlayerEvent) for n in range(3)]
    write(writer, PLAYER_EVENTS, events)
    decided = AdDecision(
        decision_id="d1",
        session_id="s1",
        video_id="v1",
        rule_id="r1",
        rule_version=1,
        event_id="e1",
        decided_at=1_700_000_000_001,
        number=1,
        position_s=10.0,
        format=AdFormat(),
        duration_s=15.0,
        spot_load=0.5,
        reason="start",
    )
    write(writer, AD_DECISIONS, [decided])
    letter = DeadLetter(topic=PLAYER_EVENTS.name, code="invalid", field="$.seq", reason="no", original=b"\xff", at=1)
    write(writer, DEAD_PLAYER_EVENTS, [letter])
    engine.dispose()
    async with serving(with_keys(settings, page_rows=4)) as client:
        yield client


async def get(api, path, **params):
    response = await api.get(path, params=params, headers=READ)
    assert response.status_code == 200, response.text
    return response.json()


async def test_changes_are_filtered_and_paged_without_gap_or_repeat(api):
    seen, cursor = [], None
    while True:
        page = await get(api, "/v1/changes", limit=3, **({"cursor": cursor} if cursor else {}))
        seen += [row["change"]["change_id"] for row in page["items"]]
        assert page["total"] == 7
        cursor = page["next"]
        if cursor is None:
            break
    assert seen == ["c6", "c5", "c4", "c3", "c2", "c1", "c0"]
    assert len((await get(api, "/v1/changes", limit=1000))["items"]) == 4  # page_rows
    for params, expected in (
        ({"asset": "a2"}, ["c5"]),
        ({"direction": "down"}, ["c5"]),
        ({"kind": "gradual"}, ["c5"]),
        ({"status": "closed"}, ["c6"]),
        ({"since": "2018-12-06"}, ["c6", "c5"]),
        ({"until": "2018-12-01"}, ["c0"]),
        ({"search": "all i", "until": "2018-12-02"}, ["c1", "c0"]),
        ({"owner": "Label", "status": "open"}, ["c5"]),
        ({"least_percent": 60, "simulated": "false"}, ["c5"]),
        ({"least_per_day": 60, "order": "largest"}, []),
        ({"opportunity": "any"}, []),
    ):
        page = await get(api, "/v1/changes", **params)
        assert [row["change"]["change_id"] for row in page["items"]] == expected, params
    one = await get(api, "/v1/changes/c0")
    assert (one["title"], one["change"]["size_per_day"]) == ("All I Want", 50.0)


async def test_assets_and_series(api):
    page = await get(api, "/v1/assets", search="want")
    assert [row["asset_id"] for row in page["items"]] == ["a1"]
    forecast = await get(api, "/v1/assets/a1/forecast", days=3)
    assert (forecast["origin"], forecast["days"][0]["day"]) == ("2018-12-05", "2018-12-06")
    assert all(one["lower_95"] <= one["lower_80"] <= one["median"] <= one["upper_80"] for one in forecast["days"])
    series = await get(api, "/v1/assets/a1/series", since="2018-12-03")
    assert [day["day"] for day in series["days"]] == ["2018-12-03", "2018-12-04", "2018-12-05"]
    assert series["days"][0]["lower_95"] == 80.0
    assert series["title"] == "All I Want"
    assert {c["change_id"] for c in series["changes"]} == {"c0", "c1", "c2", "c3", "c4", "c6"}


async def test_sessions_and_their_timeline(api):
    page = await get(api, "/v1/sessions")
    assert [(row["session_id"], row["events"], row["decisions"]) for row in page["items"]] == [("s1", 3, 1)]
    session = await get(api, "/v1/sessions/s1")
    kinds = ["decision" if entry.get("decision") else "event" for entry in session["timeline"]]
    assert sorted(kinds) == ["decision", "event", "event", "event"]
    assert kinds[0] == "event"


async def test_dead_letters_overview_and_counters(api, redis_url):
    page = await get(api, "/v1/dead-letters", code="invalid")
    assert page["items"][0]["letter"]["original"] == "/w=="
    assert (await get(api, "/v1/dead-letters", code="other"))["items"] == []
    overview = await get(api, "/v1/overview")
    assert overview["decisions"] == 1
    assert overview["dead_by_code"] == {"invalid": 1}
    redis = Redis.from_url(redis_url)
    increments = {
        "video:2026-01-02": {"v|1|plays": 3, "v2|plays": 1, "v|1|views": 2},
        "hour:2026-01-02T07": {"plays": 5},
    }
    await RedisCounters(redis).apply("g", "t", 0, 0, 9, increments)
    await redis.aclose()
    counted = await get(api, "/v1/counters/video/2026-01-02")
    assert counted["rows"] == [
        {"name": "v2", "metrics": {"plays": 1}},
        {"name": "v|1", "metrics": {"plays": 3, "views": 2}},
    ]
    assert (await get(api, "/v1/counters/hour/2026-01-02", hour=7))["rows"] == [{"name": "", "metrics": {"plays": 5}}]
    for path in (
        "video/2026-01-02?hour=3",
        "hour/2026-01-02",
        "pets/2026-01-02",
        "video/soon",
        "hour/2026-01-02?hour=24",
    ):
        assert (await api.get(f"/v1/counters/{path}", headers=READ)).status_code == 422, path


async def test_what_is_not_there_and_what_cannot_be_read(api):
    for path in ("changes/x", "assets/x/series", "assets/a2/forecast", "sessions/x"):
        response = await api.get(f"/v1/{path}", headers=ADMIN)
        assert response.status_code == 404
        assert response.headers["content-type"] == "application/problem+json"
    for path in (
        "changes?cursor=x",
        "changes?cursor=cm93czotMQ==",
        "changes?since=soon",
        "changes?least_percent=-1",
        "assets/a1/forecast?days=366",
        "assets?search=%00",
        "changes/%00",
    ):
        assert (await api.get(f"/v1/{path}", headers=ADMIN)).status_code == 422, path
    assert await until(lambda: database_up(api))


async def database_up(api):
    return (await api.get("/readyz")).json()["parts"]["database"]["state"] == "up"

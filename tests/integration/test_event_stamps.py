"""What the collector adds to events that begin videos: from real metadata, real history and real counters."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import Any

import pytest
from api_server import ADMIN, PLAYER, READ, serving, until, with_keys
from redis.asyncio import Redis
from topic_records import records_of

from cuepoint.schemas.codec import decoder
from cuepoint.schemas.playback import PlayerEvent
from cuepoint.schemas.topics import ASSET_DAYS, CHANGES, DEAD_PLAYER_EVENTS, PLAYER_EVENTS
from cuepoint.schemas.trends import AssetDay, Change
from cuepoint.streams.database import open_engine, upgrade
from cuepoint.streams.history import HistoryWriter
from cuepoint.streams.history_rows import Recorded
from cuepoint.streams.metrics import REGISTRY
from cuepoint.streams.redis_counters import RedisCounters

pytestmark = pytest.mark.integration
DAY = dt.date(2026, 11, 20)
VIDEO = {
    "video_id": "v1",
    "duration_s": 600,
    "categories": ["news", "sport"],
    "channel": "one",
    "cue_points": [{"at_s": 300}, {"at_s": 60.5}],
    "ratings": {"viewers": {"value": 5, "votes": 3}, "editors": {"value": 1, "votes": 1}},
}
RISING = {"video_id": "v2", "asset_id": "a2"}


def event(n: int, **more: Any) -> dict[str, Any]:
    common = {"type": "player-event.v1", "session_id": "s", "at": 1, "event_id": f"e{n}", "seq": n}
    return common | {"kind": "video_started", "video_id": "v1"} | more


def scored(asset_id: str, day: dt.date, count: float, mean: float) -> AssetDay:
    bounds = dict.fromkeys(("lower_80", "upper_80", "lower_95", "upper_95", "level", "trend"), 0.0)
    return AssetDay(asset_id=asset_id, day=day, count=count, mean=mean, p_same=0.5, p_trend=0.5, **bounds)


def change(asset_id: str, status: str, size_percent: float) -> Change:
    bounds = dict.fromkeys(("lower_80", "upper_80", "lower_95", "upper_95", "expected", "size_per_day"), 1.0)
    same: dict[str, Any] = {"change_id": f"{asset_id}-{status}", "revision": 1, "kind": "rapid", "direction": "up"}
    days = {"start": DAY, "day": DAY, "probability": 0.99, "count": 1.0}
    return Change(asset_id=asset_id, status=status, size_percent=size_percent, **same, **days, **bounds)


async def catalogue_and_views(settings: Any) -> None:
    """v1 was at 1.25 of what was expected; a2 is in an open region of +50 %, and was in one that is closed."""
    engine = open_engine(settings.database_url.get_secret_value())
    upgrade(engine)
    writer = HistoryWriter(engine)
    days = [scored("v1", DAY, 125.0, 100.0), scored("v1", DAY - dt.timedelta(days=1), 10.0, 100.0)]
    writer.write(ASSET_DAYS.name, 0, 1, [Recorded(n, 1, each) for n, each in enumerate(days)])
    regions = [change("a2", "opened", 50.0), change("v1", "closed", 900.0)]
    writer.write(CHANGES.name, 0, 1, [Recorded(n, 1, each) for n, each in enumerate(regions)])
    engine.dispose()
    today = dt.datetime.now(dt.UTC).date()
    redis = Redis.from_url(settings.redis_url.get_secret_value())
    days_back = {0: 3, 2: 4, 9: 100}
    increments = {f"video:{today - dt.timedelta(days=n)}": {"v1|views": views} for n, views in days_back.items()}
    await RedisCounters(redis).apply("g", "t", 0, 0, 0, increments)
    await redis.aclose()


async def told(settings: Any, events: list[dict[str, Any]], api: Any) -> dict[str, PlayerEvent]:
    answer = await api.post("/v1/events", json={"events": events}, headers=PLAYER)
    assert answer.status_code == 202, answer.text
    records = await asyncio.to_thread(records_of, settings, PLAYER_EVENTS, answer.json()["accepted"])
    found = [decoder(PlayerEvent).decode(record.value()) for record in records]
    return {each.event_id: each for each in found}


async def ready(api: Any) -> bool:
    return bool((await api.get("/v1/media/videos", headers=READ)).status_code == 200)


async def test_a_start_goes_to_the_topic_with_what_is_known_of_its_video(settings: Any) -> None:
    await catalogue_and_views(settings)
    async with serving(with_keys(settings, stamp_wait_s=30)) as api:
        await until(lambda: ready(api))
        for video in (VIDEO, RISING):
            assert (await api.post("/v1/media/videos", json=video, headers=ADMIN)).status_code == 201
        playlist = {"playlist_id": "p", "videos": ["v2", "v1"]}
        assert (await api.post("/v1/media/playlists", json=playlist, headers=ADMIN)).status_code == 201
        said = {"rating": 0.0, "cue_points_s": [7.0], "duration_s": 100.0, "trend": 9.0, "category": "own"}
        events = [
            event(0, playlist_id="p"),
            event(1, **said),
            event(2, video_id="v2"),
            event(3, video_id="nobody-knows-it"),
            event(4, kind="progressed", position_s=5.0),
        ]
        before = REGISTRY.get_sample_value("cuepoint_unknown_videos_total") or 0.0
        found = await told(settings, events, api)
        assert REGISTRY.get_sample_value("cuepoint_unknown_videos_total") == before + 1
    first = found["e0"]
    assert (first.duration_s, first.category, first.channel) == (600.0, "news", "one")
    assert (first.cue_points_s, first.rating) == ([60.5, 300.0], 4.0)
    assert (first.playlist_number, first.playlist_length) == (2, 2)
    assert (first.views, first.trend) == (7.0, 1.25)  # today and two days ago; nine days ago is too long ago
    said_itself = found["e1"]
    assert {name: getattr(said_itself, name) for name in said} == said
    assert (found["e2"].trend, found["e2"].views, found["e2"].cue_points_s) == (1.5, 0.0, [])
    unknown = found["e3"]
    assert (unknown.views, unknown.trend, unknown.rating, unknown.category) == (0.0, None, None, "")
    assert (found["e4"].cue_points_s, found["e4"].views) == ([], None)


async def test_an_unknown_video_is_a_dead_letter_where_settings_say_so(settings: Any) -> None:
    async with serving(with_keys(settings, unknown_videos="refuse", stamp_wait_s=30)) as api:
        await until(lambda: ready(api))
        body = {"events": [event(0), event(1, kind="progressed")]}
        answer = (await api.post("/v1/events", json=body, headers=PLAYER)).json()
    assert answer["accepted"] == 1
    (refused,) = answer["errors"]
    assert (refused["index"], refused["code"], refused["field"]) == (0, "unknown_video", "$.video_id")
    assert len(await asyncio.to_thread(records_of, settings, DEAD_PLAYER_EVENTS, 1)) == 1


async def test_stores_that_do_not_answer_hold_no_start_up(settings: Any) -> None:
    away = with_keys(settings, redis_url="redis://127.0.0.1:1/0", stamp_wait_s=30)
    async with serving(away) as api:
        before = REGISTRY.get_sample_value("cuepoint_unstamped_total") or 0.0
        found = await told(settings, [event(0)], api)
        assert (found["e0"].views, found["e0"].trend) == (None, None)
        assert REGISTRY.get_sample_value("cuepoint_unstamped_total") == before + 1

"""Viewers: pseudonyms at the door, history over ended sessions in the real Redis, told at the next start, erased."""

from __future__ import annotations

import asyncio
import base64
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from api_server import ADMIN, PLAYER, READ, serving, until, with_keys
from playback_log import T0, Player, batch
from redis.asyncio import Redis
from topic_records import records_of

from cuepoint.agents.count import CountEvents
from cuepoint.models.count_keys import ttl_s
from cuepoint.models.session_settings import SessionSettings
from cuepoint.models.viewer_history import viewer_key
from cuepoint.ops.viewer_names import Pseudonyms
from cuepoint.schemas.ads import AdEvent
from cuepoint.schemas.codec import decoder
from cuepoint.schemas.playback import PlayerEvent
from cuepoint.schemas.topics import AD_EVENTS, DEAD_PLAYER_EVENTS, PLAYER_EVENTS
from cuepoint.streams.database import open_engine, upgrade
from cuepoint.streams.history import HistoryWriter
from cuepoint.streams.history_rows import Recorded
from cuepoint.streams.redis_counters import RedisCounters

pytestmark = pytest.mark.integration
ANN, BOB = "p-" + "a" * 32, "p-" + "b" * 32
SOON = SessionSettings(timeout_s=60, grace_s=10)


def watched() -> list[PlayerEvent]:
    """Ann watches 60 s in two clips with an ad; Bob 20 s, and his player crashes; later somebody moves the clock on."""
    ann = Player("s-ann").begin(viewer_id=ANN).video("v").play(40.0)
    ann.say("ad_started", 40.0, decision_id="d", rule_id="r", ad_type="spot")
    ann.say("ad_skipped", 40.0, decision_id="d", rule_id="r", ad_type="spot")
    ann.video("w").play(20.0).say("session_ended", 20.0)
    bob = Player("s-bob").begin(viewer_id=BOB).video("v").play(20.0)
    raw = Player("s-raw").begin(viewer_id="a raw id").video("v").play(20.0)
    last = Player("s-last", at=T0 + 600_000).begin().video("v").play(20.0)
    return [event for player in (ann, bob, raw, last) for event in player.events]


ANNS = {"sessions": 1, "plays": 2, "watch_ms": 60_000, "ads": 1, "ad_skips": 1}


async def test_a_session_is_its_viewers_once_it_is_over_and_once_through_crashes(redis_url: str) -> None:
    redis = Redis.from_url(redis_url)
    counters = RedisCounters(redis, "", ttl_s)
    events = watched()
    cut = len(events) // 2
    first, second = batch(events[:cut]), batch(events[cut:], first=cut)
    agent = CountEvents(counters, SOON)
    agent.restore(0, None)
    await agent.process(first)
    snapshot = agent.snapshot(0)
    assert await counters.names("viewer:*") == []  # nobody's session is over yet
    await agent.process(second)
    after_crash = CountEvents(counters, SOON)  # its snapshot is older than what Redis has
    after_crash.restore(0, snapshot)
    await after_crash.process(second)
    assert await counters.read(viewer_key(ANN)) == ANNS
    assert await counters.read(viewer_key(BOB)) == {"sessions": 1, "plays": 1, "watch_ms": 20_000}
    assert await counters.names("viewer:*") == [viewer_key(ANN), viewer_key(BOB)]  # and no raw id
    assert 89 * 86_400 < await redis.ttl(f"cuepoint:counts:{viewer_key(ANN)}") <= 90 * 86_400
    await redis.aclose()


async def test_what_an_open_session_would_add_after_the_erasure_is_dropped(redis_url: str) -> None:
    redis = Redis.from_url(redis_url)
    counters = RedisCounters(redis, "", ttl_s)
    await counters.erase(viewer_key(ANN), 3600)
    await CountEvents(counters, SOON).process(batch(watched()))
    assert await counters.read(viewer_key(ANN)) == {}
    assert (await counters.read(viewer_key(BOB)))["sessions"] == 1
    await redis.aclose()


def start(viewer: str, session: str, **more: Any) -> dict[str, Any]:
    common = {"type": "player-event.v1", "at": 1, "seq": 0, "kind": "session_started"}
    return common | {"session_id": session, "event_id": session, "viewer_id": viewer} | more


async def ready(api: Any) -> bool:
    return bool((await api.get("/v1/rules", headers=READ)).status_code == 200)


async def post(api: Any, *events: dict[str, Any]) -> Any:
    answer = await api.post("/v1/events", json={"events": events}, headers=PLAYER)
    assert answer.status_code == 202, answer.text
    return answer.json()


async def told(settings: Any, count: int) -> dict[str, PlayerEvent]:
    records = await asyncio.to_thread(records_of, settings, PLAYER_EVENTS, count)
    events = [decoder(PlayerEvent).decode(record.value()) for record in records]
    return {event.event_id: event for event in events}


async def everything(settings: Any) -> bytes:
    """All that Redis and the database's files hold."""
    found = []
    redis = Redis.from_url(settings.redis_url.get_secret_value())
    readers = {b"string": redis.get, b"hash": redis.hgetall, b"set": redis.smembers}
    async for key in redis.scan_iter():
        reader = readers.get(await redis.type(key))
        found.append(key + b" " + repr(await reader(key) if reader else await redis.zrange(key, 0, -1)).encode())
    await redis.aclose()
    return b"\n".join(found)


def recorded(settings: Any, events: list[PlayerEvent]) -> Any:
    """What record_history writes of these events; the engine."""
    engine = open_engine(settings.database_url.get_secret_value())
    upgrade(engine)
    HistoryWriter(engine).write(PLAYER_EVENTS.name, 0, 9, [Recorded(n, 1, each) for n, each in enumerate(events)])
    given = {"kind": "handed_out", "at": 1, "break_id": "b", "line_item_id": "l", "viewer_id": events[0].viewer_id}
    capped = msgspec.convert({"event_id": "h", "session_id": "s9", "type": "ad-event.v1"} | given, AdEvent)
    HistoryWriter(engine).write(AD_EVENTS.name, 0, 0, [Recorded(0, 1, capped)])
    return engine


def database_files(settings: Any) -> bytes:
    return b"".join(path.read_bytes() for path in Path(settings.data_dir).glob("cuepoint.db*"))


def rows_of(engine: Any) -> bytes:
    with engine.connect() as connection:
        tables = ("sessions", "session_events", "ad_events")
        return repr([connection.exec_driver_sql(f"SELECT * FROM {name}").all() for name in tables]).encode()


async def test_from_the_door_to_the_erasure(settings: Any) -> None:
    served = with_keys(settings, stamp_wait_s=30)
    ann = Pseudonyms(served).of("ann@example.org")
    counters = RedisCounters(Redis.from_url(settings.redis_url.get_secret_value()))
    await counters.apply("g", "t", 0, 0, 0, {viewer_key(ann): ANNS})
    async with serving(served) as api:
        await until(lambda: ready(api))
        await post(
            api, start("ann@example.org", "s1"), start("nobody-yet", "s2"), start("ann@example.org", "s3", plays=7)
        )
        events = await told(settings, 3)
        known = events["s1"]
        assert (known.viewer_id, known.plays, known.average_view_s, known.average_session_s) == (ann, 2.0, 30.0, 60.0)
        assert (events["s2"].plays, events["s2"].average_view_s) == (0.0, None)
        assert events["s3"].plays == 7.0  # the player knows it better
        vmap = {"video_id": "v", "duration_s": 60, "viewer_id": "ann@example.org"}
        rule = {"rule_id": "r", "name": "n", "insertion": {"at": "start"}}
        assert (await api.post("/v1/rules", json=rule, headers=ADMIN)).status_code == 201
        assert (await api.get("/v1/sessions/s1/vmap", params=vmap, headers=PLAYER)).status_code == 200
        engine = await asyncio.to_thread(recorded, settings, list(events.values()))
        assert ann.encode() in await everything(settings)
        assert ann.encode() in rows_of(engine)

        place = "/v1/viewers/ann@example.org"
        assert (await api.get(place, headers=READ)).status_code == 403
        assert (await api.get(place, headers=ADMIN)).json()["sums"] == ANNS
        done = (await api.delete(place, headers=ADMIN)).json()
        assert (done["viewer"], done["counters"], done["sessions"], done["events"]) == (ann, len(ANNS), 2, 2)
        assert done["keys"] >= 2
        assert "ann@example" not in json.dumps(done)
        left = (await everything(settings)).replace(f"cuepoint:counts:viewer:{ann}:erased".encode(), b"")
        assert ann.encode() not in left
        assert ann.encode() not in rows_of(engine)
        engine.dispose()
        assert (await api.get(place, headers=ADMIN)).json()["sums"] == {}
        again = (await api.delete(f"/v1/viewers/{ann}", headers=ADMIN)).json()
        assert (again["viewer"], again["counters"], again["sessions"]) == (ann, 0, 0)
    assert b"ann@example" not in await everything(settings)
    assert b"ann@example" not in await asyncio.to_thread(database_files, settings)


async def test_a_dead_letter_names_no_viewer_either(settings: Any) -> None:
    async with serving(with_keys(settings)) as api:
        await post(api, start("ann@example.org", "s1", seq="no number"))
        broken = b'{"events":[{"viewer_id": "ann@example.org", "device": "\xff'
        headers = PLAYER | {"content-type": "application/json"}
        assert (await api.post("/v1/events", content=broken, headers=headers)).status_code == 400
    for record in await asyncio.to_thread(records_of, settings, DEAD_PLAYER_EVENTS, 2):
        original = json.loads(record.value())["original"]
        assert b"ann@example" not in base64.b64decode(original)


async def test_consent(settings: Any) -> None:
    async with serving(with_keys(settings, consent_required=True, stamp_wait_s=30)) as api:
        await until(lambda: ready(api))
        more = {"seq": 1, "kind": "progressed", "position_s": 1.0, "video_id": "v"}
        answer = await post(
            api,
            start("a", "yes", consent=True),
            start("a", "no", consent=False),
            start("a", "silent"),
            start("a", "silent") | more | {"event_id": "x"},
        )
        assert [(e["index"], e["code"], e["field"]) for e in answer["errors"]] == [
            (n, "no_consent", "$.consent") for n in (1, 2, 3)
        ]
        later = await post(api, start("a", "yes") | more, start("a", "silent") | more)
        assert [(e["index"], e["code"]) for e in later["errors"]] == [(1, "no_consent")]
    async with serving(with_keys(settings)) as api:
        assert (await post(api, start("a", "refused", consent=False, profile="interest=cars")))["errors"] == []
        event = (await told(settings, 3))["refused"]
        assert (event.viewer_id, event.profile, event.consent) == (None, "", False)
        taken_back = start("z", "back", event_id="later", seq=1, kind="video_started", video_id="v", consent=False)
        for each in (start("z", "back", consent=True), taken_back):
            assert (await post(api, each))["errors"] == []
        assert Pseudonyms(with_keys(settings)).of("z").encode() not in await everything(settings)  # nor for caps

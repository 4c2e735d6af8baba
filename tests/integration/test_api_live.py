"""The API as a server, against the embedded broker and a real Redis."""

from __future__ import annotations

import asyncio
import json

import pytest
from api_server import ADMIN, PLAYER, answers, serving, until, with_keys
from collector_app import player_event
from redis.asyncio import Redis
from topic_records import records_of

from cuepoint.schemas.codec import decoder
from cuepoint.schemas.faults import DeadLetter
from cuepoint.schemas.playback import AdDecision, PlayerEvent
from cuepoint.schemas.rules import AdFormat
from cuepoint.schemas.topics import DEAD_PLAYER_EVENTS, PLAYER_EVENTS
from cuepoint.streams.decision_feed import DecisionFeed
from cuepoint.streams.embedded_parts import start_broker, start_redis
from cuepoint.streams.producer import partition_of
from cuepoint.streams.topics_admin import create_topics

pytestmark = pytest.mark.integration


@pytest.fixture
async def api(settings):
    create_topics(settings.broker, settings.partitions, prefix=settings.topic_prefix)
    async with serving(with_keys(settings)) as client:
        yield client


def decision(number, session_id="s1"):
    return AdDecision(
        decision_id=f"{session_id}-{number}",
        session_id=session_id,
        video_id="v1",
        rule_id="r1",
        rule_version=1,
        event_id=f"e{number}",
        decided_at=number,
        number=number,
        position_s=10.0 * number,
        format=AdFormat(),
        duration_s=15.0,
        spot_load=0.5,
        reason="every 10 s",
    )


async def test_accepted_events_are_in_the_topic_and_refused_ones_in_the_dead_letters(api, settings):
    events = [player_event(n, session_id=f"s{n % 7}") for n in range(40)]
    events[5] = player_event(5, type="player-event.v7")
    response = await api.post("/v1/events", json={"events": events}, headers=PLAYER)
    assert response.status_code == 202
    assert response.json()["accepted"] == 39
    found = await asyncio.to_thread(records_of, settings, PLAYER_EVENTS, 39)
    taken = {record.key().decode(): record for record in found}
    assert set(taken) == {f"s{n}" for n in range(7)}
    for record in found:
        assert record.partition() == partition_of(record.key(), settings.partitions)
        event = decoder(PlayerEvent).decode(record.value())
        assert event.session_id == record.key().decode()
        assert event.received_at > 1_700_000_000_000
    (dead,) = await asyncio.to_thread(records_of, settings, DEAD_PLAYER_EVENTS, 1)
    letter = decoder(DeadLetter).decode(dead.value())
    assert letter.code == "unknown_version"
    assert json.loads(letter.original) == events[5]


async def test_a_10_mb_body_is_refused_and_the_server_lives(api):
    headers = PLAYER | {"content-type": "application/json"}
    response = await api.post("/v1/events", content=b"[" * 10_000_000, headers=headers)
    assert response.status_code == 413
    assert response.headers["content-type"] == "application/problem+json"
    assert await answers(api)


async def lines_of(response, count):
    """``id`` and ``data`` of the first ``count`` decisions of a stream."""
    found, id = [], None
    async for line in response.aiter_lines():
        if line.startswith("id: "):
            id = int(line[4:])
        elif line.startswith("data: "):
            found.append((id, json.loads(line[6:])["decision_id"]))
            if len(found) == count:
                return found
    return found


async def test_poll_and_stream_serve_what_any_process_wrote_and_resume(api, redis_url):
    answer = await api.post("/v1/events", json={"events": [player_event()]}, headers=PLAYER)
    token = answer.json()["tokens"]["s1"]
    path = "/v1/sessions/s1/decisions"
    assert (await api.get(path, params={"token": token})).json() == {"decisions": [], "last": 0}
    feed = DecisionFeed(Redis.from_url(redis_url))
    await feed.write([decision(1), decision(2), decision(3), decision(1, "s2")])
    polled = await api.get(path, params={"token": token, "after": 1})
    assert [d["number"] for d in polled.json()["decisions"]] == [2, 3]
    assert polled.json()["last"] == 3
    again = await api.get(path, params={"after": 1}, headers=PLAYER | {"if-none-match": polled.headers["etag"]})
    assert again.status_code == 304
    async with api.stream("GET", path + "/stream", params={"token": token}) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        assert await lines_of(stream, 3) == [(1, "s1-1"), (2, "s1-2"), (3, "s1-3")]
    async with api.stream("GET", path + "/stream", headers=PLAYER | {"last-event-id": "2"}) as stream:
        reading = asyncio.create_task(lines_of(stream, 3))
        await feed.write([decision(3), decision(4)])
        await feed.write([decision(5), decision(2, "s2")])
        assert await asyncio.wait_for(reading, 60) == [(3, "s1-3"), (4, "s1-4"), (5, "s1-5")]
    await feed.close()


async def test_streams_want_the_right_token_and_a_number(api):
    answer = await api.post("/v1/events", json={"events": [player_event()]}, headers=PLAYER)
    token = answer.json()["tokens"]["s1"]
    assert (await api.get("/v1/sessions/s2/decisions/stream", params={"token": token})).status_code == 403
    assert (await api.get("/v1/sessions/s1/decisions/stream", params={"token": "x"})).status_code == 401
    for bad in ("-1", "one", "1e3", "99999999999999999999"):
        response = await api.get("/v1/sessions/s1/decisions", params={"after": bad}, headers=PLAYER)
        assert response.status_code == 400, bad
        headers = PLAYER | {"last-event-id": bad}
        assert (await api.get("/v1/sessions/s1/decisions/stream", headers=headers)).status_code == 400


async def test_streams_are_bounded_in_number_and_time_and_keep_alive(settings):
    changes = {"sse_streams": 1, "sse_stream_s": 1.0, "sse_keepalive_s": 0.2}
    async with serving(with_keys(settings, **changes)) as api:
        path = "/v1/sessions/s1/decisions/stream"

        async def opened():
            response = await api.get(path, headers=PLAYER)  # ends by itself
            return response if response.status_code == 200 else None

        async with api.stream("GET", path, headers=PLAYER) as stream:
            text = stream.aiter_text()
            assert "retry:" in await anext(text)
            refused = await api.get(path, headers=PLAYER)
            assert refused.status_code == 429
            assert refused.headers["retry-after"]
            rest = "".join([part async for part in text])
            assert ": keep-alive" in rest
        assert (await until(opened)).status_code == 200
        async with api.stream("GET", path, headers=PLAYER) as stream:
            await anext(stream.aiter_bytes())
        assert (await until(opened)).status_code == 200  # a client that left is not counted


async def test_readiness_and_answers_tell_of_a_stopped_broker_and_redis(settings, tmp_path):
    broker, redis = start_broker(tmp_path / "broker"), start_redis(tmp_path / "redis")
    try:
        changes = {
            "broker": broker.address,
            "redis_url": redis.address,
            "collector_ack_s": 1.0,
            "redis_timeout_s": 1.0,
            "ready_timeout_s": 1.0,
        }
        async with serving(with_keys(settings, **changes)) as api:
            states = await readiness(api)
            assert states["broker"]["state"] == "down"
            assert "topics" in states["broker"]["detail"]
            create_topics(broker.address, 2, prefix=settings.topic_prefix)
            await until(lambda: ready(api))
            body = {"events": [player_event()]}
            assert (await api.post("/v1/events", json=body, headers=PLAYER)).status_code == 202
            broker.stop()
            response = await api.post("/v1/events", json=body, headers=PLAYER)
            assert response.status_code == 503
            assert int(response.headers["retry-after"]) >= 1
            states = await readiness(api)
            assert {name: part["state"] for name, part in states.items()} == {
                "broker": "down",
                "redis": "up",
                "database": "up",
            }
            redis.stop()
            await until(lambda: down(api, "redis"))
            for path in ("/v1/sessions/s1/decisions", "/v1/sessions/s1/decisions/stream"):
                assert (await api.get(path, headers=PLAYER)).status_code == 503
            assert (await api.get("/v1/counters/total/2026-01-01", headers=ADMIN)).status_code == 503
            assert await answers(api)
    finally:
        broker.stop()
        redis.stop()


async def readiness(api):
    """The parts, while not ready."""

    async def unready():
        response = await api.get("/readyz")
        return response.json()["parts"] if response.status_code == 503 else None

    return await until(unready)


async def ready(api):
    return (await api.get("/readyz")).status_code == 200


async def down(api, part):
    return (await api.get("/readyz")).json()["parts"][part]["state"] == "down"


async def test_players_of_other_origins_may_ask_only_where_it_is_set(settings):
    preflight = {"origin": "https://player.example", "access-control-request-method": "POST"}
    async with serving(with_keys(settings, cors_origins="https://player.example")) as api:
        response = await api.options("/v1/events", headers=preflight)
        assert response.headers["access-control-allow-origin"] == "https://player.example"
        response = await api.options("/v1/events", headers=preflight | {"origin": "https://evil.example"})
        assert "access-control-allow-origin" not in response.headers


async def test_two_replicas_accept_each_others_tokens(settings):
    create_topics(settings.broker, settings.partitions, prefix=settings.topic_prefix)
    async with serving(with_keys(settings)) as one, serving(with_keys(settings)) as two:
        answer = await one.post("/v1/events", json={"events": [player_event()]}, headers=PLAYER)
        token = answer.json()["tokens"]["s1"]
        response = await two.get("/v1/sessions/s1/decisions", params={"token": token})
        assert response.status_code == 200

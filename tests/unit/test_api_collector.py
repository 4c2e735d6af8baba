"""POST /v1/events: what is taken, what is refused and how."""

from __future__ import annotations

import json
import logging
import time

import pytest
from collector_app import PLAYER, collector_client, player_event

from cuepoint.ops.settings import Settings
from cuepoint.schemas.errors import Unavailable
from cuepoint.streams.producer import Busy


def problem(response, status):
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body = response.json()
    assert body["status"] == status
    assert body["type"].startswith("urn:cuepoint:problem:")
    assert body["request_id"] == response.headers["x-request-id"]
    return body


async def test_events_are_stamped_keyed_by_session_and_answered_with_tokens():
    client, producer = collector_client()
    before_ms = int(time.time() * 1000)
    events = [player_event(0), player_event(1, session_id="s2"), player_event(2, received_at=5)]
    response = await client.post("/v1/events", json={"events": events}, headers=PLAYER)
    assert response.status_code == 202
    body = response.json()
    assert body["accepted"] == 3
    assert body["errors"] == []
    assert set(body["tokens"]) == {"s1", "s2"}
    assert [m.key for m in producer.kept] == ["s1", "s2", "s1"]
    assert [m.id for m in producer.kept] == ["e0", "e1", "e2"]
    assert all(before_ms <= event.received_at <= time.time() * 1000 for event in producer.events())


@pytest.mark.parametrize(
    ("broken", "code", "field"),
    [
        (player_event(1, type="player-event.v9"), "unknown_version", "$.type"),
        (player_event(1, seq="one"), "invalid", "$.seq"),
        (player_event(1, seq=-1), "invalid", "$.seq"),
        (player_event(1, kind="exploded"), "invalid", "$.kind"),
        (player_event(1, session_id=""), "invalid", "$.session_id"),
        ({"event_id": "e1"}, "invalid", "$.session_id"),
        (player_event(1, position_s=500.0, duration_s=90.0), "position_beyond_video", "$.position_s"),
        (7, "invalid", "$"),
    ],
)
async def test_a_broken_event_is_named_and_kept_and_does_not_refuse_its_neighbours(broken, code, field):
    client, producer = collector_client()
    body = {"events": [player_event(0), broken, player_event(2)]}
    response = await client.post("/v1/events", json=body, headers=PLAYER)
    assert response.status_code == 202
    assert response.json()["accepted"] == 2
    (error,) = response.json()["errors"]
    assert (error["index"], error["code"], error["field"]) == (1, code, field)
    assert error["event_id"] == (broken["event_id"] if isinstance(broken, dict) else None)
    assert error["reason"]
    assert [event.event_id for event in producer.events()] == ["e0", "e2"]
    (letter,) = producer.dead()
    assert json.loads(letter.original) == broken
    assert (letter.code, letter.field, letter.topic) == (code, field, "cuepoint.player-events.v1")


async def test_an_event_that_is_not_utf8_is_kept_byte_for_byte():
    client, producer = collector_client()
    event = json.dumps(player_event(device="X")).encode().replace(b"X", b"\xff\xfe")
    body = b'{"events":[' + event + b"]}"
    response = await client.post("/v1/events", content=body, headers=PLAYER | {"content-type": "application/json"})
    assert response.json()["errors"][0]["code"] == "malformed"
    assert producer.dead()[0].original == event


async def test_the_original_of_a_dead_letter_is_bounded():
    client, producer = collector_client(dead_original_bytes=256)
    await client.post("/v1/events", json={"events": [player_event(0, seq="x" * 5000)]}, headers=PLAYER)
    assert len(producer.dead()[0].original) == 256


@pytest.mark.parametrize(
    ("body", "field", "place"),
    [
        (b'{"events":[{"event_id":"e1"', "$", "truncated"),
        (b'{"events":[nul]}', "$", "byte 12"),
        (b"", "$", "truncated"),
        (b'{"events":7}', "$.events", "array"),
        (b"[]", "$", "object"),
        (b"{}", "$.events", "missing"),
        (b'{"events":[' + b"[" * 100_000, "$", "nested"),
    ],
)
async def test_a_malformed_body_is_a_400_that_names_the_place_and_is_kept(body, field, place):
    client, producer = collector_client()
    response = await client.post("/v1/events", content=body, headers=PLAYER | {"content-type": "application/json"})
    (error,) = problem(response, 400)["errors"]
    assert error["field"] == field
    assert place in error["reason"]
    assert producer.events() == []
    assert producer.dead()[0].original == body[:16384]


async def test_size_and_count_are_bounded():
    client, producer = collector_client(collector_body_bytes=2000, collector_events=3)
    json_type = PLAYER | {"content-type": "application/json"}
    problem(await client.post("/v1/events", content=b"x" * 2001, headers=json_type), 413)

    async def unannounced():
        for _ in range(100):
            yield b"y" * 1000

    problem(await client.post("/v1/events", content=unannounced(), headers=json_type), 413)
    events = [player_event(n) for n in range(4)]
    assert "3" in problem(await client.post("/v1/events", json={"events": events}, headers=PLAYER), 413)["detail"]
    assert producer.kept == []
    assert (await client.post("/v1/events", json={"events": events[:3]}, headers=PLAYER)).status_code == 202


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"authorization": "Bearer wrong"}, 401),
        ({"authorization": "Basic player-key"}, 401),
        ({"authorization": "Bearer"}, 401),
        ({"authorization": "Bearer admin-key"}, 403),
        ({"authorization": "Bearer second-key"}, 202),
        ({"authorization": "bearer player-key"}, 202),
    ],
)
async def test_keys(headers, status):
    client, producer = collector_client()
    response = await client.post("/v1/events", json={"events": [player_event()]}, headers=headers)
    assert response.status_code == status
    assert len(producer.kept) == (status == 202)
    if status == 401:
        assert response.headers["www-authenticate"].startswith("Bearer")


async def test_without_configured_keys_nobody_may_send():
    client, _ = collector_client(api_keys="")
    for headers in ({}, {"authorization": "Bearer "}):
        response = await client.post("/v1/events", json={"events": []}, headers=headers)
        problem(response, 401)


async def test_content_types():
    client, _ = collector_client()
    body = json.dumps({"events": []})
    for kind, status in (
        ("application/json; charset=utf-8", 202),
        ("text/plain", 415),
        ("application/xml", 415),
        ("", 415),
    ):
        headers = PLAYER | {"content-type": kind}
        assert (await client.post("/v1/events", content=body, headers=headers)).status_code == status, kind
    headers = PLAYER | {"content-type": "application/json", "content-encoding": "gzip"}
    problem(await client.post("/v1/events", content=body, headers=headers), 415)


async def test_a_beacon_with_a_session_token_may_speak_for_its_session_only():
    client, producer = collector_client()
    answer = await client.post("/v1/events", json={"events": [player_event(0)]}, headers=PLAYER)
    token = answer.json()["tokens"]["s1"]
    body = json.dumps({"events": [player_event(1), player_event(2, session_id="other")]})
    plain = {"content-type": "text/plain;charset=UTF-8"}
    response = await client.post("/v1/events", params={"token": token}, content=body, headers=plain)
    assert response.status_code == 202
    assert response.json()["accepted"] == 1
    assert response.json()["errors"][0]["code"] == "foreign_session"
    assert response.json()["tokens"] == {}
    assert [event.event_id for event in producer.events()] == ["e0", "e1"]
    for forged in (token[:-2] + "xx", token.replace("czE", "czI"), "a.b.c", "", "..", "é.1.x"):
        problem(await client.post("/v1/events", params={"token": forged}, content=body, headers=plain), 401)


async def test_a_session_token_expires(monkeypatch):
    client, _ = collector_client(session_token_s=60)
    answer = await client.post("/v1/events", json={"events": [player_event(0)]}, headers=PLAYER)
    token, now = answer.json()["tokens"]["s1"], time.time()
    monkeypatch.setattr("cuepoint.ops.api_auth.time.time", lambda: now + 121)
    problem(await client.post("/v1/events", params={"token": token}, json={"events": []}), 401)


async def test_the_rate_is_bounded_per_key():
    client, producer = collector_client(collector_events_per_s=0.5, collector_burst_events=10)
    events = {"events": [player_event(n) for n in range(8)]}
    assert (await client.post("/v1/events", json=events, headers=PLAYER)).status_code == 202
    response = await client.post("/v1/events", json=events, headers=PLAYER)
    problem(response, 429)
    assert 1 <= int(response.headers["retry-after"]) <= 14
    other = {"authorization": "Bearer second-key"}
    assert (await client.post("/v1/events", json=events, headers=other)).status_code == 202
    assert len(producer.kept) == 16


async def test_broker_away_is_503_and_full_queue_429_both_with_retry_after():
    client, producer = collector_client()
    for failure, status in ((Unavailable("broker 127.0.0.1:1 is away"), 503), (Busy("full"), 429)):
        producer.failure = failure
        for body in ({"events": [player_event()]}, {"events": [{}]}, {"events": 3}):
            response = await client.post("/v1/events", json=body, headers=PLAYER)
            problem(response, status)
            assert int(response.headers["retry-after"]) >= 1
            assert "127.0.0.1" not in response.text


async def test_an_unexpected_error_is_a_problem_without_its_text():
    client, producer = collector_client()
    producer.failure = RuntimeError("secret detail")
    response = await client.post("/v1/events", json={"events": [player_event()]}, headers=PLAYER)
    problem(response, 500)
    assert "secret" not in response.text
    assert response.headers["x-content-type-options"] == "nosniff"


async def test_the_access_log_holds_no_secret(caplog):
    client, _ = collector_client()
    with caplog.at_level(logging.INFO, logger="cuepoint.access"):
        answer = await client.post("/v1/events", json={"events": [player_event(0)]}, headers=PLAYER)
        token = answer.json()["tokens"]["s1"]
        await client.post("/v1/events", params={"token": token}, json={"events": []}, headers={"x-request-id": "mine"})
    lines = [record.getMessage() for record in caplog.records if record.name == "cuepoint.access"]
    assert len(lines) == 2
    assert json.loads(lines[1])["request_id"] == "mine"
    assert json.loads(lines[1])["status"] == 202
    assert "player-key" not in caplog.text
    assert token not in caplog.text


async def test_request_ids_of_callers_are_taken_only_when_harmless():
    client, _ = collector_client()
    for given, kept in (("abc-1", True), ("x" * 65, False), ("a b", False)):
        response = await client.post("/v1/events", json={"events": []}, headers=PLAYER | {"x-request-id": given})
        assert (response.headers["x-request-id"] == given) is kept


def test_secrets_do_not_show_in_the_settings_text():
    text = repr(Settings(api_keys="player-key", admin_key="admin-key", read_keys="r-key", token_secret="t-secret"))
    assert not any(secret in text for secret in ("player-key", "admin-key", "r-key", "t-secret"))

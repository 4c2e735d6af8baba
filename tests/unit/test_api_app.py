"""The whole app without its parts: keys, problems, headers, login, the OpenAPI document."""

from __future__ import annotations

import httpx
import pytest
from api_server import ADMIN, KEYS, PLAYER, READ
from openapi_spec_validator import OpenAPIV31SpecValidator

from cuepoint.ops.api import build_app
from cuepoint.ops.api_limits import TokenBuckets
from cuepoint.ops.settings import Settings


@pytest.fixture
def app(tmp_path):
    return build_app(
        Settings(
            **KEYS,
            broker="127.0.0.1:1",
            redis_url="redis://127.0.0.1:1/0",
            redis_timeout_s=0.5,
            ready_timeout_s=0.5,
            database_url=f"sqlite:///{tmp_path}/cuepoint.db",
            data_dir=tmp_path,
            console_open=False,
        )
    )


@pytest.fixture
async def client(app):
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://api") as client:
        yield client


def assert_problem(response, status):
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["status"] == status


async def test_every_error_is_a_problem(client):
    assert_problem(await client.get("/v1/nothing"), 404)
    assert_problem(await client.get("/v1/events"), 405)
    assert_problem(await client.delete("/healthz"), 405)
    response = await client.get("/v1/changes", params={"kind": "sudden", "limit": 0}, headers=READ)
    assert_problem(response, 422)
    assert {error["field"] for error in response.json()["errors"]} == {"query.kind", "query.limit"}


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/v1/changes", "read admin"),
        ("GET", "/v1/overview", "read admin"),
        ("GET", "/v1/sessions", "read admin"),
        ("GET", "/v1/dead-letters", "read admin"),
        ("GET", "/v1/counters/total/2026-01-01", "read admin"),
        ("GET", "/v1/rules", "read admin"),
        ("POST", "/v1/rules", "admin"),
        ("POST", "/v1/rules/check", "admin"),
        ("PUT", "/v1/rules/r", "admin"),
        ("DELETE", "/v1/rules/r", "admin"),
        ("GET", "/v1/sessions/s/decisions", "player read admin"),
        ("GET", "/v1/sessions/s/decisions/stream", "player read admin"),
    ],
)
async def test_each_route_wants_its_key(client, method, path, allowed):
    assert_problem(await client.request(method, path), 401)
    assert_problem(await client.request(method, path, headers={"authorization": "Bearer guess"}), 401)
    for name, headers in (("player", PLAYER), ("read", READ), ("admin", ADMIN)):
        if name not in allowed.split():
            assert_problem(await client.request(method, path, headers=headers), 403)


async def test_health_tells_the_truth_without_any_part(client):
    assert (await client.get("/healthz")).json() == {"status": "alive"}
    response = await client.get("/readyz")
    assert response.status_code == 503
    parts = response.json()["parts"]
    assert response.json()["ready"] is False
    assert {name: part["state"] for name, part in parts.items()} == {
        "broker": "down",
        "redis": "down",
        "database": "down",  # not migrated: the upkeep has not run
    }
    assert all(part["detail"] and part["latency_ms"] >= 0 for part in parts.values())
    response = await client.get("/v1/sessions/s/decisions", headers=PLAYER)
    assert_problem(response, 503)
    assert int(response.headers["retry-after"]) >= 1


async def test_metrics_count_requests_by_route(client):
    await client.get("/v1/sessions/secret-session/decisions")
    text = (await client.get("/metrics")).text
    assert 'cuepoint_http_requests_total{route="/v1/sessions/{session_id}/decisions",status="401"}' in text
    assert "secret-session" not in text


async def test_security_headers_stand_on_every_answer(client):
    for path in ("/healthz", "/v1/nothing", "/login", "/openapi.json", "/"):
        headers = (await client.get(path)).headers
        policy = headers["content-security-policy"]
        assert "unsafe" not in policy
        assert "script-src 'self'" in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"]
        assert headers["x-request-id"]
        assert len(headers.get_list("content-security-policy")) == 1


async def test_the_console_wants_a_login(client):
    response = await client.get("/sessions")
    assert response.status_code == 303
    assert response.headers["location"] == "/login?next=%2Fsessions"
    response = await client.get("/sessions", headers={"hx-request": "true"})
    assert response.status_code == 401
    assert response.headers["hx-redirect"] == "/login"


async def test_login_sets_a_cookie_that_opens_console_and_reading(client):
    form = {"key": "admin-key", "next": "/rules"}
    response = await client.post("/login", data=form)
    assert response.status_code == 303
    assert response.headers["location"] == "/rules"
    cookie = response.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert "admin-key" not in cookie
    assert (await client.get("/v1/changes", params={"limit": 0})).status_code == 422  # past the door
    await client.post("/logout")
    assert (await client.get("/v1/changes", params={"limit": 0})).status_code == 401


async def test_login_refuses_other_keys_other_sites_and_guessing(client):
    for key in ("player-key", "read-key", "", "guess"):
        response = await client.post("/login", data={"key": key, "next": "/"})
        assert response.status_code == 401
        assert "set-cookie" not in response.headers
    for target in ("https://evil.example/", "//evil.example", "/\\evil.example", "/a\r\nx: y"):
        response = await client.post("/login", data={"key": "admin-key", "next": target})
        assert response.headers["location"] == "/", target
    statuses = [(await client.post("/login", data={"key": "guess"})).status_code for _ in range(4)]
    assert statuses[-1] == 429


async def test_a_forged_cookie_opens_nothing(client):
    for value in ("x", "YWRtaW4.9999999999.AAAA", ""):
        response = await client.get("/", headers={"cookie": f"cuepoint_console={value}"})
        assert response.status_code == 303


async def test_openapi_is_valid_and_describes_every_route(app, client):
    document = (await client.get("/openapi.json")).json()
    OpenAPIV31SpecValidator(document).validate()
    routes = {route.path for route in app.routes if getattr(route, "methods", None)}
    described = set(document["paths"])
    assert {"/v1/events", "/v1/sessions/{session_id}/decisions/stream", "/v1/rules/{rule_id}"} <= described
    assert {path for path in routes if path.startswith("/v1")} <= described
    schemas = document["components"]["schemas"]
    assert "session_started" in schemas["PlayerEvent"]["properties"]["kind"]["enum"]
    assert "discriminator" in str(schemas["AdRule"]["properties"]["insertion"])
    text = str(document)
    assert "HTTPValidationError" not in text
    for name in {part.split("'")[0] for part in text.split("#/components/schemas/")[1:]}:
        assert name in schemas
    assert_problem(await client.get("/docs"), 404)


async def test_bodies_of_rules_are_checked_before_anything_is_stored(client):
    json_type = ADMIN | {"content-type": "application/json"}
    yaml_type = ADMIN | {"content-type": "application/yaml"}
    assert_problem(await client.post("/v1/rules", content=b"{}", headers=ADMIN | {"content-type": "text/html"}), 415)
    assert_problem(await client.post("/v1/rules", content=b'{"a":', headers=json_type), 400)
    assert_problem(await client.post("/v1/rules", content=b"x" * 70_000, headers=json_type), 413)
    response = await client.post("/v1/rules/check", content=b"a: [1\nb: 2", headers=yaml_type)
    assert_problem(response, 400)
    assert response.json()["errors"][0]["field"].startswith("line 2")
    bomb = b"a: &a [1, 1]\nb: &b [*a, *a]\nc: [*b, *b]"
    response = await client.post("/v1/rules/check", content=bomb, headers=yaml_type)
    assert_problem(response, 400)
    assert "aliases" in response.text
    rule = {"type": "ad-rule.v1", "rule_id": "r", "name": "n", "insertion": {"at": "moon"}}
    response = await client.post("/v1/rules/check", json=rule, headers=ADMIN)
    assert_problem(response, 422)
    assert response.json()["errors"][0]["field"] == "$.insertion.at"


async def test_a_rule_is_checked_and_read_back_in_one_line(client):
    rule = b"rule_id: r\nname: Start\ninsertion: {at: start}\nformat: {type: bumper, length_s: 5}\n"
    response = await client.post("/v1/rules/check", content=rule, headers=ADMIN | {"content-type": "application/yaml"})
    assert response.status_code == 200, response.text
    assert response.json()["valid"] is True
    assert "\n" not in response.json()["text"]
    assert "bumper" in response.json()["text"]
    contradiction = {
        "rule_id": "r",
        "name": "never",
        "insertion": {"at": "start"},
        "criteria": {
            "op": "all",
            "of": [
                {"op": "is", "field": "video_length_s", "is": "<", "value": 10},
                {"op": "is", "field": "video_length_s", "is": ">", "value": 20},
            ],
        },
    }
    response = await client.post("/v1/rules/check", json=contradiction, headers=ADMIN)
    assert_problem(response, 422)
    assert response.json()["type"] == "urn:cuepoint:problem:invalid-rule"
    assert all(error["field"] and error["reason"] for error in response.json()["errors"])


async def test_rules_are_tried_over_http(client):
    every = {"rule_id": "r", "name": "n", "insertion": {"at": "every", "seconds": 20}, "status": "draft"}
    answer = await client.post("/v1/rules/preview", json={"viewing": {"length_s": 50}, "rules": [every]}, headers=ADMIN)
    assert [(one["position_s"], one["rule_id"]) for one in answer.json()["decisions"]] == [(20.0, "r"), (40.0, "r")]
    events = [
        {
            "event_id": f"e{k}",
            "session_id": "s",
            "seq": k,
            "kind": kind,
            "at": 1,
            "video_id": "v",
            "position_s": 30.0 * k,
        }
        for k, kind in enumerate(("video_started", "progressed"))
    ]
    paused = every | {
        "status": "active",
        "limits": {"min_gap_s": 5},
        "criteria": {"op": "is", "field": "muted", "value": True},
    }
    answer = await client.post("/v1/rules/explain", json={"rules": [paused], "events": events}, headers=ADMIN)
    assert [one["why"] for one in answer.json()["occasions"]] == ["muted == true is false: it is false"]
    bad = await client.post("/v1/rules/explain", json={"events": [events[0] | {"seq": -1}]}, headers=ADMIN)
    assert (bad.status_code, bad.json()["errors"][0]["field"]) == (422, "$.events[0].seq")
    assert (await client.post("/v1/rules/preview", content=b"{", headers=ADMIN)).status_code == 400


def test_buckets_forget_the_least_recent_and_never_refill_above_the_burst():
    buckets = TokenBuckets(rate_per_s=1, burst=2, keys=2)
    assert buckets.take("a", 2, 0.0) == 0.0
    assert buckets.take("a", 1, 0.0) == 1.0
    assert buckets.take("a", 3, 100.0) == 0.0  # cut to the burst
    assert buckets.take("a", 1, 100.0) > 0
    assert buckets.take("a", 1, 99.0) > 0  # a clock that goes back gives nothing
    buckets.take("b", 2, 100.0)
    buckets.take("c", 2, 100.0)
    assert buckets.take("a", 2, 100.0) == 0.0  # forgotten, so full

"""Rules over HTTP: round trip, publication to the topic, conflicts, a broker that is away."""

from __future__ import annotations

import asyncio
import time

import pytest
from api_server import ADMIN, READ, serving, until, with_keys
from topic_records import records_of

from cuepoint.schemas.codec import decoder
from cuepoint.schemas.rules import AdRule, Every
from cuepoint.schemas.topics import AD_RULES
from cuepoint.streams.embedded_parts import start_broker
from cuepoint.streams.topics_admin import create_topics

pytestmark = pytest.mark.integration
LEAD_MS = 700


@pytest.fixture
async def api(settings):
    create_topics(settings.broker, settings.partitions, prefix=settings.topic_prefix)
    async with serving(with_keys(settings, rule_lead_ms=LEAD_MS)) as client:
        await until(lambda: migrated(client))
        yield client


async def migrated(client):
    return (await client.get("/v1/rules", headers=READ)).status_code == 200


def rule(**changes):
    return {
        "type": "ad-rule.v1",
        "rule_id": "r1",
        "name": "Every 30 s",
        "insertion": {"at": "every", "seconds": 30},
    } | changes


async def published(settings, count):
    records = await asyncio.to_thread(records_of, settings, AD_RULES, count)
    return [(record.key().decode(), decoder(AdRule).decode(record.value())) for record in records]


async def test_a_rule_is_created_changed_retired_and_each_version_published(api, settings):
    before_ms = int(time.time() * 1000)
    created = await api.post("/v1/rules", json=rule(effective_at=1, version=77), headers=ADMIN)
    assert created.status_code == 201, created.text
    assert created.headers["location"] == "/v1/rules/r1"
    assert created.headers["etag"] == '"1"'
    assert created.json()["published"] is True
    assert (await api.post("/v1/rules", json=rule(), headers=ADMIN)).status_code == 409

    changed = await api.put(
        "/v1/rules/r1",
        content="name: Every 20 s\ninsertion: {at: every, seconds: 20}\n",
        headers=ADMIN | {"content-type": "application/yaml", "if-match": '"1"'},
    )
    assert changed.status_code == 200, changed.text
    assert changed.headers["etag"] == '"2"'
    read = await api.get("/v1/rules/r1", headers=READ)
    assert read.json()["rule"]["name"] == "Every 20 s"
    assert read.headers["etag"] == '"2"'
    assert "20" in read.json()["text"]

    tried = await api.post("/v1/rules/preview", json={"viewing": {"length_s": 50.0}}, headers=READ)
    assert [one["outcome"] for one in tried.json()["occasions"]] == ["decided", "decided"]

    retired = await api.delete("/v1/rules/r1", headers=ADMIN | {"if-match": '"2"'})
    assert retired.status_code == 200
    assert retired.json()["rule"]["status"] == "retired"
    again = await api.delete("/v1/rules/r1", headers=ADMIN)
    assert again.headers["etag"] == '"3"'
    versions = (await api.get("/v1/rules/r1/versions", headers=READ)).json()["rules"]
    assert sorted(view["rule"].get("version", 1) for view in versions) == [1, 2, 3]
    listed = (await api.get("/v1/rules", params={"status": "retired"}, headers=READ)).json()["rules"]
    assert [view["rule"]["rule_id"] for view in listed] == ["r1"]
    assert (await api.get("/v1/rules", params={"status": "active"}, headers=READ)).json()["rules"] == []

    found = await published(settings, 3)
    assert [key for key, _ in found] == ["r1"] * 3
    assert [each.version for _, each in found] == [1, 2, 3]
    assert found[1][1].insertion == Every(seconds=20)
    assert all(before_ms + LEAD_MS <= each.effective_at <= time.time() * 1000 + LEAD_MS for _, each in found)


async def test_conditions_guard_against_a_change_in_between(api):
    missing = await api.put("/v1/rules/r1", json=rule(), headers=ADMIN | {"if-match": "*"})
    assert missing.status_code == 412
    assert (await api.put("/v1/rules/r1", json=rule(), headers=ADMIN | {"if-none-match": "*"})).status_code == 201
    assert (await api.put("/v1/rules/r1", json=rule(), headers=ADMIN | {"if-none-match": "*"})).status_code == 412
    assert (await api.put("/v1/rules/r1", json=rule(name="b"), headers=ADMIN | {"if-match": '"1"'})).status_code == 200
    stale = await api.put("/v1/rules/r1", json=rule(name="c"), headers=ADMIN | {"if-match": '"1"'})
    assert stale.status_code == 412
    assert stale.headers["etag"] == '"2"'
    assert (await api.delete("/v1/rules/r1", headers=ADMIN | {"if-match": '"1"'})).status_code == 412
    assert (await api.put("/v1/rules/r1", json=rule(), headers=ADMIN | {"if-match": "W/x"})).status_code == 400
    assert (await api.get("/v1/rules/r1", headers=READ)).json()["rule"]["name"] == "b"


async def test_of_editors_at_once_exactly_one_wins(api):
    await api.put("/v1/rules/r1", json=rule(), headers=ADMIN)
    answers = await asyncio.gather(
        *(api.put("/v1/rules/r1", json=rule(name=f"editor {n}"), headers=ADMIN | {"if-match": '"1"'}) for n in range(6))
    )
    assert sorted(answer.status_code for answer in answers) == [200] + [412] * 5
    (winner,) = [answer.json()["rule"]["name"] for answer in answers if answer.status_code == 200]
    assert (await api.get("/v1/rules/r1", headers=READ)).json()["rule"]["name"] == winner


async def test_the_same_rule_again_makes_no_version(api, settings):
    for _ in range(3):
        answer = await api.put("/v1/rules/r1", json=rule(), headers=ADMIN)
        assert answer.json()["published"] is True
    assert answer.headers["etag"] == '"1"'
    await api.put("/v1/rules/r1", json=rule(name="other"), headers=ADMIN)
    assert [each.version for _, each in await published(settings, 2)] == [1, 2]


async def test_broken_rules_are_refused_with_each_place(api):
    response = await api.put("/v1/rules/r2", json=rule(), headers=ADMIN)
    assert response.status_code == 422
    assert response.json()["errors"] == [{"field": "$.rule_id", "reason": "the path says r2"}]
    broken = rule(insertion={"at": "every", "seconds": 30, "minutes": 1})
    assert (await api.put("/v1/rules/r1", json=broken, headers=ADMIN)).status_code == 422
    assert (await api.get("/v1/rules/r1", headers=READ)).status_code == 404
    assert (await api.get("/v1/rules/r1/versions", headers=READ)).status_code == 404
    assert (await api.delete("/v1/rules/r1", headers=ADMIN)).status_code == 404


async def test_a_rule_accepted_while_the_broker_is_away_comes_into_effect_after_its_return(
    settings, tmp_path, monkeypatch
):
    monkeypatch.setattr("cuepoint.ops.api_rule_book._GRACE_MS", 0)
    broker = start_broker(tmp_path / "broker")
    create_topics(broker.address, 1, prefix=settings.topic_prefix)
    port = int(broker.address.rpartition(":")[2])
    broker.stop()
    changed = with_keys(settings, broker=broker.address, collector_ack_s=1.0, rule_lead_ms=0)
    async with serving(changed) as api:
        await until(lambda: migrated(api))
        answer = await api.put("/v1/rules/r1", json=rule(), headers=ADMIN)
        assert answer.status_code == 202
        assert answer.json()["published"] is False
        broker = start_broker(tmp_path / "broker", port)
        try:
            create_topics(broker.address, 1, prefix=settings.topic_prefix)
            (_, told), *_ = await published(changed, 1)
            assert (told.version, told.effective_at) == (1, answer.json()["rule"]["effective_at"])
            assert set(told.offsets) == {"0"}
        finally:
            broker.stop()

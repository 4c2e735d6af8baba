"""Webhooks end to end: subscribed over HTTP, told of a change on the broker by a worker process, verified."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest
from api_server import ADMIN, PLAYER, READ, serving, until, with_keys
from stream_helpers import child, environment, produce
from webhook_receiver import receiving

from cuepoint.schemas.codec import encode
from cuepoint.schemas.opportunities import Opportunity
from cuepoint.schemas.topics import CHANGES, OPPORTUNITIES
from cuepoint.schemas.trends import Change

pytestmark = pytest.mark.integration
RUN_ROLE = str(Path(__file__).parent.parent / "support" / "run_role.py")
BAND = dict.fromkeys(("lower_80", "upper_80", "lower_95", "upper_95"), 100.0)
CHANGE: dict[str, Any] = BAND | {
    "revision": 1,
    "status": "opened",
    "asset_id": "a1",
    "kind": "rapid",
    "direction": "up",
    "start": "2026-03-02",
    "day": "2026-03-02",
    "probability": 0.99,
    "size_per_day": 50.0,
    "size_percent": 40.0,
    "count": 175.0,
    "expected": 125.0,
}
OPPORTUNITY = Opportunity(
    change_id="c1", revision=1, asset_id="a1", day=dt.date(2026, 3, 2), opportunity=True, probability=0.8
)


def changes(*ids: str, **others: Any) -> list[tuple[int, bytes]]:
    import msgspec

    return [(0, encode(msgspec.convert(CHANGE | {"change_id": id} | others, Change))) for id in ids]


async def test_from_a_subscription_to_a_verified_alert(settings: Any, tmp_path: Path) -> None:
    settings = with_keys(settings, webhook_private=True)
    env = environment(
        settings,
        CUEPOINT_ADMIN_KEY="admin-key",
        CUEPOINT_WEBHOOK_PRIVATE="true",
        CUEPOINT_WEBHOOK_INTERVAL_S="0.1",
        CUEPOINT_WEBHOOK_FIRST_PAUSE_S="0.2",
        CUEPOINT_LOG_LEVEL="WARNING",
    )
    async with serving(settings) as api, receiving() as receiver:
        await until(lambda: ready(api))
        body = {"url": receiver.url, "filter": {"kinds": ["rapid"], "events": ["change", "opportunity"]}}
        made = await api.post("/v1/webhooks", json=body, headers=ADMIN)
        assert made.status_code == 201, made.text
        id, secret = made.json()["webhook_id"], made.json()["secret"]
        assert (await api.post(f"/v1/webhooks/{id}/ping", headers=ADMIN)).status_code == 202
        receiver.answers = [(500, {})]
        produced = changes("c1") + changes("c2", kind="gradual")
        with child([RUN_ROLE, "alerts"], env, tmp_path / "alerts.log") as worker:
            await asyncio.to_thread(produce, settings, CHANGES, produced)
            await asyncio.to_thread(produce, settings, OPPORTUNITIES, [(0, encode(OPPORTUNITY))])

            async def delivered() -> dict[str, Any]:
                page = await api.get(f"/v1/webhooks/{id}/deliveries?status=delivered", headers=READ)
                return dict(page.json())

            async def arrived() -> bool:
                return bool((await delivered())["total"] >= 3)

            await until(arrived, 60)
            worker.terminate()
            assert await asyncio.to_thread(worker.wait, 15) == 0
        events = [receiver.opened(secret, index) for index in range(len(receiver.got))]
        kinds = sorted(event["type"] for event in events)
        assert kinds == ["change.opened", "opportunity.found", "webhook.ping", "webhook.ping"]
        page = await delivered()
        assert page["total"] == 3
        assert page["items"][0]["body"]["data"]["change_id"] == "c1"
        assert secret not in json.dumps(page) + (tmp_path / "alerts.log").read_text()


async def test_the_life_of_a_subscription(settings: Any) -> None:
    async with serving(with_keys(settings, webhooks_most=2)) as api:
        await until(lambda: ready(api))
        body: dict[str, Any] = {"url": "https://example.org/hook", "filter": {"least_size_percent": 20}}
        made = (await api.post("/v1/webhooks", json=body, headers=ADMIN)).json()
        place = f"/v1/webhooks/{made['webhook_id']}"
        seen = (await api.get(place, headers=READ)).json()
        assert seen == {name: value for name, value in made.items() if name != "secret"}
        assert made["secret"].startswith("whsec_")
        changed = await api.put(place, json=body | {"status": "disabled"}, headers=ADMIN)
        assert changed.json()["status"] == "disabled"
        renewed = (await api.post(f"{place}/secret", headers=ADMIN)).json()
        assert renewed["secret"] not in {None, made["secret"]}
        assert len((await api.get("/v1/webhooks", headers=READ)).json()["items"]) == 1
        assert (await api.post(f"{place}/ping", headers=ADMIN)).json()["queued"] == 1
        assert (await api.post(f"{place}/replay", headers=ADMIN)).json() == {"queued": 0}
        assert (await api.post("/v1/webhooks", json=body, headers=ADMIN)).status_code == 201
        assert (await api.post("/v1/webhooks", json=body, headers=ADMIN)).status_code == 409
        assert (await api.delete(place, headers=ADMIN)).status_code == 204
        for call, path in (("get", place), ("delete", place), ("post", f"{place}/secret"), ("post", f"{place}/ping")):
            assert (await api.request(call, path, headers=ADMIN)).status_code == 404


async def test_what_is_refused(settings: Any) -> None:
    async with serving(with_keys(settings)) as api:
        await until(lambda: ready(api))
        for body, field in (
            ({"url": "https://10.0.0.1/"}, "$.url"),
            ({"url": "http://example.org/"}, "$.url"),
            ({}, "$.url"),
            ({"url": "https://example.org/", "filter": {"kinds": ["slow"]}}, "$.filter.kinds[0]"),
            ({"url": "https://example.org/", "filter": {"events": []}}, "$.filter.events"),
            ({"url": "https://example.org/", "filter": {"pets": []}}, "$.filter"),
        ):
            answer = await api.post("/v1/webhooks", json=body, headers=ADMIN)
            assert answer.status_code == 422, body
            assert answer.json()["errors"][0]["field"] == field
        body = {"url": "https://example.org/"}
        assert (await api.post("/v1/webhooks", json=body, headers=READ)).status_code == 403
        assert (await api.get("/v1/webhooks", headers=PLAYER)).status_code == 403
        assert (await api.get("/v1/webhooks")).status_code == 401


async def ready(api: Any) -> bool:
    return (await api.get("/readyz")).json()["parts"]["database"]["state"] == "up"

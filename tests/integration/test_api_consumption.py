"""The consumption store over HTTP, as a whole server on real stores."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from api_server import PLAYER, READ, serving, with_keys
from consumption_feed import DAY, Feed, cell, report

pytestmark = pytest.mark.integration


@pytest.fixture
async def api(settings, tmp_path):
    settings = with_keys(settings, page_rows=5, database_url=f"sqlite:///{tmp_path}/catalogue.db")
    feed = Feed(tmp_path)
    feed.root.parent.joinpath("data").mkdir()
    for n in range(4):
        cells = [
            cell("a1", 10 + n, context="playlist", consumers=7, completed=3),
            cell("a1", 1, context="radio"),
            cell("a2", 100, territory="DE"),
        ]
        feed.send(report(cells[:2], day=DAY + dt.timedelta(days=n)))
        feed.send(report([cell("a2", 100)], day=DAY + dt.timedelta(days=n), dsp="o'dsp"))
    feed.send(report([cell("a1", 5)])[:-1], partition=1)  # not complete
    for partition in feed.log:
        await feed.read(partition)
    settings.consumption_dir = feed.root
    async with serving(settings) as client:
        yield client
    feed.engine.dispose()


async def get(api, path, **params: Any):
    response = await api.get(path, params=params, headers=READ)
    assert response.status_code == 200, response.text
    return response.json()


async def test_sums_are_grouped_filtered_and_paged(api):
    assert (await get(api, "/v1/consumption"))["items"] == [
        {"count": 450, "consumers": 28, "played_seconds": 0, "completed": 12}
    ]
    found = await get(api, "/v1/consumption", by="context", asset="a1", until="2026-03-03")
    assert found["items"] == [
        {"context": "playlist", "count": 21, "consumers": 14, "played_seconds": 0, "completed": 6},
        {"context": "radio", "count": 2, "consumers": None, "played_seconds": 0, "completed": None},
    ]
    assert (await get(api, "/v1/consumption", dsp="o'dsp", since="2026-03-05"))["items"][0]["count"] == 100
    both = await get(api, "/v1/consumption", context=["radio", "playlist"])
    assert both["items"][0]["count"] == 50
    assert (await get(api, "/v1/consumption", context="1' OR '1'='1"))["items"][0]["count"] == 0
    seen, cursor = [], None
    while True:
        page = await get(api, "/v1/consumption", by="day,asset_id", limit=3, **({"cursor": cursor} if cursor else {}))
        seen += [(row["day"], row["asset_id"]) for row in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert seen == sorted(set(seen))
    assert len(seen) == 8
    assert len((await get(api, "/v1/consumption", by="day,asset_id", limit=1000))["items"]) == 5  # page_rows


async def test_what_is_stored_of_each_report(api):
    page = await get(api, "/v1/consumption/reports", since="2026-03-05")
    assert page["total"] == 2
    assert page["items"][0] == {
        "dsp": "dsp1",
        "territory": "WW",
        "day": "2026-03-05",
        "version": 1,
        "rows": 2,
        "complete": True,
        "withdrawn": False,
    }
    assert len((await get(api, "/v1/consumption/reports", limit=3))["items"]) == 3


async def test_what_cannot_be_asked(api):
    for query in ("by=soon", "by=day,day", "by=count", "since=soon", "cursor=x", "by=day);DROP TABLE x;--"):
        response = await api.get(f"/v1/consumption?{query}", headers=READ)
        assert response.status_code == 422, query
        assert response.headers["content-type"] == "application/problem+json"
        assert response.json()["errors"], query
    many = "&".join(f"asset=a{n}" for n in range(101))
    assert (await api.get(f"/v1/consumption?{many}", headers=READ)).status_code == 422
    assert (await api.get("/v1/consumption")).status_code == 401
    assert (await api.get("/v1/consumption", headers=PLAYER)).status_code == 403

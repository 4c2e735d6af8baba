"""Simulated viewers' players fetch the ads of their breaks and tell what became of them, over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from cuepoint.ops.simulate_ads import AdWatching
from cuepoint.ops.simulate_ports import ApiPort
from cuepoint.schemas.playback import PlayerEvent

KINDS = ("impression", "creative_view", "start", "first_quartile", "midpoint", "third_quartile", "complete", "skip",
         "click", "error")  # fmt: skip
BEGUN = ["impression", "creative_view", "start"]


class Api:
    """Breaks d1, d2, ... have an ad of 20 s each; others there are none."""

    def __init__(self) -> None:
        self.told: dict[str, list[str]] = {}

    async def ads(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if not name.startswith("d"):
            return web.json_response({"title": "no"}, status=404)
        base = f"http://{request.host}/track"
        tracking = {kind: [f"{base}/{kind}?t={name}.a%2Fb&code=[ERRORCODE]"] for kind in KINDS}
        return web.json_response({"break_id": name, "ads": [{"title": "x", "length_s": 20, "tracking": tracking}]})

    async def track(self, request: web.Request) -> web.Response:
        name = request.query["t"].removesuffix(".a/b")
        self.told.setdefault(name, []).append(request.match_info["kind"])
        return web.Response(status=409 if name == "d4" else 200)


@pytest.fixture
async def api() -> AsyncIterator[tuple[Api, AdWatching]]:
    api, app = Api(), web.Application()
    app.router.add_get("/v1/sessions/s/breaks/{name}/ads", api.ads)
    app.router.add_get("/track/{kind}", api.track)
    server = TestServer(app)
    await server.start_server()
    port = ApiPort(str(server.make_url("")).rstrip("/"), "key")
    yield api, AdWatching(port)
    await port.close()
    await server.close()


def ad(kind: Any, decision_id: str, at_s: float) -> PlayerEvent:
    name = f"{kind}{decision_id}{at_s}"
    return PlayerEvent(event_id=name, session_id="s", seq=0, kind=kind, at=int(at_s * 1000), decision_id=decision_id)


async def test_what_viewers_do_with_ads_is_told_once(api: tuple[Api, AdWatching]) -> None:
    server, watching = api
    await watching.follow([ad("ad_started", name, 1) for name in ("d1", "d2", "d3", "d4", "x")], ["s"])
    assert server.told == dict.fromkeys(("d1", "d2", "d3", "d4"), BEGUN)
    later = [ad("ad_skipped", "d2", 12), ad("ad_failed", "d3", 1.5), ad("ad_clicked", "d1", 21)]
    later += [ad("ad_completed", "d1", 21), ad("ad_completed", "x", 21), ad("ad_completed", "d1", 22)]
    await watching.follow([*later, PlayerEvent(event_id="p", session_id="s", seq=1, kind="progressed", at=1)], ["s"])
    assert server.told["d1"] == [*BEGUN, "click", "first_quartile", "midpoint", "third_quartile", "complete"]
    assert server.told["d2"] == [*BEGUN, "first_quartile", "midpoint", "skip"]
    assert server.told["d3"] == [*BEGUN, "error"]
    assert watching.told == 4 * 3 + 5 + 3 + 1


async def test_who_has_left_tells_no_more(api: tuple[Api, AdWatching]) -> None:
    server, watching = api
    await watching.follow([ad("ad_started", "d1", 1)], [])
    await watching.follow([ad("ad_completed", "d1", 21)], [])
    assert server.told["d1"] == BEGUN


async def test_an_api_that_is_away_ends_nothing() -> None:
    port = ApiPort("http://127.0.0.1:9", "key")
    watching = AdWatching(port)
    await watching.follow([ad("ad_started", "d1", 1), ad("ad_completed", "d1", 21)], ["s"])
    await port.tell("http://127.0.0.1:9/track/start")
    assert watching.told == 0
    await port.close()

"""The simulated viewers' HTTP client against a server that is busy, refuses, or does not know a session yet."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from cuepoint.ops.simulate_ports import BATCH_EVENTS, ApiPort
from cuepoint.schemas.errors import Unavailable
from cuepoint.schemas.playback import PlayerEvent


class Api:
    """A collector that answers as it is told."""

    def __init__(self) -> None:
        self.busy, self.errors = 0, []  # type: tuple[int, list[dict[str, object]]]
        self.batches: list[int] = []
        self.asked: list[tuple[str, str | None]] = []

    async def events(self, request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != "Bearer right":
            return web.json_response({"title": "no"}, status=401)
        if self.busy:
            self.busy -= 1
            return web.json_response({}, status=429, headers={"Retry-After": "0"})
        events = (await request.json())["events"]
        self.batches.append(len(events))
        return web.json_response({"tokens": {"s1": "secret"}, "errors": self.errors}, status=202)

    async def decisions(self, request: web.Request) -> web.Response:
        self.asked.append((request.query["after"], request.query.get("token")))
        return web.json_response({}, status=404)


@pytest.fixture
async def api() -> AsyncIterator[tuple[Api, str]]:
    api, app = Api(), web.Application()
    app.router.add_post("/v1/events", api.events)
    app.router.add_get("/v1/sessions/s1/decisions", api.decisions)
    server = TestServer(app)
    await server.start_server()
    yield api, str(server.make_url("")).rstrip("/")
    await server.close()


def events(count: int) -> list[PlayerEvent]:
    return [PlayerEvent(event_id=f"e{n}", session_id="s1", seq=n, kind="progressed", at=1) for n in range(count)]


async def test_a_busy_api_is_asked_again_and_batches_are_bounded(api: tuple[Api, str]) -> None:
    server, url = api
    server.busy = 2
    port = ApiPort(url, "right")
    await port.send(events(BATCH_EVENTS + 5))
    assert server.batches == [BATCH_EVENTS, 5]
    assert await port.decisions("s1", 7) == []
    assert server.asked == [("7", "secret")]
    await port.close()


async def test_refusals_end_the_simulation(api: tuple[Api, str]) -> None:
    server, url = api
    wrong = ApiPort(url, "wrong")
    with pytest.raises(Unavailable, match="401"):
        await wrong.send(events(1))
    await wrong.close()
    server.errors = [{"index": 0, "code": "invalid", "field": "$.seq", "reason": "because"}]
    right = ApiPort(url, "right")
    with pytest.raises(Unavailable, match="because"):
        await right.send(events(1))
    await right.close()

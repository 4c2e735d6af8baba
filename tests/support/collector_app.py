"""The collector alone in an app, with a producer that keeps what it is given: for tests that need no broker."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import httpx
from fastapi import FastAPI
from starlette.routing import Route

from cuepoint.ops.api_auth import Access
from cuepoint.ops.api_collector import Collector
from cuepoint.ops.api_middleware import Observed
from cuepoint.ops.api_problems import install_problem_handlers
from cuepoint.ops.settings import Settings
from cuepoint.schemas.codec import encode
from cuepoint.schemas.topics import PLAYER_EVENTS
from cuepoint.streams.outgoing import Outgoing

KEYS = {"api_keys": "player-key,second-key", "admin_key": "admin-key", "read_keys": "read-key"}
PLAYER = {"authorization": "Bearer player-key"}


class KeepingProducer:
    """The port ``deliver``; ``failure`` is raised instead where set."""

    def __init__(self) -> None:
        self.kept: list[Outgoing] = []
        self.failure: Exception | None = None

    async def deliver(self, messages: Sequence[Outgoing], *, wait: bool = True) -> None:
        if self.failure is not None:
            raise self.failure
        for message in messages:
            encode(message.message)
        self.kept += messages

    def events(self) -> list[Any]:
        return [m.message for m in self.kept if m.topic == PLAYER_EVENTS]

    def dead(self) -> list[Any]:
        return [m.message for m in self.kept if m.topic != PLAYER_EVENTS]


class NothingKnown:
    """The port ``add`` where there are no stores: what is stamped is tested on real ones, in test_event_stamps.py."""

    async def add(self, _events: Sequence[Any]) -> dict[int, Any]:
        return {}


def collector_client(**settings: Any) -> tuple[httpx.AsyncClient, KeepingProducer]:
    """A client of an app that has POST /v1/events only, and what it produced."""
    chosen = Settings(**(KEYS | settings))
    producer = KeepingProducer()
    app = FastAPI()
    collector = Collector(chosen, Access(chosen), producer, NothingKnown())
    app.router.routes.append(Route("/v1/events", collector.post, methods=["POST"]))
    install_problem_handlers(app)
    app.add_middleware(Observed)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://api"), producer


def player_event(n: int = 0, **changes: Any) -> dict[str, Any]:
    """A good event as a player sends it."""
    event = {
        "type": "player-event.v1",
        "event_id": f"e{n}",
        "session_id": "s1",
        "seq": n,
        "kind": "progressed",
        "at": 1_700_000_000_000 + n,
        "video_id": "v1",
        "position_s": 10.0,
    }
    return event | changes

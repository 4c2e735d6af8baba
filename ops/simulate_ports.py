"""The two ways simulated viewers reach the system: the HTTP API, as players do, or the topic and Redis."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Sequence
from typing import Any

import aiohttp
import msgspec
from redis.asyncio import Redis

from cuepoint.ops.settings import Settings
from cuepoint.ops.simulate_ads import BreakAd
from cuepoint.schemas.codec import encode
from cuepoint.schemas.errors import Unavailable
from cuepoint.schemas.playback import AdDecision, PlayerEvent
from cuepoint.schemas.topics import PLAYER_EVENTS
from cuepoint.streams.decision_feed import DecisionFeed
from cuepoint.streams.outgoing import Outgoing
from cuepoint.streams.producer import AsyncProducer

BATCH_EVENTS = 200
PATIENCE_S = 30.0  # how long an API that refuses or does not answer is asked again


class EventsTaken(msgspec.Struct):
    """The collector's answer, as far as it matters to a sender."""

    tokens: dict[str, str] = {}
    errors: list[dict[str, Any]] = []


class _Decisions(msgspec.Struct):
    decisions: list[AdDecision]


class _Break(msgspec.Struct):
    ads: list[BreakAd]


_break = msgspec.json.Decoder(_Break)
_answer = msgspec.json.Decoder(EventsTaken)
_decisions = msgspec.json.Decoder(_Decisions)


class ApiPort:
    """``POST /v1/events`` and the poll of decisions, with a player's key."""

    def __init__(self, url: str, key: str) -> None:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._url = url
        timeout = aiohttp.ClientTimeout(total=10)
        self._http = aiohttp.ClientSession(
            headers=headers, timeout=timeout, connector=aiohttp.TCPConnector(limit=16), raise_for_status=False
        )
        self._tokens: dict[str, str] = {}

    async def send(self, events: list[PlayerEvent]) -> None:
        """Raises Unavailable when the API refuses a batch for good, or does not take it in ``PATIENCE_S``."""
        for start in range(0, len(events), BATCH_EVENTS):
            answer = await self.post(events[start : start + BATCH_EVENTS])
            if answer.errors:
                raise Unavailable(f"{self._url} refused an event: {answer.errors[0]}")

    async def post(self, events: Sequence[Any]) -> EventsTaken:
        """What became of them. Raises Unavailable as ``send``."""
        status, content = await self._ask("POST", "/v1/events", encode({"events": events}))
        if status != 202:
            raise Unavailable(f"{self._url} did not take player events ({status}): {content[:300]!r}")
        answer = _answer.decode(content)
        self._tokens.update(answer.tokens)
        return answer

    async def decisions(self, session_id: str, after: int) -> list[AdDecision]:
        """Those with a higher number; none for a session the API does not know (yet)."""
        query = {"after": str(after)}
        if session_id in self._tokens:
            query["token"] = self._tokens[session_id]
        status, content = await self._ask("GET", f"/v1/sessions/{session_id}/decisions", None, query)
        if status == 404:
            return []
        if status != 200:
            raise Unavailable(f"{self._url} gave no decisions ({status}): {content[:300]!r}")
        return _decisions.decode(content).decisions

    async def ads(self, session_id: str, break_id: str) -> list[BreakAd]:
        """The break's; none where the API has none, or does not answer."""
        path = f"{self._url}/v1/sessions/{session_id}/breaks/{break_id}/ads"
        try:
            async with self._http.get(path, params={"token": self._tokens.get(session_id, "")}) as answer:
                return _break.decode(await answer.read()).ads if answer.status == 200 else []
        except (aiohttp.ClientError, TimeoutError):
            return []

    async def tell(self, url: str) -> None:
        """Ask for a tracking address."""
        with contextlib.suppress(aiohttp.ClientError, TimeoutError):
            async with self._http.get(url) as answer:
                await answer.read()

    async def close(self) -> None:
        await self._http.close()

    async def _ask(
        self, method: str, path: str, body: bytes | None, query: dict[str, str] | None = None
    ) -> tuple[int, bytes]:
        headers = {"Content-Type": "application/json"} if body is not None else {}
        deadline = time.monotonic() + PATIENCE_S
        while True:
            pause = 0.5
            try:
                async with self._http.request(
                    method, self._url + path, data=body, params=query, headers=headers
                ) as answer:
                    content = await answer.read()
                    if answer.status not in (429, 503) or time.monotonic() > deadline:
                        return answer.status, content
                    pause = min(5.0, float(answer.headers.get("Retry-After", "0.5")))
            except (aiohttp.ClientError, TimeoutError) as error:
                if time.monotonic() > deadline:
                    raise Unavailable(f"{self._url} does not answer: {error}") from error
            await asyncio.sleep(pause)


class TopicPort:
    """Straight to the topic, with the time of arrival stamped here; decisions from Redis."""

    def __init__(self, settings: Settings) -> None:
        self._producer = AsyncProducer(settings.broker, source="cuepoint/simulate", prefix=settings.topic_prefix)
        self._redis = Redis.from_url(settings.redis_url.get_secret_value())
        self._feed = DecisionFeed(self._redis)

    async def send(self, events: list[PlayerEvent]) -> None:
        """Raises Unavailable where the broker does not acknowledge."""
        now_ms = int(time.time() * 1000)
        stamped = [msgspec.structs.replace(event, received_at=now_ms) for event in events]
        await self._producer.deliver(
            [Outgoing(PLAYER_EVENTS, event.session_id, event, event.event_id) for event in stamped]
        )

    async def decisions(self, session_id: str, after: int) -> list[AdDecision]:
        return await self._feed.read(session_id, after)

    async def ads(self, session_id: str, break_id: str) -> list[BreakAd]:
        """None: ads are given by the API alone."""
        return []

    async def tell(self, url: str) -> None:
        """There is nothing to tell."""

    async def close(self) -> None:
        await self._feed.close()
        await self._redis.aclose()
        await self._producer.close()

"""A session's decisions for its player: as a poll and as server-sent events."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from typing import cast

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Send

from cuepoint.ops.api_auth import Access
from cuepoint.ops.api_bodies import Json
from cuepoint.ops.api_contracts import DecisionsAnswer
from cuepoint.ops.api_problems import Problem, too_many
from cuepoint.ops.settings import Settings
from cuepoint.schemas.codec import encode
from cuepoint.schemas.errors import Unavailable
from cuepoint.schemas.playback import AdDecision
from cuepoint.streams.decision_feed import DecisionFeed

_DIGITS = 15
_RETRY_MS = 2000
_ID_CHARS = 128


class Decisions:
    """The two endpoints. Any replica serves any session: what they read is in Redis."""

    def __init__(self, settings: Settings, access: Access, feed: DecisionFeed) -> None:
        self._settings, self._access, self._feed = settings, access, feed
        self._open = 0
        self._waits: set[asyncio.Timeout] = set()
        self._ending = False

    async def poll(self, request: Request) -> Response:
        """Decisions numbered above ``after``; 304 where the caller's ETag says it has them. Raises Problem."""
        session_id = self._session(request)
        after = _number(request.query_params.get("after", "0"), "after")
        decisions = await self._feed.read(session_id, after)
        last = decisions[-1].number if decisions else after
        headers = {"etag": f'"{last}"', "cache-control": "private, no-cache"}
        if request.headers.get("if-none-match") == headers["etag"]:
            return Response(status_code=304, headers=headers)
        return Json(DecisionsAnswer(decisions=decisions, last=last), headers=headers)

    async def stream(self, request: Request) -> Response:
        """``event: decision`` with its number as id; Last-Event-ID (or ``after``) resumes. Raises Problem."""
        session_id = self._session(request)
        resume = request.headers.get("last-event-id")
        if resume is not None:
            after = _number(resume, "Last-Event-ID")
        else:
            after = _number(request.query_params.get("after", "0"), "after")
        if self._open >= self._settings.sse_streams or self._ending:
            raise too_many("Too many decision streams are open here; poll, or try again.", 5.0, code="too-many-streams")
        await self._feed.read(session_id, after)  # Redis away: 503 now, since a stream that has begun can only end
        return _EventStream(self._events(session_id, after))

    def _session(self, request: Request) -> str:
        session_id = str(request.path_params["session_id"])
        if len(session_id) > _ID_CHARS:
            raise Problem(422, "invalid", f"A session id has at most {_ID_CHARS} characters.")
        if self._access.bearer(request) is not None:
            self._access.require(request, "player", "read", "admin")
            return session_id
        token = request.query_params.get("token")
        if token is None:
            self._access.require(request, "admin")  # a console login may look, nobody else
        elif self._access.session_of_token(token) != session_id:
            raise Problem(403, "forbidden", "The token is for another session.")
        return session_id

    def end_streams(self) -> None:
        """End the open streams and accept no more: a server that stops would else wait for them."""
        self._ending = True
        for wait in self._waits:
            wait.reschedule(0)

    async def _events(self, session_id: str, after: int) -> AsyncGenerator[bytes, None]:
        self._open += 1
        try:
            yield b"retry: %d\n\n" % _RETRY_MS
            async with contextlib.aclosing(self._followed(session_id, after)) as decisions:
                async for decision in decisions:
                    yield b": keep-alive\n\n" if decision is None else _event(decision)
        except Unavailable:
            return  # the player opens the stream again, at its last id
        finally:
            self._open -= 1

    async def _followed(self, session_id: str, after: int) -> AsyncGenerator[AdDecision | None, None]:
        """The feed's items for a bounded time, which spreads players anew over the replicas."""
        deadline = asyncio.get_running_loop().time() + self._settings.sse_stream_s
        feed = self._feed.follow(session_id, after, keepalive_s=self._settings.sse_keepalive_s)
        async with contextlib.aclosing(cast(AsyncGenerator[AdDecision | None, None], feed)):
            while not self._ending:
                try:
                    async with asyncio.timeout_at(deadline) as wait:
                        self._waits.add(wait)
                        item = await anext(feed)
                except (TimeoutError, StopAsyncIteration):
                    return
                finally:
                    self._waits.discard(wait)
                yield item


class _EventStream(StreamingResponse):
    """Closes its generator at once when the client is gone, so that the count of open streams is true."""

    def __init__(self, events: AsyncGenerator[bytes, None]) -> None:
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        super().__init__(events, media_type="text/event-stream", headers=headers)
        self._events = events

    async def stream_response(self, send: Send) -> None:
        async with contextlib.aclosing(self._events):
            await super().stream_response(send)


def _event(decision: AdDecision) -> bytes:
    return b"id: %d\nevent: decision\ndata: %s\n\n" % (decision.number, encode(decision))


def _number(text: str, name: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= _DIGITS):
        errors = [{"field": name, "reason": "not a decision number (0 or more)"}]
        raise Problem(400, "invalid", f"{name} must be a decision number.", errors=errors)
    return int(text)

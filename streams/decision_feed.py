"""Ad decisions in Redis: written once each, read by number, told live to whoever follows a session."""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from typing import Any, cast

import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError

from cuepoint.schemas.codec import encode
from cuepoint.schemas.errors import Unavailable
from cuepoint.schemas.playback import AdDecision
from cuepoint.streams.tasks import end

_KEY = "cuepoint:decisions:"
_CHANNEL = "cuepoint:decided:"
_FAILURES = (RedisError, OSError, TimeoutError)
_RETRY_S = 0.5

# A sorted set per session, by number: writing a decision again changes nothing and tells nobody.
# KEYS: the set. ARGV: channel, ttl in seconds, how many to keep, then number, decision, number, decision, ...
_WRITE = """
local new = 0
for i = 4, #ARGV, 2 do
  local known = redis.call('ZRANGEBYSCORE', KEYS[1], ARGV[i], ARGV[i])
  if #known == 0 then
    redis.call('ZADD', KEYS[1], ARGV[i], ARGV[i + 1])
    redis.call('PUBLISH', ARGV[1], ARGV[i + 1])
    new = new + 1
  end
end
if new > 0 then
  redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -tonumber(ARGV[3]) - 1)
  redis.call('EXPIRE', KEYS[1], ARGV[2])
end
return new
"""


class DecisionFeed:
    """``keep`` decisions of a session are kept for ``ttl_s`` after the last one. Methods raise Unavailable."""

    def __init__(self, redis: Redis, ttl_s: int = 21_600, keep: int = 10_000) -> None:
        self._redis, self._ttl_s, self._keep = redis, ttl_s, keep
        self._script = redis.register_script(_WRITE)
        self._decode = msgspec.json.Decoder(AdDecision).decode
        self._followers: dict[str, set[asyncio.Queue[AdDecision]]] = defaultdict(set)
        self._listener: asyncio.Task[None] | None = None
        self._pubsub: Any = None

    async def write(self, decisions: Sequence[AdDecision]) -> int:
        """Store them; returns how many were new. Same ``number`` in the same session: the first one stays."""
        sessions: dict[str, list[str | bytes | int]] = defaultdict(list)
        for decision in decisions:
            sessions[decision.session_id] += [decision.number, encode(decision)]
        try:
            async with self._redis.pipeline(transaction=False) as pipe:
                for session, pairs in sessions.items():
                    arguments = [_CHANNEL + session, self._ttl_s, self._keep, *pairs]
                    await self._script(keys=[_KEY + session], args=arguments, client=pipe)
                return sum(await pipe.execute()) if sessions else 0
        except _FAILURES as error:
            raise Unavailable(f"Redis does not answer: {error}") from error

    async def read(self, session_id: str, after: int = 0) -> list[AdDecision]:
        """The session's decisions with a number above ``after``, by number."""
        try:
            found = await self._redis.zrangebyscore(_KEY + session_id, f"({after}", "+inf")
        except _FAILURES as error:
            raise Unavailable(f"Redis does not answer: {error}") from error
        return [self._decode(cast(bytes, each)) for each in found]

    async def follow(
        self, session_id: str, after: int = 0, keepalive_s: float = 15.0
    ) -> AsyncIterator[AdDecision | None]:
        """The decisions above ``after``, then each new one as it comes; None when ``keepalive_s`` passed without one.

        Endless. What pub/sub may have dropped is found again at each keep-alive.
        """
        queue: asyncio.Queue[AdDecision] = asyncio.Queue()
        await self._subscribe(session_id, queue)
        try:
            seen = after
            for decision in await self.read(session_id, seen):
                seen = decision.number
                yield decision
            while True:
                arrived: AdDecision | None = None
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(keepalive_s):
                        arrived = await queue.get()
                if arrived is not None and arrived.number == seen + 1:
                    seen += 1
                    yield arrived
                elif arrived is None or arrived.number > seen:
                    for decision in await self.read(session_id, seen):
                        seen = decision.number
                        yield decision
                if arrived is None:
                    yield None
        finally:
            await self._unsubscribe(session_id, queue)

    async def close(self) -> None:
        """End the subscription; Redis itself belongs to the caller."""
        if self._listener is not None:
            await end(self._listener)
        if self._pubsub is not None:
            with contextlib.suppress(*_FAILURES):
                await self._pubsub.aclose()

    async def _subscribe(self, session_id: str, queue: asyncio.Queue[AdDecision]) -> None:
        if self._pubsub is None:
            self._pubsub = self._redis.pubsub(ignore_subscribe_messages=True)
        self._followers[session_id].add(queue)
        try:
            await self._pubsub.subscribe(_CHANNEL + session_id)
        except _FAILURES as error:
            self._drop(session_id, queue)
            raise Unavailable(f"Redis does not answer: {error}") from error
        if self._listener is None:
            self._listener = asyncio.create_task(self._listen(), name="decisions")

    async def _unsubscribe(self, session_id: str, queue: asyncio.Queue[AdDecision]) -> None:
        if self._drop(session_id, queue):
            with contextlib.suppress(*_FAILURES):
                await self._pubsub.unsubscribe(_CHANNEL + session_id)

    def _drop(self, session_id: str, queue: asyncio.Queue[AdDecision]) -> bool:
        followers = self._followers[session_id]
        followers.discard(queue)
        if followers:
            return False
        del self._followers[session_id]
        return True

    async def _listen(self) -> None:
        while True:
            try:
                told = await self._pubsub.get_message(timeout=1.0) if self._pubsub.subscribed else None
                if not self._pubsub.subscribed:
                    await asyncio.sleep(0.05)
            except _FAILURES:
                await asyncio.sleep(_RETRY_S)  # redis-py connects and subscribes again by itself
                continue
            if told is not None:
                decision = self._decode(told["data"])
                for queue in self._followers.get(decision.session_id, ()):
                    queue.put_nowait(decision)

"""Ad decisions in Redis: written once each, read by number, told live to whoever follows a session."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Sequence
from typing import Any, cast

import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError

from cuepoint.schemas.codec import encode
from cuepoint.schemas.errors import Unavailable
from cuepoint.schemas.playback import AdDecision
from cuepoint.streams.processor import StateLost
from cuepoint.streams.redis_counters import OFFSETS
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


# KEYS: offsets. ARGV: field, the offset expected, the new one. -1: it is another, and lower than the new one.
_ADVANCE = """
local stored = redis.call('HGET', KEYS[1], ARGV[1]) or '-1'
if tonumber(stored) >= tonumber(ARGV[3]) then return 0 end
if stored ~= ARGV[2] then return -1 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
return 1
"""


class DecisionFeed:
    """``keep`` decisions of a session are kept for ``ttl_s`` after the last one; ``log_id`` is the incarnation of the
    log that offsets belong to. Methods raise Unavailable."""

    def __init__(self, redis: Redis, ttl_s: int = 21_600, keep: int = 10_000, log_id: str = "") -> None:
        self._redis, self._ttl_s, self._keep, self._log_id = redis, ttl_s, keep, log_id
        self._script, self._advance = redis.register_script(_WRITE), redis.register_script(_ADVANCE)
        self._known: dict[str, int] = {}  # the offsets Redis had when last heard of
        self._decode = msgspec.json.Decoder(AdDecision).decode
        self._followers: dict[str, set[asyncio.Queue[AdDecision]]] = defaultdict(set)
        self._listener: asyncio.Task[None] | None = None
        self._pubsub: Any = None

    async def write(self, decisions: Sequence[AdDecision], stamps: Sequence[int] = ()) -> int:
        """Store them; returns how many were new. Same ``number`` in the same session: the first one stays. Those whose
        broker timestamp (ms) lies further back than they are kept are left out."""
        sessions: dict[str, list[str | bytes | int]] = defaultdict(list)
        oldest = (time.time() - self._ttl_s) * 1000
        for decision, stamp in zip(decisions, stamps or [0] * len(decisions), strict=True):
            if not 0 < stamp < oldest:
                sessions[decision.session_id] += [decision.number, encode(decision)]
        try:
            async with self._redis.pipeline(transaction=False) as pipe:
                for session, pairs in sessions.items():
                    arguments = [_CHANNEL + session, self._ttl_s, self._keep, *pairs]
                    await self._script(keys=[_KEY + session], args=arguments, client=pipe)
                return sum(await pipe.execute()) if sessions else 0
        except _FAILURES as error:
            raise Unavailable(f"Redis does not answer: {error}") from error

    async def advance(self, topic: str, partition: int, last: int) -> None:
        """Remember that all decisions of the partition up to ``last`` are in.

        Raises StateLost when Redis no longer has what it had (a restart without its append-only file).
        """
        field = self._field(topic, partition)
        expected = self._known.get(field, -1)
        try:
            outcome = await self._advance(keys=[OFFSETS], args=[field, expected, last])
        except _FAILURES as error:
            raise Unavailable(f"Redis does not answer: {error}") from error
        if outcome < 0:
            raise StateLost(f"Redis lost decisions of {topic}[{partition}]: it should stand at {expected}")
        self._known[field] = max(last, expected)

    async def position(self, topic: str, partition: int) -> int:
        """The last offset that is in; -1 for none."""
        field = self._field(topic, partition)
        try:
            stored = await cast("Awaitable[bytes | None]", self._redis.hget(OFFSETS, field))
        except _FAILURES as error:
            raise Unavailable(f"Redis does not answer: {error}") from error
        self._known[field] = -1 if stored is None else int(stored)
        return self._known[field]

    def _field(self, topic: str, partition: int) -> str:
        return f"{self._log_id}|serve_decisions|{topic}|{partition}"

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

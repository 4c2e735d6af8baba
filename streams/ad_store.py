"""What ad serving keeps of sessions in Redis: what was promised and chosen, which tracking was heard."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable
from typing import Any, cast

from redis.asyncio import Redis
from redis.exceptions import RedisError

from cuepoint.schemas.errors import Unavailable

_PROMISED, _KEPT, _HEARD, _SEQ = "cuepoint:promised:", "cuepoint:break:", "cuepoint:heard:", "cuepoint:seq:"
_WATCHED = "cuepoint:watched:"
_FAILURES = (RedisError, OSError, TimeoutError)


class AdStore:
    """What belongs to a session is kept ``ttl_s`` after its last change. All methods raise Unavailable when Redis does
    not answer."""

    def __init__(self, redis: Redis, ttl_s: int) -> None:
        self._redis, self._ttl_s = redis, ttl_s

    async def promise(self, session_id: str, breaks: dict[str, bytes]) -> None:
        """Remember what a VMAP or manifest told the player."""
        if breaks:
            async with self._redis.pipeline(transaction=True) as pipe:
                pipe.hset(_PROMISED + session_id, mapping=cast(Any, breaks))
                pipe.expire(_PROMISED + session_id, self._ttl_s)
                await answered(pipe.execute())

    async def promised(self, session_id: str, break_id: str) -> bytes | None:
        return cast(
            "bytes | None",
            await answered(cast("Awaitable[Any]", self._redis.hget(_PROMISED + session_id, break_id))),
        )

    async def all_promised(self, session_id: str) -> dict[str, bytes]:
        """By break."""
        found = await answered(cast("Awaitable[Any]", self._redis.hgetall(_PROMISED + session_id)))
        return {name.decode(): value for name, value in found.items()}

    async def watch(self, session_id: str, value: bytes) -> None:
        """Remember what the session's starts said."""
        await answered(self._redis.set(_WATCHED + session_id, value, ex=self._ttl_s))

    async def watched(self, session_id: str) -> bytes | None:
        return cast("bytes | None", await answered(self._redis.get(_WATCHED + session_id)))

    async def keep(self, session_id: str, break_id: str, value: bytes) -> bytes:
        """What the break is filled with: the first one to say so is right, whichever replica asks."""
        key = f"{_KEPT}{session_id}:{break_id}"
        before = await answered(self._redis.set(key, value, nx=True, get=True, ex=self._ttl_s))
        return value if before is None else cast(bytes, before)

    async def kept(self, session_id: str, break_id: str) -> bytes | None:
        return cast("bytes | None", await answered(self._redis.get(f"{_KEPT}{session_id}:{break_id}")))

    async def occurrence(self, session_id: str, break_id: str) -> int:
        """The number of this asking for a break that repeats, from 1."""
        return await self._count(f"{_SEQ}{session_id}:{break_id}")

    async def next_seq(self, session_id: str) -> int:
        """The next number of the events that are told on the session's behalf, from 0."""
        return await self._count(_SEQ + session_id) - 1

    async def first_time(self, session_id: str, mark: str) -> bool:
        """Whether this was not heard before; it is from now on."""
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.sadd(_HEARD + session_id, mark)
            pipe.expire(_HEARD + session_id, self._ttl_s)
            return bool((await answered(pipe.execute()))[0])

    async def unheard(self, session_id: str, mark: str) -> None:
        """It could not be passed on: it may come again."""
        await answered(cast("Awaitable[Any]", self._redis.srem(_HEARD + session_id, mark)))

    async def forget_viewer(self, viewer: str) -> int:
        """Delete what is kept of the viewer's sessions; returns how many keys."""
        gone = []
        for pattern in (_PROMISED + "*", _WATCHED + "*"):
            async for key in scan(self._redis, pattern):
                if viewer.encode() in await self._text(key):
                    gone.append(key)
        if gone:
            await answered(self._redis.delete(*gone))
        return len(gone)

    async def _text(self, key: bytes) -> bytes:
        if key.startswith(_WATCHED.encode()):
            return await answered(self._redis.get(key)) or b""
        return b" ".join(await answered(cast("Awaitable[Any]", self._redis.hvals(key.decode()))))

    async def _count(self, key: str) -> int:
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.incr(key)
            pipe.expire(key, self._ttl_s)
            return int((await answered(pipe.execute()))[0])


async def scan(redis: Redis, pattern: str) -> AsyncIterator[bytes]:
    """Names of keys. Raises Unavailable."""
    try:
        async for key in redis.scan_iter(match=pattern, count=1000):
            yield key
    except _FAILURES as error:
        raise Unavailable(f"Redis does not answer: {error}") from error


async def answered(answer: Awaitable[Any]) -> Any:
    """What Redis says. Raises Unavailable."""
    try:
        return await answer
    except _FAILURES as error:
        raise Unavailable(f"Redis does not answer: {error}") from error

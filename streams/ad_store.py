"""Ad serving in Redis: what was promised and chosen, which tracking was heard, how much of a line item is gone."""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from typing import Any, NamedTuple, cast

from redis.asyncio import Redis
from redis.exceptions import RedisError

from cuepoint.models.line_item_select import Chosen, Counts, Slot, fill_pod
from cuepoint.schemas.errors import Unavailable

_PROMISED, _KEPT, _HEARD, _SEQ = "cuepoint:promised:", "cuepoint:break:", "cuepoint:heard:", "cuepoint:seq:"
_WATCHED = "cuepoint:watched:"
_ITEMS = "cuepoint:line-items:"
_SERVED, _RESERVED, _DELIVERED = _ITEMS + "served", _ITEMS + "reserved", _ITEMS + "made"
_COUNTED = _ITEMS + "counted"
_VIEWER = "cuepoint:viewer-day:"
_VIEWER_TTL_S = 2 * 86_400
_ROUNDS = 5
_FAILURES = (RedisError, OSError, TimeoutError)

# All or nothing of each line item, whoever asks. What was reserved and not shown in time is given back first.
# KEYS: served, reserved, the viewer's day. ARGV: now, until when reserved (ms), the viewer's ttl (s), the reservation,
# then per line item its id, quota and frequency (-1: none). Gives 1 or 0 each; 1 without more to whom has it already:
# two replicas may fill the same break at once.
_RESERVE = """
for _, old in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', ARGV[1], 'LIMIT', 0, 1000)) do
  redis.call('ZREM', KEYS[2], old)
  redis.call('HINCRBY', KEYS[1], string.match(old, '^[^ ]+'), -1)
end
local out = {}
for i = 5, #ARGV, 3 do
  local id, quota, frequency = ARGV[i], tonumber(ARGV[i + 1]), tonumber(ARGV[i + 2])
  local total = tonumber(redis.call('HGET', KEYS[1], id) or '0')
  local today = tonumber(redis.call('HGET', KEYS[3], id) or '0')
  local mine = id .. ' ' .. ARGV[4]
  if redis.call('ZSCORE', KEYS[2], mine) then
    out[#out + 1] = 1
  elseif (quota >= 0 and total >= quota) or (frequency >= 0 and today >= frequency) then
    out[#out + 1] = 0
  else
    redis.call('HINCRBY', KEYS[1], id, 1)
    redis.call('HINCRBY', KEYS[3], id, 1)
    redis.call('EXPIRE', KEYS[3], ARGV[3])
    redis.call('ZADD', KEYS[2], ARGV[2], mine)
    out[#out + 1] = 1
  end
end
return out
"""

# KEYS: served, reserved, delivered. ARGV: line item, reservation. Shown after it was given back: it counts again.
_CONFIRM = """
if redis.call('ZREM', KEYS[2], ARGV[1] .. ' ' .. ARGV[2]) == 0 then redis.call('HINCRBY', KEYS[1], ARGV[1], 1) end
return redis.call('HINCRBY', KEYS[3], ARGV[1], 1)
"""


# KEYS: served, delivered, mark. ARGV: line item, impressions, ... (what Redis counted since it lost the rest included).
_RESTORE = """
if redis.call('SETNX', KEYS[3], '1') == 0 then return 0 end
for i = 1, #ARGV, 2 do
  local more = tonumber(ARGV[i + 1]) - tonumber(redis.call('HGET', KEYS[2], ARGV[i]) or '0')
  if more > 0 then
    redis.call('HINCRBY', KEYS[1], ARGV[i], more)
    redis.call('HINCRBY', KEYS[2], ARGV[i], more)
  end
end
return 1
"""


class Delivery(NamedTuple):
    """Of a line item: impressions made, and those made or reserved."""

    impressions: int
    served: int


class AdStore:
    """What belongs to a session is kept ``ttl_s`` after its last change; a reservation ``reserve_ms``. All methods
    raise Unavailable when Redis does not answer."""

    def __init__(self, redis: Redis, ttl_s: int, reserve_ms: int) -> None:
        self._redis, self._ttl_s, self._reserve_ms = redis, ttl_s, reserve_ms
        self._reserve, self._confirm = redis.register_script(_RESERVE), redis.register_script(_CONFIRM)
        self._restore = redis.register_script(_RESTORE)

    async def promise(self, session_id: str, breaks: dict[str, bytes]) -> None:
        """Remember what a VMAP or manifest told the player."""
        if breaks:
            async with self._redis.pipeline(transaction=True) as pipe:
                pipe.hset(_PROMISED + session_id, mapping=cast(Any, breaks))
                pipe.expire(_PROMISED + session_id, self._ttl_s)
                await _answered(pipe.execute())

    async def promised(self, session_id: str, break_id: str) -> bytes | None:
        return cast(
            "bytes | None",
            await _answered(cast("Awaitable[Any]", self._redis.hget(_PROMISED + session_id, break_id))),
        )

    async def watch(self, session_id: str, value: bytes) -> None:
        """Remember what the session's starts said."""
        await _answered(self._redis.set(_WATCHED + session_id, value, ex=self._ttl_s))

    async def watched(self, session_id: str) -> bytes | None:
        return cast("bytes | None", await _answered(self._redis.get(_WATCHED + session_id)))

    async def keep(self, session_id: str, break_id: str, value: bytes) -> bytes:
        """What the break is filled with: the first one to say so is right, whichever replica asks."""
        key = f"{_KEPT}{session_id}:{break_id}"
        before = await _answered(self._redis.set(key, value, nx=True, get=True, ex=self._ttl_s))
        return value if before is None else cast(bytes, before)

    async def kept(self, session_id: str, break_id: str) -> bytes | None:
        return cast("bytes | None", await _answered(self._redis.get(f"{_KEPT}{session_id}:{break_id}")))

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
            return bool((await _answered(pipe.execute()))[0])

    async def unheard(self, session_id: str, mark: str) -> None:
        """It could not be passed on: it may come again."""
        await _answered(cast("Awaitable[Any]", self._redis.srem(_HEARD + session_id, mark)))

    async def counts(self, ids: Sequence[str], viewer: str, day: str) -> dict[str, Counts]:
        """What counts against quota and frequency now."""
        if not ids:
            return {}
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.hmget(_SERVED, list(ids))
            pipe.hmget(f"{_VIEWER}{day}:{viewer}", list(ids))
            totals, today = await _answered(pipe.execute())
        return {id: Counts(int(total or 0), int(own or 0)) for id, total, own in zip(ids, totals, today, strict=True)}

    async def take(
        self, candidates: Sequence[Chosen], slot: Slot, viewer: str, reservation: str, now_ms: int
    ) -> list[Chosen]:
        """A pod whose every ad has been taken out of what is left of its line item. What others took meanwhile is
        replaced, in a few rounds at most."""
        day = dt.datetime.fromtimestamp(now_ms / 1000, dt.UTC).strftime("%Y-%m-%d")
        ids = [each.item.line_item_id for each in candidates]
        taken: list[Chosen] = []
        for _ in range(_ROUNDS):
            counts = await self.counts(ids, viewer, day)
            wanted = fill_pod(candidates, counts, slot, taken)
            won = await self._reserved(wanted, viewer, day, reservation, now_ms)
            taken += [each for each, mine in zip(wanted, won, strict=True) if mine]
            if all(won):
                break
        return taken

    async def _reserved(
        self, chosen: Sequence[Chosen], viewer: str, day: str, reservation: str, now_ms: int
    ) -> list[bool]:
        if not chosen:
            return []
        arguments: list[str | int] = [now_ms, now_ms + self._reserve_ms, _VIEWER_TTL_S, reservation]
        for each in chosen:
            quota = -1 if each.quota is None else each.quota
            frequency = -1 if each.frequency is None else each.frequency
            arguments += [each.item.line_item_id, quota, frequency]
        keys = [_SERVED, _RESERVED, f"{_VIEWER}{day}:{viewer}"]
        return [bool(mine) for mine in await _answered(self._reserve(keys=keys, args=arguments))]

    async def confirm(self, line_item_id: str, reservation: str) -> None:
        """The impression was made. Call it once each."""
        await _answered(self._confirm(keys=[_SERVED, _RESERVED, _DELIVERED], args=[line_item_id, reservation]))

    async def is_counted(self) -> bool:
        """Whether Redis has counts of line items (or there were none when it was asked first)."""
        return bool(await _answered(self._redis.exists(_COUNTED)))

    async def restore(self, made: Mapping[str, int]) -> bool:
        """Begin with these impressions; False, and nothing done, where that was done already."""
        arguments: list[str | int] = [part for item in made.items() for part in item]
        return bool(await _answered(self._restore(keys=[_SERVED, _DELIVERED, _COUNTED], args=arguments)))

    async def delivery(self, line_item_id: str) -> Delivery:
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.hget(_DELIVERED, line_item_id)
            pipe.hget(_SERVED, line_item_id)
            seen, served = await _answered(pipe.execute())
        return Delivery(int(seen or 0), int(served or 0))

    async def forget_viewer(self, viewer: str) -> int:
        """Delete what is kept of the viewer beside counters; returns how many keys."""
        gone = [key async for key in self._scan(f"{_VIEWER}*:{viewer}")]
        for pattern in (_PROMISED + "*", _WATCHED + "*"):
            async for key in self._scan(pattern):
                if viewer.encode() in await self._text(key):
                    gone.append(key)
        if gone:
            await _answered(self._redis.delete(*gone))
        return len(gone)

    async def _text(self, key: bytes) -> bytes:
        if key.startswith(_WATCHED.encode()):
            return await _answered(self._redis.get(key)) or b""
        return b" ".join(await _answered(cast("Awaitable[Any]", self._redis.hvals(key.decode()))))

    async def _scan(self, pattern: str) -> AsyncIterator[bytes]:
        try:
            async for key in self._redis.scan_iter(match=pattern, count=1000):
                yield key
        except _FAILURES as error:
            raise Unavailable(f"Redis does not answer: {error}") from error

    async def _count(self, key: str) -> int:
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.incr(key)
            pipe.expire(key, self._ttl_s)
            return int((await _answered(pipe.execute()))[0])


async def _answered(answer: Awaitable[Any]) -> Any:
    try:
        return await answer
    except _FAILURES as error:
        raise Unavailable(f"Redis does not answer: {error}") from error

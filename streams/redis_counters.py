"""Counters in Redis, exact through replays: one script applies a batch's increments together with its offset."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

from cuepoint.schemas.errors import Unavailable
from cuepoint.streams import metrics
from cuepoint.streams.processor import StateLost

PREFIX = "cuepoint:counts:"
OFFSETS = "cuepoint:offsets"

# KEYS: offsets, then the hashes. ARGV: field of the offset, first, last, the offset expected ('' for any), then per
# hash its ttl in seconds (0: none), the number of increments n, and n times field, increment, kind (i or f).
_APPLY = """
local stored = redis.call('HGET', KEYS[1], ARGV[1])
if stored and tonumber(stored) >= tonumber(ARGV[2]) then return 0 end
if ARGV[4] ~= '' and (stored or '-1') ~= ARGV[4] then return -1 end
local at = 5
for k = 2, #KEYS do
  local ttl, n = tonumber(ARGV[at]), tonumber(ARGV[at + 1])
  at = at + 2
  local erased = redis.call('EXISTS', KEYS[k] .. ':erased') == 1
  for _ = 1, n do
    if erased then
      -- of somebody who asked to be forgotten while the session was still on
    elseif ARGV[at + 2] == 'i' then
      redis.call('HINCRBY', KEYS[k], ARGV[at], ARGV[at + 1])
    else
      redis.call('HINCRBYFLOAT', KEYS[k], ARGV[at], ARGV[at + 1])
    end
    at = at + 3
  end
  if ttl > 0 and not erased then redis.call('EXPIRE', KEYS[k], ttl) end
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
return 1
"""


def no_ttl(_key: str) -> int | None:
    """Keep for ever."""
    return None


class RedisCounters:
    """Hashes of counters. ``ttl_s`` says how long a key is kept after its last change (None: for ever); ``log_id`` is
    the incarnation of the log that offsets belong to. All methods raise Unavailable when Redis does not answer."""

    def __init__(self, redis: Redis, log_id: str = "", ttl_s: Callable[[str], int | None] = no_ttl) -> None:
        self._redis, self._log_id, self._ttl_s = redis, log_id, ttl_s
        self._apply = redis.register_script(_APPLY)
        self._known: dict[str, int] = {}  # the offsets Redis had when last heard of

    async def apply(  # noqa: PLR0917
        self,
        group: str,
        topic: str,
        partition: int,
        first: int,
        last: int,
        increments: Mapping[str, Mapping[str, int | float]],
    ) -> bool:
        """Add ``increments[key][field]`` for the records ``first`` to ``last``, unless some of them are in already.

        False (and nothing done) when the stored offset is at or above ``first``. An increment of type int stays a whole
        number, a float adds as one. Raises StateLost when Redis no longer has what it had (a restart without its
        append-only file).
        """
        field_name = self._field(group, topic, partition)
        expected = self._known.get(field_name)
        keys, arguments = [OFFSETS], [field_name, str(first), str(last), "" if expected is None else str(expected)]
        for key, fields in increments.items():
            keys.append(PREFIX + key)
            arguments += [str(self._ttl_s(key) or 0), str(len(fields))]
            for field, by in fields.items():
                arguments += [field, repr(by), "f" if isinstance(by, float) else "i"]
        outcome = await _answer(self._apply(keys=keys, args=arguments))
        if outcome <= 0:
            self._known.pop(field_name, None)
        if outcome < 0:
            raise StateLost(f"Redis lost counts of {topic}[{partition}]: it should stand at {expected}")
        if outcome:
            self._known[field_name] = last
            metrics.REDIS_FLUSHES.inc()
        return bool(outcome)

    async def position(self, group: str, topic: str, partition: int) -> int:
        """The last offset that is in; -1 for none."""
        stored = await _answer(self._redis.hget(OFFSETS, self._field(group, topic, partition)))
        offset = -1 if stored is None else int(stored)
        self._known[self._field(group, topic, partition)] = offset
        return offset

    async def read(self, key: str) -> dict[str, float]:
        """A hash's counters; empty if there is none."""
        return (await self.read_many([key]))[key]

    async def read_many(self, keys: Iterable[str]) -> dict[str, dict[str, float]]:
        """Several hashes in one round trip."""
        names = list(keys)
        async with self._redis.pipeline(transaction=False) as pipe:
            for name in names:
                pipe.hgetall(PREFIX + name)
            found: Sequence[Mapping[Any, Any]] = await _answer(pipe.execute())
        return {
            name: {_text(field): _number(_text(count)) for field, count in fields.items()}
            for name, fields in zip(names, found, strict=True)
        }

    async def read_fields(self, keys: Sequence[str], fields: Sequence[str]) -> list[list[float]]:
        """The same fields of several hashes in one round trip; 0 for what is not counted."""
        if not keys or not fields:
            return [[0.0] * len(fields) for _ in keys]
        async with self._redis.pipeline(transaction=False) as pipe:
            for key in keys:
                pipe.hmget(PREFIX + key, list(fields))
            found: Sequence[Sequence[Any]] = await _answer(pipe.execute())
        return [[0.0 if count is None else _number(_text(count)) for count in counts] for counts in found]

    async def erase(self, key: str, for_s: int) -> int:
        """Delete a hash; what would still be added to it within ``for_s`` is dropped. Returns how many counters."""
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.set(f"{PREFIX}{key}:erased", "1", ex=for_s)
            pipe.hlen(PREFIX + key)
            pipe.delete(PREFIX + key)
            return int((await _answer(pipe.execute()))[1])

    async def names(self, pattern: str = "*") -> list[str]:
        """Names of the hashes that match a glob pattern, sorted."""
        found = []
        try:
            async for key in self._redis.scan_iter(match=PREFIX + pattern, count=1000):
                found.append(_text(key).removeprefix(PREFIX))
        except (RedisError, TimeoutError, OSError) as error:
            raise Unavailable(f"Redis does not answer: {error}") from error
        return sorted(found)

    def _field(self, group: str, topic: str, partition: int) -> str:
        return f"{self._log_id}|{group}|{topic}|{partition}"


async def _answer(request: Any) -> Any:
    try:
        return await request
    except (RedisError, TimeoutError, OSError, asyncio.IncompleteReadError) as error:
        raise Unavailable(f"Redis does not answer: {error}") from error


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _number(text: str) -> float:
    return float(text) if any(mark in text for mark in ".en") else int(text)

"""What every worker says of itself, each second, in Redis: it disappears when the worker does."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

import msgspec
import redis as redis_sync
from redis.asyncio import Redis

from cuepoint.schemas.base import EpochMs

_PREFIX = "cuepoint:heartbeats:"
_WORKERS = "cuepoint:workers"


class Heartbeat(msgspec.Struct, frozen=True, kw_only=True):
    """Totals since the worker's start, by topic. ``lag`` by ``topic/partition``, in records."""

    role: str
    worker: str
    state: Literal["starting", "ready", "stopping"]
    at: EpochMs
    started_at: EpochMs
    pid: int
    metrics_port: int = 0
    received: dict[str, int] = {}
    sent: dict[str, int] = {}
    dead: dict[str, int] = {}
    lag: dict[str, int] = {}
    open_regions: int = 0
    live_sessions: int = 0
    quarantined: int = 0
    cpu_s: float = 0.0  # of the process, all threads
    snapshot_age_s: float | None = None


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Heartbeat).decode


async def write(redis: Redis, heartbeat: Heartbeat, ttl_s: float) -> None:
    """Store it for ``ttl_s``. Raises redis.RedisError."""
    name = f"{heartbeat.role}:{heartbeat.worker}"
    async with redis.pipeline(transaction=False) as pipe:
        pipe.set(_PREFIX + name, _encode(heartbeat), px=int(ttl_s * 1000))
        pipe.sadd(_WORKERS, name)
        await pipe.execute()


async def read_all(redis: Redis) -> list[Heartbeat]:
    """Those of all live workers, by role and worker. Raises redis.RedisError."""
    names = sorted(_text(name) for name in await redis.smembers(_WORKERS))
    if not names:
        return []
    values = await redis.mget([_PREFIX + name for name in names])
    gone = [name for name, value in zip(names, values, strict=True) if value is None]
    if gone:
        await redis.srem(_WORKERS, *gone)
    return _alive(values)


def read_all_sync(redis: redis_sync.Redis) -> list[Heartbeat]:
    """``read_all`` for callers without an event loop."""
    members: Any = redis.smembers(_WORKERS)
    names = sorted(_text(name) for name in members)
    values: Any = redis.mget([_PREFIX + name for name in names]) if names else []
    return _alive(values)


def _alive(values: Iterable[bytes | str | None]) -> list[Heartbeat]:
    beats = [_decode(value) for value in values if value is not None]
    return sorted(beats, key=lambda beat: (beat.role, beat.worker))


def _text(name: bytes | str) -> str:
    return name.decode() if isinstance(name, bytes) else name

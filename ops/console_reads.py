"""Reads for pages, where a store that is down is a sentence on the page and never an error page."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import redis.exceptions
from sqlalchemy.exc import SQLAlchemyError

from cuepoint.schemas.errors import Unavailable
from cuepoint.streams.history_rows import Page

T = TypeVar("T")
log = logging.getLogger(__name__)
HISTORY_DOWN = "The history database does not answer."
REDIS_DOWN = "Redis does not answer."


@dataclass(frozen=True)
class Answer(Generic[T]):
    """``value`` as read, or the fallback with ``problem``: a sentence for the page (empty: none)."""

    value: T
    problem: str = ""


async def from_history(read: Callable[[], T], fallback: T) -> Answer[T]:
    """Run a synchronous read of SQL beside the event loop."""
    try:
        return Answer(await asyncio.to_thread(read))
    except (SQLAlchemyError, Unavailable, OSError) as error:
        log.warning("console: history read failed: %s", error)
        return Answer(fallback, HISTORY_DOWN)


async def list_from_history(read: Callable[[], list[T]]) -> Answer[list[T]]:
    """``from_history`` that falls back to an empty list."""
    nothing: list[T] = []
    return await from_history(read, nothing)


async def page_from_history(read: Callable[[], Page[T]]) -> Answer[Page[T]]:
    """``from_history`` that falls back to a page of nothing."""
    nothing: Page[T] = Page([], 0)
    return await from_history(read, nothing)


async def from_redis(read: Callable[[], Awaitable[T]], fallback: T, timeout_s: float = 2.0) -> Answer[T]:
    """Await a read of Redis, for at most ``timeout_s``."""
    try:
        async with asyncio.timeout(timeout_s):  # wait_for of Python 3.11 may lose a cancellation
            return Answer(await read())
    except (redis.exceptions.RedisError, Unavailable, OSError, TimeoutError) as error:
        log.warning("console: redis read failed: %s", error)
        return Answer(fallback, REDIS_DOWN)

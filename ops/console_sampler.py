"""What the console watches in the background while the application runs: heartbeats, and whether the parts answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from cuepoint.ops.api_contracts import PartHealth
from cuepoint.ops.api_health import check_parts
from cuepoint.ops.api_parts import ApiParts
from cuepoint.ops.console_rates import RateBoard
from cuepoint.ops.console_reads import Answer, from_redis
from cuepoint.streams.heartbeats import Heartbeat, read_all
from cuepoint.streams.tasks import end

PROBE_PERIOD_S = 5.0


class Sampler:
    """``board`` has the rates, ``beats`` the last heartbeats, ``health`` each part's last finding (empty: none yet)."""

    def __init__(self, parts: ApiParts, period_s: float) -> None:
        self._parts, self._period_s = parts, period_s
        self._tasks: list[asyncio.Task[None]] = []
        self.board = RateBoard()
        self.beats: Answer[list[Heartbeat]] = Answer([])
        self.health: dict[str, PartHealth] = {}

    async def look(self) -> None:
        """One look at the heartbeats."""
        self.beats = await from_redis(lambda: read_all(self._parts.redis), [])
        if not self.beats.problem:
            self.board.observe(self.beats.value)

    async def probe(self) -> None:
        """One question to broker, Redis and database."""
        self.health = await check_parts(self._parts)

    def start(self) -> None:
        """Begin in the background; a second call does nothing."""
        if not self._tasks:
            loops = ((self.look, self._period_s), (self.probe, PROBE_PERIOD_S))
            self._tasks = [asyncio.create_task(_repeat(work, period_s)) for work, period_s in loops]

    async def stop(self) -> None:
        """End what runs in the background."""
        await end(*self._tasks)
        self._tasks = []


async def _repeat(work: Callable[[], Awaitable[None]], period_s: float) -> None:
    while True:
        await work()
        await asyncio.sleep(period_s)

"""``cuepoint simulate``: viewers that are made up, seeded and labelled so, watching through the real API.

Their player events go in; the ad decisions they get are read back and change what they do; the ads of these are
fetched, and what becomes of them is told.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
import time
from dataclasses import dataclass
from typing import Protocol

from cuepoint.models.session_simulator import ViewerSimulator
from cuepoint.ops.settings import Settings
from cuepoint.ops.simulate_ads import AdWatching, BreakAd
from cuepoint.schemas.playback import AdDecision, PlayerEvent

TICK_S = 0.25
POLL_EVERY_S = 1.0
TELL_EVERY_S = 10.0


@dataclass(frozen=True)
class SimulationOptions:
    """``rate``: simulated seconds in a second; ``seconds`` None: until somebody ends it; ``api`` None: as set."""

    sessions: int
    rate: float
    seconds: float | None
    seed: int
    api: str | None
    to_topic: bool


class Port(Protocol):
    """Where events go and decisions come from."""

    async def send(self, events: list[PlayerEvent]) -> None: ...

    async def decisions(self, session_id: str, after: int) -> list[AdDecision]: ...

    async def ads(self, session_id: str, break_id: str) -> list[BreakAd]: ...

    async def tell(self, url: str) -> None: ...

    async def close(self) -> None: ...


@dataclass
class Totals:
    """What went over the wires."""

    events: int = 0
    decisions: int = 0
    told: int = 0  # tracking of ads


def simulate_viewers(options: SimulationOptions, settings: Settings) -> Totals:
    """Run until the time is over, Ctrl-C or SIGTERM. Raises Unavailable where the API or broker does not answer."""
    return asyncio.run(_simulate(options, settings))


async def _simulate(options: SimulationOptions, settings: Settings) -> Totals:
    stopping = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    port = _open_port(options, settings)
    try:
        totals = await Viewers(options, port).watch(stopping)
    finally:
        await port.close()
    sys.stderr.write(
        f"{totals.events} simulated player events, {totals.decisions} ad decisions, {totals.told} tracking events\n"
    )
    return totals


class Viewers:
    """The simulator in real time (or faster), between two ends of a port."""

    def __init__(self, options: SimulationOptions, port: Port) -> None:
        self._options, self._port = options, port
        self._start_ms = int(time.time() * 1000)
        self._simulator = ViewerSimulator(seed=options.seed, start_ms=self._start_ms, sessions=options.sessions)
        self._last: dict[str, int] = {}  # session -> number of its newest decision
        self._ads = AdWatching(port)
        self._totals = Totals()

    async def watch(self, stopping: asyncio.Event) -> Totals:
        """Tick until ``stopping`` or the time is over."""
        began = told = time.monotonic()
        polled = 0.0
        while not stopping.is_set():
            now = time.monotonic()
            if self._options.seconds is not None and now - began >= self._options.seconds:
                break
            events = self._simulator.advance(self._start_ms + int((now - began) * 1000 * self._options.rate))
            await self._port.send(events)
            self._totals.events += len(events)
            await self._ads.follow(events, self._simulator.live_session_ids())
            self._totals.told = self._ads.told
            if now - polled >= POLL_EVERY_S:
                polled = now
                await self._poll()
            if now - told >= TELL_EVERY_S:
                told = now
                sys.stderr.write(f"{self._totals.events} events sent, {self._totals.decisions} decisions received\n")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), max(0.0, now + TICK_S - time.monotonic()))
        return self._totals

    async def _poll(self) -> None:
        live = self._simulator.live_session_ids()
        self._last = {session_id: self._last.get(session_id, 0) for session_id in live}
        answers = await asyncio.gather(*(self._port.decisions(name, after) for name, after in self._last.items()))
        for decisions in answers:
            for decision in decisions:
                self._last[decision.session_id] = max(self._last[decision.session_id], decision.number)
                self._simulator.receive(decision)
                self._totals.decisions += 1


def _open_port(options: SimulationOptions, settings: Settings) -> Port:
    from cuepoint.ops.simulate_ports import ApiPort, TopicPort

    if options.to_topic:
        return TopicPort(settings)
    keys = settings.player_keys()
    url = options.api or f"http://{settings.api_host}:{settings.api_port}"
    return ApiPort(url.rstrip("/"), keys[0] if keys else "")

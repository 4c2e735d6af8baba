"""What simulated viewers' players do beside sending events: fetch each break's ads, and tell what became of them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Protocol

import msgspec

from cuepoint.schemas.playback import PlayerEvent

_BEGUN = ("impression", "creative_view", "start")
_PASSED = ((0.25, "first_quartile"), (0.5, "midpoint"), (0.75, "third_quartile"))
_ENDS = {"ad_completed": "complete", "ad_skipped": "skip", "ad_failed": "error"}


class BreakAd(msgspec.Struct, frozen=True):
    """Of an ad, what a player needs to tell of it: addresses by event."""

    length_s: float
    tracking: dict[str, list[str]]


class AdPort(Protocol):
    """Where ads come from and what became of them is told; neither raises: a pixel that is lost is lost."""

    async def ads(self, session_id: str, break_id: str) -> list[BreakAd]: ...

    async def tell(self, url: str) -> None: ...


class _Showing(msgspec.Struct):
    """An ad that runs."""

    session_id: str
    began_ms: int
    ads: list[BreakAd]


class AdWatching:
    """Breaks are those of the decisions that the viewers' events name. What a viewer does with an ad (skips, clicks,
    sees it whole) is in the events, drawn there; here it is told as VAST's tracking."""

    def __init__(self, port: AdPort) -> None:
        self._port = port
        self._showing: dict[str, _Showing] = {}  # by decision
        self.told = 0

    async def follow(self, events: Iterable[PlayerEvent], live: Iterable[str]) -> None:
        """Take in events in their order; sessions that are not ``live`` have left their ads."""
        by_session: dict[str, list[PlayerEvent]] = {}
        for event in events:
            if event.kind.startswith("ad_") and event.decision_id is not None:
                by_session.setdefault(event.session_id, []).append(event)
        await asyncio.gather(*map(self._follow, by_session.values()))
        here = set(live)
        self._showing = {name: each for name, each in self._showing.items() if each.session_id in here}

    async def _follow(self, events: Sequence[PlayerEvent]) -> None:
        for event in events:
            name = event.decision_id or ""
            if event.kind == "ad_started":
                ads = await self._port.ads(event.session_id, name)
                self._showing[name] = _Showing(event.session_id, event.at, ads)
                await self._tell(ads, _BEGUN)
            elif (showing := self._showing.get(name)) is None:
                continue
            elif event.kind == "ad_clicked":
                await self._tell(showing.ads, ("click",))
            elif event.kind in _ENDS:
                del self._showing[name]
                seconds = (event.at - showing.began_ms) / 1000.0
                for ad in showing.ads:
                    share = 1.0 if event.kind == "ad_completed" else seconds / ad.length_s
                    passed = [told for at, told in _PASSED if at <= share]
                    await self._tell([ad], [*passed, _ENDS[event.kind]])

    async def _tell(self, ads: Sequence[BreakAd], kinds: Sequence[str]) -> None:
        for ad in ads:
            for kind in kinds:
                for url in ad.tracking.get(kind, ()):
                    await self._port.tell(url.replace("[ERRORCODE]", "400"))
                    self.told += 1

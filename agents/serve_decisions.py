"""Agent: puts each ad decision where players' API replicas read it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Protocol

from cuepoint.schemas.codec import UNREADABLE, decoder
from cuepoint.schemas.playback import AdDecision
from cuepoint.schemas.topics import AD_DECISIONS, Topic
from cuepoint.streams.batch import Batch
from cuepoint.streams.outgoing import Outgoing


class Feed(Protocol):
    """Where to: writing a decision again changes nothing. Raises Unavailable; ``advance`` StateLost, too, where the
    feed no longer holds what it held."""

    async def write(self, decisions: Sequence[AdDecision], stamps: Sequence[int]) -> int: ...

    async def advance(self, topic: str, partition: int, last: int) -> None: ...

    async def position(self, topic: str, partition: int) -> int: ...


class ServeDecisions:
    """Stateless: the feed knows how far it is filled, and a feed that comes back empty is filled anew from the log.
    Broken records are told by the agent that counts decisions."""

    name: ClassVar[str] = "serve_decisions"
    topics: ClassVar[tuple[Topic, ...]] = (AD_DECISIONS,)

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._decode = decoder(AdDecision).decode

    async def process(self, batch: Batch) -> Sequence[Outgoing]:
        """Writes the batch's decisions; produces nothing."""
        decisions: list[AdDecision] = []
        stamps: list[int] = []
        for value, stamp in zip(batch.values, batch.timestamps, strict=True):
            try:
                decisions.append(self._decode(value))
                stamps.append(stamp)
            except UNREADABLE:
                continue
        await self._feed.write(decisions, stamps)
        await self._feed.advance(batch.topic, batch.partition, batch.last)
        return []

    async def position(self, topic: str, partition: int) -> int:
        """The last offset the feed holds; -1 for none."""
        return await self._feed.position(topic, partition)

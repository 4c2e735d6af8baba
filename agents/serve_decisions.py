"""Agent: puts each ad decision where players' API replicas read it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Protocol

import msgspec

from cuepoint.schemas.codec import decoder
from cuepoint.schemas.playback import AdDecision
from cuepoint.schemas.topics import AD_DECISIONS, Topic
from cuepoint.streams.batch import Batch
from cuepoint.streams.outgoing import Outgoing


class Feed(Protocol):
    """Where to: writing a decision again changes nothing. Raises Unavailable."""

    async def write(self, decisions: Sequence[AdDecision]) -> int: ...


class ServeDecisions:
    """Stateless: a repeat is recognised by the feed. Broken records are told by the agent that counts decisions."""

    name: ClassVar[str] = "serve_decisions"
    topics: ClassVar[tuple[Topic, ...]] = (AD_DECISIONS,)

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._decode = decoder(AdDecision).decode

    async def process(self, batch: Batch) -> Sequence[Outgoing]:
        """Writes the batch's decisions; produces nothing."""
        decisions = []
        for value in batch.values:
            try:
                decisions.append(self._decode(value))
            except msgspec.MsgspecError:
                continue
        await self._feed.write(decisions)
        return []

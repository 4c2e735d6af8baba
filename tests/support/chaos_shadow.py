"""The undisturbed run: the same agents in this process, fed the same logs in other pieces, never killed."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from random import Random
from typing import Any

import numpy as np
from chaos_logs import Place, Record, batch_of

from cuepoint.agents.agent import StatefulAgent
from cuepoint.agents.compose_sessions import ComposeSessions
from cuepoint.agents.count import CountDecisions, CountEvents
from cuepoint.agents.watch_trends import WatchTrends
from cuepoint.models.rule_shelf import RuleShelf
from cuepoint.models.trend_bases import Archive
from cuepoint.schemas.codec import decoder, encode
from cuepoint.schemas.playback import AdDecision
from cuepoint.schemas.trends import AssetDay, Change
from cuepoint.streams.outgoing import Encoded, Outgoing
from cuepoint.streams.state_archive import name_of

ROLE_OF = {
    "watch_trends": "trends",
    "compose_sessions": "sessions",
    "count_events": "counts",
    "count_decisions": "counts",
}


class NoStore:
    """A counter store that takes everything and keeps nothing: the counts are checked against the plain recount."""

    async def apply(
        self,
        group: str,
        topic: str,
        partition: int,
        first: int,
        last: int,
        increments: Mapping[str, Mapping[str, int | float]],
    ) -> bool:
        return True

    async def position(self, group: str, topic: str, partition: int) -> int:
        return -1


class MemoryArchive:
    """Earlier states under the same names as on disk; they never go."""

    def __init__(self) -> None:
        self._held: dict[str, np.ndarray] = {}

    def put(self, parts: Sequence[np.ndarray]) -> str:
        name = name_of(parts)
        self._held[name] = np.frombuffer(b"".join(part.tobytes() for part in parts), dtype=np.uint8)
        return name

    def get(self, name: str) -> np.ndarray:
        return self._held[name]

    def size(self, name: str) -> int:
        return len(self._held.get(name, ())) if name in self._held else -1

    def keep(self, names: Collection[str]) -> None:
        pass


_decode = decoder(AdDecision).decode
_EARLIER = MemoryArchive()


def make_agents(archive: Callable[[int], Archive] = lambda _: _EARLIER) -> list[StatefulAgent]:
    """The agents as ``cuepoint worker`` makes them, but for the store of the counters; the rules stand in the log."""
    watch = WatchTrends(archive=archive)
    return [watch, ComposeSessions(RuleShelf()), CountEvents(NoStore()), CountDecisions(NoStore())]


def digest(key: str | bytes | None, value: bytes | None) -> int:
    """Of all that a consumer sees of a message."""
    key = key.encode() if isinstance(key, str) else key
    return int.from_bytes(hashlib.blake2b(repr((key, value)).encode(), digest_size=8).digest(), "big")


class Shadow:
    """``due[topic][id]``: the digest of each message that must be on an output topic; ``recorded[table][key]``: that of
    each row that must stand in SQL in the end."""

    def __init__(self, seed: int) -> None:
        self.agents = {agent.name: agent for agent in make_agents()}
        self.due: dict[str, dict[str, int]] = defaultdict(dict)
        self.recorded: dict[str, dict[tuple[Any, ...], int]] = defaultdict(dict)
        self.unequal: list[str] = []  # ids the undisturbed run itself gave two contents
        self._rng = Random(f"shadow {seed}")

    async def feed(self, place: Place, records: Sequence[Record]) -> None:
        """Hand the next records of a partition to the agents that read its topic."""
        at = 0
        while at < len(records):
            piece = list(records[at : at + self._rng.choice((1, 7, 90, 1000))])
            at += len(piece)
            for agent in self.agents.values():
                if place[0] in {topic.name for topic in agent.topics}:
                    for outgoing in await agent.process(batch_of(*place, piece)):
                        self._expect(outgoing)

    def _expect(self, outgoing: Outgoing | Encoded) -> None:
        due, content = self.due[outgoing.topic.name], digest(outgoing.key, outgoing.value)
        if due.setdefault(outgoing.id, content) != content:
            self.unequal.append(f"{outgoing.topic.name} {outgoing.id}")
        message = outgoing.message
        if isinstance(message, Change):
            self.recorded["changes"][message.change_id,] = digest(None, encode(message))
        elif isinstance(message, AssetDay):
            self.recorded["asset_days"][message.asset_id, message.day] = digest(None, encode(message))
        elif isinstance(message, AdDecision):
            said = encode(_decode(outgoing.value))  # whole numbers of its criteria come back as floats
            self.recorded["decisions"][message.decision_id,] = digest(None, said)

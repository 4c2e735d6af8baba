"""Agent: writes what the topics say into the history that console and API read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Protocol

import msgspec

from cuepoint.schemas.codec import UNREADABLE, decoder, explain
from cuepoint.schemas.faults import DeadLetter
from cuepoint.schemas.rules import AdRule
from cuepoint.schemas.topics import (
    AD_DECISIONS,
    AD_EVENTS,
    ASSET_DAYS,
    ASSETS,
    CHANGES,
    DEAD_AD_DECISIONS,
    DEAD_AD_RULES,
    DEAD_ASSETS,
    DEAD_CONSUMPTION,
    DEAD_HISTORY,
    DEAD_LETTERS,
    DEAD_PLAYER_EVENTS,
    DEAD_QUARANTINE,
    DEAD_TREND_RECORDS,
    EXPLANATIONS,
    OPPORTUNITIES,
    PLAYER_EVENTS,
    QUARANTINE,
    REPORTS,
    Topic,
)
from cuepoint.streams.batch import Batch
from cuepoint.streams.history_rows import Recorded
from cuepoint.streams.outgoing import Outgoing

_DEAD = (
    DEAD_TREND_RECORDS,
    DEAD_CONSUMPTION,
    DEAD_QUARANTINE,
    DEAD_PLAYER_EVENTS,
    DEAD_AD_DECISIONS,
    DEAD_AD_RULES,
    DEAD_ASSETS,
    DEAD_HISTORY,
)
# Broken records of these are told by the agents that decide on them; here they would be told a second time.
_TOLD_ELSEWHERE = frozenset({PLAYER_EVENTS.name, AD_DECISIONS.name, QUARANTINE.name})


class History(Protocol):
    """Where to. Methods raise Unavailable."""

    async def write(self, topic: str, partition: int, last: int, recorded: Sequence[Recorded]) -> bool: ...

    async def position(self, topic: str, partition: int) -> int | None: ...


class RecordHistory:
    """Stateless: the history itself holds, in the transaction of each batch, how far it got."""

    name: ClassVar[str] = "record_history"
    topics: ClassVar[tuple[Topic, ...]] = (
        CHANGES,
        ASSET_DAYS,
        EXPLANATIONS,
        OPPORTUNITIES,
        ASSETS,
        AD_DECISIONS,
        AD_EVENTS,
        PLAYER_EVENTS,
        REPORTS,
        QUARANTINE,
        *_DEAD,
    )

    def __init__(self, history: History) -> None:
        self._history = history
        self._decoders: Mapping[str, msgspec.json.Decoder[Any]] = {
            topic.name: decoder(_union(topic.messages)) for topic in self.topics
        }

    async def process(self, batch: Batch) -> Sequence[Outgoing]:
        """Records what can be read; a record that cannot goes to the topic's dead letters."""
        recorded, broken = self._decode(batch)
        recorded += [
            Recorded(batch.offsets[i], batch.timestamps[i], letter)
            for i, letter in broken
            if batch.topic not in DEAD_LETTERS
        ]
        await self._history.write(batch.topic, batch.partition, batch.last, recorded)
        if batch.topic not in DEAD_LETTERS or batch.topic in _TOLD_ELSEWHERE:
            return []
        dead = DEAD_LETTERS[batch.topic]
        return [
            Outgoing(dead, batch.topic, letter, f"{batch.topic}/{batch.partition}/{batch.offsets[i]}")
            for i, letter in broken
        ]

    async def position(self, topic: str, partition: int) -> int | None:
        """The last offset the history holds."""
        return await self._history.position(topic, partition)

    def _decode(self, batch: Batch) -> tuple[list[Recorded], list[tuple[int, DeadLetter]]]:
        decode = self._decoders[batch.topic].decode
        recorded: list[Recorded] = []
        broken: list[tuple[int, DeadLetter]] = []
        for i, value in enumerate(batch.values):
            if value is None:
                continue  # a compacted topic's mark of a key that is gone
            try:
                message = decode(value)
                if not isinstance(message, AdRule):  # rules stand among the player events; the API keeps them
                    recorded.append(Recorded(batch.offsets[i], batch.timestamps[i], message))
            except UNREADABLE as error:
                broken.append((i, batch.dead_letter(i, explain(error))))
        return recorded, broken


def _union(messages: tuple[Any, ...]) -> Any:
    kind = messages[0]
    for other in messages[1:]:
        kind |= other
    return kind

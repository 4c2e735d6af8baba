"""Agent: queues changes and opportunities for the webhooks that want them.

The sending is not its business: a subscriber may be slow.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Protocol

from cuepoint.models.webhook_filter import Alert
from cuepoint.schemas.codec import UNREADABLE, decoder
from cuepoint.schemas.topics import CHANGES, OPPORTUNITIES, Topic
from cuepoint.streams.batch import Batch
from cuepoint.streams.outgoing import Outgoing

_decode = decoder(Alert).decode


class Outbox(Protocol):
    """Where to. Methods raise Unavailable."""

    async def add(self, topic: str, partition: int, last: int, alerts: Sequence[tuple[int, int, Alert]]) -> int: ...

    async def position(self, topic: str, partition: int) -> int | None: ...


class DeliverWebhooks:
    """Stateless: the outbox holds, in the transaction of each batch, how far it got."""

    name: ClassVar[str] = "deliver_webhooks"
    topics: ClassVar[tuple[Topic, ...]] = (CHANGES, OPPORTUNITIES)

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox

    async def process(self, batch: Batch) -> Sequence[Outgoing]:
        """Broken records are told of by record_history, which reads them too."""
        alerts = []
        for offset, at, value in zip(batch.offsets, batch.timestamps, batch.values, strict=True):
            try:
                alerts.append((offset, at, _decode(value)))
            except UNREADABLE:
                continue
        await self._outbox.add(batch.topic, batch.partition, batch.last, alerts)
        return []

    async def position(self, topic: str, partition: int) -> int | None:
        """The last offset the outbox holds."""
        return await self._outbox.position(topic, partition)

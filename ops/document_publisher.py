"""Documents onto their topics: at once where the broker answers, else when it is back."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

from cuepoint.schemas.errors import Unavailable
from cuepoint.streams.document_store import DocumentStore, Kind, outgoing
from cuepoint.streams.producer import AsyncProducer

_AT_ONCE = 500
_log = logging.getLogger("cuepoint.api")


class DocumentPublisher:
    """What is stored is published once more rather than not at all: a version is told by its id."""

    def __init__(self, store: DocumentStore, producer: AsyncProducer) -> None:
        self._store, self._producer = store, producer

    async def publish(self, documents: Sequence[tuple[Kind, Any]]) -> bool:
        """False where the broker does not answer: ``publish_waiting`` tries again."""
        try:
            await self._producer.deliver([outgoing(kind, document) for kind, document in documents])
        except Unavailable as error:
            _log.warning("%d documents wait for the broker: %s", len(documents), error)
            return False
        await asyncio.to_thread(self._store.mark_published, documents)
        return True

    async def publish_waiting(self) -> None:
        """Publish what is stored and not published; the caller repeats this."""
        while waiting := await asyncio.to_thread(self._store.unpublished, _AT_ONCE):
            if not await self._producer.answers() or not await self.publish(waiting):
                return

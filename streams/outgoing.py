"""What an agent hands back: a message for a topic."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

from cuepoint.schemas.base import Contract
from cuepoint.schemas.codec import decoder, encode
from cuepoint.schemas.topics import Topic


class Outgoing(NamedTuple):
    """``key`` decides the partition, ``id`` (where given) becomes the CloudEvents id: the same id, the same content."""

    topic: Topic
    key: str
    message: Contract
    id: str = ""

    @property
    def value(self) -> bytes:
        """The message in JSON."""
        return encode(self.message)


class Encoded(NamedTuple):
    """An Outgoing whose message is JSON already; its topic holds one contract only. Where millions are said at once, an
    object each would cost more than all else."""

    topic: Topic
    key: str
    value: bytes
    id: str = ""
    at_ms: int = -1  # of the event it answers, where it is told how long that took

    @property
    def message(self) -> Contract:
        """Read anew at every look."""
        found: Contract = _decoder(self.topic).decode(self.value)
        return found


@lru_cache
def _decoder(topic: Topic) -> Any:
    (contract,) = topic.messages
    return decoder(contract)

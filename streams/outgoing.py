"""What an agent hands back: a message for a topic."""

from __future__ import annotations

from typing import NamedTuple

from cuepoint.schemas.base import Contract
from cuepoint.schemas.topics import Topic


class Outgoing(NamedTuple):
    """``key`` decides the partition, ``id`` (where given) becomes the CloudEvents id: the same id, the same content."""

    topic: Topic
    key: str
    message: Contract
    id: str = ""

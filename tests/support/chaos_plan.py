"""What a chaos run sends, made from its seed alone: the same seed and number of steps give the same input."""

from __future__ import annotations

import json
from collections.abc import Sequence
from random import Random
from typing import Any, NamedTuple

from cuepoint.schemas.base import Contract
from cuepoint.schemas.codec import encode
from cuepoint.schemas.topics import Topic

Step = list["Send"]
# The whole of no JSON document; what each must be refused as.
NOT_JSON: tuple[tuple[bytes | None, str], ...] = (
    (b"{not json", "malformed"),
    (b"\xff\xfe\x00", "malformed"),
    (b"", "malformed"),
    (None, "malformed"),  # a record without value
    (b'{"type":', "malformed"),
)


class Send(NamedTuple):
    """One record. ``message`` None: the bytes are broken on purpose and must be refused with ``code``."""

    topic: Topic
    key: str
    partition: int
    value: bytes | None
    message: Contract | None = None
    code: str = ""


def good(topic: Topic, key: str, partition: int, message: Contract) -> Send:
    return Send(topic, key, partition, encode(message), message)


def spoilt(rng: Random, send: Send, faults: Sequence[tuple[dict[str, Any], str]]) -> Send:
    """The record in a form that must be refused: not JSON, nested too deeply, or with one field changed for the worse
    (``faults``: changed fields and the code; None removes a field)."""
    kind = rng.random()
    if kind < 0.35:
        value, code = rng.choice(NOT_JSON)
    elif kind < 0.4:
        assert send.value is not None
        value, code = send.value[:-1] + b',"more":' + b"[" * 20_000, "malformed"
    else:
        fields, code = rng.choice(faults)
        content = json.loads(send.value or b"{}") | fields
        value = json.dumps({name: cell for name, cell in content.items() if cell is not None}).encode()
    return send._replace(value=value, message=None, code=code)


def interleaved(rng: Random, sequences: Sequence[Sequence[Send]]) -> list[Send]:
    """All of them, each in its own order, mixed as several producers would."""
    left = [list(reversed(sequence)) for sequence in sequences if sequence]
    mixed: list[Send] = []
    while left:
        chosen = rng.choices(left, [len(sequence) for sequence in left])[0]
        mixed.append(chosen.pop())
        if not chosen:
            left.remove(chosen)
    return mixed

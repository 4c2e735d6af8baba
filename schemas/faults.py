"""What becomes of a record that cannot be used."""

from __future__ import annotations

from typing import Annotated

import msgspec

from cuepoint.schemas.base import Contract, EpochMs, Text


class DeadLetter(Contract, frozen=True, kw_only=True, tag="dead-letter.v1"):
    """A refused record: why, the original bytes, and where it came from, so that it can be replayed after a fix."""

    topic: Text  # where it stood, or was to go
    partition: int | None = None
    offset: int | None = None
    source: Text = ""  # file, for ingested rows
    line: int | None = None
    key: Text | None = None
    code: Text  # short and stable: malformed, invalid, unknown_version, future_day, ...
    field: Text = ""  # JSON path, e.g. $.count
    reason: Annotated[str, msgspec.Meta(max_length=2048)]
    original: bytes  # base64 in JSON
    at: EpochMs

"""What becomes of a record that cannot be used."""

from __future__ import annotations

from typing import Annotated, NamedTuple, Protocol

import msgspec

from cuepoint.schemas.base import Contract, EpochMs, Text


class Fault(Protocol):
    """What is wrong with a record: a stable code, a JSON path, a sentence. ContractError is one, Refusal another."""

    @property
    def code(self) -> str: ...
    @property
    def field(self) -> str: ...
    @property
    def reason(self) -> str: ...


class Refusal(NamedTuple):
    """A fault that is returned, not raised."""

    code: str
    field: str
    reason: str


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

    @classmethod
    def of(
        cls,
        fault: Fault,
        original: bytes,
        at_ms: int,
        *,
        topic: str,
        partition: int | None = None,
        offset: int | None = None,
        key: bytes | None = None,
        source: str = "",
        line: int | None = None,
    ) -> DeadLetter:
        """The letter about a fault, its texts cut to what the contract allows.

        >>> DeadLetter.of(Refusal("invalid", "$.count", "Expected `int`"), b"{}", -1, topic="t", key=b"a").key
        'a'
        """
        return cls(
            topic=topic,
            partition=partition,
            offset=offset,
            source=source[:512],
            line=line,
            key=None if key is None else key.decode(errors="replace")[:512],
            code=fault.code,
            field=fault.field[:512],
            reason=fault.reason[:2048],
            original=original,
            at=max(0, at_ms),
        )

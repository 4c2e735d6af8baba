"""Bodies in and out: bounded reading, JSON by msgspec."""

from __future__ import annotations

from typing import Any

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from cuepoint.ops.api_problems import Problem

_json = msgspec.json.Encoder().encode
_DRAIN_BYTES = 16 << 20


class Json(Response):
    """A JSON answer, encoded by msgspec (contracts, rows, plain values)."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        return _json(content)


async def read_body(request: Request, most_bytes: int) -> bytes:
    """The body. Raises 413 when it is larger than ``most_bytes``, 415 when it is compressed.

    What is too large is not kept, but read to its end (to a bound): a client that still sends would else see a broken
    connection in place of the answer.
    """
    if request.headers.get("content-encoding", "identity") != "identity":
        raise Problem(415, "unsupported-encoding", "Send the body without Content-Encoding.")
    chunks: list[bytes] = []
    size = 0
    try:
        async for chunk in request.stream():
            size += len(chunk)
            if size <= most_bytes:
                chunks.append(chunk)
            elif size > _DRAIN_BYTES:
                break
    except ClientDisconnect:
        raise Problem(400, "disconnected", "The body ended early.") from None
    if size > most_bytes:
        raise Problem(413, "body-too-large", f"The body may have at most {most_bytes} bytes.")
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def media_type(request: Request) -> str:
    """The content type without parameters, lower case."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()

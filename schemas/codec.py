"""JSON to and from contracts, with errors that name the field."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from cuepoint.schemas.base import Contract
from cuepoint.schemas.errors import ContractError

T = TypeVar("T")
encode: Callable[[Any], bytes] = msgspec.json.Encoder(enc_hook=None).encode
# What a decoder may raise for bytes that nobody has looked at; the last: a record without a value.
UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, TypeError)
_PLACE = re.compile(r" - at `(?:key in )?(.+?)`$")


def decoder(kind: Any) -> msgspec.json.Decoder[Any]:
    """A reusable decoder for a contract or a union of contracts.

    >>> from cuepoint.schemas.trends import TrendRecord
    >>> value = b'{"type":"trend-record.v1","asset_id":"a","day":"2019-12-01","dsp":"d","count":3}'
    >>> decoder(TrendRecord).decode(value).count
    3
    """
    return msgspec.json.Decoder(kind)


def explain(error: Exception) -> ContractError:
    """Turn a decoder's error into a ContractError with a stable code and the field's JSON path.

    >>> from cuepoint.schemas.trends import TrendRecord
    >>> try:
    ...     decoder(TrendRecord).decode(b'{"type":"trend-record.v9"}')
    ... except msgspec.MsgspecError as error:
    ...     explain(error).code, explain(error).field
    ('unknown_version', '$.type')
    """
    text = str(error)
    if isinstance(error, msgspec.ValidationError):
        place = _PLACE.search(text)
        field = place.group(1) if place else "$"
        if "missing required field" in text:
            name = text.split("`")[1]
            field = f"{field}.{name}"
        reason = text[: place.start()] if place else text
        code = "unknown_version" if field == "$.type" else "invalid"
        return ContractError(code, field, reason)
    return ContractError("malformed", "$", text)


def type_name(contract: type[Contract]) -> str:
    """The value of ``type`` on the wire, e.g. ``trend-record.v1``."""
    return str(contract.__struct_config__.tag)

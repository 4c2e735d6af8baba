"""Player events from bytes, fast for the good and exact for the bad."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, cast, get_type_hints

import msgspec

from cuepoint.schemas.base import Identifier
from cuepoint.schemas.codec import decoder, explain
from cuepoint.schemas.errors import ContractError
from cuepoint.schemas.playback import PlayerEvent

_Id = Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
_WITHOUT_PATTERN = {Identifier: _Id, Identifier | None: _Id | None}


def _lean() -> type[PlayerEvent]:
    """PlayerEvent without the patterns of its identifiers: matching them takes three quarters of the decoding time."""
    hints = get_type_hints(PlayerEvent, include_extras=True)
    fields: list[Any] = []
    for field in msgspec.structs.fields(PlayerEvent):
        kind = _WITHOUT_PATTERN.get(hints[field.name], hints[field.name])
        required = field.default is msgspec.NODEFAULT
        fields.append((field.name, kind) if required else (field.name, kind, field.default))
    lean = msgspec.defstruct(
        "LeanPlayerEvent", fields, frozen=True, kw_only=True, gc=False, tag_field="type", tag="player-event.v1"
    )
    return cast(type[PlayerEvent], lean)


_decode_lean = msgspec.json.Decoder(_lean()).decode
_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, TypeError)  # the last: a record without value
_decode_strict = decoder(PlayerEvent).decode


def decode_events(
    values: Sequence[bytes],
) -> tuple[list[PlayerEvent], Sequence[int], list[tuple[int, ContractError]]]:
    """(events, places, refused): ``places[k]`` is the index in ``values`` of ``events[k]``; refused pairs an index
    with its error.

    What is accepted is exactly what the contract accepts: identifiers are checked all at once, and where that finds
    something (or a record does not decode) each record is decoded by the contract itself.
    """
    try:
        events = list(map(_decode_lean, values))
    except _UNREADABLE:
        return _one_by_one(values)
    joined = b"".join(values)
    if not joined.isascii() or b" " in joined or b"\\" in joined:
        # JSON has no raw control characters in its strings, so that only these records can hold blanks of any kind
        odd = [e for e, v in zip(events, values, strict=True) if not v.isascii() or b" " in v or b"\\" in v]
        named = "".join([f"{e.event_id}{e.session_id}{e.video_id}{e.decision_id}{e.rule_id}{e.viewer_id}" for e in odd])
        if " " in named or not named.isprintable():
            return _one_by_one(values)
    return events, range(len(events)), []


def _one_by_one(
    values: Sequence[bytes],
) -> tuple[list[PlayerEvent], Sequence[int], list[tuple[int, ContractError]]]:
    events: list[PlayerEvent] = []
    places: list[int] = []
    refused: list[tuple[int, ContractError]] = []
    for place, value in enumerate(values):
        try:
            events.append(_decode_strict(value))
            places.append(place)
        except _UNREADABLE as error:
            refused.append((place, explain(error)))
    return events, places, refused

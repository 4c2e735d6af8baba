"""Rows of a player's or a CDN's log as player events, by a mapping that is data."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, Literal

import msgspec

from cuepoint.schemas.codec import type_name
from cuepoint.schemas.errors import ContractError
from cuepoint.schemas.playback import PlayerEvent

_BY_US = ("event_id", "received_at")
_FIELDS = {field.name: field.type for field in msgspec.structs.fields(PlayerEvent) if field.name not in _BY_US}
_NEEDED = ("session_id", "kind", "at")
Row = Mapping[str, Any]


class Source(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where a field comes from: a ``column`` (its values translated by ``values``, a number times ``factor``, a time
    written ``as``) or, for all rows alike, ``value``."""

    column: str = ""
    value: str | float | bool | None = None
    values: dict[str, str] | None = None
    factor: float | None = None
    as_: Literal["epoch_s", "epoch_ms", "iso"] | None = msgspec.field(name="as", default=None)


class Skip(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Rows that are no events: ``column`` has one of ``values``."""

    column: str
    values: Annotated[list[str], msgspec.Meta(min_length=1)]


class EventMapping(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``fields``: of the event, each from a column of that name or a Source. Without ``seq`` the rows of a session
    count up in the order of the file, so that a file that is read twice tells nothing twice."""

    format: Literal["csv", "tsv", "jsonl"] = "csv"
    fields: dict[str, str | Source]
    skip: list[Skip] = []


def read_mapping(value: Any) -> EventMapping:
    """The mapping of plain values. Raises ContractError naming the place."""
    try:
        mapping = msgspec.convert(value, EventMapping)
    except msgspec.ValidationError as error:
        reason, _, place = str(error).partition(" - at `")
        raise ContractError("invalid", place.rstrip("`") or "$", reason) from None
    for name, source in mapping.fields.items():
        if name not in _FIELDS:
            raise ContractError("invalid", f"$.fields.{name}", "player events have no such field")
        if isinstance(source, Source) and bool(source.column) == (source.value is not None):
            raise ContractError("invalid", f"$.fields.{name}", "has either a column or a value")
    missing = [name for name in _NEEDED if name not in mapping.fields]
    if missing:
        raise ContractError("invalid", "$.fields", f"says nothing of {', '.join(missing)}")
    return mapping


def map_rows(rows: Iterable[Row], mapping: EventMapping) -> Iterator[dict[str, Any]]:
    """An event for each row that is one, as it stands on the wire. What cannot be read stays as it is written, so that
    the collector refuses it by its field and keeps it.

    >>> mapping = read_mapping({"fields": {"session_id": "s", "kind": "what", "at": {"column": "t", "as": "epoch_s"}}})
    >>> event = next(map_rows([{"s": "a", "what": "paused", "t": "1.5"}], mapping))
    >>> event["seq"], event["at"], event["kind"]
    (0, 1500, 'paused')
    """
    counts: dict[str, int] = {}
    sources = [
        (name, source if isinstance(source, Source) else Source(column=source))
        for name, source in mapping.fields.items()
    ]
    for row in rows:
        if any(str(row.get(skip.column, "")) in skip.values for skip in mapping.skip):
            continue
        event: dict[str, Any] = {"type": type_name(PlayerEvent)}
        for name, source in sources:
            value = _value(row, source, _FIELDS[name])
            if value not in (None, ""):
                event[name] = value
        session_id = str(event.get("session_id", ""))
        if "seq" not in mapping.fields:
            event["seq"] = counts.get(session_id, 0)
            counts[session_id] = event["seq"] + 1
        place = f"{session_id}\0{event.get('seq')}"
        yield event | {"event_id": hashlib.sha256(place.encode()).hexdigest()[:32]}


def _value(row: Row, source: Source, kind: Any) -> Any:
    if not source.column:
        return source.value
    value = row.get(source.column)
    if value is None:
        return None
    if source.values is not None:
        return source.values.get(str(value), value)
    if source.as_ is not None:
        return _epoch_ms(value, source.as_)
    return _typed(value, kind) if source.factor is None else _scaled(value, source.factor)


def _scaled(value: Any, factor: float) -> Any:
    try:
        return float(value) * factor
    except (TypeError, ValueError):
        return value


def _epoch_ms(value: Any, written: str) -> Any:
    try:
        if written == "iso":
            moment = dt.datetime.fromisoformat(str(value))
            return round((moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)).timestamp() * 1000)
        return round(float(value) * (1000.0 if written == "epoch_s" else 1.0))
    except (ValueError, OverflowError):
        return value


def _typed(value: Any, kind: Any) -> Any:
    """A text of a file as the field's type, where it can be read so."""
    if not isinstance(value, str):
        return value
    if kind is bool or kind == bool | None:
        return {"true": True, "1": True, "false": False, "0": False}.get(value.lower(), value)
    try:
        return msgspec.convert(value, kind, strict=False)
    except (msgspec.ValidationError, ValueError):
        return value

"""What became of ads, in SQL: each ad event once, by line item and day."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Sequence

import msgspec
from msgspec.structs import replace
from sqlalchemy import Connection, Engine, func, select, update

from cuepoint.schemas.ads import AdEvent
from cuepoint.schemas.codec import encode
from cuepoint.schemas.topics import AD_EVENTS
from cuepoint.streams.database import insert, reading
from cuepoint.streams.history_rows import Recorded
from cuepoint.streams.tables import AD_DELIVERIES, AD_EVENT_ROWS, POSITIONS

_SOME = 500
_C, _E = AD_DELIVERIES.c, AD_EVENT_ROWS.c
_event = msgspec.json.Decoder(AdEvent).decode


def write_ad_events(connection: Connection, recorded: Sequence[Recorded]) -> None:
    """Record those that are new: a player may tell again what the broker had before it answered."""
    told = {each.message.event_id: each.message for each in recorded if isinstance(each.message, AdEvent)}
    new = [told[event_id] for event_id in told.keys() - _known(connection, told)]
    if not new:
        return
    rows = [
        {
            "event_id": each.event_id,
            "session_id": each.session_id,
            "at": each.at,
            "body": encode(replace(each, viewer_id=None)),
            "kind": each.kind,
            "line_item_id": each.line_item_id,
            "viewer": each.viewer_id,
        }
        for each in new
    ]
    connection.execute(insert(connection, AD_EVENT_ROWS).on_conflict_do_nothing(), rows)
    sums = Counter((each.line_item_id, _day(each.at), each.kind) for each in new if each.line_item_id)
    counted = [
        {"line_item_id": line_item_id, "day": day, "kind": kind, "events": events}
        for (line_item_id, day, kind), events in sums.items()
    ]
    if counted:
        upsert = insert(connection, AD_DELIVERIES)
        more = {"events": _C.events + upsert.excluded.events}
        connection.execute(upsert.on_conflict_do_update(index_elements=AD_DELIVERIES.primary_key, set_=more), counted)


def deliveries_of(engine: Engine, line_item_id: str) -> dict[dt.date, dict[str, int]]:
    """Of a line item: events by UTC day and kind, oldest day first. Raises Unavailable."""
    rows = select(_C.day, _C.kind, _C.events).where(_C.line_item_id == line_item_id).order_by(_C.day, _C.kind)
    found: dict[dt.date, dict[str, int]] = {}
    with reading(engine) as connection:
        for day, kind, events in connection.execute(rows):
            found.setdefault(day, {})[kind] = events
    return found


def deliveries_by_day(engine: Engine) -> list[tuple[str, dt.date, dict[str, int]]]:
    """Of every line item: its days, oldest first, with events by kind. Raises Unavailable."""
    rows = select(_C.line_item_id, _C.day, _C.kind, _C.events).order_by(_C.line_item_id, _C.day)
    found: dict[tuple[str, dt.date], dict[str, int]] = {}
    with reading(engine) as connection:
        for line_item_id, day, kind, events in connection.execute(rows):
            found.setdefault((line_item_id, day), {})[kind] = events
    return [(line_item_id, day, events) for (line_item_id, day), events in found.items()]


def impressions_by_item(connection: Connection) -> dict[str, int]:
    """Of every line item, as far as the topic was read."""
    rows = select(_C.line_item_id, func.sum(_C.events)).where(_C.kind == "impression").group_by(_C.line_item_id)
    return {line_item_id: int(events) for line_item_id, events in connection.execute(rows)}


def reservation_events(connection: Connection, since_ms: int) -> list[AdEvent]:
    """What was handed out or shown since then."""
    kinds = ("handed_out", "impression")
    rows = select(_E.body).where(_E.kind.in_(kinds), _E.at >= since_ms, _E.line_item_id.is_not(None))
    return [_event(body) for body in connection.scalars(rows)]


def handed_to_viewers(
    connection: Connection, begin_ms: int, end_ms: int, line_items: Sequence[str]
) -> dict[str, dict[str, int]]:
    """How often each of these line items was handed out in that time, by viewer (or session of nobody known)."""
    viewer = func.coalesce(_E.viewer, _E.session_id)
    found: dict[str, dict[str, int]] = {}
    for first in range(0, len(line_items), _SOME):
        then = (_E.kind == "handed_out", _E.at >= begin_ms, _E.at < end_ms)
        chosen = (*then, _E.line_item_id.in_(line_items[first : first + _SOME]))
        rows = select(viewer, _E.line_item_id, func.count()).where(*chosen).group_by(viewer, _E.line_item_id)
        for name, line_item_id, count in connection.execute(rows):
            found.setdefault(name, {})[line_item_id] = count
    return found


def drop_viewers(connection: Connection, before_ms: int, viewer: str | None = None) -> int:
    """Take viewers (or this one) out of what was handed out until then; returns of how many rows."""
    chosen = [_E.kind == "handed_out", _E.at < before_ms, _E.viewer.is_not(None)]
    if viewer is not None:
        chosen.append(_E.viewer == viewer)
    return connection.execute(update(AD_EVENT_ROWS).where(*chosen).values(viewer=None)).rowcount


def unrecorded(connection: Connection, events: Iterable[AdEvent]) -> list[AdEvent]:
    """Those that the history does not have yet, each once."""
    told = {event.event_id: event for event in events}
    known = _known(connection, told)
    return [event for event_id, event in told.items() if event_id not in known]


def read_up_to(connection: Connection, log_id: str) -> dict[int, int]:
    """The last offset of each partition of the ad events that the history has."""
    table = POSITIONS.c
    mine = (table.log_id == log_id, table.topic == AD_EVENTS.name)
    return {row.partition: row.last for row in connection.execute(select(table.partition, table.last).where(*mine))}


def _known(connection: Connection, ids: Iterable[str]) -> set[str]:
    wanted, found = sorted(ids), set[str]()
    for first in range(0, len(wanted), _SOME):
        some = AD_EVENT_ROWS.c.event_id.in_(wanted[first : first + _SOME])
        found.update(connection.scalars(select(AD_EVENT_ROWS.c.event_id).where(some)))
    return found


def _day(at_ms: int) -> dt.date:
    return dt.datetime.fromtimestamp(at_ms / 1000, dt.UTC).date()

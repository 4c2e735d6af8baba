"""Forgetting a viewer in SQL: sessions stay, as nobody's."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec
from msgspec.structs import replace
from sqlalchemy import Engine, bindparam, select, update

from cuepoint.schemas.codec import encode
from cuepoint.schemas.playback import PlayerEvent
from cuepoint.streams.ad_history import drop_viewers
from cuepoint.streams.database import reading, writing
from cuepoint.streams.tables import SESSION_EVENTS, SESSIONS

_event = msgspec.json.Decoder(PlayerEvent).decode
_E = SESSION_EVENTS.c
_SOME, _ALWAYS = 500, 2**62


class ErasedRows(NamedTuple):
    """Of how many sessions and events the viewer was taken out."""

    sessions: int
    events: int


def erase_viewer(engine: Engine, pseudonym: str) -> ErasedRows:
    """Take the viewer and all that was told of them out of the history. Raises Unavailable."""
    with reading(engine) as connection:
        ids = list(connection.scalars(select(SESSIONS.c.session_id).where(SESSIONS.c.viewer_id == pseudonym)))
    events = sum(_erase_events(engine, ids[first : first + _SOME]) for first in range(0, len(ids), _SOME))
    with writing(engine) as connection:
        drop_viewers(connection, _ALWAYS, pseudonym)
        connection.execute(update(SESSIONS).where(SESSIONS.c.viewer_id == pseudonym).values(viewer_id=None))
    return ErasedRows(len(ids), events)


def _erase_events(engine: Engine, sessions: list[str]) -> int:
    starts = _E.kind.in_(("session_started", "video_started"))
    rows = select(_E.session_id, _E.event_id, _E.body).where(_E.session_id.in_(sessions), starts)
    with writing(engine) as connection:
        changed: list[dict[str, Any]] = []
        for session_id, event_id, body in connection.execute(rows):
            event = _event(body)
            nobody = replace(event, viewer_id=None, profile="", average_view_s=None, average_session_s=None, plays=None)
            if nobody != event:
                changed.append({"session": session_id, "event": event_id, "body": encode(nobody)})
        if changed:
            place = (_E.session_id == bindparam("session"), _E.event_id == bindparam("event"))
            connection.execute(update(SESSION_EVENTS).where(*place).values(body=bindparam("body")), changed)
    return len(changed)

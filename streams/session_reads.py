"""Reading history: sessions, what happened in them, what was decided."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import Engine, Row, distinct, func, select

from cuepoint.schemas.playback import AdDecision, PlayerEvent
from cuepoint.streams.database import reading
from cuepoint.streams.history_rows import Page, SessionRow, TimelineEntry
from cuepoint.streams.tables import DECISIONS, SESSION_EVENTS, SESSIONS

_event = msgspec.json.Decoder(PlayerEvent).decode
_decision = msgspec.json.Decoder(AdDecision).decode
_EVENTS = SESSION_EVENTS.c
_ROWS = select(
    SESSIONS,
    select(func.count()).where(_EVENTS.session_id == SESSIONS.c.session_id).scalar_subquery().label("events"),
    select(func.count(distinct(_EVENTS.video_id)))
    .where(_EVENTS.session_id == SESSIONS.c.session_id, _EVENTS.kind == "video_started")
    .scalar_subquery()
    .label("videos"),
    select(func.count()).where(DECISIONS.c.session_id == SESSIONS.c.session_id).scalar_subquery().label("decisions"),
)


class SessionReads:
    """Part of HistoryReader."""

    _engine: Engine

    def sessions(self, limit: int = 50, offset: int = 0) -> Page[SessionRow]:
        """Last heard of first."""
        rows = _ROWS.order_by(SESSIONS.c.last_at.desc(), SESSIONS.c.session_id).limit(limit).offset(offset)
        with reading(self._engine) as connection:
            found = connection.execute(rows).all()
            total = connection.scalar(select(func.count()).select_from(SESSIONS)) or 0
        return Page([_session_row(row) for row in found], total)

    def session(self, session_id: str) -> SessionRow | None:
        with reading(self._engine) as connection:
            row = connection.execute(_ROWS.where(SESSIONS.c.session_id == session_id)).one_or_none()
        return None if row is None else _session_row(row)

    def session_events(self, session_id: str) -> list[PlayerEvent]:
        """By the player's own order."""
        rows = select(_EVENTS.body).where(_EVENTS.session_id == session_id)
        with reading(self._engine) as connection:
            return [_event(body) for body in connection.scalars(rows.order_by(_EVENTS.seq, _EVENTS.event_id))]

    def session_decisions(self, session_id: str) -> list[AdDecision]:
        """By number."""
        rows = select(DECISIONS.c.body).where(DECISIONS.c.session_id == session_id)
        with reading(self._engine) as connection:
            return [_decision(body) for body in connection.scalars(rows.order_by(DECISIONS.c.number))]

    def timeline(self, session_id: str) -> list[TimelineEntry]:
        """Events in the player's order, each followed by what was decided at it."""
        decided: dict[str, list[AdDecision]] = {}
        for decision in self.session_decisions(session_id):
            decided.setdefault(decision.event_id, []).append(decision)
        entries = []
        for event in self.session_events(session_id):
            entries.append(TimelineEntry(at=event.received_at or event.at, event=event))
            entries += [TimelineEntry(at=each.decided_at, decision=each) for each in decided.pop(event.event_id, ())]
        # decisions whose event is not recorded yet: the two topics are read independently
        entries += [TimelineEntry(at=each.decided_at, decision=each) for rest in decided.values() for each in rest]
        return entries

    def decisions(self, limit: int = 50, offset: int = 0) -> Page[AdDecision]:
        """Newest first."""
        rows = select(DECISIONS.c.body).order_by(DECISIONS.c.at.desc(), DECISIONS.c.decision_id)
        with reading(self._engine) as connection:
            found = [_decision(body) for body in connection.scalars(rows.limit(limit).offset(offset))]
            total = connection.scalar(select(func.count()).select_from(DECISIONS)) or 0
        return Page(found, total)


def _session_row(row: Row[Any]) -> SessionRow:
    return SessionRow(**row._asdict())

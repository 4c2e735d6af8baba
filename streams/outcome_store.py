"""Outcomes of verdicts in the SQL database: which verdicts are due, what came of them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import NamedTuple

import msgspec
from sqlalchemy import Engine, select

from cuepoint.schemas.codec import decoder
from cuepoint.schemas.opportunities import Opportunity
from cuepoint.schemas.trends import Change
from cuepoint.streams.database import insert, reading, writing
from cuepoint.streams.tables import CHANGES, OUTCOMES, REASONS

_decode_change, _decode_opportunity = decoder(Change).decode, decoder(Opportunity).decode
_drivers = msgspec.json.Decoder(tuple[float, ...])


class Due(NamedTuple):
    """A verdict whose outcome can be seen, and the change it is on."""

    change: Change
    opportunity: Opportunity


class Outcome(NamedTuple):
    """``worked`` is None where it could not be told; ``drivers``: their values when the change was judged."""

    due: dt.date
    change_id: str
    drivers: tuple[float, ...]
    worked: bool | None


class OutcomeStore:
    """Synchronous; all raise Unavailable."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def due(self, judged_by: dt.date, limit: int) -> list[Due]:
        """Current verdicts of that day or before without an outcome yet, oldest first."""
        query = (
            select(CHANGES.c.body, REASONS.c.body)
            .join(REASONS, REASONS.c.change_id == CHANGES.c.change_id)
            .outerjoin(OUTCOMES, OUTCOMES.c.change_id == CHANGES.c.change_id)
            .where(REASONS.c.kind == "opportunity", REASONS.c.verdict != "", REASONS.c.day <= judged_by)
            .where(OUTCOMES.c.change_id.is_(None))
            .order_by(REASONS.c.day, REASONS.c.change_id)
            .limit(limit)
        )
        with reading(self._engine) as connection:
            return [Due(_decode_change(c), _decode_opportunity(o)) for c, o in connection.execute(query)]

    def write(self, outcomes: Sequence[Outcome]) -> None:
        """What is there already stays."""
        if not outcomes:
            return
        rows = [each._asdict() | {"drivers": msgspec.json.encode(each.drivers)} for each in outcomes]
        with writing(self._engine) as connection:
            connection.execute(insert(connection, OUTCOMES).on_conflict_do_nothing(), rows)

    def outcomes(self) -> list[Outcome]:
        with reading(self._engine) as connection:
            rows = connection.execute(select(OUTCOMES).order_by(OUTCOMES.c.due, OUTCOMES.c.change_id)).all()
        return [Outcome(row.due, row.change_id, _drivers.decode(row.drivers), row.worked) for row in rows]

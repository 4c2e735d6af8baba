"""Explanations and opportunities in the history: the newest word on each change."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec
from sqlalchemy import Connection, select

from cuepoint.schemas.codec import encode
from cuepoint.schemas.opportunities import Explanation, Opportunity
from cuepoint.streams.database import insert
from cuepoint.streams.history_rows import Recorded
from cuepoint.streams.tables import REASONS


class Reasons(NamedTuple):
    """What is known of a change beyond itself."""

    explanation: Explanation | None = None
    opportunity: Opportunity | None = None


_decode = msgspec.json.Decoder(Explanation | Opportunity).decode


def write_reasons(connection: Connection, recorded: Sequence[Recorded]) -> None:
    """Explanations and opportunities; a lower revision than the one that is there is left out."""
    rows = []
    for _, _, said in recorded:
        assert isinstance(said, Explanation | Opportunity)
        kind = "explanation" if isinstance(said, Explanation) else "opportunity"
        rows.append(
            {
                "change_id": said.change_id,
                "kind": kind,
                "revision": said.revision,
                "day": said.day,
                "verdict": verdict_of(said),
                "body": encode(said),
            }
        )
    upsert = insert(connection, REASONS)
    new = {name: upsert.excluded[name] for name in ("revision", "day", "verdict", "body")}
    connection.execute(
        upsert.on_conflict_do_update(
            index_elements=REASONS.primary_key, set_=new, where=upsert.excluded.revision >= REASONS.c.revision
        ),
        rows,
    )


def verdict_of(said: Explanation | Opportunity) -> str:
    """How lists name it: an opportunity's goal, ``none`` for what is not one; empty for all else."""
    if isinstance(said, Explanation) or said.status != "current":
        return ""
    return (said.goal or "other") if said.opportunity else "none"


def read_reasons(connection: Connection, change_ids: Sequence[str]) -> dict[str, Reasons]:
    """What is said of changes now, by id; nothing of what was withdrawn."""
    bodies = connection.scalars(select(REASONS.c.body).where(REASONS.c.change_id.in_(change_ids)))
    found: dict[str, Reasons] = {}
    for said in map(_decode, bodies):
        if said.status == "current":
            key = "explanation" if isinstance(said, Explanation) else "opportunity"
            found[said.change_id] = found.get(said.change_id, Reasons())._replace(**{key: said})
    return found

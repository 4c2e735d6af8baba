"""Explanations and opportunities in the history: the newest word on each change."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from sqlalchemy import Connection, Engine, select

from cuepoint.schemas.codec import encode
from cuepoint.schemas.opportunities import Explanation, Opportunity
from cuepoint.streams.database import insert, reading
from cuepoint.streams.history_rows import Recorded
from cuepoint.streams.tables import REASONS

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
                "body": encode(said),
            }
        )
    upsert = insert(connection, REASONS)
    new = {name: upsert.excluded[name] for name in ("revision", "day", "body")}
    connection.execute(
        upsert.on_conflict_do_update(
            index_elements=REASONS.primary_key, set_=new, where=upsert.excluded.revision >= REASONS.c.revision
        ),
        rows,
    )


def read_reasons(engine: Engine, change_id: str) -> tuple[Explanation | None, Opportunity | None]:
    """What is said of a change now; nothing of what was withdrawn."""
    with reading(engine) as connection:
        bodies = connection.execute(select(REASONS.c.body).where(REASONS.c.change_id == change_id)).scalars().all()
    said = [each for each in map(_decode, bodies) if each.status == "current"]
    explanation = next((each for each in said if isinstance(each, Explanation)), None)
    return explanation, next((each for each in said if isinstance(each, Opportunity)), None)

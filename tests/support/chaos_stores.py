"""What stands in SQL and in the consumption store after a cycle, against the undisturbed run and the plain recounts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from chaos_findings import Findings
from chaos_logs import Place
from chaos_shadow import digest
from sqlalchemy import select

from cuepoint.agents.record_history import RecordHistory
from cuepoint.schemas.topics import CONSUMPTION
from cuepoint.streams import tables
from cuepoint.streams.consumption_store import ConsumptionStore
from cuepoint.streams.database import open_engine, reading, upgrade

Letters = Mapping[str, Mapping[tuple[int, int], str]]  # topic -> (partition, offset) -> code
STORED = (CONSUMPTION, *RecordHistory.topics)  # what the roles `store` and `views` read
_BODIES = {
    "changes": (tables.CHANGES, ("change_id",)),
    "asset_days": (tables.ASSET_DAYS, ("asset_id", "day")),
    "decisions": (tables.DECISIONS, ("decision_id",)),
}


class Stores:
    """Reads what the roles `views` and `store` wrote. Methods raise Unavailable."""

    def __init__(self, url: str, consumption: Path) -> None:
        self._engine = open_engine(url)
        upgrade(self._engine)
        self._consumption = ConsumptionStore(consumption, self._engine, threads=1)

    def close(self) -> None:
        self._engine.dispose()

    def stand_elsewhere(self, ends: Mapping[Place, int]) -> list[str]:
        """Partitions of which not all is stored yet."""
        with reading(self._engine) as connection:
            rows = connection.execute(select(tables.POSITIONS))
            stands = {(row.topic, row.partition): row.last for row in rows}
        names = {topic.name for topic in STORED}
        behind = {place: (stands.get(place, -1), end) for place, end in ends.items() if place[0] in names}
        return [
            f"{place} is stored to {last} and ends at {end}" for place, (last, end) in behind.items() if last != end - 1
        ]

    def compare(
        self,
        findings: Findings,
        recorded: Mapping[str, Mapping[tuple[Any, ...], int]],
        events: set[tuple[str, str]],
        letters: Letters,
        consumption: Mapping[tuple[str, ...], int],
    ) -> None:
        """``recorded``: digests of the rows due by table and key; ``events``: (session, event) of all good ones."""
        with reading(self._engine) as connection:
            for name, (table, key) in _BODIES.items():
                rows = connection.execute(select(*(table.c[column] for column in key), table.c.body))
                _compare(findings, name, recorded[name], {tuple(row[:-1]): digest(None, row[-1]) for row in rows})
            table = tables.SESSION_EVENTS
            rows = connection.execute(select(table.c.session_id, table.c.event_id))
            _compare(findings, "session events", dict.fromkeys(events), {tuple(row): None for row in rows})
            bodies = connection.scalars(select(tables.DEAD_LETTERS.c.body)).all()
        told = [msgspec.json.decode(body) for body in bodies]
        stored = [(letter["topic"], letter["partition"], letter["offset"], letter["code"]) for letter in told]
        due = {(topic, *at, code): None for topic, fates in letters.items() for at, code in fates.items()}
        _compare(findings, "dead letters in SQL", due, dict.fromkeys(stored))
        twice = [letter for letter, times in Counter(stored).items() if times > 1]
        findings.add_all("duplicated", "dead letters twice in SQL", twice)
        found = self._consumption.totals(("asset_id", "dsp", "territory", "day"))
        keys = zip(found["asset_id"], found["dsp"], found["territory"], found["day"].astype(str), strict=True)
        _compare(findings, "consumption", consumption, dict(zip(keys, found["count"].tolist(), strict=True)))


def _compare(findings: Findings, what: str, due: Mapping[Any, Any], stored: Mapping[Any, Any]) -> None:
    findings.add_all("lost", f"{what} not stored", due.keys() - stored.keys())
    findings.add_all("duplicated", f"{what} stored and not due", stored.keys() - due.keys())
    wrong = [(key, due[key], stored[key]) for key in due.keys() & stored.keys() if due[key] != stored[key]]
    findings.add_all("state_mismatches", f"{what} (due, stored)", wrong)

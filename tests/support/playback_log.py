"""Short ways to write rules and player events in tests."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from plain_engine import SessionEngine

from cuepoint.models.report_columns import locate
from cuepoint.models.rule_book import RuleBook
from cuepoint.models.rule_shelf import RuleShelf
from cuepoint.models.session_partition import PartitionSessions
from cuepoint.models.session_results import Results
from cuepoint.models.session_settings import SessionSettings
from cuepoint.schemas.codec import encode
from cuepoint.schemas.playback import AdDecision, PlayerEvent
from cuepoint.schemas.rules import AdRule, AtStart, Compare
from cuepoint.streams.batch import Batch

T0 = 1_700_000_000_000  # Tuesday 2023-11-14, 22:13:20 UTC


def rule(rule_id: str = "r", insertion: Any = None, **fields: Any) -> AdRule:
    return AdRule(rule_id=rule_id, name=rule_id, insertion=insertion or AtStart(), **fields)


def is_(field: str, relation: str, value: Any) -> Compare:
    return Compare(field=field, is_=relation, value=value)  # type: ignore[arg-type]


def book(*rules: AdRule) -> RuleBook:
    filled = RuleBook()
    for one in rules:
        filled.add(one)
    return filled


def shelf(*rules: AdRule) -> RuleShelf:
    filled = RuleShelf()
    for one in rules:
        filled.add(one)
    return filled


class Player:
    """Writes the events of one session, a second apart unless told otherwise."""

    def __init__(self, session_id: str = "s", at: int = T0) -> None:
        self.session_id, self.at, self.seq = session_id, at, 0
        self.events: list[PlayerEvent] = []
        self.video_id: str | None = None

    def say(self, kind: str, position_s: float = 0.0, *, after_s: float = 1.0, **fields: Any) -> PlayerEvent:
        self.at += int(after_s * 1000)
        if kind != "session_started":
            fields.setdefault("video_id", self.video_id)
        event = PlayerEvent(
            event_id=f"{self.session_id}-{self.seq}",
            session_id=self.session_id,
            seq=self.seq,
            kind=kind,  # type: ignore[arg-type]
            at=self.at,
            received_at=self.at,
            position_s=position_s,
            **fields,
        )
        self.seq += 1
        self.events.append(event)
        return event

    def begin(self, **fields: Any) -> Player:
        self.say("session_started", **fields)
        return self

    def video(self, video_id: str = "v", duration_s: float | None = 300.0, **fields: Any) -> Player:
        self.video_id, position_s = video_id, fields.pop("position_s", 0.0)
        self.say("video_started", position_s, duration_s=duration_s, **fields)
        return self

    def play(self, to_s: float, step_s: float = 10.0, from_s: float = 0.0) -> Player:
        at_s = from_s
        while at_s < to_s:
            at_s = min(to_s, at_s + step_s)
            self.say("progressed", at_s, after_s=step_s)
        return self


def run(
    events: Sequence[PlayerEvent],
    rules: RuleBook,
    engine: SessionEngine | None = None,
    cuts: Iterable[int] = (),
) -> Results:
    """Feed the events, cut into runs at ``cuts``, to the plain engine. Without one, to a fresh one, and to Cuepoint's
    compiled sessions as well, which must find the same, as objects and as messages."""
    if engine is None:
        engine, compiled = SessionEngine(SessionSettings()), Results()
        stamps = np.array([event.received_at for event in events], dtype=np.int64)
        records = locate([encode(event) for event in events])
        PartitionSessions(SessionSettings()).run(records, 0, stamps, rules, compiled)
        assert compiled.decisions == run(events, rules, engine, cuts).decisions
        messages = Results()
        PartitionSessions(SessionSettings(), writing=True).run(records, 0, stamps, rules, messages)
        assert [told.value for told in messages.written] == list(map(encode, compiled.decisions))
        assert messages.faults == compiled.faults
        return compiled
    results, bounds = Results(), [0, *sorted(cuts), len(events)]
    for start, stop in pairwise(bounds):
        part = Results()
        engine.run(events[start:stop], [event.received_at for event in events[start:stop]], rules, part)
        results.decisions += part.decisions
        results.faults += part.faults
        results.refused += [(start + place, error) for place, error in part.refused]
        results.repeats += part.repeats
        results.late += part.late
    return results


def fired(results: Results) -> list[tuple[str, float]]:
    """(rule, position) of the decisions."""
    return [(decision.rule_id, round(decision.position_s, 6)) for decision in results.decisions]


def batch(messages: Sequence[PlayerEvent | AdDecision | bytes], first: int = 0, topic: str = "t") -> Batch:
    """The messages as a fetched range of partition 0."""
    values = [message if isinstance(message, bytes) else encode(message) for message in messages]
    stamps = [getattr(message, "received_at", T0) for message in messages]
    return Batch(
        topic=topic,
        partition=0,
        first=first,
        last=first + len(values) - 1,
        values=values,
        keys=[b"k"] * len(values),
        offsets=range(first, first + len(values)),
        timestamps=stamps,
    )

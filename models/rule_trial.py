"""Rules tried on a session, recorded or made up: every decision and every non-decision, and why.

The sessions' own loop answers, told to note each occasion; nothing is worked out a second time here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import isnan

import msgspec
import numpy as np

from cuepoint.models.report_columns import locate
from cuepoint.models.rule_book import RuleBook
from cuepoint.models.rule_kind import Kind, kind_of
from cuepoint.models.rule_says import KINDS, say_of
from cuepoint.models.rule_tables import FIELD_NAMES
from cuepoint.models.rule_why import criteria_why, scope_why, verdict_why
from cuepoint.models.session_occasions import CRITERIA, DECIDED, OUTSIDE
from cuepoint.models.session_partition import PartitionSessions
from cuepoint.models.session_results import Results, Traced
from cuepoint.models.session_settings import SessionSettings
from cuepoint.schemas.codec import encode
from cuepoint.schemas.playback import AdDecision, PlayerEvent
from cuepoint.schemas.rules import AdRule

OUTCOMES = (
    "decided", "min_gap_s", "per_session", "per_video", "per_hour", "criteria", "share", "pod_ads", "pod_length_s",
    "separation_s", "fault", "not_in_scope",
)  # fmt: skip


class Occasion(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One moment at which a rule could have inserted an ad. ``outcome`` is one of OUTCOMES; ``values`` are those of the
    fields the rule asks for."""

    event_id: str
    event_kind: str
    video_position_s: float
    rule_id: str
    rule_version: int
    occasion: str
    outcome: str
    why: str
    values: dict[str, str | float | bool | None] = {}
    decision_id: str | None = None
    duration_s: float | None = None
    adapted: int = 0


class RefusedEvent(msgspec.Struct, frozen=True, kw_only=True):
    place: int
    field: str
    reason: str


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """``idle``: rules that had no occasion at all, and why; ``kinds``: of each rule."""

    occasions: list[Occasion]
    decisions: list[AdDecision]
    refused: list[RefusedEvent]
    idle: dict[str, str]
    kinds: dict[str, Kind]


def explain(rules: Iterable[AdRule], events: Sequence[PlayerEvent]) -> Trial:
    """Run the events, in the order in which they came, through the rules. Raises RuleError for one that can never
    fire."""
    book, results = RuleBook(), Results()
    rules = list(rules)
    for rule in rules:
        book.add(rule)
    stamps = np.array([event.received_at or event.at for event in events], dtype=np.int64)
    sessions = PartitionSessions(SessionSettings(max_sessions=max(1, len(events))), tracing=True)
    sessions.run(locate([encode(event) for event in events]), 0, stamps, book, results)
    decided = {(d.event_id, d.rule_id, d.number): d for d in results.decisions}
    occasions = [found for part in results.traced for found in _occasions(part, decided)]
    met = {found.rule_id for found in occasions}
    at_ms = int(stamps[-1]) if len(stamps) else 0
    in_effect = {rule.rule_id for rule in book.current(at_ms)}
    return Trial(
        occasions=occasions,
        decisions=results.decisions,
        refused=[RefusedEvent(place=place, field=error.field, reason=error.reason) for place, error in results.refused],
        idle={rule.rule_id: _idle(rule, rule.rule_id in in_effect) for rule in rules if rule.rule_id not in met},
        kinds={rule.rule_id: kind_of(rule) for rule in rules},
    )


def _idle(rule: AdRule, in_effect: bool) -> str:
    if in_effect:
        return "the session never came to one of its insertion points"
    return f"it is a {rule.status} rule" if rule.status != "active" else "its schedule does not hold at the time"


def _occasions(part: Traced, decided: dict[tuple[str, str, int], AdDecision]) -> Iterable[Occasion]:
    places, rules = part.traces["event"], part.rules.rules
    ids = part.events.ids(places)
    outside = _nowhere(part)
    for k, trace in enumerate(part.traces.tolist()):
        position_s, where, found, _, r, how, event, verdict, ad = trace
        rule, says = rules[r], part.rules.says[r]
        if verdict == OUTSIDE and (event, rule.rule_id) not in outside:
            continue
        outside.discard((event, rule.rule_id))
        values = {
            name: None if isnan(value) else say_of(name)(value, part.texts)
            for name, value in zip(FIELD_NAMES, part.values[k].tolist(), strict=True)
        }
        why = verdict_why(rule, verdict, found, ad - int(part.rules.tables.rules[r]["ads"]))
        if verdict == CRITERIA:
            why = criteria_why(rule.criteria, values)
        elif verdict == OUTSIDE:
            why = scope_why(rule, values)
        number = int(values["session_ads"] or 0) + 1
        decision = decided.get((ids[k][0], rule.rule_id, number)) if verdict == DECIDED else None
        yield Occasion(
            event_id=ids[k][0],
            event_kind=KINDS[part.events.cells[event]["kind"]],
            video_position_s=position_s,
            rule_id=rule.rule_id,
            rule_version=rule.version,
            occasion="the video starts" if verdict == OUTSIDE else says.named(how, where)[1],
            outcome=OUTCOMES[verdict],
            why=why,
            values={name: values[name] for name, _ in says.asks},
            decision_id=decision.decision_id if decision else None,
            duration_s=decision.duration_s if decision else None,
            adapted=decision.adapted if decision else 0,
        )


def _nowhere(part: Traced) -> set[tuple[int, str]]:
    """(event, rule) of plays in which no step of the rule is in scope."""
    rules = part.rules.rules
    steps: dict[str, int] = {}
    for rule in rules:
        steps[rule.rule_id] = steps.get(rule.rule_id, 0) + 1
    found: dict[tuple[int, str], int] = {}
    outside = part.traces[part.traces["verdict"] == OUTSIDE]
    for event, r in zip(outside["event"].tolist(), outside["rule"].tolist(), strict=True):
        key = (event, rules[r].rule_id)
        found[key] = found.get(key, 0) + 1
    return {key for key, number in found.items() if number == steps[key[1]]}

"""From a due occasion to a decision: limits, criteria, and what is recorded."""

from __future__ import annotations

from hashlib import blake2b
from typing import NamedTuple

from cuepoint.models.rule_fields import ad_length_s
from cuepoint.models.rule_plan import CompiledRule
from cuepoint.models.session_state import SessionState
from cuepoint.schemas.errors import ContractError
from cuepoint.schemas.playback import AdDecision, PlayerEvent
from cuepoint.schemas.rules import AdRule


class Due(NamedTuple):
    """An occasion a rule waited for. ``occasion`` names it within the session, ``why`` says it to people."""

    order: tuple[int, str]
    position_s: float
    rule: CompiledRule
    occasion: str
    why: str


class RuleFault(NamedTuple):
    """A rule that raised while it was asked."""

    rule: AdRule
    reason: str
    at_ms: int


class Results:
    """What a run over events gave. ``refused`` pairs the event's place in the run with the error."""

    __slots__ = ("decisions", "faults", "late", "refused", "repeats")

    def __init__(self) -> None:
        self.decisions: list[AdDecision] = []
        self.faults: list[RuleFault] = []
        self.refused: list[tuple[int, ContractError]] = []
        self.repeats = self.late = 0


def decision_id(session_id: str, rule_id: str, occasion: str) -> str:
    """The same for the same occasion, whoever computes it and however often; the rule's version is not part of it, so
    that an occasion stays decided when the rule changes.

    >>> decision_id("s", "r", "0:start") == decision_id("s", "r", "0:start") != decision_id("s", "r", "9:start")
    True
    """
    return blake2b(f"{session_id}\n{rule_id}\n{occasion}".encode(), digest_size=16).hexdigest()


def decide(session: SessionState, due: list[Due], event: PlayerEvent, at_ms: int, out: Results) -> None:
    """Ask the rules of the due occasions in order of priority. A rule that raises is left out and reported in
    ``out.faults``."""
    if len(due) > 1:
        due.sort(key=lambda d: (d.order, d.position_s))
    for occasion in due:
        try:
            if allowed(session, occasion.rule) and (
                occasion.rule.criteria is None or occasion.rule.criteria(session, at_ms)
            ):
                out.decisions.append(_decision(session, occasion, event, at_ms))
        except Exception as error:  # the fault is the rule's: the session goes on without it
            out.faults.append(RuleFault(occasion.rule.rule, f"{type(error).__name__}: {error}", at_ms))


def allowed(session: SessionState, compiled: CompiledRule) -> bool:
    """Whether the rule's limits leave room for another ad now; once they do not, no other decision makes room again."""
    limits, rule_id = compiled.rule.limits, compiled.rule_id
    if limits.per_session is not None and session.fired.get(rule_id, 0) >= limits.per_session:
        return False
    if limits.per_video is not None and session.fired_view.get(rule_id, 0) >= limits.per_video:
        return False
    return session.ad_at_s < 0.0 or session.session_played_s - session.ad_at_s >= limits.min_gap_s


def _decision(session: SessionState, due: Due, event: PlayerEvent, at_ms: int) -> AdDecision:
    rule = due.rule.rule
    played_s = session.session_played_s
    number = session.ads + 1
    decision = AdDecision(
        decision_id=decision_id(session.session_id, rule.rule_id, due.occasion),
        session_id=session.session_id,
        video_id=session.video_id or "",
        rule_id=rule.rule_id,
        rule_version=rule.version,
        event_id=event.event_id,
        decided_at=at_ms,
        number=number,
        position_s=due.position_s,
        format=rule.format,
        duration_s=ad_length_s(rule.format, session.duration_s),
        spot_load=round(number * 60.0 / max(played_s, 60.0), 6),
        reason=f"{due.rule.text}: {due.why}",
        criteria={field: read(session, at_ms) for field, read in due.rule.readers},
    )
    session.ads, session.ad_at_s = number, played_s
    if rule.limits.per_session is not None:
        session.fired = {**session.fired, rule.rule_id: session.fired.get(rule.rule_id, 0) + 1}
    if rule.limits.per_video is not None:
        session.fired_view = {**session.fired_view, rule.rule_id: session.fired_view.get(rule.rule_id, 0) + 1}
    return decision

"""Plain: from a due occasion to a decision: limits, criteria, and what is recorded."""

from __future__ import annotations

from functools import lru_cache
from operator import itemgetter

from plain_plan import CompiledRule
from plain_state import SessionState

from cuepoint.models.rule_fields import ad_length_s
from cuepoint.models.session_results import Results, RuleFault, decision_id
from cuepoint.schemas.playback import AdDecision, PlayerEvent

# An occasion a rule waited for: the rule's order, where in the video to insert, the rule, the sequence number the
# occasion is counted from, how it came about, and at which position or (PLAYED) as which of its series.
# A plain tuple: most are refused by a limit and never looked at.
Due = tuple[tuple[int, str], float, CompiledRule, int, str, float]
START, END, PLAYED, PASSED, JUMPED = "the video starts", "the video ended", "played", "passed", "jumped over"
_in_order = itemgetter(0, 1)


def decide(session: SessionState, due: list[Due], event: PlayerEvent, at_ms: int, out: Results) -> None:
    """Ask the rules of the due occasions in order of priority. A rule that raises is left out and reported in
    ``out.faults``."""
    gap_s = session.gap_s
    due = [occasion for occasion in due if occasion[2].min_gap_s <= gap_s]
    if len(due) > 1:
        due.sort(key=_in_order)
    for occasion in due:
        rule = occasion[2]
        if rule.min_gap_s > gap_s:
            continue
        try:
            if _below_caps(session, rule) and (rule.criteria is None or rule.criteria(session, at_ms)):
                out.decisions.append(_decision(session, occasion, event, at_ms))
                gap_s = 0.0
        except Exception as error:  # the fault is the rule's: the session goes on without it
            out.faults.append(RuleFault(rule.rule, f"{type(error).__name__}: {error}", at_ms))


def allowed(session: SessionState, compiled: CompiledRule) -> bool:
    """Whether the rule's limits leave room for another ad now; once they do not, no other decision makes room again."""
    return session.gap_s >= compiled.min_gap_s and _below_caps(session, compiled)


def _below_caps(session: SessionState, compiled: CompiledRule) -> bool:
    per_session, per_video = compiled.per_session, compiled.per_video
    if per_session is not None and session.fired.get(compiled.rule_id, 0) >= per_session:
        return False
    return per_video is None or session.fired_view.get(compiled.rule_id, 0) < per_video


def _named(rule: CompiledRule, since_seq: int, how: str, where: float) -> tuple[str, str]:
    """The occasion's name within the session, and what says it to people."""
    if how is START or how is END:
        return f"{since_seq}:{'start' if how is START else 'end'}", how
    if how is PASSED or how is JUMPED:
        return f"{since_seq}:at{where!r}", f"{how} {where:g} s"
    if how is PLAYED:
        played_s = rule.series.moment(int(where)) if rule.series is not None else 0.0
        return f"{since_seq}:n{where}", f"{played_s:g} s played"
    return f"{since_seq}:action", how


def _decision(session: SessionState, due: Due, event: PlayerEvent, at_ms: int) -> AdDecision:
    _, position_s, compiled, since_seq, how, where = due
    occasion, why = _named(compiled, since_seq, how, where)
    rule = compiled.rule
    played_s = session.session_played_s
    number = session.ads + 1
    decision = AdDecision(
        decision_id=decision_id(session.session_id, rule.rule_id, occasion),
        session_id=session.session_id,
        video_id=session.video_id or "",
        rule_id=rule.rule_id,
        rule_version=rule.version,
        event_id=event.event_id,
        decided_at=at_ms,
        number=number,
        position_s=position_s,
        format=rule.format,
        duration_s=ad_length_s(rule.format, session.duration_s),
        spot_load=round(number * 60.0 / max(played_s, 60.0), 6),
        reason=f"{compiled.text}: {why}",
        criteria={field: read(session, at_ms) for field, read in compiled.readers},
    )
    session.ads, session.ad_at_s = number, played_s
    if rule.limits.per_session is not None:
        session.fired = _one_more(tuple(session.fired.items()), rule.rule_id)
    if rule.limits.per_video is not None:
        session.fired_view = _one_more(tuple(session.fired_view.items()), rule.rule_id)
    return decision


@lru_cache(maxsize=4096)
def _one_more(fired: tuple[tuple[str, int], ...], rule_id: str) -> dict[str, int]:
    """The counts with one more of the rule. Nobody writes to them, so that sessions alike share one."""
    counts = dict(fired)
    counts[rule_id] = counts.get(rule_id, 0) + 1
    return counts

"""Plain: from a due occasion to a decision: limits, criteria, and what is recorded."""

from __future__ import annotations

from functools import lru_cache
from itertools import dropwhile
from operator import itemgetter

from plain_plan import CompiledRule
from plain_state import SessionState

from cuepoint.models.rule_fields import FIELDS, Value, ad_length_s
from cuepoint.models.rule_kind import place_of
from cuepoint.models.session_results import Results, RuleFault, decision_id
from cuepoint.schemas.playback import AdDecision, PlayerEvent
from cuepoint.schemas.rules import Adaptation, AdRule, All, AtCuePoints, AtPercent

# An occasion a rule waited for: the rule's order, where in the video to insert, the rule, the sequence number the
# occasion is counted from, how it came about, and at which position or (PLAYED) as which of its series.
# A plain tuple: most are refused by a limit and never looked at.
Due = tuple[tuple[int, str], float, CompiledRule, int, str, float]
HOUR_MS = 3_600_000
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
            if not _below_caps(session, rule) or not _below_hourly(session, rule.rule, at_ms):
                continue
            if rule.criteria is not None and not rule.criteria(session, at_ms):
                continue
            number, shown = _shown(session, rule, at_ms)
            if _has_room(session, occasion, shown, gap_s):
                out.decisions.append(_decision(session, occasion, event, at_ms, number, shown, pod=gap_s == 0.0))
                gap_s = 0.0
        except Exception as error:  # the fault is the rule's: the session goes on without it
            out.faults.append(RuleFault(rule.rule, f"{type(error).__name__}: {error}", at_ms))


def _shown(session: SessionState, compiled: CompiledRule, at_ms: int) -> tuple[int, Adaptation]:
    """Which adaptation holds (0: none), and what it says; the rule itself is one that changes nothing."""
    for number, (when, other) in enumerate(compiled.adapt, 1):
        if when is None or when(session, at_ms):
            return number, other
    return 0, Adaptation(when=All())


def _below_hourly(session: SessionState, rule: AdRule, at_ms: int) -> bool:
    most = rule.limits.per_hour
    lately = [name for name, then in session.hours if name == rule.rule_id and then > at_ms - HOUR_MS]
    return most is None or len(lately) < most


def _length_s(session: SessionState, rule: AdRule, shown: Adaptation) -> float:
    ad = shown.format or rule.format
    return ad_length_s(ad, session.duration_s, session.view_played_s, shown.length_factor)


def _has_room(session: SessionState, due: Due, shown: Adaptation, gap_s: float) -> bool:
    compiled, how, where = due[2], due[4], due[5]
    rule, limits = compiled.rule, compiled.rule.limits
    if gap_s < (limits.min_gap_s if shown.min_gap_s is None else shown.min_gap_s):
        return False
    if shown.share < 1.0:
        number = session.videos
        if how is PLAYED:
            number = int(where)
        elif isinstance(rule.insertion, AtCuePoints):
            number = compiled.positions(session.duration_s, session.cue_points_s).index(where) + 1
        if int(number * shown.share + 1e-9) == int((number - 1) * shown.share + 1e-9):
            return False
    before_ads, before_s = (session.pod_ads, session.pod_s) if gap_s == 0.0 else (0, 0.0)
    if limits.pod_ads is not None and before_ads >= limits.pod_ads:
        return False
    if limits.pod_length_s is not None and before_s + _length_s(session, rule, shown) > limits.pod_length_s:
        return False
    category = (shown.format or rule.format).category
    if limits.separation_s and category in session.rivals:
        return session.session_played_s - session.rivals[category] / 1000.0 >= limits.separation_s
    return True


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
        if isinstance(rule.rule.insertion, AtPercent):
            return f"{since_seq}:n{where}", "so much of it was played"
        played_s = rule.series.moment(int(where)) if rule.series is not None else 0.0
        return f"{since_seq}:n{where}", f"{played_s:g} s played"
    return f"{since_seq}:action", how


def _told(field: str, value: Value) -> Value:
    """Only counts are told as whole numbers."""
    kind = FIELDS[field]
    return float(value) if kind.kind == "number" and not kind.whole and isinstance(value, int) else value


def _decision(
    session: SessionState, due: Due, event: PlayerEvent, at_ms: int, adapted: int, shown: Adaptation, *, pod: bool
) -> AdDecision:
    _, position_s, compiled, since_seq, how, where = due
    occasion, why = _named(compiled, since_seq, how, where)
    rule = compiled.rule
    played_s = session.session_played_s
    number, length_s = session.ads + 1, _length_s(session, rule, shown)
    session.pod_ads, session.pod_s = (session.pod_ads + 1, session.pod_s + length_s) if pod else (1, length_s)
    if shown.delay_s:
        later_s = position_s + shown.delay_s
        position_s = later_s if session.duration_s is None else max(position_s, min(later_s, session.duration_s))
    decision = AdDecision(
        decision_id=decision_id(session.session_id, rule.rule_id, occasion),
        session_id=session.session_id,
        video_id=session.video_id or "",
        rule_id=rule.rule_id,
        rule_version=rule.version,
        event_id=event.event_id,
        decided_at=at_ms,
        number=number,
        place=place_of(rule.insertion),
        position_s=position_s,
        format=shown.format or rule.format,
        duration_s=length_s,
        adapted=adapted,
        pod_number=session.pod_ads,
        spot_load=round(number * 60.0 / max(played_s, 60.0), 6),
        reason=f"{compiled.text}: {why}",
        criteria={field: _told(field, read(session, at_ms)) for field, read in compiled.readers},
    )
    session.ads, session.ad_at_s = number, played_s
    if rule.limits.per_session is not None:
        session.fired = _one_more(tuple(session.fired.items()), rule.rule_id)
    if rule.limits.per_video is not None:
        session.fired_view = _one_more(tuple(session.fired_view.items()), rule.rule_id)
    if rule.limits.per_hour is not None:
        kept = list(dropwhile(lambda link: link[1] <= at_ms - HOUR_MS, session.hours))
        session.hours = [*kept, [rule.rule_id, at_ms]]
    if category := (shown.format or rule.format).category:
        session.rivals = {**session.rivals, category: max(1, int(played_s * 1000.0))}
    return decision


@lru_cache(maxsize=4096)
def _one_more(fired: tuple[tuple[str, int], ...], rule_id: str) -> dict[str, int]:
    """The counts with one more of the rule. Nobody writes to them, so that sessions alike share one."""
    counts = dict(fired)
    counts[rule_id] = counts.get(rule_id, 0) + 1
    return counts

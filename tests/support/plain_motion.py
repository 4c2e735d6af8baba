"""Playback going on, seeking and ending: which occasions that makes due, and up to where nothing can be."""

from __future__ import annotations

from plain_decide import END, JUMPED, PASSED, PLAYED, START, Due, allowed
from plain_plan import CompiledRule, Plan
from plain_state import SessionState

from cuepoint.schemas.playback import PlayerEvent
from cuepoint.schemas.rules import BetweenClips

POSITION_TOLERANCE_S = 1.0  # players round, and report a little past the end
MAX_UNSEEN_S = 60.0  # of play is credited where events were lost; a longer jump may have been a seek
_MARGIN_S = 1e-6  # rounding of sums of played seconds


def begin(session: SessionState, event: PlayerEvent, plan: Plan, due: list[Due]) -> None:
    """The first event of a play; one that is not video_started came in the middle, where a pre-roll has no place."""
    if event.kind != "video_started":
        return
    position_s, view_seq = session.position_s, session.view_seq
    if session.gap_s >= plan.start_gap_s:
        starts = [*plan.starts, *(rule for rule in plan.clip_starts if at_boundary(session, rule))]
        due += [(rule.order, position_s, rule, view_seq, START, 0.0) for rule in starts]
    if position_s == 0.0 and plan.break_at and plan.break_at[0] == 0.0:
        due += [(rule.order, at_s, rule, view_seq, PASSED, at_s) for at_s, rule in plan.crossed(-1.0, 0.0)]


def go_on(session: SessionState, event: PlayerEvent, plan: Plan, unbroken: bool, due: list[Due]) -> None:
    """Playback went on to the event's position, or (before the position known) was set back without a word."""
    to_s = event.position_s
    if event.kind == "video_completed" and session.duration_s is not None:
        to_s = session.duration_s
    if to_s >= session.position_s:
        _play(session, plan, to_s, unbroken, due)
    elif event.kind == "progressed":
        _set_run(session, to_s, 0.0)


def _play(session: SessionState, plan: Plan, to_s: float, unbroken: bool, due: list[Due]) -> None:
    lost = not unbroken and to_s - session.position_s > MAX_UNSEEN_S
    if to_s <= session.quiet_until_s and not lost:
        session.position_s = to_s
        session.reached_s = max(session.reached_s, to_s)
        return
    view_s, session_s, view_seq = session.view_played_s, session.session_played_s, session.view_seq
    if lost:
        _jump(session, plan, to_s, due)
        _set_run(session, to_s, MAX_UNSEEN_S)
    else:
        session.position_s = to_s
        crossed = plan.crossed(session.reached_s, to_s)
        due += [(rule.order, at_s, rule, view_seq, PASSED, at_s) for at_s, rule in crossed]
    session.reached_s = max(session.reached_s, to_s)
    for rule, number in plan.of_view.due(view_s, session.view_played_s):
        if allowed(session, rule):
            due.append((rule.order, to_s, rule, view_seq, PLAYED, number))
    for rule, number in plan.of_session.due(session_s, session.session_played_s):
        if allowed(session, rule):
            due.append((rule.order, to_s, rule, session.first_seq, PLAYED, number))


def seek(session: SessionState, event: PlayerEvent, plan: Plan, unbroken: bool, due: list[Due]) -> str:
    """Play up to where the seek began, then jump; says whether it was a seek forward or a rewind."""
    origin_s = event.from_position_s
    if origin_s is not None and origin_s > session.position_s:
        _play(session, plan, origin_s, unbroken, due)
    forward = event.position_s >= (session.position_s if origin_s is None else origin_s)
    if forward and plan.break_at:
        _jump(session, plan, event.position_s, due)
    _set_run(session, event.position_s, 0.0)
    session.reached_s = max(session.reached_s, event.position_s)
    return "seeked" if forward else "rewound"


def _jump(session: SessionState, plan: Plan, to_s: float, due: list[Due]) -> None:
    """Each rule's policy says which of the breaks jumped over are played, on landing."""
    landed: dict[str, list[Due]] = {}
    for at_s, rule in plan.crossed(session.reached_s, to_s):
        if rule.rule.on_seek != "none":
            of_rule = landed.setdefault(rule.rule_id, [])
            if rule.rule.on_seek == "last":
                of_rule.clear()
            of_rule.append((rule.order, to_s, rule, session.view_seq, JUMPED, at_s))
    for of_rule in landed.values():
        due += of_rule


def _set_run(session: SessionState, position_s: float, credit_s: float) -> None:
    """A new stretch of play begins at ``position_s``, with ``credit_s`` counted as played on the way there."""
    played_s = session.position_s - session.run_from_s
    session.view_base_s = session.view_base_s + played_s + credit_s
    session.session_base_s = session.session_base_s + played_s + credit_s
    session.position_s = session.run_from_s = position_s


def complete(session: SessionState, plan: Plan, due: list[Due]) -> None:
    """The video was played to its end, the first time in this play."""
    if not session.completed:
        session.completed = True
        ends = [*plan.ends, *(rule for rule in plan.clip_ends if at_boundary(session, rule))]
        due += [(rule.order, session.position_s, rule, session.view_seq, END, 0.0) for rule in ends]


def at_boundary(session: SessionState, rule: CompiledRule) -> bool:
    """Whether this is the boundary of clips that the rule waits for."""
    place = rule.rule.insertion
    assert isinstance(place, BetweenClips)
    number = session.playlist_number or session.videos
    if place.place == "between":
        return number > 1 and (number - 1) % place.every == 0
    if place.place == "between_playlists":
        return session.videos > 1 and session.playlist_id != session.playlist_before
    return number == 1 if place.place == "before" else number == session.playlist_length


def look_ahead(session: SessionState, plan: Plan) -> None:
    """Note up to which position a heartbeat only moves the position on."""
    position_s = session.position_s
    played_s = position_s - session.run_from_s
    session_s = session.session_base_s + played_s
    if session_s >= session.moment_s - _MARGIN_S:
        session.moment_s = plan.next_moment_s(session.view_base_s + played_s, session_s)
    due_s = position_s + (session.moment_s - session_s)
    if plan.break_at:
        break_s = plan.next_break_s(position_s if position_s > session.reached_s else session.reached_s)
        due_s = min(due_s, break_s)
    if session.ad_at_s >= 0.0:
        # what is passed before every rule's gap since the last ad is over is not decided, then or later
        gap_s = session.ad_at_s + plan.min_gap_s - session_s
        due_s = max(due_s, position_s + gap_s)
    if session.duration_s is not None and due_s > session.duration_s + POSITION_TOLERANCE_S:
        due_s = session.duration_s + POSITION_TOLERANCE_S
    session.quiet_until_s = due_s - _MARGIN_S

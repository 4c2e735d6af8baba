"""The state machine of a session: one event at a time, from the player's words to due occasions."""

from __future__ import annotations

from sys import intern

from cuepoint.models.rule_plan import ActiveRules, CompiledRule, Plan
from cuepoint.models.session_decide import Due, Results, allowed, decide
from cuepoint.models.session_state import NOTHING, SessionState
from cuepoint.schemas.errors import ContractError
from cuepoint.schemas.playback import PlayerEvent

POSITION_TOLERANCE_S = 1.0  # players round, and report a little past the end
MAX_UNSEEN_S = 60.0  # of play is credited where events were lost; a longer jump may have been a seek
MAX_MISSING = 64  # sequence numbers remembered as lost, so that a late event is told from a repeat
_MARGIN_S = 1e-6  # rounding of sums of played seconds
_PLAYS = frozenset(("video_started", "progressed", "paused", "resumed", "seeked", "rewound", "video_completed"))
_QUIET = frozenset(("progressed", "paused", "resumed"))
_ACTIONS = frozenset(("paused", "resumed", "muted", "fullscreen_entered", "hovered", "clicked", "site_action"))
_COUNTED = {
    "paused": "pauses",
    "seeked": "seeks",
    "rewound": "seeks",
    "muted": "mutes",
    "ad_skipped": "skips",
    "ad_clicked": "clicks",
    "clicked": "clicks",
}


def advance(session: SessionState, event: PlayerEvent, at_ms: int, rules: ActiveRules, out: Results) -> None:
    """Take in an event not seen before, of an open session, and append to ``out`` what is decided at it.

    ``rules`` are those in effect at ``at_ms``. Raises ContractError (no_video, position_beyond_video) and then leaves
    the session as it was. Occasions are decided at most once by construction: positions already reached, seconds
    already played and sequence numbers already seen never come again.
    """
    kind = event.kind
    if kind in _QUIET and _is_quiet(session, event, rules):
        _move_on(session, event, at_ms, out)
        return
    plays = kind in _PLAYS
    opens = plays and _check(session, event)
    unbroken = event.seq == session.seq + 1
    _note_sequence(session, event.seq)
    session.reached_s = max(session.reached_s, session.position_s)
    if opens or kind == "session_started":
        _learn_viewer(session, event)
    due: list[Due] = []
    if opens:
        _open_view(session, event)
    plan = _plan(session, event, rules)
    if plan is None:
        _act(session, event, None, due, "")
        return
    if opens:
        _begin(session, event, plan, due)
    if kind == "progressed":
        if not opens:
            _go_on(session, event, plan, unbroken, due)
    else:
        action: str = kind if kind in _ACTIONS else ""
        if kind in ("seeked", "rewound"):
            action = _seek(session, event, plan, unbroken, due)
        elif plays and not opens:
            _go_on(session, event, plan, unbroken, due)
        if kind == "video_completed":
            _complete(session, plan, due)
        _act(session, event, plan, due, action)
    if due:
        decide(session, due, event, at_ms, out)
    _look_ahead(session, plan)


def _is_quiet(session: SessionState, event: PlayerEvent, rules: ActiveRules) -> bool:
    """Whether the event only moves the position on, to where nothing can be due yet."""
    return (
        event.seq == session.seq + 1
        and session.position_s <= event.position_s <= session.quiet_until_s
        and event.video_id == session.video_id
        and session.plan is not None
        and session.plan.moment is rules
    )


def _move_on(session: SessionState, event: PlayerEvent, at_ms: int, out: Results) -> None:
    session.seq, session.position_s = event.seq, event.position_s
    due: list[Due] = []
    if event.kind != "progressed":
        _act(session, event, session.plan, due, event.kind)
    if due:
        decide(session, due, event, at_ms, out)


def absorb(session: SessionState, event: PlayerEvent) -> None:
    """Take in an event that comes after later ones of its session: it adds to the statistics and fills in what is not
    known of viewer and video, and nothing is decided again."""
    session.missing = tuple(seq for seq in session.missing if seq != event.seq)
    _count(session, event.kind)
    if event.kind == "session_started" and not session.device and not session.country:
        _learn_viewer(session, event)
    if event.kind == "video_started" and event.video_id == session.video_id and session.duration_s is None:
        session.duration_s = event.duration_s or None
        session.category, session.channel = intern(event.category), intern(event.channel)
        session.plan, session.quiet_until_s = None, -1.0


def _check(session: SessionState, event: PlayerEvent) -> bool:
    """Whether the event begins a play of a video. Raises ContractError for one that cannot be."""
    video_id = event.video_id or session.video_id
    if video_id is None or (event.kind == "video_started" and event.video_id is None):
        raise ContractError("no_video", "$.video_id", f"{event.kind} names no video and none is known of the session")
    opens = event.kind == "video_started" or video_id != session.video_id
    duration_s = event.duration_s or (None if opens else session.duration_s)
    if duration_s is not None:
        for name, position_s in (("position_s", event.position_s), ("from_position_s", event.from_position_s)):
            if position_s is not None and position_s > duration_s + POSITION_TOLERANCE_S:
                reason = f"{position_s:g} s lies beyond the video's {duration_s:g} s"
                raise ContractError("position_beyond_video", f"$.{name}", reason)
    return opens


def _note_sequence(session: SessionState, seq: int) -> None:
    if seq != session.seq + 1:
        lost = range(max(session.seq + 1, seq - MAX_MISSING), seq)
        session.missing = (*session.missing, *lost)[-MAX_MISSING:]
    session.seq = seq


def _learn_viewer(session: SessionState, event: PlayerEvent) -> None:
    session.registered = session.registered or event.registered
    if event.device:
        session.device = intern(event.device)
    if event.country:
        session.country = intern(event.country)
        session.plan = None


def _open_view(session: SessionState, event: PlayerEvent) -> None:
    played_s = session.session_played_s
    session.view_seq, session.videos = event.seq, session.videos + 1
    session.video_id = event.video_id
    session.duration_s = event.duration_s or None
    session.category, session.channel = intern(event.category), intern(event.channel)
    session.position_s = session.run_from_s = session.reached_s = event.position_s
    session.view_base_s, session.session_base_s = 0.0, played_s
    session.completed, session.fired_view, session.plan = False, NOTHING, None


def _plan(session: SessionState, event: PlayerEvent, rules: ActiveRules) -> Plan | None:
    if session.video_id is None:
        return None
    if session.duration_s is None and event.duration_s and event.video_id == session.video_id:
        session.duration_s, session.plan = event.duration_s, None
    plan = session.plan
    if plan is None or plan.moment is not rules:
        plan = session.plan = rules.plan(
            session.video_id, session.duration_s, session.category, session.channel, session.country
        )
    return plan


def _begin(session: SessionState, event: PlayerEvent, plan: Plan, due: list[Due]) -> None:
    """The first event of a play; one that is not video_started came in the middle, where a pre-roll has no place."""
    if event.kind != "video_started":
        return
    due += [_due(session, rule, "start", session.position_s, "the video starts") for rule in plan.starts]
    if session.position_s == 0.0:
        due += [_at_break(session, b.rule, b.position_s, b.position_s, "passed") for b in plan.crossed(-1.0, 0.0)]


def _go_on(session: SessionState, event: PlayerEvent, plan: Plan, unbroken: bool, due: list[Due]) -> None:
    """Playback went on to the event's position, or (before the position known) was set back without a word."""
    to_s = event.position_s
    if event.kind == "video_completed" and session.duration_s is not None:
        to_s = session.duration_s
    if to_s >= session.position_s:
        _play(session, plan, to_s, unbroken, due)
    elif event.kind == "progressed":
        _set_run(session, to_s, 0.0)


def _play(session: SessionState, plan: Plan, to_s: float, unbroken: bool, due: list[Due]) -> None:
    view_s, session_s, stretch_s = session.view_played_s, session.session_played_s, to_s - session.position_s
    lost = not unbroken and stretch_s > MAX_UNSEEN_S
    if lost:
        _jump(session, plan, to_s, due)
        _set_run(session, to_s, MAX_UNSEEN_S)
    else:
        session.position_s = to_s
        crossed = plan.crossed(session.reached_s, to_s)
        due += [_at_break(session, b.rule, b.position_s, b.position_s, "passed") for b in crossed]
    session.reached_s = max(session.reached_s, to_s)
    for rule, number in plan.of_view.due(view_s, session.view_played_s):
        if allowed(session, rule):
            due.append(_at_moment(session, rule, number, session.view_seq))
    for rule, number in plan.of_session.due(session_s, session.session_played_s):
        if allowed(session, rule):
            due.append(_at_moment(session, rule, number, session.first_seq))


def _seek(session: SessionState, event: PlayerEvent, plan: Plan, unbroken: bool, due: list[Due]) -> str:
    """Play up to where the seek began, then jump; says whether it was a seek forward or a rewind."""
    origin_s = event.from_position_s
    if origin_s is not None and origin_s > session.position_s:
        _play(session, plan, origin_s, unbroken, due)
    forward = event.position_s >= (session.position_s if origin_s is None else origin_s)
    if forward:
        _jump(session, plan, event.position_s, due)
    _set_run(session, event.position_s, 0.0)
    session.reached_s = max(session.reached_s, event.position_s)
    return "seeked" if forward else "rewound"


def _jump(session: SessionState, plan: Plan, to_s: float, due: list[Due]) -> None:
    """Each rule's policy says which of the breaks jumped over are played, on landing."""
    landed: dict[str, list[Due]] = {}
    for passed in plan.crossed(session.reached_s, to_s):
        rule = passed.rule
        if rule.rule.on_seek != "none":
            of_rule = landed.setdefault(rule.rule_id, [])
            if rule.rule.on_seek == "last":
                of_rule.clear()
            of_rule.append(_at_break(session, rule, passed.position_s, to_s, "jumped over"))
    for of_rule in landed.values():
        due += of_rule


def _set_run(session: SessionState, position_s: float, credit_s: float) -> None:
    """A new stretch of play begins at ``position_s``, with ``credit_s`` counted as played on the way there."""
    view_s, session_s = session.view_played_s, session.session_played_s
    session.view_base_s, session.session_base_s = view_s + credit_s, session_s + credit_s
    session.position_s = session.run_from_s = position_s


def _complete(session: SessionState, plan: Plan, due: list[Due]) -> None:
    if not session.completed:
        session.completed = True
        due += [_due(session, rule, "end", session.position_s, "the video ended") for rule in plan.ends]


def _act(session: SessionState, event: PlayerEvent, plan: Plan | None, due: list[Due], action: str) -> None:
    kind = event.kind
    _count(session, kind)
    if kind in ("muted", "unmuted"):
        session.muted = kind == "muted"
    elif kind in ("fullscreen_entered", "fullscreen_left"):
        session.fullscreen = kind == "fullscreen_entered"
    if not action:
        return
    session.last_action = action
    for rule in plan.actions.get(action, ()) if plan is not None else ():
        value = getattr(rule.rule.insertion, "value", "")
        if not value or value == event.action:
            due.append(Due(rule.order, session.position_s, rule, f"{event.seq}:action", action))


def _count(session: SessionState, kind: str) -> None:
    name = _COUNTED.get(kind)
    if name is not None:
        setattr(session, name, getattr(session, name) + 1)


def _due(session: SessionState, rule: CompiledRule, what: str, position_s: float, why: str) -> Due:
    return Due(rule.order, position_s, rule, f"{session.view_seq}:{what}", why)


def _at_break(session: SessionState, rule: CompiledRule, break_s: float, insert_s: float, how: str) -> Due:
    return Due(rule.order, insert_s, rule, f"{session.view_seq}:at{break_s!r}", f"{how} {break_s:g} s")


def _at_moment(session: SessionState, rule: CompiledRule, number: int, base_seq: int) -> Due:
    played_s = rule.series.moment(number) if rule.series is not None else 0.0
    return Due(rule.order, session.position_s, rule, f"{base_seq}:n{number}", f"{played_s:g} s played")


def _look_ahead(session: SessionState, plan: Plan) -> None:
    position_s, session_s = session.position_s, session.session_played_s
    reached_s = max(session.reached_s, position_s)
    due_s = plan.next_due_s(position_s, reached_s, session.view_played_s, session_s)
    if session.ad_at_s >= 0.0:
        # what is passed before every rule's gap since the last ad is over is not decided, then or later
        due_s = max(due_s, position_s + (session.ad_at_s + plan.min_gap_s - session_s))
    if session.duration_s is not None:
        due_s = min(due_s, session.duration_s + POSITION_TOLERANCE_S)
    session.quiet_until_s = due_s - _MARGIN_S

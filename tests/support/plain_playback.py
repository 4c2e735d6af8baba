"""The state machine of a session: one event at a time, from the player's words to due occasions."""

from __future__ import annotations

from sys import intern

from plain_decide import Due, decide
from plain_motion import POSITION_TOLERANCE_S, begin, complete, go_on, look_ahead, seek
from plain_plan import ActiveRules, Plan
from plain_state import NOTHING, SessionState

from cuepoint.models.session_results import Results
from cuepoint.schemas.codec import encode
from cuepoint.schemas.errors import ContractError
from cuepoint.schemas.playback import PlayerEvent

MAX_MISSING = 64  # sequence numbers remembered as lost, so that a late event is told from a repeat
_PLAYS = frozenset(("video_started", "progressed", "paused", "resumed", "seeked", "rewound", "video_completed"))
MOVES = frozenset(("progressed", "paused", "resumed"))  # at their position, without a jump
_PLACELESS = frozenset((
    "muted", "unmuted", "fullscreen_entered", "fullscreen_left", "hovered", "clicked", "site_action",
    "session_ended", "ad_started", "ad_completed", "ad_skipped", "ad_clicked", "ad_failed",
))  # fmt: skip
_SEEKS = frozenset(("seeked", "rewound"))
_IN_PASSING = MOVES | _PLACELESS
_AD_ACTIONS = frozenset(("ad_completed", "ad_skipped", "ad_clicked"))
_ACTIONS = _AD_ACTIONS | frozenset(
    ("paused", "resumed", "muted", "fullscreen_entered", "hovered", "clicked", "site_action")
)
_SWITCHES = {
    "muted": ("muted", True),
    "unmuted": ("muted", False),
    "fullscreen_entered": ("fullscreen", True),
    "fullscreen_left": ("fullscreen", False),
}
_COUNTED = {  # besides pauses
    "seeked": "seeks",
    "rewound": "seeks",
    "muted": "mutes",
    "ad_skipped": "skips",
    "ad_clicked": "clicks",
    "clicked": "clicks",
    "site_action": "sites",
}
NEAR_AD_S = 30.0


def advance(session: SessionState, event: PlayerEvent, at_ms: int, rules: ActiveRules, out: Results) -> None:
    """Take in an event not seen before, of an open session, and append to ``out`` what is decided at it.

    ``rules`` are those in effect at ``at_ms``. Raises ContractError (no_video, position_beyond_video) and then leaves
    the session as it was. Occasions are decided at most once by construction: positions already reached, seconds
    already played and sequence numbers already seen never come again.
    """
    kind = event.kind
    if kind in _IN_PASSING and _in_passing(session, event, at_ms, rules, out):
        return
    plays = kind in _PLAYS
    opens = plays and _check(session, event)
    unbroken = event.seq == session.seq + 1
    if not unbroken:
        _note_lost(session, event.seq)
    session.seq = event.seq
    session.reached_s = max(session.reached_s, session.position_s)
    if opens or kind == "session_started":
        _learn_viewer(session, event)
    due: list[Due] = []
    if opens:
        _open_view(session, event)
    plan = session.plan
    if plan is None or plan.moment is not rules or session.duration_s is None:
        plan = _plan(session, event, rules)
    if plan is None:
        _act(session, event, None, due, "")
        return
    if opens:
        begin(session, event, plan, due)
    action: str = kind if kind in _ACTIONS else ""
    if kind in _SEEKS:
        action = seek(session, event, plan, unbroken, due)
    elif plays and not opens:
        go_on(session, event, plan, unbroken, due)
    if kind == "video_completed":
        complete(session, plan, due)
    if kind != "progressed":
        _act(session, event, plan, due, action)
    if due:
        decide(session, due, event, at_ms, out)
    look_ahead(session, plan)


def _in_passing(session: SessionState, event: PlayerEvent, at_ms: int, rules: ActiveRules, out: Results) -> bool:
    """Take in the session's next event if it only moves the position on, to where nothing can be due yet, or has
    nothing to do with the position; whether that was so."""
    plan, kind = session.plan, event.kind
    if plan is None or plan.moment is not rules or event.seq != session.seq + 1:
        return False
    if kind in MOVES:
        if not session.position_s <= event.position_s <= session.quiet_until_s or event.video_id != session.video_id:
            return False
        session.position_s = event.position_s
    elif kind not in _PLACELESS or (session.duration_s is None and event.duration_s):
        return False
    session.seq = event.seq
    if kind != "progressed":
        react(session, event, plan, at_ms, out)
    return True


def react(session: SessionState, event: PlayerEvent, plan: Plan, at_ms: int, out: Results) -> None:
    """What an event asks for besides moving the position."""
    due: list[Due] = []
    _act(session, event, plan, due, event.kind if event.kind in _ACTIONS else "")
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
        _learn_video(session, event)
        session.plan, session.quiet_until_s = None, -1.0


def _check(session: SessionState, event: PlayerEvent) -> bool:
    """Whether the event begins a play of a video. Raises ContractError for one that cannot be."""
    video_id = event.video_id or session.video_id
    if video_id is None or (event.kind == "video_started" and event.video_id is None):
        raise ContractError("no_video", "$.video_id", f"{event.kind} names no video and none is known of the session")
    opens = event.kind == "video_started" or video_id != session.video_id
    duration_s = event.duration_s or (None if opens else session.duration_s)
    if duration_s is None:
        return opens
    limit_s = duration_s + POSITION_TOLERANCE_S
    if event.position_s > limit_s or (event.from_position_s or 0.0) > limit_s:
        for name, position_s in (("position_s", event.position_s), ("from_position_s", event.from_position_s)):
            if position_s is not None and position_s > limit_s:
                reason = f"{position_s:g} s lies beyond the video's {duration_s:g} s"
                raise ContractError("position_beyond_video", f"$.{name}", reason)
    return opens


def _note_lost(session: SessionState, seq: int) -> None:
    lost = range(max(session.seq + 1, seq - MAX_MISSING), seq)
    session.missing = (*session.missing, *lost)[-MAX_MISSING:]


def _learn_viewer(session: SessionState, event: PlayerEvent) -> None:
    session.registered = session.registered or event.registered
    if event.device:
        session.device = intern(event.device)
    if event.country:
        session.country = intern(event.country)
        session.plan = None
    if event.affiliate:
        session.affiliate, session.plan = event.affiliate, None
    session.region, session.profile = event.region or session.region, event.profile or session.profile
    for name in ("average_view_s", "average_session_s", "plays"):
        if getattr(event, name) is not None:
            setattr(session, name, getattr(event, name))


def _learn_video(session: SessionState, event: PlayerEvent) -> None:
    session.category, session.channel = intern(event.category), intern(event.channel)
    session.playlist_id = event.playlist_id or ""
    session.playlist_number, session.playlist_length = event.playlist_number, event.playlist_length
    session.cue_points_s = ",".join(encode(at_s).decode() for at_s in event.cue_points_s)
    session.views, session.trend, session.rating = event.views, event.trend, event.rating


def _open_view(session: SessionState, event: PlayerEvent) -> None:
    played_s = session.session_played_s
    if session.videos and not session.completed and session.gap_s <= NEAR_AD_S:
        session.abandons += 1
    session.playlist_before = session.playlist_id
    session.view_seq, session.videos = event.seq, session.videos + 1
    session.video_id = intern(event.video_id) if event.video_id is not None else None
    session.duration_s = event.duration_s or None
    _learn_video(session, event)
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
        plan = session.plan = rules.plan(session)
        session.quiet_until_s = session.moment_s = -1.0
    return plan


def _act(session: SessionState, event: PlayerEvent, plan: Plan | None, due: list[Due], action: str) -> None:
    kind = event.kind
    _count(session, kind)
    if kind in _SWITCHES:
        name, on = _SWITCHES[kind]
        setattr(session, name, on)
    if not action:
        return
    said = event.action
    if action in _AD_ACTIONS:
        said = event.rule_id or ""
    else:
        session.last_action = action
        if action == "site_action":
            session.last_site = said
    if plan is None or action not in plan.actions or session.gap_s < plan.action_gap_s:
        return
    for rule in plan.actions[action]:
        value = getattr(rule.rule.insertion, "value", "")
        if not value or value == said:
            due.append((rule.order, session.position_s, rule, event.seq, action, 0.0))


def _count(session: SessionState, kind: str) -> None:
    if kind == "paused":
        session.pauses += 1
    elif kind in _COUNTED:
        name = _COUNTED[kind]
        setattr(session, name, getattr(session, name) + 1)

"""The compiled loop over player events: sessions opened, advanced, closed by event or time; occasions; decisions.

One event at a time, in the order of the log. What it cannot do itself (sweep, change of rules, more room) it stops
for, before the event, and is called again. An occasion is decided at most once by construction: positions already
reached, seconds already played and sequence numbers already seen never come again.
"""
# ruff: noqa: PLR0917  (numba functions take arrays and scalars by position)

from __future__ import annotations

import inspect
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np

from cuepoint.models import rule_kernel, rule_places, session_facts, session_occasions
from cuepoint.models.compiled import inner, loop
from cuepoint.models.rule_kernel import (
    ACTION,
    CLIP_END,
    CLIP_START,
    DECISIONS,
    END,
    FREE_LEFT,
    STAMP,
    START,
    TRACES,
    TRACING,
    free_chain,
    gap_s,
    played_s,
    view_s,
)
from cuepoint.models.rule_places import plan_of
from cuepoint.models.session_facts import (
    RULE_ID,
    SESSION_ID,
    VALUE,
    VIDEO_ID,
    count,
    learn_video,
    learn_viewer,
    open_view,
)
from cuepoint.models.session_occasions import (  # fmt: skip
    ACTED,
    AD_CLICKED,
    AD_COMPLETED,
    AD_SKIPPED,
    AD_STARTED,
    AT_END,
    AT_START,
    CLICKED,
    FULLSCREEN_ENTERED,
    FULLSCREEN_LEFT,
    HOVERED,
    MUTED,
    PAUSED,
    POSITION_TOLERANCE_S,
    PROGRESSED,
    RESUMED,
    REWOUND,
    SEEKED,
    SESSION_ENDED,
    SESSION_STARTED,
    SITE_ACTION,
    UNMUTED,
    VIDEO_COMPLETED,
    VIDEO_STARTED,
    add_due,
    all_due,
    breaks_due,
    clips_due,
    decide,
    go_on,
    look_ahead,
    seek,
    trace_outside,
)

MAX_MISSING = 64  # sequence numbers remembered as lost, so that a late event is told from a repeat
SWEEP_MS = 60_000
CLOSED, TOO_MANY, NO_VIDEO, BAD_POSITION, BAD_FROM_POSITION = range(1, 6)  # why an event is refused
DONE, SWEEP, RULES, FULL = range(4)  # why the loop stopped
# the control array, behind what rule_kernel needs: where the loop stands, what it counted, what bounds it
(
    NEXT, CLOCK, SWEPT_AT, SESSIONS, REFUSALS, REPEATS, LATE, TIMEOUT, GRACE, SKEW, MAX_SESSIONS, SINCE,
    BEFORE, ASKED_AT, CONTROLS,
) = range(5, 20)  # fmt: skip
APPLIED, ABSORBED = 1, 2  # outcomes
FORGOTTEN = -2  # of a session's row: it was closed for good


# ---- one event


@inner
def _act(tables: Any, s: Any, e: Any, texts: Any, action: int, due: Any, n: int) -> int:
    """What an event asks for besides moving the position; ``action`` 0: the viewer did nothing rules wait for."""
    count(s, e.kind)
    if e.kind in (MUTED, UNMUTED):
        s.muted = e.kind == MUTED
    elif e.kind in (FULLSCREEN_ENTERED, FULLSCREEN_LEFT):
        s.fullscreen = e.kind == FULLSCREEN_ENTERED
    if not action:
        return n
    said = texts[VALUE]
    if action >= AD_STARTED:
        said = texts[RULE_ID]
    else:
        s.last_action = action
        if action == SITE_ACTION:
            s.last_site = said
    if not tables.plans[s.plan].actions >> action & 1 or gap_s(s) < tables.plans[s.plan].action_gap_s:
        return n
    for k in range(tables.plans[s.plan].rules):
        r = tables.members[s.plan, k]
        rule = tables.rules[r]
        if rule.trigger == ACTION and rule.action == action and (not rule.value or rule.value == said):
            n = add_due(due, n, r, s.position_s, e.seq, ACTED, float(action))
    return n


@inner
def _action(kind: int) -> int:
    """The action an event that is no seek stands for; 0 for none."""
    acts = kind in (PAUSED, RESUMED, MUTED, FULLSCREEN_ENTERED, HOVERED, CLICKED, SITE_ACTION) or (
        kind in (AD_COMPLETED, AD_SKIPPED, AD_CLICKED)
    )
    return kind if acts else 0


@inner
def _note_lost(s: Any, missing: Any, seq: int) -> None:
    first = max(s.seq + 1, seq - MAX_MISSING)
    held, more = int(s.missing), seq - first
    drop = max(0, held + more - MAX_MISSING)
    for k in range(drop, held):
        missing[k - drop] = missing[k]
    for k in range(more):
        missing[held - drop + k] = first + k
    s.missing = held - drop + more


@inner
def _refuse(control: Any, out: Any, event: int, why: int, place_s: float, limit_s: float) -> None:
    r = out.refusals[control[REFUSALS]]
    control[REFUSALS] += 1
    r.event, r.why, r.place_s, r.limit_s = event, why, place_s, limit_s


@inner
def _check(s: Any, e: Any, texts: Any, control: Any, out: Any, event: int) -> int:
    """1 where the event begins a play of a video, -1 where it cannot be and is refused, else 0."""
    video_id = texts[VIDEO_ID] if texts[VIDEO_ID] >= 0 else s.video_id
    if video_id < 0 or (e.kind == VIDEO_STARTED and texts[VIDEO_ID] < 0):
        _refuse(control, out, event, NO_VIDEO, 0.0, 0.0)
        return -1
    opens = e.kind == VIDEO_STARTED or video_id != s.video_id
    duration_s = e.duration_s if e.duration_s > 0.0 or opens else s.duration_s
    if duration_s > 0.0:
        limit_s = duration_s + POSITION_TOLERANCE_S
        if e.position_s > limit_s:
            _refuse(control, out, event, BAD_POSITION, e.position_s, duration_s)
            return -1
        if e.from_s > limit_s:
            _refuse(control, out, event, BAD_FROM_POSITION, e.from_s, duration_s)
            return -1
    return 1 if opens else 0


@inner
def _advance(
    tables: Any, s: Any, e: Any, texts: Any, extras: Any, state: Any, event: int, at_ms: int, missing: Any, out: Any
) -> bool:
    """Take in an event not seen before, of an open session; False where it is refused: then nothing has changed."""
    kind, due, control = e.kind, state.due, state.control
    unbroken, planned = e.seq == s.seq + 1, s.plan >= 0 and s.plan_of == tables.state[STAMP]
    moves = kind in (PROGRESSED, PAUSED, RESUMED)
    plays = moves or kind in (VIDEO_STARTED, SEEKED, REWOUND, VIDEO_COMPLETED)
    if planned and unbroken:  # the common case: up to where nothing can be due, or nothing to do with the position
        in_passing = moves and s.position_s <= e.position_s <= s.quiet_until_s and texts[VIDEO_ID] == s.video_id
        placeless = not plays and kind != SESSION_STARTED and (s.duration_s > 0.0 or e.duration_s == 0.0)
        if in_passing or placeless:
            s.seq = e.seq
            if in_passing:
                s.position_s = e.position_s
            if kind != PROGRESSED:
                n = _act(tables, s, e, texts, _action(kind), due, 0)
                if n:
                    decide(tables, s, state, n, event, at_ms, out)
            return True
    opens = _check(s, e, texts, control, out, event) if plays else 0
    if opens < 0:
        return False
    if not unbroken:
        _note_lost(s, missing, e.seq)
    s.seq, s.reached_s = e.seq, max(s.reached_s, s.position_s)
    if opens or kind == SESSION_STARTED:
        learn_viewer(s, e, texts, extras)
    if opens:
        open_view(s, e, texts, extras, state.tallies, control)
    if s.video_id < 0:
        _act(tables, s, e, texts, 0, due, 0)
        return True
    if s.duration_s == 0.0 and e.duration_s > 0.0 and texts[VIDEO_ID] == s.video_id:
        s.duration_s, s.plan = e.duration_s, -1
    if s.plan < 0 or s.plan_of != tables.state[STAMP]:
        s.plan = plan_of(tables, control, s)
        s.plan_of, s.quiet_until_s, s.moment_s = tables.state[STAMP], -1.0, -1.0
    _react(tables, s, e, texts, state, event, at_ms, opens == 1, unbroken, plays, out)
    return True


@inner
def _react(
    tables: Any, s: Any, e: Any, texts: Any, state: Any, event: int, at_ms: int, opens: bool, unbroken: bool,
    plays: bool, out: Any,
) -> None:  # fmt: skip
    """The occasions an event of a session with a plan makes due, what is decided, and how far one can look ahead."""
    kind, due, tallies = e.kind, state.due, state.tallies
    action, n = _action(kind), 0
    if opens and tables.state[TRACING]:
        trace_outside(tables, s, event, at_ms, state, out)
    if opens and kind == VIDEO_STARTED:  # a play that began in another way came in the middle: no place for a pre-roll
        if gap_s(s) >= tables.plans[s.plan].start_gap_s:
            n = all_due(tables, s, START, AT_START, due, n)
            n = clips_due(tables, s, CLIP_START, AT_START, due, n)
        if s.position_s == 0.0:
            n = breaks_due(tables, s, -1.0, 0.0, False, due, n)
    if kind in (SEEKED, REWOUND):
        action, n = seek(tables, s, e, tallies, unbroken, due, n)
    elif plays and not opens:
        n = go_on(tables, s, e, tallies, unbroken, due, n)
    if kind == VIDEO_COMPLETED and not s.completed:
        s.completed = True
        n = all_due(tables, s, END, AT_END, due, n)
        n = clips_due(tables, s, CLIP_END, AT_END, due, n)
    if kind != PROGRESSED:
        n = _act(tables, s, e, texts, action, due, n)
    if n:
        decide(tables, s, state, n, event, at_ms, out)
    look_ahead(tables, s)


@inner
def _absorb(s: Any, missing: Any, e: Any, texts: Any, extras: Any) -> bool:
    """Take in an event that comes after later ones of its session, if it is not a repeat: it adds to the statistics and
    fills in what is not known of viewer and video, and nothing is decided again."""
    at = 0
    while at < s.missing and missing[at] != e.seq:
        at += 1
    if at == s.missing:
        return False
    for k in range(at + 1, s.missing):
        missing[k - 1] = missing[k]
    s.missing -= 1
    count(s, e.kind)
    if e.kind == SESSION_STARTED and not s.device and not s.country:
        learn_viewer(s, e, texts, extras)
    if e.kind == VIDEO_STARTED and texts[VIDEO_ID] == s.video_id and s.duration_s == 0.0:
        s.duration_s = e.duration_s
        learn_video(s, e, texts, extras)
        s.plan, s.quiet_until_s = -1, -1.0
    return True


@inner
def _open(s: Any, missing: Any, e: Any, session_id: int, closes_at: int) -> None:
    s.session_id, s.first_seq, s.seq, s.closes_at = session_id, e.seq, e.seq - 1, closes_at
    s.ended = s.registered = s.completed = s.muted = s.fullscreen = False
    s.device = s.country = s.category = s.channel = s.last_action = 0
    s.affiliate = s.region = s.profile = s.last_site = s.playlist_id = s.playlist_before = s.cue_points_s = 0
    s.playlist_number = s.playlist_length = s.sites = s.abandons = s.pod_ads = 0
    s.views = s.trend = s.rating = s.average_view_s = s.average_session_s = s.plays = np.nan
    s.pod_s = 0.0
    s.video_id, s.duration_s, s.view_seq = -1, 0.0, -1
    s.videos = s.reopened = s.pauses = s.seeks = s.mutes = s.skips = s.clicks = s.ads = 0
    s.position_s = s.reached_s = s.run_from_s = s.view_base_s = s.session_base_s = 0.0
    s.ad_at_s = s.quiet_until_s = s.moment_s = -1.0
    s.fired = s.fired_view = s.hours = s.rivals = s.plan = s.plan_of = -1
    first = max(0, e.seq - MAX_MISSING)
    for k in range(e.seq - first):
        missing[k] = first + k
    s.missing = e.seq - first


@inner
def _step(  # noqa: PLR0911, PLR0912 - one way out for each outcome
    tables: Any, events: Any, texts: Any, extras: Any, stamps: Any, i: int, state: Any, out: Any
) -> int:
    """Take in one event; DONE, or what it has to be stopped for."""
    e, control = events[i], state.control
    stamp = stamps[i]
    at_ms = e.received_at if e.received_at else max(stamp, 0)
    if at_ms > control[CLOCK]:
        if 0 < stamp < at_ms - control[SKEW]:
            at_ms = stamp
        control[CLOCK] = max(control[CLOCK], at_ms)
        if control[CLOCK] >= control[SWEPT_AT] + SWEEP_MS:
            return SWEEP
    row = state.row_of[texts[i, SESSION_ID]]
    fresh = row < 0
    if fresh:
        if row == FORGOTTEN:
            _refuse(control, out, i, CLOSED, 0.0, 0.0)
            return DONE
        row = control[SESSIONS]
        if row >= control[MAX_SESSIONS]:
            _refuse(control, out, i, TOO_MANY, 0.0, 0.0)
            return DONE
        _open(state.sessions[row], state.missing[row], e, texts[i, SESSION_ID], at_ms + control[TIMEOUT])
    s = state.sessions[row]
    if at_ms > s.closes_at + control[GRACE]:
        _refuse(control, out, i, CLOSED, 0.0, 0.0)
        return DONE
    if e.seq <= s.seq:
        new = _absorb(s, state.missing[row], e, texts[i], extras[i])
        control[LATE if new else REPEATS] += 1
        if new and out.marks.shape[0]:
            m = out.marks[i]
            m.outcome, m.video_id, m.category = ABSORBED, s.video_id, s.category
        return DONE
    if not control[SINCE] <= at_ms < control[BEFORE]:
        control[ASKED_AT] = at_ms
        return RULES
    view_seq, before_s, view_before_s, was_complete = s.view_seq, played_s(s), view_s(s), s.completed
    if not _advance(tables, s, e, texts[i], extras[i], state, i, at_ms, state.missing[row], out):
        return DONE
    if out.marks.shape[0]:
        m = out.marks[i]
        m.outcome, m.video_id, m.category, m.opened = APPLIED, s.video_id, s.category, fresh
        m.new_view, m.was_complete, m.is_complete = s.view_seq != view_seq, was_complete, s.completed
        m.before_s, m.after_s, m.view_before_s, m.view_after_s = before_s, played_s(s), view_before_s, view_s(s)
    if fresh:
        state.row_of[texts[i, SESSION_ID]] = row
        control[SESSIONS] += 1
    if at_ms > s.closes_at:
        s.reopened += 1
        s.ended = False
    if e.kind == SESSION_ENDED:
        s.ended, s.closes_at = True, at_ms - 1
    else:
        s.closes_at = max(s.closes_at, at_ms + control[TIMEOUT])
    return DONE


def _compiled(_sources: int) -> tuple[Callable[..., int], Callable[..., None]]:
    """The loop, and what gives back the tallies of sessions that are gone.

    Numba keeps compiled functions by the file they stand in; what they close over is part of the key, so that a change
    of the other two files compiles these anew.
    """

    @loop
    def run(tables: Any, events: Any, texts: Any, extras: Any, stamps: Any, state: Any, out: Any) -> int:
        """Take in events (n,) EVENT with texts (n, 13) int32 and extras (n, 8), from control[NEXT] on; DONE, or why it
        stopped before the event at control[NEXT]. ``stamps`` (n,) int64: the broker's times (ms; 0 or less: none)."""
        _sources  # noqa: B018
        control, room = state.control, state.due.shape[0]
        links = room + 3 * tables.ads.shape[0]
        while control[NEXT] < events.shape[0]:
            i = control[NEXT]
            if events[i].read:
                full = control[DECISIONS] + room > out.decisions.shape[0] or control[FREE_LEFT] < links
                if tables.state[TRACING]:
                    full = full or control[TRACES] + room + tables.rules.shape[0] > out.traces.shape[0]
                if full or control[REFUSALS] == out.refusals.shape[0]:
                    return FULL
                why = _step(tables, events, texts, extras, stamps, i, state, out)
                if why != DONE:
                    return why
            control[NEXT] = i + 1
        return DONE

    @loop
    def release(sessions: Any, gone: Any, tallies: Any, control: Any) -> None:
        _sources  # noqa: B018
        for row in gone:
            free_chain(tallies, control, sessions[row].fired)
            free_chain(tallies, control, sessions[row].fired_view)
            free_chain(tallies, control, sessions[row].hours)
            free_chain(tallies, control, sessions[row].rivals)

    return run, release


_OTHERS = "".join(map(inspect.getsource, (rule_kernel, rule_places, session_facts, session_occasions)))
run, release = _compiled(zlib.crc32(_OTHERS.encode()))

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
from numba import njit

from cuepoint.models import rule_kernel
from cuepoint.models.rule_kernel import (
    ACTION,
    CUES,
    END,
    FAULT,
    FREE,
    FREE_LEFT,
    HOLDS,
    INFINITE,
    OF_SESSION,
    OF_VIEW,
    ON_SEEK_LAST,
    ON_SEEK_NONE,
    PERCENT,
    SECONDS,
    STAMP,
    START,
    asked,
    below_caps,
    field_value,
    first_break,
    free_chain,
    gap_s,
    next_break_s,
    next_moment_s,
    occasion,
    one_more,
    plan_of,
    played_s,
    view_s,
)

MAX_MISSING = 64  # sequence numbers remembered as lost, so that a late event is told from a repeat
POSITION_TOLERANCE_S = 1.0  # players round, and report a little past the end
MAX_UNSEEN_S = 60.0  # of play is credited where events were lost; a longer jump may have been a seek
MARGIN_S = 1e-6  # rounding of sums of played seconds
SWEEP_MS = 60_000
# kinds of events, in the contract's order
(
    SESSION_STARTED, VIDEO_STARTED, PROGRESSED, PAUSED, RESUMED, SEEKED, REWOUND, MUTED, UNMUTED, FULLSCREEN_ENTERED,
    FULLSCREEN_LEFT, HOVERED, CLICKED, SITE_ACTION, VIDEO_COMPLETED, SESSION_ENDED, AD_STARTED, AD_COMPLETED,
    AD_SKIPPED, AD_CLICKED, AD_FAILED,
) = range(21)  # fmt: skip
SESSION_ID, VIDEO_ID, CATEGORY, CHANNEL, DEVICE, COUNTRY, VALUE = range(7)  # columns of an event's texts
AT_START, AT_END, PLAYED, PASSED, JUMPED, ACTED = range(6)  # how an occasion came about
CLOSED, TOO_MANY, NO_VIDEO, BAD_POSITION, BAD_FROM_POSITION = range(1, 6)  # why an event is refused
DONE, SWEEP, RULES, FULL = range(4)  # why the loop stopped
# the control array, behind what rule_kernel needs: where the loop stands, what it counted, what bounds it
(
    NEXT, CLOCK, SWEPT_AT, SESSIONS, DECISIONS, REFUSALS, REPEATS, LATE, TIMEOUT, GRACE, SKEW, MAX_SESSIONS, SINCE,
    BEFORE, ASKED_AT, CONTROLS,
) = range(3, 19)  # fmt: skip
FORGOTTEN = -2  # of a session's row: it was closed for good


# ---- occasions


@njit
def _add(due: Any, n: int, rule: int, position_s: float, since_seq: int, how: int, where: float) -> int:
    d = due[n]
    d.rule, d.position_s, d.since_seq, d.how, d.where = rule, position_s, since_seq, how, where
    return n + 1


@njit
def _add_all(tables: Any, s: Any, trigger: int, how: int, due: Any, n: int) -> int:
    """All rules of the plan with this trigger, at the present position."""
    for k in range(tables.plans[s.plan].rules):
        r = tables.members[s.plan, k]
        if tables.rules[r].trigger == trigger:
            n = _add(due, n, r, s.position_s, s.view_seq, how, 0.0)
    return n


@njit
def _breaks(tables: Any, s: Any, after_s: float, up_to_s: float, jumped: bool, due: Any, n: int) -> int:
    """Breaks after ``after_s`` and at or before ``up_to_s``; of those jumped over each rule's policy says which are
    played, on landing."""
    if not tables.plans[s.plan].breaks:
        return n
    for k in range(tables.plans[s.plan].rules):
        r = tables.members[s.plan, k]
        rule = tables.rules[r]
        if rule.trigger not in (SECONDS, PERCENT, CUES) or (jumped and rule.on_seek == ON_SEEK_NONE):
            continue
        begin, at_s = n, first_break(tables, rule, after_s, s.duration_s)
        while at_s <= up_to_s and at_s < INFINITE:
            if jumped:
                n = _add(due, begin if rule.on_seek == ON_SEEK_LAST else n, r, up_to_s, s.view_seq, JUMPED, at_s)
            else:
                n = _add(due, n, r, at_s, s.view_seq, PASSED, at_s)
            at_s = first_break(tables, rule, at_s, s.duration_s)
    return n


@njit
def _series(tables: Any, s: Any, tallies: Any, before_view_s: float, before_s: float, due: Any, n: int) -> int:
    """Occasions of series since so many seconds of the video and of the session were played."""
    if not tables.plans[s.plan].series:
        return n
    for k in range(tables.plans[s.plan].rules):
        r = tables.members[s.plan, k]
        rule, number = tables.rules[r], 0
        if rule.trigger == OF_VIEW:
            number = occasion(tables.numbers, rule, before_view_s, view_s(s))
        elif rule.trigger == OF_SESSION:
            number = occasion(tables.numbers, rule, before_s, played_s(s))
        if number and gap_s(s) >= rule.min_gap_s and below_caps(s, rule, tallies):
            since_seq = s.view_seq if rule.trigger == OF_VIEW else s.first_seq
            n = _add(due, n, r, s.position_s, since_seq, PLAYED, float(number))
    return n


# ---- motion


@njit
def _set_run(s: Any, position_s: float, credit_s: float) -> None:
    """A new stretch of play begins at ``position_s``, with ``credit_s`` counted as played on the way there."""
    played = s.position_s - s.run_from_s
    s.view_base_s = s.view_base_s + played + credit_s
    s.session_base_s = s.session_base_s + played + credit_s
    s.position_s = s.run_from_s = position_s


@njit
def _play(tables: Any, s: Any, tallies: Any, to_s: float, unbroken: bool, due: Any, n: int) -> int:
    """Playback went on to ``to_s``."""
    lost = not unbroken and to_s - s.position_s > MAX_UNSEEN_S
    if to_s <= s.quiet_until_s and not lost:
        s.position_s = to_s
        s.reached_s = max(s.reached_s, to_s)
        return n
    before_view_s, before_s = view_s(s), played_s(s)
    n = _breaks(tables, s, s.reached_s, to_s, lost, due, n)
    if lost:
        _set_run(s, to_s, MAX_UNSEEN_S)
    else:
        s.position_s = to_s
    s.reached_s = max(s.reached_s, to_s)
    return _series(tables, s, tallies, before_view_s, before_s, due, n)


@njit
def _go_on(tables: Any, s: Any, e: Any, tallies: Any, unbroken: bool, due: Any, n: int) -> int:
    """Playback went on to the event's position, or (before the position known) was set back without a word."""
    to_s = s.duration_s if e.kind == VIDEO_COMPLETED and s.duration_s > 0.0 else e.position_s
    if to_s >= s.position_s:
        return _play(tables, s, tallies, to_s, unbroken, due, n)
    if e.kind == PROGRESSED:
        _set_run(s, to_s, 0.0)
    return n


@njit
def _seek(tables: Any, s: Any, e: Any, tallies: Any, unbroken: bool, due: Any, n: int) -> Any:
    """Play up to where the seek began, then jump; whether it was a seek forward or a rewind, and the occasions."""
    if e.from_s > s.position_s:
        n = _play(tables, s, tallies, e.from_s, unbroken, due, n)
    forward = e.position_s >= (s.position_s if e.from_s < 0.0 else e.from_s)
    if forward:
        n = _breaks(tables, s, s.reached_s, e.position_s, True, due, n)
    _set_run(s, e.position_s, 0.0)
    s.reached_s = max(s.reached_s, e.position_s)
    return SEEKED if forward else REWOUND, n


@njit
def _look_ahead(tables: Any, s: Any) -> None:
    """Note up to which position a heartbeat only moves the position on."""
    plan, session_s = tables.plans[s.plan], played_s(s)
    if session_s >= s.moment_s - MARGIN_S:
        s.moment_s = next_moment_s(tables, s.plan, view_s(s), session_s) if plan.series else INFINITE
    due_s = s.position_s + (s.moment_s - session_s)
    if plan.breaks:
        due_s = min(due_s, next_break_s(tables, s.plan, max(s.position_s, s.reached_s), s.duration_s))
    if s.ad_at_s >= 0.0:
        # what is passed before every rule's gap since the last ad is over is not decided, then or later
        due_s = max(due_s, s.position_s + (s.ad_at_s + plan.min_gap_s - session_s))
    if s.duration_s > 0.0:
        due_s = min(due_s, s.duration_s + POSITION_TOLERANCE_S)
    s.quiet_until_s = due_s - MARGIN_S


# ---- one event


@njit
def _count(s: Any, kind: int) -> None:
    if kind == PAUSED:
        s.pauses += 1
    elif kind in (SEEKED, REWOUND):
        s.seeks += 1
    elif kind == MUTED:
        s.mutes += 1
    elif kind == AD_SKIPPED:
        s.skips += 1
    elif kind in (AD_CLICKED, CLICKED):
        s.clicks += 1


@njit
def _act(tables: Any, s: Any, e: Any, texts: Any, action: int, planned: bool, due: Any, n: int) -> int:
    """What an event asks for besides moving the position; ``action`` 0: the viewer did nothing rules wait for."""
    _count(s, e.kind)
    if e.kind in (MUTED, UNMUTED):
        s.muted = e.kind == MUTED
    elif e.kind in (FULLSCREEN_ENTERED, FULLSCREEN_LEFT):
        s.fullscreen = e.kind == FULLSCREEN_ENTERED
    if not action:
        return n
    s.last_action = action
    if not planned or not tables.plans[s.plan].actions >> action & 1 or gap_s(s) < tables.plans[s.plan].action_gap_s:
        return n
    for k in range(tables.plans[s.plan].rules):
        r = tables.members[s.plan, k]
        rule = tables.rules[r]
        if rule.trigger == ACTION and rule.action == action and (rule.value == 0 or rule.value == texts[VALUE]):
            n = _add(due, n, r, s.position_s, e.seq, ACTED, float(action))
    return n


@njit
def _action(kind: int) -> int:
    """The action an event that is no seek stands for; 0 for none."""
    acts = kind in (PAUSED, RESUMED, MUTED, FULLSCREEN_ENTERED, HOVERED, CLICKED, SITE_ACTION)
    return kind if acts else 0


@njit
def _sort(due: Any, n: int) -> None:
    """Number the occasions in the order they are asked: by rule, then by position. They are few and almost sorted."""
    for i in range(n):
        d, k = due[i], i
        while k > 0:
            other = due[due[k - 1].turn]
            if other.rule < d.rule or (other.rule == d.rule and other.position_s <= d.position_s):
                break
            due[k].turn = due[k - 1].turn
            k -= 1
        due[k].turn = i


@njit
def _decide(tables: Any, s: Any, state: Any, n: int, event: int, at_ms: int, out: Any) -> None:
    """Ask the rules of the due occasions in order of priority."""
    due, control, gap = state.due, state.control, gap_s(s)
    _sort(due, n)
    for i in range(n):
        d = due[due[i].turn]
        rule = tables.rules[d.rule]
        if rule.min_gap_s > gap or not below_caps(s, rule, state.tallies):
            continue
        verdict = asked(tables, rule.criteria, s, rule, at_ms)
        if verdict not in (HOLDS, FAULT):
            continue
        k = control[DECISIONS]
        control[DECISIONS] += 1
        o = out.decisions[k]
        o.fault, o.event, o.at_ms, o.number, o.video_id = verdict == FAULT, event, at_ms, s.ads + 1, s.video_id
        o.rule, o.position_s, o.since_seq, o.how, o.where = d.rule, d.position_s, d.since_seq, d.how, d.where
        o.played_s, o.duration_s = played_s(s), s.duration_s
        if o.fault:
            continue
        for f in range(rule.asks, rule.asks_behind):
            out.values[k, f - rule.asks] = field_value(tables.fields[f], s, rule, at_ms)
        s.ads, s.ad_at_s, gap = s.ads + 1, played_s(s), 0.0
        if rule.per_session >= 0:
            s.fired = one_more(state.tallies, control, s.fired, rule.name)
        if rule.per_video >= 0:
            s.fired_view = one_more(state.tallies, control, s.fired_view, rule.name)


@njit
def _note_lost(s: Any, missing: Any, seq: int) -> None:
    first = max(s.seq + 1, seq - MAX_MISSING)
    held, more = int(s.missing), seq - first
    drop = max(0, held + more - MAX_MISSING)
    for k in range(drop, held):
        missing[k - drop] = missing[k]
    for k in range(more):
        missing[held - drop + k] = first + k
    s.missing = held - drop + more


@njit
def _learn_viewer(s: Any, e: Any, texts: Any) -> None:
    s.registered = s.registered or e.registered
    if texts[DEVICE]:
        s.device = texts[DEVICE]
    if texts[COUNTRY]:
        s.country, s.plan = texts[COUNTRY], -1


@njit
def _open_view(s: Any, e: Any, texts: Any, tallies: Any, control: Any) -> None:
    played = played_s(s)
    s.view_seq, s.videos, s.video_id, s.duration_s = e.seq, s.videos + 1, texts[VIDEO_ID], e.duration_s
    s.category, s.channel = texts[CATEGORY], texts[CHANNEL]
    s.position_s = s.run_from_s = s.reached_s = e.position_s
    s.view_base_s, s.session_base_s, s.completed, s.plan = 0.0, played, False, -1
    free_chain(tallies, control, s.fired_view)
    s.fired_view = -1


@njit
def _refuse(control: Any, out: Any, event: int, why: int, place_s: float, limit_s: float) -> None:
    r = out.refusals[control[REFUSALS]]
    control[REFUSALS] += 1
    r.event, r.why, r.place_s, r.limit_s = event, why, place_s, limit_s


@njit
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


@njit
def _advance(tables: Any, s: Any, e: Any, texts: Any, state: Any, event: int, at_ms: int, missing: Any, out: Any) -> bool:
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
                n = _act(tables, s, e, texts, _action(kind), True, due, 0)
                if n:
                    _decide(tables, s, state, n, event, at_ms, out)
            return True
    opens = _check(s, e, texts, control, out, event) if plays else 0
    if opens < 0:
        return False
    if not unbroken:
        _note_lost(s, missing, e.seq)
    s.seq, s.reached_s = e.seq, max(s.reached_s, s.position_s)
    if opens or kind == SESSION_STARTED:
        _learn_viewer(s, e, texts)
    if opens:
        _open_view(s, e, texts, state.tallies, control)
    if s.video_id < 0:
        _act(tables, s, e, texts, _action(kind), False, due, 0)
        return True
    if s.duration_s == 0.0 and e.duration_s > 0.0 and texts[VIDEO_ID] == s.video_id:
        s.duration_s, s.plan = e.duration_s, -1
    if s.plan < 0 or s.plan_of != tables.state[STAMP]:
        s.plan = plan_of(tables, control, s)
        s.plan_of, s.quiet_until_s, s.moment_s = tables.state[STAMP], -1.0, -1.0
    _react(tables, s, e, texts, state, event, at_ms, opens == 1, unbroken, plays, out)
    return True


@njit
def _react(
    tables: Any, s: Any, e: Any, texts: Any, state: Any, event: int, at_ms: int, opens: bool, unbroken: bool,
    plays: bool, out: Any,
) -> None:  # fmt: skip
    """The occasions an event of a session with a plan makes due, what is decided, and how far one can look ahead."""
    kind, due, tallies = e.kind, state.due, state.tallies
    action, n = _action(kind), 0
    if opens and kind == VIDEO_STARTED:  # a play that began in another way came in the middle: no place for a pre-roll
        if gap_s(s) >= tables.plans[s.plan].start_gap_s:
            n = _add_all(tables, s, START, AT_START, due, n)
        if s.position_s == 0.0:
            n = _breaks(tables, s, -1.0, 0.0, False, due, n)
    if kind in (SEEKED, REWOUND):
        action, n = _seek(tables, s, e, tallies, unbroken, due, n)
    elif plays and not opens:
        n = _go_on(tables, s, e, tallies, unbroken, due, n)
    if kind == VIDEO_COMPLETED and not s.completed:
        s.completed = True
        n = _add_all(tables, s, END, AT_END, due, n)
    if kind != PROGRESSED:
        n = _act(tables, s, e, texts, action, True, due, n)
    if n:
        _decide(tables, s, state, n, event, at_ms, out)
    _look_ahead(tables, s)


@njit
def _absorb(s: Any, missing: Any, e: Any, texts: Any) -> bool:
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
    _count(s, e.kind)
    if e.kind == SESSION_STARTED and not s.device and not s.country:
        _learn_viewer(s, e, texts)
    if e.kind == VIDEO_STARTED and texts[VIDEO_ID] == s.video_id and s.duration_s == 0.0:
        s.duration_s, s.category, s.channel = e.duration_s, texts[CATEGORY], texts[CHANNEL]
        s.plan, s.quiet_until_s = -1, -1.0
    return True


@njit
def _open(s: Any, missing: Any, e: Any, session_id: int, closes_at: int) -> None:
    s.session_id, s.first_seq, s.seq, s.closes_at = session_id, e.seq, e.seq - 1, closes_at
    s.ended = s.registered = s.completed = s.muted = s.fullscreen = False
    s.device = s.country = s.category = s.channel = s.last_action = 0
    s.video_id, s.duration_s, s.view_seq = -1, 0.0, -1
    s.videos = s.reopened = s.pauses = s.seeks = s.mutes = s.skips = s.clicks = s.ads = 0
    s.position_s = s.reached_s = s.run_from_s = s.view_base_s = s.session_base_s = 0.0
    s.ad_at_s = s.quiet_until_s = s.moment_s = -1.0
    s.fired = s.fired_view = s.plan = s.plan_of = -1
    first = max(0, e.seq - MAX_MISSING)
    for k in range(e.seq - first):
        missing[k] = first + k
    s.missing = e.seq - first


@njit
def _step(tables: Any, events: Any, texts: Any, stamps: Any, i: int, state: Any, out: Any) -> int:
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
        new = _absorb(s, state.missing[row], e, texts[i])
        control[LATE if new else REPEATS] += 1
        return DONE
    if not control[SINCE] <= at_ms < control[BEFORE]:
        control[ASKED_AT] = at_ms
        return RULES
    if not _advance(tables, s, e, texts[i], state, i, at_ms, state.missing[row], out):
        return DONE
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


def _compiled(_rules_source: int) -> tuple[Callable[..., int], Callable[..., None]]:
    """The loop, and what gives back the tallies of sessions that are gone. Numba keeps compiled functions by the file they stand in; what they close over is part of the key, so
    that a change of rule_kernel.py compiles this anew."""

    @njit(cache=True, nogil=True)
    def run(tables: Any, events: Any, texts: Any, stamps: Any, state: Any, out: Any) -> int:
        """Take in events (n,) EVENT with texts (n, 7) int32, from control[NEXT] on; DONE, or why it stopped before the
        event at control[NEXT]. ``stamps`` (n,) int64 are the broker's times (ms; 0 or less: none)."""
        _rules_source  # noqa: B018
        control, room = state.control, state.due.shape[0]
        while control[NEXT] < events.shape[0]:
            i = control[NEXT]
            if events[i].read:
                full = control[DECISIONS] + room > out.decisions.shape[0]
                if full or control[REFUSALS] == out.refusals.shape[0] or control[FREE_LEFT] < 2 * tables.rules.shape[0]:
                    return FULL
                why = _step(tables, events, texts, stamps, i, state, out)
                if why != DONE:
                    return why
            control[NEXT] = i + 1
        return DONE

    @njit(cache=True, nogil=True)
    def release(sessions: Any, gone: Any, tallies: Any, control: Any) -> None:
        _rules_source  # noqa: B018
        for row in gone:
            free_chain(tallies, control, sessions[row].fired)
            free_chain(tallies, control, sessions[row].fired_view)

    return run, release


run, release = _compiled(zlib.crc32(inspect.getsource(rule_kernel).encode()))

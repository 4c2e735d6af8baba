"""Compiled: how playback moves, which occasions that makes due, what is decided at them, and up to where none can be.

Part of session_kernel's loop, as rule_kernel is.
"""
# ruff: noqa: PLR0917  (numba functions take arrays and scalars by position)

from __future__ import annotations

from typing import Any

from cuepoint.models.compiled import inner
from cuepoint.models.rule_kernel import (
    CUES,
    DECISIONS,
    FAULT,
    HOLDS,
    INFINITE,
    OF_SESSION,
    OF_VIEW,
    ON_SEEK_LAST,
    ON_SEEK_NONE,
    PERCENT,
    SECONDS,
    asked,
    below_caps,
    field_value,
    first_break,
    gap_s,
    next_break_s,
    next_moment_s,
    occasion,
    one_more,
    played_s,
    view_s,
)

POSITION_TOLERANCE_S = 1.0  # players round, and report a little past the end
MAX_UNSEEN_S = 60.0  # of play is credited where events were lost; a longer jump may have been a seek
MARGIN_S = 1e-6  # rounding of sums of played seconds
# kinds of events, in the contract's order
(
    SESSION_STARTED, VIDEO_STARTED, PROGRESSED, PAUSED, RESUMED, SEEKED, REWOUND, MUTED, UNMUTED, FULLSCREEN_ENTERED,
    FULLSCREEN_LEFT, HOVERED, CLICKED, SITE_ACTION, VIDEO_COMPLETED, SESSION_ENDED, AD_STARTED, AD_COMPLETED,
    AD_SKIPPED, AD_CLICKED, AD_FAILED,
) = range(21)  # fmt: skip
AT_START, AT_END, PLAYED, PASSED, JUMPED, ACTED = range(6)  # how an occasion came about


@inner
def add_due(due: Any, n: int, rule: int, position_s: float, since_seq: int, how: int, where: float) -> int:
    """Append an occasion; how many there are then."""
    d = due[n]
    d.rule, d.position_s, d.since_seq, d.how, d.where = rule, position_s, since_seq, how, where
    return n + 1


@inner
def all_due(tables: Any, s: Any, trigger: int, how: int, due: Any, n: int) -> int:
    """All rules of the plan with this trigger, at the present position."""
    for k in range(tables.plans[s.plan].rules):
        r = tables.members[s.plan, k]
        if tables.rules[r].trigger == trigger:
            n = add_due(due, n, r, s.position_s, s.view_seq, how, 0.0)
    return n


@inner
def breaks_due(tables: Any, s: Any, after_s: float, up_to_s: float, jumped: bool, due: Any, n: int) -> int:
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
                n = add_due(due, begin if rule.on_seek == ON_SEEK_LAST else n, r, up_to_s, s.view_seq, JUMPED, at_s)
            else:
                n = add_due(due, n, r, at_s, s.view_seq, PASSED, at_s)
            at_s = first_break(tables, rule, at_s, s.duration_s)
    return n


@inner
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
            n = add_due(due, n, r, s.position_s, since_seq, PLAYED, float(number))
    return n


@inner
def _set_run(s: Any, position_s: float, credit_s: float) -> None:
    """A new stretch of play begins at ``position_s``, with ``credit_s`` counted as played on the way there."""
    played = s.position_s - s.run_from_s
    s.view_base_s = s.view_base_s + played + credit_s
    s.session_base_s = s.session_base_s + played + credit_s
    s.position_s = s.run_from_s = position_s


@inner
def _play(tables: Any, s: Any, tallies: Any, to_s: float, unbroken: bool, due: Any, n: int) -> int:
    """Playback went on to ``to_s``."""
    lost = not unbroken and to_s - s.position_s > MAX_UNSEEN_S
    if to_s <= s.quiet_until_s and not lost:
        s.position_s = to_s
        s.reached_s = max(s.reached_s, to_s)
        return n
    before_view_s, before_s = view_s(s), played_s(s)
    n = breaks_due(tables, s, s.reached_s, to_s, lost, due, n)
    if lost:
        _set_run(s, to_s, MAX_UNSEEN_S)
    else:
        s.position_s = to_s
    s.reached_s = max(s.reached_s, to_s)
    return _series(tables, s, tallies, before_view_s, before_s, due, n)


@inner
def go_on(tables: Any, s: Any, e: Any, tallies: Any, unbroken: bool, due: Any, n: int) -> int:
    """Playback went on to the event's position, or (before the position known) was set back without a word."""
    to_s = s.duration_s if e.kind == VIDEO_COMPLETED and s.duration_s > 0.0 else e.position_s
    if to_s >= s.position_s:
        return _play(tables, s, tallies, to_s, unbroken, due, n)
    if e.kind == PROGRESSED:
        _set_run(s, to_s, 0.0)
    return n


@inner
def seek(tables: Any, s: Any, e: Any, tallies: Any, unbroken: bool, due: Any, n: int) -> Any:
    """Play up to where the seek began, then jump; whether it was a seek forward or a rewind, and the occasions."""
    if e.from_s > s.position_s:
        n = _play(tables, s, tallies, e.from_s, unbroken, due, n)
    forward = e.position_s >= (s.position_s if e.from_s < 0.0 else e.from_s)
    if forward:
        n = breaks_due(tables, s, s.reached_s, e.position_s, True, due, n)
    _set_run(s, e.position_s, 0.0)
    s.reached_s = max(s.reached_s, e.position_s)
    return SEEKED if forward else REWOUND, n


@inner
def look_ahead(tables: Any, s: Any) -> None:
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


@inner
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


@inner
def decide(tables: Any, s: Any, state: Any, n: int, event: int, at_ms: int, out: Any) -> None:
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

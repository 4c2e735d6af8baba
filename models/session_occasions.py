"""Compiled: how playback moves, which occasions that makes due, what is decided at them, and up to where none can be.

Part of session_kernel's loop, as rule_kernel is.
"""
# ruff: noqa: PLR0917  (numba functions take arrays and scalars by position)

from __future__ import annotations

from typing import Any

from cuepoint.models.compiled import inner
from cuepoint.models.rule_kernel import (
    AFTER_LAST,
    BETWEEN,
    BETWEEN_LISTS,
    CUES,
    DECISIONS,
    FAILS,
    FAULT,
    HOLDS,
    INFINITE,
    OF_SESSION,
    OF_SHARE,
    OF_VIEW,
    ON_SEEK_LAST,
    ON_SEEK_NONE,
    PERCENT,
    SECONDS,
    TRACES,
    TRACING,
    VIDEO_CUES,
    asked,
    field_value,
    gap_s,
    in_hour,
    length_of,
    note,
    note_in_hour,
    one_more,
    played_s,
    tally_of,
    view_s,
)
from cuepoint.models.rule_places import (
    below_caps,
    first_break,
    fits,
    next_break_s,
    next_moment_s,
    nth_break,
    occasion,
    share_s,
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
(  # what became of it
    DECIDED, GAP, PER_SESSION, PER_VIDEO, PER_HOUR, CRITERIA, SHARE, POD_ADS, POD_LENGTH, SEPARATION, FAULTY, OUTSIDE,
) = range(12)  # fmt: skip


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
def clips_due(tables: Any, s: Any, trigger: int, how: int, due: Any, n: int) -> int:
    """All rules of the plan that wait for the boundary between clips at which the session stands. A session without a
    playlist is one of unknown length."""
    number = s.playlist_number if s.playlist_number > 0 else s.videos
    another = s.videos > 1 and s.playlist_before != s.playlist_id
    for k in range(tables.plans[s.plan].rules):
        r = tables.members[s.plan, k]
        rule = tables.rules[r]
        if rule.trigger != trigger:
            continue
        at_boundary = number == 1
        if rule.origin == BETWEEN:
            at_boundary = number > 1 and (number - 1) % int(rule.seconds) == 0
        elif rule.origin == BETWEEN_LISTS:
            at_boundary = another
        elif rule.origin == AFTER_LAST:
            at_boundary = s.playlist_length > 0 and number == s.playlist_length
        if at_boundary:
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
        if rule.trigger not in (SECONDS, PERCENT, CUES, VIDEO_CUES) or (jumped and rule.on_seek == ON_SEEK_NONE):
            continue
        begin, at_s = n, first_break(tables, rule, s, after_s)
        while at_s <= up_to_s and at_s < INFINITE:
            if jumped:
                n = add_due(due, begin if rule.on_seek == ON_SEEK_LAST else n, r, up_to_s, s.view_seq, JUMPED, at_s)
            else:
                n = add_due(due, n, r, at_s, s.view_seq, PASSED, at_s)
            at_s = first_break(tables, rule, s, at_s)
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
        elif rule.trigger == OF_SHARE:
            number = 1 if before_view_s < share_s(rule, s.duration_s) <= view_s(s) else 0
        if number and (tables.state[TRACING] or (gap_s(s) >= rule.min_gap_s and below_caps(s, rule, tallies))):
            since_seq = s.first_seq if rule.trigger == OF_SESSION else s.view_seq
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
        s.moment_s = INFINITE
        if plan.series:
            s.moment_s = next_moment_s(tables, s.plan, view_s(s), session_s, s.duration_s)
    due_s = s.position_s + (s.moment_s - session_s)
    if plan.breaks:
        due_s = min(due_s, next_break_s(tables, s.plan, s, max(s.position_s, s.reached_s)))
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
def _held_back(s: Any, rule: Any, tallies: Any, gap: float, at_ms: int) -> Any:
    """Which of the rule's own limits refuses another ad, DECIDED for none, and the number it was held against."""
    if rule.min_gap_s > gap:
        return GAP, gap
    if rule.per_session >= 0 and tally_of(tallies, s.fired, rule.name) >= rule.per_session:
        return PER_SESSION, float(tally_of(tallies, s.fired, rule.name))
    if rule.per_video >= 0 and tally_of(tallies, s.fired_view, rule.name) >= rule.per_video:
        return PER_VIDEO, float(tally_of(tallies, s.fired_view, rule.name))
    if rule.per_hour >= 0 and in_hour(tallies, s.hours, rule.name, at_ms) >= rule.per_hour:
        return PER_HOUR, float(in_hour(tallies, s.hours, rule.name, at_ms))
    return DECIDED, 0.0


@inner
def _variant(tables: Any, s: Any, rule: Any, at_ms: int) -> int:
    """The row of the ad shown: the first adaptation's whose condition holds, else the rule's own. FAULT: one cannot be
    asked."""
    for k in range(rule.ads + 1, rule.ads_behind):
        verdict = asked(tables, tables.ads[k].when, s, rule, at_ms)
        if verdict == HOLDS:
            return int(k)
        if verdict == FAULT:
            return FAULT
    return int(rule.ads)


@inner
def _crowded(tables: Any, s: Any, d: Any, rule: Any, ad: Any, tallies: Any, gap: float) -> Any:
    """As _held_back, for what depends on the ad shown and on those beside it."""
    if ad.min_gap_s > gap:
        return GAP, gap
    if ad.share < 1.0:
        number = s.videos
        if d.how == PLAYED:
            number = int(d.where)
        elif rule.trigger in (CUES, VIDEO_CUES):
            number = nth_break(tables, rule, s, d.where)
        if int(number * ad.share + 1e-9) == int((number - 1) * ad.share + 1e-9):
            return SHARE, float(number)
    pod = gap == 0.0
    if rule.pod_ads >= 0 and pod and s.pod_ads >= rule.pod_ads:
        return POD_ADS, float(s.pod_ads)
    length_s = length_of(ad, s) + (s.pod_s if pod else 0.0)
    if rule.pod_length_s > 0.0 and length_s > rule.pod_length_s:
        return POD_LENGTH, length_s
    if rule.separation_s > 0.0 and ad.category:
        last_ms = tally_of(tallies, s.rivals, ad.category)  # 0: none; the first moment counts as 1
        since_s = played_s(s) - last_ms / 1000.0
        if last_ms and since_s < rule.separation_s:
            return SEPARATION, since_s
    return DECIDED, 0.0


@inner
def trace(
    tables: Any, s: Any, d: Any, ad: int, verdict: int, found: float, event: int, at_ms: int, control: Any, out: Any
) -> None:
    """Note what became of an occasion, and all that its rule could have asked for."""
    k = control[TRACES]
    control[TRACES] += 1
    t, rule = out.traces[k], tables.rules[d.rule]
    t.rule, t.how, t.where, t.position_s, t.ad = d.rule, d.how, d.where, d.position_s, ad
    t.verdict, t.found, t.event, t.at_ms = verdict, found, event, at_ms
    for f in range(out.traced.shape[1]):
        out.traced[k, f] = field_value(tables, f, s, rule, at_ms)


@inner
def trace_outside(tables: Any, s: Any, event: int, at_ms: int, state: Any, out: Any) -> None:
    """Note which rules have no say in a play that begins."""
    d = state.due[0]
    for r in range(tables.rules.shape[0]):
        if not fits(tables, tables.rules[r], s):
            d.rule, d.how, d.where, d.position_s = r, AT_START, 0.0, s.position_s
            trace(tables, s, d, tables.rules[r].ads, OUTSIDE, 0.0, event, at_ms, state.control, out)


@inner
def _count_ad(s: Any, rule: Any, ad: Any, state: Any, length_s: float, pod: bool, at_ms: int) -> None:
    tallies, control = state.tallies, state.control
    s.pod_ads = s.pod_ads + 1 if pod else 1
    s.pod_s = s.pod_s + length_s if pod else length_s
    s.ads, s.ad_at_s = s.ads + 1, played_s(s)
    if rule.per_session >= 0:
        s.fired = one_more(tallies, control, s.fired, rule.name)
    if rule.per_video >= 0:
        s.fired_view = one_more(tallies, control, s.fired_view, rule.name)
    if rule.per_hour >= 0:
        s.hours = note_in_hour(tallies, control, s.hours, rule.name, at_ms)
    if ad.category:
        s.rivals = note(tallies, control, s.rivals, ad.category, max(1, int(played_s(s) * 1000.0)))


@inner
def decide(tables: Any, s: Any, state: Any, n: int, event: int, at_ms: int, out: Any) -> None:
    """Ask the rules of the due occasions in order of priority."""
    due, control, gap, tracing = state.due, state.control, gap_s(s), tables.state[TRACING]
    _sort(due, n)
    for i in range(n):
        d = due[due[i].turn]
        rule = tables.rules[d.rule]
        ad = rule.ads
        verdict, found = _held_back(s, rule, state.tallies, gap, at_ms)
        if verdict == DECIDED:
            came = asked(tables, rule.criteria, s, rule, at_ms)
            if came == HOLDS:
                ad = _variant(tables, s, rule, at_ms)
                if ad != FAULT:
                    verdict, found = _crowded(tables, s, d, rule, tables.ads[ad], state.tallies, gap)
            elif came == FAILS:
                verdict = CRITERIA
            if came == FAULT or ad < 0:
                verdict, ad = FAULTY, rule.ads
        if tracing:
            trace(tables, s, d, ad, verdict, found, event, at_ms, control, out)
        if verdict not in (DECIDED, FAULTY):
            continue
        k = control[DECISIONS]
        control[DECISIONS] += 1
        o = out.decisions[k]
        o.fault, o.event, o.at_ms, o.number, o.video_id = verdict == FAULTY, event, at_ms, s.ads + 1, s.video_id
        o.rule, o.position_s, o.since_seq, o.how, o.where = d.rule, d.position_s, d.since_seq, d.how, d.where
        o.played_s, o.ad, o.length_s, o.pod_number = played_s(s), ad - rule.ads, 0.0, 1
        for f in range(rule.asks, rule.asks_behind):
            out.values[k, f - rule.asks] = field_value(tables, tables.fields[f], s, rule, at_ms)
        if o.fault:
            continue
        shown = tables.ads[ad]
        o.length_s = length_of(shown, s)
        if shown.delay_s > 0.0:
            later_s = o.position_s + shown.delay_s
            o.position_s = later_s if s.duration_s <= 0.0 else max(o.position_s, min(later_s, s.duration_s))
        _count_ad(s, rule, shown, state, o.length_s, gap == 0.0, at_ms)
        o.pod_number, gap = s.pod_ads, 0.0

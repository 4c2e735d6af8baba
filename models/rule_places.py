"""Compiled: where rules have occasions: scope, plans, breaks, series, and the caps that make them pass.

Part of session_kernel's loop, as rule_kernel is.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from cuepoint.models.compiled import inner
from cuepoint.models.rule_kernel import (
    ACTION,
    BY_CUES,
    BY_PLAYLIST,
    BY_VIDEO,
    CLIP_END,
    CLIP_START,
    COMMA,
    CUES,
    END,
    FROM_END,
    FROM_START,
    HOLDS,
    INFINITE,
    OF_SESSION,
    OF_SHARE,
    OF_VIEW,
    PERCENT,
    PLANS,
    POINT,
    SECONDS,
    STAMP,
    STAMPS,
    START,
    TRACING,
    VIDEO_CUES,
    ZERO,
    among,
    asked,
    tally_of,
)

# ---- plans


@inner
def fits(tables: Any, rule: Any, s: Any) -> bool:
    """Whether the rule is in scope for the session's play."""
    looked_at = (s.video_id, s.category, s.channel, s.country, s.playlist_id, s.affiliate)
    for k in range(6):
        if rule.scope[k, 1] > rule.scope[k, 0] and not among(
            tables.numbers, rule.scope[k, 0], rule.scope[k, 1], looked_at[k]
        ):
            return False
    return bool(asked(tables, rule.fixed, s, rule, 0) == HOLDS)


@inner
def _place(rule: Any, duration_s: float) -> float:
    """Where in a video of this length a rule with one break has it; negative for nowhere."""
    at_s = rule.seconds
    if rule.trigger == PERCENT:
        at_s = duration_s * rule.seconds / 100.0 if duration_s > 0.0 else -1.0
    elif rule.origin != FROM_START:
        from_s = duration_s if rule.origin == FROM_END else duration_s / 2.0
        at_s = from_s + rule.seconds if duration_s > 0.0 else -1.0
    return at_s if duration_s <= 0.0 or at_s <= duration_s else -1.0


@inner
def _first_cue(tables: Any, row: int, offset_s: float, after_s: float, duration_s: float) -> float:
    """The video's first cue point (they stand as a text: digits, at most one point, commas between) that lies, with
    the offset, after ``after_s``."""
    at, end, found = tables.offsets[row], tables.offsets[row + 1], INFINITE
    while at < end:
        whole, scale, behind = 0.0, 1.0, False
        while at < end and tables.letters[at] != COMMA:
            if tables.letters[at] == POINT:
                behind = True
            else:
                whole = whole * 10.0 + (int(tables.letters[at]) - ZERO)
                scale *= 10.0 if behind else 1.0
            at += 1
        at += 1
        cue_s = whole / scale + offset_s
        if cue_s >= 0.0 and after_s < cue_s < found and (duration_s <= 0.0 or cue_s <= duration_s):
            found = cue_s
    return found


@inner
def first_break(tables: Any, rule: Any, s: Any, after_s: float) -> float:
    """The rule's first break after ``after_s``; infinite for none."""
    duration_s = s.duration_s
    if rule.trigger == VIDEO_CUES:
        return _first_cue(tables, s.cue_points_s, rule.seconds, after_s, duration_s)
    if rule.trigger != CUES:
        at_s = _place(rule, duration_s)
        return at_s if at_s > after_s and at_s >= 0.0 else INFINITE
    cues = tables.numbers[rule.first : rule.behind]
    k = np.searchsorted(cues, after_s, side="right")
    return cues[k] if k < cues.shape[0] and (duration_s <= 0.0 or cues[k] <= duration_s) else INFINITE


@inner
def _make_plan(tables: Any, plan: Any, members: Any, s: Any) -> None:
    plan.video_id = s.video_id if tables.state[BY_VIDEO] else -1
    plan.duration_s, plan.category, plan.channel, plan.country = s.duration_s, s.category, s.channel, s.country
    plan.affiliate = s.affiliate
    plan.playlist_id = s.playlist_id if tables.state[BY_PLAYLIST] else 0
    plan.cue_points_s = s.cue_points_s if tables.state[BY_CUES] else 0
    plan.min_gap_s = plan.start_gap_s = plan.action_gap_s = INFINITE
    plan.rules, plan.actions, plan.breaks, plan.series = 0, 0, False, False
    for k in range(tables.rules.shape[0]):
        rule = tables.rules[k]
        if not fits(tables, rule, s):
            continue
        members[plan.rules] = k
        plan.rules += 1
        if rule.trigger in (START, CLIP_START):
            plan.start_gap_s = min(plan.start_gap_s, rule.min_gap_s)
        elif rule.trigger == ACTION:
            plan.action_gap_s = min(plan.action_gap_s, rule.min_gap_s)
            plan.actions |= 1 << rule.action
        elif rule.trigger in (OF_VIEW, OF_SESSION, OF_SHARE):
            plan.series, plan.min_gap_s = True, min(plan.min_gap_s, rule.min_gap_s)
        elif rule.trigger not in (END, CLIP_END) and first_break(tables, rule, s, -1.0) < INFINITE:
            plan.breaks, plan.min_gap_s = True, min(plan.min_gap_s, rule.min_gap_s)
    if tables.state[TRACING]:  # every occasion is to be asked, though it be for nothing
        plan.min_gap_s = plan.start_gap_s = plan.action_gap_s = 0.0


@inner
def plan_of(tables: Any, control: Any, s: Any) -> int:
    """The plan for the session's play; made once for all plays alike. All are forgotten when there is no more room."""
    state, slots = tables.state, tables.slots
    video_id = s.video_id if state[BY_VIDEO] else np.int32(-1)
    playlist_id = s.playlist_id if state[BY_PLAYLIST] else np.int32(0)
    cues = s.cue_points_s if state[BY_CUES] else np.int32(0)
    h = np.uint64(np.int64(s.duration_s * 1000.0))
    for part in (video_id, s.category, s.channel, s.country, s.affiliate, playlist_id, cues):
        h = (h ^ np.uint64(part + 1)) * np.uint64(0x9E3779B97F4A7C15)
        h ^= h >> np.uint64(29)
    mask = np.uint64(slots.shape[0] - 1)
    slot = h & mask
    while slots[slot] > 0:
        p = tables.plans[slots[slot] - 1]
        if (
            p.duration_s == s.duration_s
            and p.video_id == video_id
            and p.category == s.category
            and p.channel == s.channel
            and p.country == s.country
            and p.affiliate == s.affiliate
            and p.playlist_id == playlist_id
            and p.cue_points_s == cues
        ):
            return int(slots[slot]) - 1
        slot = (slot + np.uint64(1)) & mask
    if state[PLANS] == tables.plans.shape[0]:
        slots[:] = 0
        state[PLANS] = 0
        control[STAMPS] += 1
        state[STAMP] = control[STAMPS]
        slot = h & mask
    made = state[PLANS]
    state[PLANS] += 1
    slots[slot] = made + 1
    _make_plan(tables, tables.plans[made], tables.members[made], s)
    return int(made)


# ---- limits, breaks, series


@inner
def below_caps(s: Any, rule: Any, tallies: Any) -> bool:
    """Whether the rule's caps leave room for another ad; once they do not, no other decision makes room again."""
    if rule.per_session >= 0 and tally_of(tallies, s.fired, rule.name) >= rule.per_session:
        return False
    return bool(rule.per_video < 0 or tally_of(tallies, s.fired_view, rule.name) < rule.per_video)


@inner
def nth_break(tables: Any, rule: Any, s: Any, at_s: float) -> int:
    """Which of its breaks in the video the rule has at ``at_s``, from 1 on."""
    number, found_s = 0, -1.0
    while found_s < at_s:
        found_s = first_break(tables, rule, s, found_s)
        number += 1
    return number


@inner
def _moment(numbers: Any, rule: Any, number: int) -> float:
    """The played seconds of occasion ``number`` (at least 1) of a series."""
    listed = rule.behind - rule.first
    if number <= listed:
        return float(numbers[rule.first + number - 1])
    return float((numbers[rule.behind - 1] if listed else 0.0) + (number - listed) * rule.seconds)


@inner
def _passed(numbers: Any, rule: Any, played_s: float) -> int:
    """How many occasions of a series lie at or before ``played_s``."""
    listed = rule.behind - rule.first
    last_s = numbers[rule.behind - 1] if listed else 0.0
    if listed and played_s < last_s:
        return int(np.searchsorted(numbers[rule.first : rule.behind], played_s, side="right"))
    number = listed + max(0, int((played_s - last_s) / rule.seconds))
    while _moment(numbers, rule, number + 1) <= played_s:
        number += 1
    while number > listed and _moment(numbers, rule, number) > played_s:
        number -= 1
    return int(number)


@inner
def occasion(numbers: Any, rule: Any, before_s: float, played_s: float) -> int:
    """The last occasion of a series after ``before_s`` and at or before ``played_s``; 0 where there is none.

    Several passed at once (a lost heartbeat) are one occasion: an ad cannot be put into the past."""
    number = _passed(numbers, rule, played_s)
    return number if number > 0 and _moment(numbers, rule, number) > before_s else 0


@inner
def share_s(rule: Any, duration_s: float) -> float:
    """The seconds played at which so many per cent of the video are; infinite where its length is unknown."""
    return float(duration_s * rule.seconds / 100.0) if duration_s > 0.0 else INFINITE


@inner
def next_moment_s(tables: Any, plan: int, view_s: float, session_s: float, duration_s: float) -> float:
    """The seconds of the session played when the next occasion of a series comes, if this video plays on."""
    of_view, of_session = INFINITE, INFINITE
    for k in range(tables.plans[plan].rules):
        rule = tables.rules[tables.members[plan, k]]
        if rule.trigger == OF_VIEW:
            of_view = min(of_view, _moment(tables.numbers, rule, _passed(tables.numbers, rule, view_s) + 1))
        elif rule.trigger == OF_SHARE and share_s(rule, duration_s) > view_s:
            of_view = min(of_view, share_s(rule, duration_s))
        elif rule.trigger == OF_SESSION:
            of_session = min(of_session, _moment(tables.numbers, rule, _passed(tables.numbers, rule, session_s) + 1))
    return min(session_s + (of_view - view_s), of_session)


@inner
def next_break_s(tables: Any, plan: int, s: Any, after_s: float) -> float:
    """The first break of any rule after ``after_s``."""
    found = INFINITE
    for k in range(tables.plans[plan].rules):
        rule = tables.rules[tables.members[plan, k]]
        if rule.trigger in (SECONDS, PERCENT, CUES, VIDEO_CUES):
            found = min(found, first_break(tables, rule, s, after_s))
    return found

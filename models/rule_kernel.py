"""The compiled reading of rules: criteria, scope, where breaks and series have occasions, caps, plans.

Rules are data here (rule_tables.py lays them out), so that a change of rules compiles nothing. These functions become
part of session_kernel's loop, whose cached form knows this file's source.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from cuepoint.models.compiled import inner

HOUR_MS, DAY_MS = 3_600_000, 86_400_000
INFINITE = np.inf
# fields of criteria, in the contract's order
(
    VIDEO_ID, VIDEO_LENGTH_S, CATEGORY, CHANNEL, VIEW_PLAYED_S, SESSION_LENGTH_S, SESSION_AVERAGE_VIEW_S,
    SESSION_VIDEOS, SESSION_ADS, SESSION_PAUSES, SESSION_SEEKS, SESSION_MUTES, SESSION_SKIPS, SESSION_CLICKS, IS_MUTED,
    FULLSCREEN, REGISTERED, DEVICE, COUNTRY, HOUR, WEEKDAY, AD_TYPE, AD_LENGTH_S, LAST_ACTION,
) = range(24)  # fmt: skip
START, END, SECONDS, PERCENT, CUES, OF_VIEW, OF_SESSION, ACTION = range(8)  # triggers of rules
AT_START, AT_END, PLAYED, PASSED, JUMPED, ACTED = range(6)  # how an occasion came about
LESS, LESS_EQUAL, EQUAL, UNEQUAL, GREATER_EQUAL, GREATER, ONE_OF = range(7)  # relations
HOLDS, FAILS, FAULT = -1, -2, -3  # what criteria come to
ON_SEEK_ALL, ON_SEEK_LAST, ON_SEEK_NONE = range(3)
FREE, FREE_LEFT, STAMPS, DECISIONS = range(4)  # the control array; session_kernel has the rest of it
STAMP, PLANS, BY_VIDEO = range(3)  # the state of Tables


@inner
def played_s(s: Any) -> float:
    """Seconds played in the session, over all videos."""
    return float(s.session_base_s + (s.position_s - s.run_from_s))


@inner
def view_s(s: Any) -> float:
    """Seconds played of the present video in this play."""
    return float(s.view_base_s + (s.position_s - s.run_from_s))


@inner
def gap_s(s: Any) -> float:
    """Seconds played since the last ad; infinite before the first."""
    return INFINITE if s.ad_at_s < 0.0 else s.session_base_s + (s.position_s - s.run_from_s) - s.ad_at_s


# ---- tallies: chains of (rule, count), one link a rule


@inner
def tally_of(tallies: Any, head: int, rule: int) -> int:
    """What the chain from ``head`` on counts of the rule."""
    while head >= 0:
        if tallies[head].rule == rule:
            return int(tallies[head].count)
        head = tallies[head].next
    return 0


@inner
def one_more(tallies: Any, control: Any, head: int, rule: int) -> int:
    """Count one more of the rule; the chain's head."""
    at, last = head, -1
    while at >= 0:
        if tallies[at].rule == rule:
            tallies[at].count += 1
            return head
        last, at = at, tallies[at].next
    at = control[FREE]
    control[FREE] = tallies[at].next
    control[FREE_LEFT] -= 1
    tallies[at].rule, tallies[at].count, tallies[at].next = rule, 1, -1
    if last < 0:
        return int(at)
    tallies[last].next = at
    return head


@inner
def free_chain(tallies: Any, control: Any, head: int) -> None:
    """Give the chain's links back."""
    while head >= 0:
        following = tallies[head].next
        tallies[head].next = control[FREE]
        control[FREE] = head
        control[FREE_LEFT] += 1
        head = following


# ---- criteria


@inner
def ad_length_s(rule: Any, duration_s: float) -> float:
    """Seconds the rule's ad lasts in a video of this length (0: unknown)."""
    if rule.ad_percent > 0.0 and duration_s > 0.0:
        return float(duration_s * rule.ad_percent / 100.0)
    return float(rule.ad_length_s)


@inner
def field_value(field: int, s: Any, rule: Any, at_ms: int) -> float:  # noqa: PLR0912 - one for each field
    """The field of the session as a number (texts by their row); NaN where it is unknown."""
    value = 0.0
    if field == VIDEO_ID:
        value = float(s.video_id)
    elif field == VIDEO_LENGTH_S:
        value = s.duration_s if s.duration_s > 0.0 else np.nan
    elif field == CATEGORY:
        value = float(s.category)
    elif field == CHANNEL:
        value = float(s.channel)
    elif field == VIEW_PLAYED_S:
        value = view_s(s)
    elif field == SESSION_LENGTH_S:
        value = played_s(s)
    elif field == SESSION_AVERAGE_VIEW_S:
        value = (played_s(s) - view_s(s)) / (s.videos - 1) if s.videos > 1 else np.nan
    elif field == SESSION_VIDEOS:
        value = float(s.videos)
    elif field == SESSION_ADS:
        value = float(s.ads)
    elif field == SESSION_PAUSES:
        value = float(s.pauses)
    elif field == SESSION_SEEKS:
        value = float(s.seeks)
    elif field == SESSION_MUTES:
        value = float(s.mutes)
    elif field == SESSION_SKIPS:
        value = float(s.skips)
    elif field == SESSION_CLICKS:
        value = float(s.clicks)
    elif field == IS_MUTED:
        value = 1.0 if s.muted else 0.0
    elif field == FULLSCREEN:
        value = 1.0 if s.fullscreen else 0.0
    elif field == REGISTERED:
        value = 1.0 if s.registered else 0.0
    elif field == DEVICE:
        value = float(s.device)
    elif field == COUNTRY:
        value = float(s.country)
    elif field == HOUR:
        value = float(at_ms // HOUR_MS % 24)
    elif field == WEEKDAY:
        value = float((at_ms // DAY_MS + 3) % 7 + 1)  # 1970-01-01 was a Thursday
    elif field == AD_TYPE:
        value = float(rule.ad_type)
    elif field == AD_LENGTH_S:
        value = ad_length_s(rule, s.duration_s)
    else:
        value = float(s.last_action)
    return value


@inner
def _among(numbers: Any, first: int, behind: int, value: float) -> bool:
    at = first + np.searchsorted(numbers[first:behind], value)
    return bool(at < behind and numbers[at] == value)


@inner
def asked(tables: Any, entry: int, s: Any, rule: Any, at_ms: int) -> int:
    """HOLDS, FAILS or FAULT: follow the conditions from ``entry`` on. An unknown value satisfies none."""
    while entry >= 0:
        c = tables.code[entry]
        value, relation = field_value(c.field, s, rule, at_ms), c.relation
        if relation == LESS:
            holds = value < c.value
        elif relation == LESS_EQUAL:
            holds = value <= c.value
        elif relation == EQUAL:
            holds = value == c.value
        elif relation == UNEQUAL:
            holds = value < c.value or value > c.value
        elif relation == GREATER_EQUAL:
            holds = value >= c.value
        elif relation == GREATER:
            holds = value > c.value
        elif relation == ONE_OF:
            holds = _among(tables.numbers, c.first, c.behind, value)
        else:
            return FAULT
        entry = c.yes if holds else c.no
    return entry


# ---- plans


@inner
def _fits(tables: Any, rule: Any, s: Any) -> bool:
    """Whether the rule is in scope for the session's play."""
    looked_at = (s.video_id, s.category, s.channel, s.country)
    for k in range(4):
        if rule.scope[k, 1] > rule.scope[k, 0] and not _among(
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
    elif at_s < 0.0:
        at_s = duration_s + rule.seconds if duration_s > 0.0 else -1.0
    return at_s if duration_s <= 0.0 or at_s <= duration_s else -1.0


@inner
def first_break(tables: Any, rule: Any, after_s: float, duration_s: float) -> float:
    """The rule's first break after ``after_s``; infinite for none."""
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
    plan.min_gap_s = plan.start_gap_s = plan.action_gap_s = INFINITE
    plan.rules, plan.actions, plan.breaks, plan.series = 0, 0, False, False
    for k in range(tables.rules.shape[0]):
        rule = tables.rules[k]
        if not _fits(tables, rule, s):
            continue
        members[plan.rules] = k
        plan.rules += 1
        if rule.trigger == START:
            plan.start_gap_s = min(plan.start_gap_s, rule.min_gap_s)
        elif rule.trigger == ACTION:
            plan.action_gap_s = min(plan.action_gap_s, rule.min_gap_s)
            plan.actions |= 1 << rule.action
        elif rule.trigger in (OF_VIEW, OF_SESSION):
            plan.series, plan.min_gap_s = True, min(plan.min_gap_s, rule.min_gap_s)
        elif rule.trigger != END and first_break(tables, rule, -1.0, s.duration_s) < INFINITE:
            plan.breaks, plan.min_gap_s = True, min(plan.min_gap_s, rule.min_gap_s)


@inner
def plan_of(tables: Any, control: Any, s: Any) -> int:
    """The plan for the session's play; made once for all plays alike. All are forgotten when there is no more room."""
    state, slots = tables.state, tables.slots
    video_id = s.video_id if state[BY_VIDEO] else np.int32(-1)
    h = np.uint64(np.int64(s.duration_s * 1000.0))
    for part in (video_id, s.category, s.channel, s.country):
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
    """Whether the rule's caps leave room for another ad."""
    if rule.per_session >= 0 and tally_of(tallies, s.fired, rule.name) >= rule.per_session:
        return False
    return bool(rule.per_video < 0 or tally_of(tallies, s.fired_view, rule.name) < rule.per_video)


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
def next_moment_s(tables: Any, plan: int, view_s: float, session_s: float) -> float:
    """The seconds of the session played when the next occasion of a series comes, if this video plays on."""
    of_view, of_session = INFINITE, INFINITE
    for k in range(tables.plans[plan].rules):
        rule = tables.rules[tables.members[plan, k]]
        if rule.trigger == OF_VIEW:
            of_view = min(of_view, _moment(tables.numbers, rule, _passed(tables.numbers, rule, view_s) + 1))
        elif rule.trigger == OF_SESSION:
            of_session = min(of_session, _moment(tables.numbers, rule, _passed(tables.numbers, rule, session_s) + 1))
    return min(session_s + (of_view - view_s), of_session)


@inner
def next_break_s(tables: Any, plan: int, after_s: float, duration_s: float) -> float:
    """The first break of any rule after ``after_s``."""
    found = INFINITE
    for k in range(tables.plans[plan].rules):
        rule = tables.rules[tables.members[plan, k]]
        if rule.trigger in (SECONDS, PERCENT, CUES):
            found = min(found, first_break(tables, rule, after_s, duration_s))
    return found

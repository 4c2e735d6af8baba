"""The compiled reading of rules: tallies of what they decided, and criteria; rule_places.py has where they act.

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
    FULLSCREEN, REGISTERED, DEVICE, COUNTRY, HOUR, WEEKDAY, AD_TYPE, AD_LENGTH_S, LAST_ACTION, AD_CATEGORY, AD_RATING,
    AFFILIATE, REGION, PLAYLIST_ID, PLAYLIST_NUMBER, PROFILE, VIEWER_AVERAGE_VIEW_S, VIEWER_AVERAGE_SESSION_S,
    VIEWER_PLAYS, SESSION_SITE_ACTIONS, LAST_SITE_ACTION, SESSION_ABANDONS, VIDEO_VIEWS, VIDEO_TREND, VIDEO_RATING,
    DAY_PART, FIELDS,
) = range(42)  # fmt: skip
(  # triggers of rules
    START, END, SECONDS, PERCENT, CUES, OF_VIEW, OF_SESSION, ACTION, VIDEO_CUES, OF_SHARE, CLIP_START, CLIP_END,
) = range(12)  # fmt: skip
FROM_START, FROM_MIDDLE, FROM_END = range(3)  # what seconds of a break count from
BEFORE_FIRST, BETWEEN, BETWEEN_LISTS, AFTER_LAST = range(4)  # boundaries of clips
AT_START, AT_END, PLAYED, PASSED, JUMPED, ACTED = range(6)  # how an occasion came about
LESS, LESS_EQUAL, EQUAL, UNEQUAL, GREATER_EQUAL, GREATER, ONE_OF, HAS = range(8)  # relations
HOLDS, FAILS, FAULT = -1, -2, -3  # what criteria come to
ON_SEEK_ALL, ON_SEEK_LAST, ON_SEEK_NONE = range(3)
FREE, FREE_LEFT, STAMPS, DECISIONS, TRACES = range(5)  # the control array; session_kernel has the rest of it
STAMP, PLANS, BY_VIDEO, BY_PLAYLIST, BY_CUES, TRACING = range(6)  # the state of Tables
BLANK, COMMA, POINT, ZERO = 32, 44, 46, 48


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
    return _append(tallies, control, head, last, rule, 1)


@inner
def _append(  # noqa: PLR0917
    tallies: Any, control: Any, head: int, last: int, rule: int, count: int
) -> int:
    at = control[FREE]
    control[FREE] = tallies[at].next
    control[FREE_LEFT] -= 1
    tallies[at].rule, tallies[at].count, tallies[at].next = rule, count, -1
    if last < 0:
        return int(at)
    tallies[last].next = at
    return head


@inner
def note(tallies: Any, control: Any, head: int, rule: int, count: int) -> int:
    """Set what the chain says of the rule; the chain's head."""
    at, last = head, -1
    while at >= 0:
        if tallies[at].rule == rule:
            tallies[at].count = count
            return head
        last, at = at, tallies[at].next
    return _append(tallies, control, head, last, rule, count)


@inner
def note_in_hour(tallies: Any, control: Any, head: int, rule: int, at_ms: int) -> int:
    """Append one of the rule, at this moment, and give back those at the front that are an hour old; the head."""
    while head >= 0 and tallies[head].count <= at_ms - HOUR_MS:
        following = tallies[head].next
        tallies[head].next = control[FREE]
        control[FREE] = head
        control[FREE_LEFT] += 1
        head = following
    at, last = head, -1
    while at >= 0:
        last, at = at, tallies[at].next
    return _append(tallies, control, head, last, rule, at_ms)


@inner
def in_hour(tallies: Any, head: int, rule: int, at_ms: int) -> int:
    """How many of the rule the chain has within the hour before ``at_ms``."""
    found = 0
    while head >= 0:
        if tallies[head].rule == rule and tallies[head].count > at_ms - HOUR_MS:
            found += 1
        head = tallies[head].next
    return found


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
def length_of(ad: Any, s: Any) -> float:
    """Seconds the ad lasts here."""
    length_s, of_s = ad.length_s, view_s(s) if ad.of_playback else s.duration_s
    if ad.percent > 0.0 and of_s > 0.0:
        length_s = of_s * ad.percent / 100.0
    return float(min(max(length_s * ad.factor, ad.least_s), ad.most_s))


@inner
def _known(number: float) -> float:
    return number if number > 0.0 else np.nan


@inner
def field_value(tables: Any, field: int, s: Any, rule: Any, at_ms: int) -> float:  # noqa: PLR0912, PLR0915 - each field
    """The field of the session as a number (texts by their row); NaN where it is unknown."""
    value = 0.0
    if field == VIDEO_ID:
        value = float(s.video_id)
    elif field == VIDEO_LENGTH_S:
        value = _known(s.duration_s)
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
        value = float(tables.ads[rule.ads].type)
    elif field == AD_LENGTH_S:
        value = length_of(tables.ads[rule.ads], s)
    elif field == LAST_ACTION:
        value = float(s.last_action)
    else:
        value = _told_value(tables, field, s, rule, at_ms)
    return value


@inner
def _told_value(tables: Any, field: int, s: Any, rule: Any, at_ms: int) -> float:  # noqa: PLR0912 - one for each field
    value = 0.0
    if field == AD_CATEGORY:
        value = float(tables.ads[rule.ads].category)
    elif field == AD_RATING:
        value = tables.ads[rule.ads].rating
    elif field == AFFILIATE:
        value = float(s.affiliate)
    elif field == REGION:
        value = float(s.region)
    elif field == PLAYLIST_ID:
        value = float(s.playlist_id)
    elif field == PLAYLIST_NUMBER:
        value = _known(s.playlist_number)
    elif field == PROFILE:
        value = float(s.profile)
    elif field == VIEWER_AVERAGE_VIEW_S:
        value = s.average_view_s
    elif field == VIEWER_AVERAGE_SESSION_S:
        value = s.average_session_s
    elif field == VIEWER_PLAYS:
        value = s.plays
    elif field == SESSION_SITE_ACTIONS:
        value = float(s.sites)
    elif field == LAST_SITE_ACTION:
        value = float(s.last_site)
    elif field == SESSION_ABANDONS:
        value = float(s.abandons)
    elif field == VIDEO_VIEWS:
        value = s.views
    elif field == VIDEO_TREND:
        value = s.trend
    elif field == VIDEO_RATING:
        value = s.rating
    else:
        value = float(at_ms // (6 * HOUR_MS) % 4)
    return value


@inner
def _holds_word(letters: Any, offsets: Any, text: int, word: int) -> bool:
    """Whether one of the text's words, apart by blanks, is this one."""
    at, end, first, size = offsets[text], offsets[text + 1], offsets[word], offsets[word + 1] - offsets[word]
    while at + size <= end:
        k = 0
        while k < size and letters[at + k] == letters[first + k]:
            k += 1
        if k == size and (at + size == end or letters[at + size] == BLANK):
            return True
        while at < end and letters[at] != BLANK:
            at += 1
        at += 1
    return False


@inner
def among(numbers: Any, first: int, behind: int, value: float) -> bool:
    """Whether the value is one of the sorted numbers from ``first`` to before ``behind``."""
    at = first + np.searchsorted(numbers[first:behind], value)
    return bool(at < behind and numbers[at] == value)


@inner
def asked(tables: Any, entry: int, s: Any, rule: Any, at_ms: int) -> int:
    """HOLDS, FAILS or FAULT: follow the conditions from ``entry`` on. An unknown value satisfies none."""
    while entry >= 0:
        c = tables.code[entry]
        value, relation = field_value(tables, c.field, s, rule, at_ms), c.relation
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
            holds = among(tables.numbers, c.first, c.behind, value)
        elif relation == HAS:
            holds = _holds_word(tables.letters, tables.offsets, int(value), int(c.value))
        else:
            return FAULT
        entry = c.yes if holds else c.no
    return entry

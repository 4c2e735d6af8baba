"""Criteria trees compiled to closures over a session."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from cuepoint.models.rule_fields import Value, ad_length_s
from cuepoint.schemas.rules import AdFormat, All, AnyOf, CriteriaTree, Has, Not, OneOf

if TYPE_CHECKING:
    from plain_state import SessionState

Getter = Callable[["SessionState", int], Value]  # of a session and the moment in ms
Predicate = Callable[["SessionState", int], bool]
_HOUR_MS, _DAY_MS = 3_600_000, 86_400_000
_RELATIONS: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
    ">=": operator.ge,
    ">": operator.gt,
}


def _average_view_s(session: SessionState, _at_ms: int) -> Value:
    earlier = session.videos - 1
    return (session.session_played_s - session.view_played_s) / earlier if earlier > 0 else None


GETTERS: dict[str, Getter] = {
    "video_id": lambda s, _: s.video_id,
    "video_length_s": lambda s, _: s.duration_s,
    "category": lambda s, _: s.category,
    "channel": lambda s, _: s.channel,
    "view_played_s": lambda s, _: s.view_played_s,
    "session_length_s": lambda s, _: s.session_played_s,
    "session_average_view_s": _average_view_s,
    "session_videos": lambda s, _: s.videos,
    "session_ads": lambda s, _: s.ads,
    "session_pauses": lambda s, _: s.pauses,
    "session_seeks": lambda s, _: s.seeks,
    "session_mutes": lambda s, _: s.mutes,
    "session_skips": lambda s, _: s.skips,
    "session_clicks": lambda s, _: s.clicks,
    "muted": lambda s, _: s.muted,
    "fullscreen": lambda s, _: s.fullscreen,
    "registered": lambda s, _: s.registered,
    "device": lambda s, _: s.device,
    "country": lambda s, _: s.country,
    "hour": lambda _, at_ms: at_ms // _HOUR_MS % 24,
    "weekday": lambda _, at_ms: (at_ms // _DAY_MS + 3) % 7 + 1,  # 1970-01-01 was a Thursday
    "last_action": lambda s, _: s.last_action,
    "affiliate": lambda s, _: s.affiliate,
    "region": lambda s, _: s.region,
    "playlist_id": lambda s, _: s.playlist_id,
    "playlist_number": lambda s, _: s.playlist_number or None,
    "profile": lambda s, _: s.profile,
    "viewer_average_view_s": lambda s, _: s.average_view_s,
    "viewer_average_session_s": lambda s, _: s.average_session_s,
    "viewer_plays": lambda s, _: s.plays,
    "session_site_actions": lambda s, _: s.sites,
    "last_site_action": lambda s, _: s.last_site,
    "session_abandons": lambda s, _: s.abandons,
    "video_views": lambda s, _: s.views,
    "video_trend": lambda s, _: s.trend,
    "video_rating": lambda s, _: s.rating,
    "day_part": lambda _, at_ms: ("night", "morning", "afternoon", "evening")[at_ms // (6 * _HOUR_MS) % 4],
}


def getter(field: str, ad: AdFormat) -> Getter:
    """How to read ``field`` from a session; the ad's own fields come from the rule's format."""
    if field == "ad_type":
        return lambda _s, _at: ad.type
    if field == "ad_length_s":
        return lambda s, _at: ad_length_s(ad, s.duration_s, s.view_played_s)
    if field == "ad_category":
        return lambda _s, _at: ad.category
    if field == "ad_rating":
        return lambda _s, _at: ad.rating
    return GETTERS[field]


def compile_criteria(tree: CriteriaTree, ad: AdFormat) -> Predicate | None:
    """The tree as one callable; None for the empty tree, which always holds."""
    if isinstance(tree, All) and not tree.of:
        return None
    return _compile(tree, ad)


def _compile(tree: CriteriaTree, ad: AdFormat) -> Predicate:
    if isinstance(tree, All | AnyOf):
        return _together(tuple(_compile(part, ad) for part in tree.of), every=isinstance(tree, All))
    if isinstance(tree, Not):
        negated = _compile(tree.of, ad)
        return lambda s, at: not negated(s, at)
    read = getter(tree.field, ad)
    if isinstance(tree, Has):
        word = tree.value
        return lambda s, at: word in str(read(s, at)).split(" ")
    if isinstance(tree, OneOf):
        values = frozenset(tree.values)
        return lambda s, at: read(s, at) in values
    relate, wanted = _RELATIONS[tree.is_], tree.value

    def compare(session: SessionState, at_ms: int) -> bool:
        value = read(session, at_ms)
        return value is not None and relate(value, wanted)

    return compare


def _together(parts: tuple[Predicate, ...], *, every: bool) -> Predicate:
    if len(parts) == 1:
        return parts[0]
    if len(parts) == 2:  # most are: without the generator of the general case
        one, other = parts
        return (lambda s, at: one(s, at) and other(s, at)) if every else (lambda s, at: one(s, at) or other(s, at))
    if every:
        return lambda s, at: all(part(s, at) for part in parts)
    return lambda s, at: any(part(s, at) for part in parts)

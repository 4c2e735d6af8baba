"""What the fields of criteria are: their kind, range and whether they can be unknown."""

from __future__ import annotations

from math import inf
from typing import Literal, NamedTuple

from cuepoint.schemas.rules import AdFormat, AdRule

Value = str | float | bool | None
DAY_PARTS = ("night", "morning", "afternoon", "evening")
AD_ACTIONS = ("ad_completed", "ad_skipped", "ad_clicked")
ACTIONS = ("paused", "resumed", "seeked", "rewound", "muted", "fullscreen_entered", "hovered", "clicked", "site_action")


class FieldKind(NamedTuple):
    """``low`` and ``high`` bound a number (inclusive), ``names`` a text's possible values (None: any)."""

    kind: Literal["number", "text", "flag", "words"]
    whole: bool = False
    nullable: bool = False
    low: float = 0.0
    high: float = float("inf")
    names: tuple[str, ...] | None = None


_TEXT, _FLAG, _COUNT, _SECONDS = (
    FieldKind("text"),
    FieldKind("flag"),
    FieldKind("number", whole=True),
    FieldKind("number"),
)
FIELDS: dict[str, FieldKind] = {
    "video_id": _TEXT,
    "video_length_s": FieldKind("number", nullable=True),
    "category": _TEXT,
    "channel": _TEXT,
    "view_played_s": _SECONDS,
    "session_length_s": _SECONDS,
    "session_average_view_s": FieldKind("number", nullable=True),
    "session_videos": FieldKind("number", whole=True, low=1),
    "session_ads": _COUNT,
    "session_pauses": _COUNT,
    "session_seeks": _COUNT,
    "session_mutes": _COUNT,
    "session_skips": _COUNT,
    "session_clicks": _COUNT,
    "muted": _FLAG,
    "fullscreen": _FLAG,
    "registered": _FLAG,
    "device": _TEXT,
    "country": _TEXT,
    "hour": FieldKind("number", whole=True, high=23),
    "weekday": FieldKind("number", whole=True, low=1, high=7),
    "ad_type": _TEXT,
    "ad_length_s": _SECONDS,
    "last_action": FieldKind("text", names=("", *ACTIONS)),
    "ad_category": _TEXT,
    "ad_rating": FieldKind("number", nullable=True, high=5.0),
    "affiliate": _TEXT,
    "region": _TEXT,
    "playlist_id": _TEXT,
    "playlist_number": FieldKind("number", nullable=True, low=1.0),
    "profile": FieldKind("words"),
    "viewer_average_view_s": FieldKind("number", nullable=True),
    "viewer_average_session_s": FieldKind("number", nullable=True),
    "viewer_plays": FieldKind("number", nullable=True),
    "session_site_actions": _COUNT,
    "last_site_action": _TEXT,
    "session_abandons": _COUNT,
    "video_views": FieldKind("number", nullable=True),
    "video_trend": FieldKind("number", nullable=True),
    "video_rating": FieldKind("number", nullable=True),
    "day_part": FieldKind("text", names=DAY_PARTS),
}


def ad_length_s(ad: AdFormat, video_length_s: float | None, played_s: float = 0.0, factor: float = 1.0) -> float:
    """Seconds the ad lasts: by its share of the video (or of the seconds played of it) where the format gives one and
    that is known, times ``factor``, within the format's bounds.

    >>> ad_length_s(AdFormat(length_s=15.0, length_percent=25.0, max_length_s=30.0), 180.0)
    30.0
    """
    length_s, of_s = ad.length_s, played_s if ad.percent_of == "playback" else video_length_s
    if ad.length_percent is not None and of_s:
        length_s = of_s * ad.length_percent / 100.0
    return min(max(length_s * factor, ad.min_length_s or 0.0), ad.max_length_s or inf)


def settled_fields(rule: AdRule) -> dict[str, tuple[Value, ...]]:
    """Fields whose values the rule's other parts already settle: its format, its scope, the action it waits for.

    >>> from cuepoint.schemas.rules import OnAction
    >>> settled_fields(AdRule(rule_id="r", name="r", insertion=OnAction(action="muted")))["last_action"]
    ('muted',)
    """
    settled: dict[str, tuple[Value, ...]] = {"ad_type": (rule.format.type,)}
    settled["ad_category"], settled["ad_rating"] = (rule.format.category,), (rule.format.rating,)
    if rule.format.length_percent is None:
        settled["ad_length_s"] = (ad_length_s(rule.format, None),)
    scoped = {
        "video_id": rule.scope.videos,
        "category": rule.scope.categories,
        "channel": rule.scope.channels,
        "country": rule.scope.countries,
        "playlist_id": rule.scope.playlists,
        "affiliate": rule.scope.affiliates,
    }
    settled.update({field: tuple(values) for field, values in scoped.items() if values})
    action = getattr(rule.insertion, "action", None)
    if action in ACTIONS:
        settled["last_action"] = (action,)
        if action == "muted":
            settled["muted"] = (True,)
        if action == "fullscreen_entered":
            settled["fullscreen"] = (True,)
    return settled

"""What the fields of criteria are: their kind, range and whether they can be unknown."""

from __future__ import annotations

from typing import Literal, NamedTuple

from cuepoint.schemas.rules import AdFormat, AdRule

Value = str | float | bool | None
ACTIONS = ("paused", "resumed", "seeked", "rewound", "muted", "fullscreen_entered", "hovered", "clicked", "site_action")


class FieldKind(NamedTuple):
    """``low`` and ``high`` bound a number (inclusive), ``names`` a text's possible values (None: any)."""

    kind: Literal["number", "text", "flag"]
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
}


def ad_length_s(ad: AdFormat, video_length_s: float | None) -> float:
    """Seconds the ad lasts, by the share of the video where the format gives one and the length is known.

    >>> ad_length_s(AdFormat(length_s=15.0, length_percent=25.0), 180.0)
    45.0
    """
    if ad.length_percent is not None and video_length_s is not None:
        return video_length_s * ad.length_percent / 100.0
    return ad.length_s


def settled_fields(rule: AdRule) -> dict[str, tuple[Value, ...]]:
    """Fields whose values the rule's other parts already settle: its format, its scope, the action it waits for.

    >>> from cuepoint.schemas.rules import OnAction
    >>> settled_fields(AdRule(rule_id="r", name="r", insertion=OnAction(action="muted")))["last_action"]
    ('muted',)
    """
    settled: dict[str, tuple[Value, ...]] = {"ad_type": (rule.format.type,)}
    if rule.format.length_percent is None:
        settled["ad_length_s"] = (rule.format.length_s,)
    scoped = {
        "video_id": rule.scope.videos,
        "category": rule.scope.categories,
        "channel": rule.scope.channels,
        "country": rule.scope.countries,
    }
    settled.update({field: tuple(values) for field, values in scoped.items() if values})
    action = getattr(rule.insertion, "action", None)
    if action is not None:
        settled["last_action"] = (action,)
        if action == "muted":
            settled["muted"] = (True,)
        if action == "fullscreen_entered":
            settled["fullscreen"] = (True,)
    return settled

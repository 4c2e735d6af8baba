"""The ad-insertion rule: format, insertion point, criteria (US 8,316,392; the vocabulary is the seed's)."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Literal

import msgspec

from cuepoint.schemas.base import Contract, EpochMs, Identifier, Seconds, Text, Version

AdType = Literal[
    "spot",
    "interstitial",
    "bumper",
    "gateway",
    "roadblock",
    "bug",
    "ticker",
    "telescoping",
    "banner",
    "curtain",
    "interactive",
]
Percent = Annotated[float, msgspec.Meta(ge=0, le=100)]
Positive = Annotated[float, msgspec.Meta(gt=0, le=1e6)]
Instant = Annotated[dt.datetime, msgspec.Meta(tz=True)]


class AdFormat(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Type, place on the screen and length of the ad. ``length_percent`` (of the video) overrides ``length_s`` where
    given and where the video's length is known."""

    type: AdType = "spot"
    screen: Literal["full", "bottom", "top_left", "top_right", "bottom_left", "bottom_right", "beside"] = "full"
    length_s: Positive = 15.0
    length_percent: Annotated[float, msgspec.Meta(gt=0, le=100)] | None = None


class Insertion(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="at", omit_defaults=True, forbid_unknown_fields=True
):
    """Where in the stream a rule inserts; one of the subclasses, told apart by ``at``."""


class AtStart(Insertion, frozen=True, kw_only=True, tag="start"):
    """Before the video plays (pre-roll): at the event that opens the play."""


class AtEnd(Insertion, frozen=True, kw_only=True, tag="end"):
    """After the video has played (post-roll), once a play."""


class AtSeconds(Insertion, frozen=True, kw_only=True, tag="seconds"):
    """Once a play, when playback passes ``seconds`` of the video; negative counts from its end (a video of unknown
    length has none)."""

    seconds: float


class AtPercent(Insertion, frozen=True, kw_only=True, tag="percent"):
    """Once a play, when playback passes ``percent`` of the video."""

    percent: Percent


class AtCuePoints(Insertion, frozen=True, kw_only=True, tag="cue_points"):
    """At each of the positions, once a play."""

    positions_s: Annotated[list[Seconds], msgspec.Meta(min_length=1, max_length=1000)]


class Every(Insertion, frozen=True, kw_only=True, tag="every"):
    """Fixed frequency: after each ``seconds`` played of the video (what a seek jumps over is not played; what is
    watched twice is)."""

    seconds: Positive


class Progressive(Insertion, frozen=True, kw_only=True, tag="progressive"):
    """Frequency series: ``intervals_s[k]`` holds during the k-th window of ``window_s`` seconds played, the last one
    from then on (seed: every 10 s in the first minute, 20 s in the second, 30 s in the third)."""

    window_s: Positive = 60.0
    intervals_s: Annotated[list[Positive], msgspec.Meta(min_length=1, max_length=100)]


class SessionPaced(Insertion, frozen=True, kw_only=True, tag="session_paced"):
    """Progressively dynamic: after every interval of *session* playback, where the interval grows by ``growth`` for
    each minute the viewer has stayed: ``interval = seconds * (1 + growth * minutes)``, at most ``max_seconds``. So
    the spot load falls as the session grows (the long session is rewarded)."""

    seconds: Positive
    growth: Annotated[float, msgspec.Meta(ge=0, le=100)]
    max_seconds: Positive = 3600.0


class OnAction(Insertion, frozen=True, kw_only=True, tag="action"):
    """When the viewer does something in the player or on the site."""

    action: Literal[
        "paused", "resumed", "seeked", "rewound", "muted", "fullscreen_entered", "hovered", "clicked", "site_action"
    ]
    value: Text = ""  # of a click or site action: only this one


InsertionPoint = AtStart | AtEnd | AtSeconds | AtPercent | AtCuePoints | Every | Progressive | SessionPaced | OnAction

Field = Literal[
    "video_id",
    "video_length_s",  # unknown where the player did not say
    "category",
    "channel",
    "view_played_s",  # seconds played of this video
    "session_length_s",  # seconds played in the session, over all videos
    "session_average_view_s",  # seconds played a video, over the session's earlier videos; unknown in the first
    "session_videos",  # plays begun, this one included
    "session_ads",  # decided so far
    "session_pauses",
    "session_seeks",  # rewinds included
    "session_mutes",
    "session_skips",  # of ads
    "session_clicks",  # on the player and on ads
    "muted",
    "fullscreen",
    "registered",
    "device",
    "country",
    "hour",  # 0 to 23, UTC, of the event's received_at
    "weekday",  # 1 (Monday) to 7, UTC
    "ad_type",  # of this rule's format
    "ad_length_s",
    "last_action",  # the viewer's last one, as in ``action`` insertions; empty before the first
]


class Criterion(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="op", omit_defaults=True, forbid_unknown_fields=True
):
    """A node of the criteria tree, told apart by ``op``. A comparison with an unknown value does not hold, whatever
    its relation."""


class All(Criterion, frozen=True, kw_only=True, tag="all"):
    of: Annotated[list[CriteriaTree], msgspec.Meta(max_length=64)] = []


class AnyOf(Criterion, frozen=True, kw_only=True, tag="any"):
    of: Annotated[list[CriteriaTree], msgspec.Meta(min_length=1, max_length=64)]


class Not(Criterion, frozen=True, kw_only=True, tag="not"):
    of: CriteriaTree


class Compare(Criterion, frozen=True, kw_only=True, tag="is"):
    """``field`` stands in relation ``is_`` (JSON: ``is``) to ``value``."""

    field: Field
    is_: Literal["<", "<=", "==", "!=", ">=", ">"] = msgspec.field(name="is", default="==")
    value: str | float | bool


class OneOf(Criterion, frozen=True, kw_only=True, tag="in"):
    field: Field
    values: Annotated[list[str | float], msgspec.Meta(min_length=1, max_length=1000)]


CriteriaTree = All | AnyOf | Not | Compare | OneOf


class Limits(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Caps of one rule within one session; ``per_video`` counts within one play of a video. Ads decided while the rule
    had no cap are not counted towards one that a later version sets."""

    per_session: Annotated[int, msgspec.Meta(ge=1, le=10_000)] | None = None
    per_video: Annotated[int, msgspec.Meta(ge=1, le=10_000)] | None = None
    min_gap_s: Seconds = 0.0  # playback seconds since any ad


class Scope(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Where the rule applies; an empty list is everywhere."""

    videos: list[Identifier] = []
    categories: list[Text] = []
    channels: list[Text] = []
    countries: list[Text] = []


class AdRule(Contract, frozen=True, kw_only=True, tag="ad-rule.v1", forbid_unknown_fields=True):
    """An ad-insertion rule. Key: ``rule_id``; the topic is compacted. An event uses the version in effect at its
    ``received_at``: of those that stand before it in its own partition of the player events, with ``effective_at`` at
    or before it, the highest version. So a replay decides alike. An occasion at which the criteria do not hold has
    passed: it is not made up for later."""

    rule_id: Identifier
    version: Version = 1
    name: Text
    status: Literal["draft", "active", "retired"] = "active"
    effective_at: EpochMs = 0
    priority: Annotated[int, msgspec.Meta(ge=0, le=1000)] = 100  # lower is asked first
    format: AdFormat = AdFormat()
    insertion: InsertionPoint
    criteria: CriteriaTree = All()
    limits: Limits = Limits()
    scope: Scope = Scope()
    on_seek: Literal["all", "last", "none"] = "last"  # which of the breaks a seek jumped over are played
    starts: Instant | None = None
    ends: Instant | None = None  # the first moment at which it no longer holds
    # set by the server: where it stands in each partition of the player events
    offsets: dict[str, Annotated[int, msgspec.Meta(ge=0)]] = {}  # noqa: RUF012

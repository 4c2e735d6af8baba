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
    "context",
    "shadow",
    "tristitial",
    "floating",
    "expanding",
    "wallpaper",
    "pop_up",
    "pop_under",
    "map",
    "form",
    "skin",
]
Screen = Literal[
    "full",
    "bottom",
    "top_left",
    "top_right",
    "bottom_left",
    "bottom_right",
    "beside",
    "center",
    "skin",  # the player's own surface
    "page",  # behind or around the player
    "window",  # one of its own
]
Rating = Annotated[float, msgspec.Meta(ge=0, le=5)]
Percent = Annotated[float, msgspec.Meta(ge=0, le=100)]
Positive = Annotated[float, msgspec.Meta(gt=0, le=1e6)]
Instant = Annotated[dt.datetime, msgspec.Meta(tz=True)]


class AdFormat(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Type, place on the screen and length of the ad. ``length_percent`` (of the video, or of what of it was played so
    far) overrides ``length_s`` where given and where that is known; ``min_length_s`` and ``max_length_s`` bound what
    comes out. ``pod_ads``: how many ads may share the slot."""

    type: AdType = "spot"
    screen: Screen = "full"
    length_s: Positive = 15.0
    length_percent: Annotated[float, msgspec.Meta(gt=0, le=100)] | None = None
    percent_of: Literal["video", "playback"] = "video"
    min_length_s: Positive | None = None
    max_length_s: Positive | None = None
    skip_after_s: Seconds | None = None  # from then on the viewer may skip it
    category: Text = ""  # of the ad: what is advertised
    ad_id: Identifier | None = None  # this one ad, and no other
    rating: Rating | None = None  # of the ad; a new rating is a new version of the rule
    pod_ads: Annotated[int, msgspec.Meta(ge=1, le=20)] = 1


class Insertion(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="at", omit_defaults=True, forbid_unknown_fields=True
):
    """Where in the stream a rule inserts; one of the subclasses, told apart by ``at``."""


class AtStart(Insertion, frozen=True, kw_only=True, tag="start"):
    """Before the video plays (pre-roll): at the event that opens the play."""


class AtEnd(Insertion, frozen=True, kw_only=True, tag="end"):
    """After the video has played (post-roll), once a play."""


class AtMiddle(Insertion, frozen=True, kw_only=True, tag="middle"):
    """Once a play, when playback passes the middle of the video."""


class AtSeconds(Insertion, frozen=True, kw_only=True, tag="seconds"):
    """Once a play, when playback passes the point ``seconds`` after (negative: before) the start, middle or end of the
    video; a negative number from the start counts from its end. A video of unknown length has only those from the
    start."""

    seconds: float
    from_: Literal["start", "middle", "end"] = msgspec.field(name="from", default="start")


class AtPercent(Insertion, frozen=True, kw_only=True, tag="percent"):
    """Once a play, when playback passes ``percent`` of the video; or, of ``playback``, once so much of it was played,
    wherever."""

    percent: Percent
    of: Literal["length", "playback"] = "length"


class AtCuePoints(Insertion, frozen=True, kw_only=True, tag="cue_points"):
    """Once a play at each of the positions, or (none given) at each cue point of the video; ``offset_s`` after or
    (negative) before it."""

    positions_s: Annotated[list[Seconds], msgspec.Meta(max_length=1000)] = []
    offset_s: float = 0.0


class BetweenClips(Insertion, frozen=True, kw_only=True, tag="between_clips"):
    """In a playlist: before its first clip, between two, after its last, or between two playlists. Where there is no
    playlist the session's videos are counted. ``every`` n-th clip boundary, for ``between``."""

    place: Literal["before", "between", "after", "between_playlists"] = "between"
    every: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 1


class Every(Insertion, frozen=True, kw_only=True, tag="every"):
    """Fixed frequency: after each ``seconds`` played of the video (what a seek jumps over is not played; what is
    watched twice is)."""

    seconds: Positive


class Progressive(Insertion, frozen=True, kw_only=True, tag="progressive"):
    """Frequency series: ``intervals_s[k]`` holds during the k-th window of ``window_s`` seconds played, the last one
    from then on (seed: every 10 s in the first minute, 20 s in the second, 30 s in the third)."""

    window_s: Positive = 60.0
    intervals_s: Annotated[list[Positive], msgspec.Meta(min_length=1, max_length=100)]


class LengthStep(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """``seconds`` is the frequency in videos of at most ``up_to_s``; without that, in all longer ones."""

    seconds: Positive
    up_to_s: Positive | None = None


class ByLength(Insertion, frozen=True, kw_only=True, tag="by_length"):
    """Frequency by the video's length, shortest first (seed: over 90 s every 30 s, else every 15 s). Seconds played are
    counted as for ``every``; a video of unknown length has none."""

    steps: Annotated[list[LengthStep], msgspec.Meta(min_length=1, max_length=20)]


class SessionPaced(Insertion, frozen=True, kw_only=True, tag="session_paced"):
    """Progressively dynamic: after every interval of *session* playback, where the interval grows by ``growth`` for
    each minute the viewer has stayed: ``interval = seconds * (1 + growth * minutes)``, at most ``max_seconds``. So
    the spot load falls as the session grows (the long session is rewarded)."""

    seconds: Positive
    growth: Annotated[float, msgspec.Meta(ge=0, le=100)]
    max_seconds: Positive = 3600.0


class OnAction(Insertion, frozen=True, kw_only=True, tag="action"):
    """When the viewer does something in the player or on the site, or with an ad (a call to action follows a click)."""

    action: Literal[
        "paused",
        "resumed",
        "seeked",
        "rewound",
        "muted",
        "fullscreen_entered",
        "hovered",
        "clicked",
        "site_action",
        "ad_completed",
        "ad_skipped",
        "ad_clicked",
    ]
    value: Text = ""  # of a click or site action: only this one; of an ad's: only ads of the rule with this id


InsertionPoint = (
    AtStart
    | AtEnd
    | AtMiddle
    | AtSeconds
    | AtPercent
    | AtCuePoints
    | BetweenClips
    | Every
    | Progressive
    | ByLength
    | SessionPaced
    | OnAction
)

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
    "ad_category",
    "ad_rating",  # unknown where the format has none
    "affiliate",
    "region",
    "playlist_id",
    "playlist_number",  # of the clip in its playlist, from 1 on; unknown without one
    "profile",  # of the viewer: ``has`` asks for one of its words
    "viewer_average_view_s",  # the viewer's history, as the session's first event told it; unknown where it did not
    "viewer_average_session_s",
    "viewer_plays",
    "session_site_actions",
    "last_site_action",
    "session_abandons",  # videos left unfinished within 30 s played after an ad
    "video_views",  # popularity, as video_started told it
    "video_trend",  # its views over those expected: 1 is as ever
    "video_rating",
    "day_part",  # by the hour: night, morning (6), afternoon (12), evening (18); UTC
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


class Has(Criterion, frozen=True, kw_only=True, tag="has"):
    """The viewer's profile holds this word, such as ``interest=cars``."""

    field: Literal["profile"] = "profile"
    value: Annotated[str, msgspec.Meta(min_length=1, max_length=128, pattern=r"^[!-~]+$")]


CriteriaTree = All | AnyOf | Not | Compare | OneOf | Has


class Adaptation(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """How the rule differs while ``when`` holds: ``share`` of its occasions (0.5: every second), another format, a
    longer or shorter ad (``length_factor``, within the format's bounds), later (``delay_s``), a wider or narrower
    gap."""

    when: CriteriaTree
    share: Annotated[float, msgspec.Meta(gt=0, le=1)] = 1.0
    length_factor: Annotated[float, msgspec.Meta(gt=0, le=100)] = 1.0
    delay_s: Seconds = 0.0
    min_gap_s: Seconds | None = None
    format: AdFormat | None = None


class Limits(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Caps of one rule within one session; ``per_video`` counts within one play of a video, ``per_hour`` within the
    last hour by the clock. Ads decided while the rule had no cap are not counted towards one that a later version sets.
    A pod is what is decided at one moment of playback, by whichever rules: this rule's ad does not join one that would
    then have more than ``pod_ads`` or last longer than ``pod_length_s``. ``separation_s``: playback seconds since an ad
    of the same category."""

    per_session: Annotated[int, msgspec.Meta(ge=1, le=10_000)] | None = None
    per_video: Annotated[int, msgspec.Meta(ge=1, le=10_000)] | None = None
    per_hour: Annotated[int, msgspec.Meta(ge=1, le=1000)] | None = None
    min_gap_s: Seconds = 0.0  # playback seconds since any ad
    pod_ads: Annotated[int, msgspec.Meta(ge=1, le=100)] | None = None
    pod_length_s: Positive | None = None
    separation_s: Seconds = 0.0


class Scope(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Where the rule applies; an empty list is everywhere."""

    videos: list[Identifier] = []
    categories: list[Text] = []
    channels: list[Text] = []
    countries: list[Text] = []
    playlists: list[Identifier] = []
    affiliates: list[Text] = []


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
    kind: Literal["static", "dynamic", "progressively_dynamic"] | None = None  # at most: the check holds it to this
    format: AdFormat = AdFormat()
    insertion: InsertionPoint
    criteria: CriteriaTree = All()
    adapt: Annotated[list[Adaptation], msgspec.Meta(max_length=16)] = []  # noqa: RUF012 - the first holds
    limits: Limits = Limits()
    scope: Scope = Scope()
    on_seek: Literal["all", "last", "none"] = "last"  # which of the breaks a seek jumped over are played
    starts: Instant | None = None
    ends: Instant | None = None  # the first moment at which it no longer holds
    # set by the server: where it stands in each partition of the player events
    offsets: dict[str, Annotated[int, msgspec.Meta(ge=0)]] = {}  # noqa: RUF012

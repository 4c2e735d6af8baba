"""Contracts of the playback half: what players say, and what Cuepoint decides."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from cuepoint.schemas.base import Contract, EpochMs, Identifier, Seconds, Text, Version
from cuepoint.schemas.rules import AdFormat, AdType

MAX_CUE_POINTS = 200
Amount = Annotated[float, msgspec.Meta(ge=0, le=1e9)]

PlayerEventKind = Literal[
    "session_started",
    "video_started",
    "progressed",
    "paused",
    "resumed",
    "seeked",
    "rewound",
    "muted",
    "unmuted",
    "fullscreen_entered",
    "fullscreen_left",
    "hovered",
    "clicked",
    "site_action",
    "video_completed",
    "session_ended",
    "ad_started",
    "ad_completed",
    "ad_skipped",
    "ad_clicked",
    "ad_failed",
]


class PlayerEvent(Contract, frozen=True, kw_only=True, gc=False, tag="player-event.v1"):
    """What happened in a player. Key: ``session_id``.

    ``seq`` counts up by one within a session (the player's own order: repeats and late events are recognised by it).
    ``at`` is the player's clock, ``received_at`` the collector's (where it is 0, the broker's time stands in);
    decisions only ever use the latter. ``session_started`` and ``video_started`` carry what is known of the viewer,
    ``video_started`` what is known of the video; an event without ``video_id`` speaks of the video that plays. Ad
    events name the ``decision_id`` they answer and repeat its rule and type, by which they are counted.
    """

    event_id: Identifier
    session_id: Identifier
    seq: Annotated[int, msgspec.Meta(ge=0, le=2**31)]
    kind: PlayerEventKind
    at: EpochMs
    received_at: EpochMs = 0
    video_id: Identifier | None = None
    position_s: Seconds = 0.0
    from_position_s: Seconds | None = None  # of a seek
    duration_s: Seconds | None = None
    category: Text = ""
    channel: Text = ""
    viewer_id: Identifier | None = None  # pseudonymous
    registered: bool = False
    device: Text = ""
    country: Text = ""
    action: Text = ""  # of a site_action or click: what was selected
    decision_id: Identifier | None = None
    rule_id: Identifier | None = None
    ad_type: AdType | None = None
    playlist_id: Identifier | None = None  # from here to rating: of video_started
    playlist_number: Annotated[int, msgspec.Meta(ge=0, le=10**6)] = 0  # of the clip, from 1 on; 0: unknown
    playlist_length: Annotated[int, msgspec.Meta(ge=0, le=10**6)] = 0
    cue_points_s: Annotated[list[Seconds], msgspec.Meta(max_length=MAX_CUE_POINTS)] = []  # noqa: RUF012
    views: Amount | None = None  # popularity of the video: whoever knows it says it, so that a replay decides alike
    trend: Amount | None = None
    rating: Amount | None = None
    affiliate: Text = ""  # from here on: of either start
    region: Text = ""
    profile: Text = ""  # words such as ``interest=cars``, apart by blanks
    average_view_s: Seconds | None = None  # the viewer's history: seconds a video, seconds a session, plays
    average_session_s: Seconds | None = None
    plays: Amount | None = None
    consent: bool | None = None  # of either start: to profile and history; false: neither is kept


class AdDecision(Contract, frozen=True, kw_only=True, tag="ad-decision.v1"):
    """An insertion decided for a session. Key: ``session_id``. ``decision_id`` is a function of session, rule and
    occasion, so a replay yields the same id and a consumer recognises the repeat."""

    decision_id: Identifier
    session_id: Identifier
    video_id: Identifier
    rule_id: Identifier
    rule_version: Version
    event_id: Identifier  # the event at which it was decided
    decided_at: EpochMs  # that event's received_at
    number: Annotated[int, msgspec.Meta(ge=1)]  # of this session's decisions
    place: Literal["pre_roll", "mid_roll", "post_roll"] = "mid_roll"
    position_s: Seconds  # where in the video to insert; after a seek, where the viewer landed
    format: AdFormat  # in effect
    duration_s: Seconds  # in effect
    adapted: int = 0  # which of the rule's adaptations holds, from 1 on
    pod_number: int = 1  # of the ads decided at one moment of playback; the pod's first has number - pod_number + 1
    spot_load: float  # ads per minute played in this session, this one included; under a minute counts as a minute
    reason: Annotated[str, msgspec.Meta(max_length=2048)]
    criteria: dict[str, str | float | bool | None] = {}  # noqa: RUF012 - of each field the rule's criteria ask for

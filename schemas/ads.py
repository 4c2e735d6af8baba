"""Contracts of ad serving: line items with their creatives, and what became of the ads that players fetched."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from cuepoint.schemas.base import Contract, Count, EpochMs, Identifier, Seconds, Text, Version
from cuepoint.schemas.media import State, Url
from cuepoint.schemas.rules import AdType, All, CriteriaTree, Instant, Positive


class MediaFile(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """One rendition. HLS players need one of ``application/vnd.apple.mpegurl``."""

    url: Url
    media_type: Annotated[str, msgspec.Meta(max_length=128, pattern=r"^[\w.+-]+/[\w.+-]+$")] = "video/mp4"
    width: Annotated[int, msgspec.Meta(ge=0, le=16_384)] = 0
    height: Annotated[int, msgspec.Meta(ge=0, le=16_384)] = 0
    bitrate_kbps: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)] = 0


class Creative(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What is shown. ``skip_after_s``: the viewer may skip from then on; ``ad_id``: of the universal ad registry."""

    creative_id: Identifier
    type: AdType = "spot"
    length_s: Positive
    media: Annotated[list[MediaFile], msgspec.Meta(max_length=20)] = []
    image_url: Url | None = None  # of what is not linear: bug, ticker, banner, curtain
    click_url: Url | None = None
    skip_after_s: Seconds | None = None
    title: Text = ""
    ad_id: Text = ""


class LineItem(Contract, frozen=True, kw_only=True, tag="line-item.v1", forbid_unknown_fields=True):
    """What an advertiser bought. Key: ``line_item_id``.

    ``criteria`` are those of rules, over what is known of viewer and video. ``impressions`` is the goal of the whole
    flight, paced evenly over it with ``pacing`` ``even``, as fast as may be with ``asap``; without a goal it fills
    what is left. A lower ``priority`` is asked first. ``frequency_day``: most impressions a viewer and (UTC) day.
    Two of one ``competitive_group`` never stand in one break.
    """

    line_item_id: Identifier
    version: Version = 1
    status: State | Literal["paused"] = "active"
    updated_at: EpochMs = 0
    name: Text = ""
    advertiser: Text = ""
    category: Text = ""
    competitive_group: Text = ""
    creatives: Annotated[list[Creative], msgspec.Meta(min_length=1, max_length=100)]
    criteria: CriteriaTree = All()
    starts: Instant | None = None
    ends: Instant | None = None
    priority: Annotated[int, msgspec.Meta(ge=0, le=1000)] = 100
    impressions: Annotated[int, msgspec.Meta(ge=1, le=2**53)] | None = None
    pacing: Literal["even", "asap"] = "even"
    frequency_day: Annotated[int, msgspec.Meta(ge=1, le=10_000)] | None = None


AdEventKind = Literal[
    "handed_out",
    "impression",
    "creative_view",
    "start",
    "first_quartile",
    "midpoint",
    "third_quartile",
    "complete",
    "progress",
    "mute",
    "unmute",
    "pause",
    "resume",
    "rewind",
    "skip",
    "player_expand",
    "player_collapse",
    "close",
    "click",
    "error",
    "break_start",
    "break_end",
    "break_error",
]


class AdEvent(Contract, frozen=True, kw_only=True, tag="ad-event.v1"):
    """An ad that a player is given (``handed_out``, before it is), or a tracking address that a player asked for, once
    each. Key: ``session_id``. ``viewer_id``: the pseudonym, with what was handed out of a line item whose frequency is
    capped; ``code``: VAST's error code, where the player gave one."""

    event_id: Identifier
    session_id: Identifier
    kind: AdEventKind
    at: EpochMs
    break_id: Identifier
    rule_id: Identifier | None = None
    decision_id: Identifier | None = None
    line_item_id: Identifier | None = None
    creative_id: Identifier | None = None
    ad_type: AdType | None = None
    slot: Count = 0  # in the pod, from 1
    code: Annotated[int, msgspec.Meta(ge=0, le=999)] | None = None
    viewer_id: Identifier | None = None

"""Contracts of media metadata: videos with their cue points, playlists, files that lie elsewhere."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from cuepoint.schemas.base import Contract, Count, EpochMs, Identifier, Seconds, Text, Version

Url = Annotated[str, msgspec.Meta(max_length=2048, pattern=r"^https?://[^\s<>\"]+$")]
State = Literal["active", "removed"]


class CuePoint(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A place in a video. ``duration_s``: of the break that may replace or follow there, where the source says so;
    ``source``: typed in, a log of times, SCTE-35 in a manifest."""

    at_s: Seconds
    name: Text = ""
    duration_s: Seconds | None = None
    source: Literal["manual", "log", "scte35"] = "manual"


class Rating(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A mean of ``votes`` votes, 0 to 5."""

    value: Annotated[float, msgspec.Meta(ge=0, le=5)]
    votes: Count = 1


class Video(Contract, frozen=True, kw_only=True, tag="video.v1", forbid_unknown_fields=True):
    """A video. Key: ``video/`` and its id. ``version`` and ``updated_at`` are the server's; one that was removed stays
    as its last word."""

    video_id: Identifier
    version: Version = 1
    status: State = "active"
    updated_at: EpochMs = 0
    title: Text = ""
    url: Url | None = None
    duration_s: Annotated[float, msgspec.Meta(gt=0, le=1e6)] | None = None
    categories: Annotated[list[Text], msgspec.Meta(max_length=50)] = []  # noqa: RUF012
    channel: Text = ""
    language: Annotated[str, msgspec.Meta(max_length=35, pattern=r"^([A-Za-z0-9-]*)$")] = ""  # BCP 47
    cue_points: Annotated[list[CuePoint], msgspec.Meta(max_length=1000)] = []  # noqa: RUF012
    ratings: dict[Text, Rating] = {}  # noqa: RUF012 - by whose they are, such as viewers or editors
    asset_id: Identifier | None = None  # in the catalogue half, whose trend is the video's; null: the video's own id


class Playlist(Contract, frozen=True, kw_only=True, tag="playlist.v1", forbid_unknown_fields=True):
    """Videos in their order. Key: ``playlist/`` and its id."""

    playlist_id: Identifier
    version: Version = 1
    status: State = "active"
    updated_at: EpochMs = 0
    title: Text = ""
    channel: Text = ""
    videos: Annotated[list[Identifier], msgspec.Meta(max_length=10_000)] = []  # noqa: RUF012


class ExternalAsset(Contract, frozen=True, kw_only=True, tag="external-asset.v1", forbid_unknown_fields=True):
    """A file that lies elsewhere: an image, a clip, captions, a page. Key: ``external-asset/`` and its id."""

    external_id: Identifier
    version: Version = 1
    status: State = "active"
    updated_at: EpochMs = 0
    title: Text = ""
    url: Url
    kind: Literal["image", "video", "audio", "captions", "page", "other"] = "other"
    media_type: Text = ""
    duration_s: Seconds | None = None
    width: Count | None = None
    height: Count | None = None

"""Answers of the read API; OpenAPI is generated from them."""

from __future__ import annotations

import datetime as dt

import msgspec

from cuepoint.schemas.ads import LineItem
from cuepoint.schemas.media import ExternalAsset, Playlist, Video
from cuepoint.schemas.trends import AssetDay, Change
from cuepoint.streams.history_rows import AssetRow, ChangeRow, DeadLetterRow, SessionRow, TimelineEntry


class VideoPage(msgspec.Struct, frozen=True, kw_only=True):
    items: list[Video]
    total: int
    next: str | None


class PlaylistPage(msgspec.Struct, frozen=True, kw_only=True):
    items: list[Playlist]
    total: int
    next: str | None


class ExternalAssetPage(msgspec.Struct, frozen=True, kw_only=True):
    items: list[ExternalAsset]
    total: int
    next: str | None


class LineItemPage(msgspec.Struct, frozen=True, kw_only=True):
    items: list[LineItem]
    total: int
    next: str | None


class ChangePage(msgspec.Struct, frozen=True, kw_only=True):
    items: list[ChangeRow]
    total: int
    next: str | None


class AssetPage(msgspec.Struct, frozen=True, kw_only=True):
    items: list[AssetRow]
    total: int
    next: str | None


class SessionPage(msgspec.Struct, frozen=True, kw_only=True):
    items: list[SessionRow]
    total: int
    next: str | None


class DeadLetterPage(msgspec.Struct, frozen=True, kw_only=True):
    items: list[DeadLetterRow]
    total: int
    next: str | None


class ConsumptionRow(msgspec.Struct, frozen=True, kw_only=True):
    """Sums for one combination of the dimensions asked for with `by`; the others are absent. Null: not said."""

    asset_id: str | msgspec.UnsetType = msgspec.UNSET
    day: dt.date | msgspec.UnsetType = msgspec.UNSET
    dsp: str | msgspec.UnsetType = msgspec.UNSET
    territory: str | msgspec.UnsetType = msgspec.UNSET
    region: str | msgspec.UnsetType = msgspec.UNSET
    gender: str | msgspec.UnsetType = msgspec.UNSET
    age_band: str | msgspec.UnsetType = msgspec.UNSET
    subscription: str | msgspec.UnsetType = msgspec.UNSET
    context: str | msgspec.UnsetType = msgspec.UNSET
    activity: str | msgspec.UnsetType = msgspec.UNSET
    container: str | msgspec.UnsetType = msgspec.UNSET
    container_name: str | msgspec.UnsetType = msgspec.UNSET
    device: str | msgspec.UnsetType = msgspec.UNSET
    count: int
    consumers: int | None
    played_seconds: int
    completed: int | None


class ConsumptionPage(msgspec.Struct, frozen=True, kw_only=True):
    items: list[ConsumptionRow]
    next: str | None


class StoredReport(msgspec.Struct, frozen=True, kw_only=True):
    """What is stored of a report: its newest settled version."""

    dsp: str
    territory: str
    day: dt.date
    version: int
    rows: int
    complete: bool
    withdrawn: bool


class StoredReportPage(msgspec.Struct, frozen=True, kw_only=True):
    items: list[StoredReport]
    total: int
    next: str | None


class AssetSeries(msgspec.Struct, frozen=True, kw_only=True):
    """An asset's scored days (count, level, forecast band) in order, and its regions of change."""

    asset_id: str
    title: str
    artist: str
    days: list[AssetDay]
    changes: list[Change]


class SessionTimeline(msgspec.Struct, frozen=True, kw_only=True):
    """A session and what happened in it, in the order of receipt."""

    session: SessionRow
    timeline: list[TimelineEntry]


class CounterRow(msgspec.Struct, frozen=True, kw_only=True):
    """``name``: the video, category, rule ... or empty for totals."""

    name: str
    metrics: dict[str, float]


class CounterAnswer(msgspec.Struct, frozen=True, kw_only=True):
    group: str
    day: dt.date
    hour: int | None
    rows: list[CounterRow]

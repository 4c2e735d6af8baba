"""Answers of the read API; OpenAPI is generated from them."""

from __future__ import annotations

import datetime as dt
from typing import Generic, TypeVar

import msgspec

from cuepoint.schemas.ads import LineItem
from cuepoint.schemas.media import ExternalAsset, Playlist, Video
from cuepoint.schemas.trends import AssetDay, Change
from cuepoint.streams.history_rows import AssetRow, ChangeRow, DeadLetterRow, SessionRow, TimelineEntry

T = TypeVar("T")


class Page(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """``total`` counts all that match; ``next`` is the cursor of the page after this one."""

    items: list[T]
    total: int
    next: str | None


class VideoPage(Page[Video], frozen=True): ...


class PlaylistPage(Page[Playlist], frozen=True): ...


class ExternalAssetPage(Page[ExternalAsset], frozen=True): ...


class LineItemPage(Page[LineItem], frozen=True): ...


class ChangePage(Page[ChangeRow], frozen=True): ...


class AssetPage(Page[AssetRow], frozen=True): ...


class SessionPage(Page[SessionRow], frozen=True): ...


class DeadLetterPage(Page[DeadLetterRow], frozen=True): ...


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


class StoredReportPage(Page[StoredReport], frozen=True): ...


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

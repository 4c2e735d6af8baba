"""Answers of the read API; OpenAPI is generated from them."""

from __future__ import annotations

import datetime as dt

import msgspec

from cuepoint.schemas.trends import AssetDay, Change
from cuepoint.streams.history_rows import AssetRow, ChangeRow, DeadLetterRow, SessionRow, TimelineEntry


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

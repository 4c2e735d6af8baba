"""What history is written from and read as."""

from __future__ import annotations

import datetime as dt
from typing import Generic, NamedTuple, TypeVar

import msgspec

from cuepoint.schemas.base import Contract
from cuepoint.schemas.faults import DeadLetter
from cuepoint.schemas.opportunities import Explanation, Opportunity
from cuepoint.schemas.playback import AdDecision, PlayerEvent
from cuepoint.schemas.trends import Change

T = TypeVar("T")


class Recorded(NamedTuple):
    """A message with its offset and the broker's timestamp (ms)."""

    offset: int
    at: int
    message: Contract


class Page(msgspec.Struct, Generic[T], frozen=True):
    """Some rows of ``total``."""

    rows: list[T]
    total: int


class ChangeRow(msgspec.Struct, frozen=True, kw_only=True):
    """The newest revision of a change; times (ms) are when its first and this revision were published. Of a single
    change: why it came about and what it promises, once that is known."""

    change: Change
    title: str
    artist: str
    opened_at: int
    updated_at: int
    owner: str = ""
    explanation: Explanation | None = None
    opportunity: Opportunity | None = None


class AssetRow(msgspec.Struct, frozen=True, kw_only=True):
    """An asset that has metadata or scored days; ``changes`` counts all but the withdrawn."""

    asset_id: str
    title: str
    artist: str
    isrc: str = ""
    upc: str = ""
    released: dt.date | None = None
    owner: str = ""
    last_day: dt.date | None = None
    changes: int = 0


class SessionRow(msgspec.Struct, frozen=True, kw_only=True):
    """A playback session; times (ms) are the collector's."""

    session_id: str
    first_at: int
    last_at: int
    events: int
    videos: int
    decisions: int
    ended: bool
    viewer_id: str | None
    device: str
    country: str
    video_id: str | None


class TimelineEntry(msgspec.Struct, frozen=True, kw_only=True):
    """An event or a decision of a session."""

    at: int
    event: PlayerEvent | None = None
    decision: AdDecision | None = None


class DeadLetterRow(msgspec.Struct, frozen=True, kw_only=True):
    id: int
    letter: DeadLetter


class ReportRow(msgspec.Struct, frozen=True, kw_only=True):
    """A report of a DSP; ``completed_at`` and ``records`` are None while it is open, ``withdrawn_at`` unless it was
    taken back."""

    dsp: str
    territory: str
    day: dt.date
    version: int
    opened_at: int | None
    completed_at: int | None
    records: int | None
    source: str
    withdrawn_at: int | None = None


class Overview(msgspec.Struct, frozen=True, kw_only=True):
    """Totals of the history; ``latest_day`` is the newest scored day."""

    latest_day: dt.date | None
    changes_on_latest_day: int
    open_regions: int
    changes: int
    assets: int
    reports: int
    sessions: int
    decisions: int
    dead_letters: int
    dead_by_code: dict[str, int]

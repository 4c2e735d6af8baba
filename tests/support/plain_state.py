"""What is kept of one playback session: flat, in slots, written and read as one row."""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter
from sys import intern
from typing import Any

from plain_plan import Plan

STATE_VERSION = 1
NOTHING: dict[str, int] = {}  # shared by sessions that count nothing; never written to
STORED = (
    "session_id",
    "first_seq",  # of the first event seen: part of the session's occasions
    "seq",  # the highest seen
    "missing",  # sequence numbers below it that have not come: at most MAX_MISSING
    "closes_at",  # ms; events up to here belong to the open session
    "ended",  # by an event, not by time
    "reopened",
    "registered",
    "device",
    "country",
    "video_id",
    "duration_s",
    "category",
    "channel",
    "view_seq",  # of the event that began this play of a video
    "videos",
    "position_s",
    "reached_s",  # the furthest position whose breaks are done with
    "run_from_s",  # where the uninterrupted stretch of play began, ...
    "view_base_s",  # ... the seconds played of the video up to there ...
    "session_base_s",  # ... and of the session
    "completed",
    "muted",
    "fullscreen",
    "pauses",
    "seeks",
    "mutes",
    "skips",
    "clicks",
    "last_action",
    "ads",
    "ad_at_s",  # seconds of the session played at the last ad; negative before the first
    "fired",  # rule -> ads in the session, of rules that limit them
    "fired_view",  # rule -> ads in this play, likewise
    "hours",  # (rule, ms) of each ad of the last hour, of rules that limit them
    "rivals",  # category -> ms of the session played at its last ad
    "pod_ads",
    "pod_s",
    "playlist_id",
    "playlist_before",
    "playlist_number",
    "playlist_length",
    "cue_points_s",
    "affiliate",
    "region",
    "profile",
    "last_site",
    "sites",
    "abandons",
    "views",
    "trend",
    "rating",
    "average_view_s",
    "average_session_s",
    "plays",
)
_SHARED = frozenset(("device", "country", "video_id", "category", "channel"))  # texts of many sessions, held once
_INFINITE = float("inf")
_row = attrgetter(*STORED)


class SessionState:
    """State of one session. ``plan``, ``quiet_until_s`` and ``moment_s`` are derived and not stored: up to that
    position of the video nothing can be due and nothing is wrong, so that a heartbeat there only moves the position;
    no series has an occasion before so many seconds of the session are played, if the video plays on."""

    __slots__ = (*STORED, "moment_s", "plan", "quiet_until_s")

    session_id: str
    first_seq: int
    seq: int
    missing: tuple[int, ...]
    closes_at: int
    ended: bool
    reopened: int
    registered: bool
    device: str
    country: str
    video_id: str | None
    duration_s: float | None
    category: str
    channel: str
    view_seq: int
    videos: int
    position_s: float
    reached_s: float
    run_from_s: float
    view_base_s: float
    session_base_s: float
    completed: bool
    muted: bool
    fullscreen: bool
    pauses: int
    seeks: int
    mutes: int
    skips: int
    clicks: int
    last_action: str
    ads: int
    ad_at_s: float
    fired: dict[str, int]
    fired_view: dict[str, int]
    hours: list[list[Any]]
    rivals: dict[str, int]
    pod_ads: int
    pod_s: float
    playlist_id: str
    playlist_before: str
    playlist_number: int
    playlist_length: int
    cue_points_s: str
    affiliate: str
    region: str
    profile: str
    last_site: str
    sites: int
    abandons: int
    views: float | None
    trend: float | None
    rating: float | None
    average_view_s: float | None
    average_session_s: float | None
    plays: float | None
    plan: Plan | None
    quiet_until_s: float
    moment_s: float

    def __init__(self, session_id: str, first_seq: int, closes_at: int) -> None:
        self.session_id, self.first_seq, self.seq = session_id, first_seq, first_seq - 1
        self.missing = ()
        self.closes_at = closes_at
        self.ended = self.registered = self.completed = self.muted = self.fullscreen = False
        self.device = self.country = self.category = self.channel = self.last_action = ""
        self.video_id, self.duration_s, self.view_seq = None, None, -1
        self.videos = self.reopened = self.pauses = self.seeks = self.mutes = self.skips = self.clicks = self.ads = 0
        self.position_s = self.reached_s = self.run_from_s = self.view_base_s = self.session_base_s = 0.0
        self.ad_at_s = -1.0
        self.fired = self.fired_view = NOTHING
        self.hours, self.rivals, self.pod_ads, self.pod_s = [], {}, 0, 0.0
        self.playlist_id = self.playlist_before = self.cue_points_s = ""
        self.affiliate = self.region = self.profile = self.last_site = ""
        self.playlist_number = self.playlist_length = self.sites = self.abandons = 0
        self.views = self.trend = self.rating = self.average_view_s = self.average_session_s = self.plays = None
        self.plan, self.quiet_until_s, self.moment_s = None, -1.0, -1.0

    @property
    def view_played_s(self) -> float:
        """Seconds played of the present video in this play."""
        return self.view_base_s + (self.position_s - self.run_from_s)

    @property
    def gap_s(self) -> float:
        """Seconds played since the last ad; infinite before the first."""
        if self.ad_at_s < 0.0:
            return _INFINITE
        return self.session_base_s + (self.position_s - self.run_from_s) - self.ad_at_s

    @property
    def session_played_s(self) -> float:
        """Seconds played in the session, over all videos."""
        return self.session_base_s + (self.position_s - self.run_from_s)

    def row(self) -> tuple[Any, ...]:
        """The values of STORED, equal for equal states whatever is cached."""
        if self.video_id is not None and self.position_s > self.reached_s:
            self.reached_s = self.position_s  # heartbeats leave this to the next event that looks at it
        return _row(self)

    @classmethod
    def of_row(cls, row: Sequence[Any]) -> SessionState:
        """The inverse of ``row``."""
        session = cls.__new__(cls)
        for name, value in zip(STORED, row, strict=True):
            setattr(session, name, intern(value) if name in _SHARED and value is not None else value)
        session.missing = tuple(session.missing)
        session.plan, session.quiet_until_s, session.moment_s = None, -1.0, -1.0
        return session

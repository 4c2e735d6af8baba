"""What must become of player events, and what they must add to the counters, told event by event.

Written for itself, in plain Python over the JSON values and in whole milliseconds; it shares no code with
models/session_* and models/count_*. The rules are those of the docstrings of PlayerEvent, SessionSettings, count_keys.
"""

from __future__ import annotations

import datetime as dt
import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

TIMEOUT_MS, GRACE_MS, MEMORY_MS, SKEW_MS = 1_800_000, 300_000, 86_400_000, 300_000
SWEEP_MS = 60_000
UNSEEN_MS = 60_000  # of play, at most, is credited where events were lost
VIEW_MS = 30_000
BEYOND_MS = 1_000
LOST_KEPT = 64
PLAYING = {"video_started", "progressed", "paused", "resumed", "seeked", "rewound", "video_completed"}
ADS = {
    "ad_started": "ad_starts",
    "ad_completed": "ad_completes",
    "ad_skipped": "ad_skips",
    "ad_clicked": "ad_clicks",
    "ad_failed": "ad_failures",
}
DAY_PARTS = ("night", "morning", "afternoon", "evening")
Counters = Counter[tuple[str, str]]  # (key, field) -> sum


def add(counters: Counters, at_ms: int, metric: str, amount: int, **names: str | None) -> None:
    """Count in the totals, the hour, the part of the day, and under each name given."""
    at = dt.datetime.fromtimestamp(at_ms // 1000, dt.UTC)
    day = at.strftime("%Y-%m-%d")
    counters[f"total:{day}", metric] += amount
    counters[f"hour:{day}T{at.hour:02d}", metric] += amount
    counters[f"day_part:{day}", f"{DAY_PARTS[at.hour // 6]}|{metric}"] += amount
    for kind, name in names.items():
        if name is not None:
            counters[f"{kind}:{day}", f"{name}|{metric}"] += amount


@dataclass
class Session:
    """One viewer's session, as far as counting goes. Positions and durations in ms."""

    seq: int
    closes_at: int
    lost: list[int] = field(default_factory=list)
    video: str | None = None
    duration: int | None = None
    category: str = ""
    position: int = 0
    viewed: int = 0  # played in this play of the video
    completed: bool = False


@dataclass
class PlayRecount:
    """One partition. ``take`` is given each event in the order of the log and says its dead-letter code, or ""."""

    counters: Counters
    sessions: dict[str, Session] = field(default_factory=dict)
    closed: dict[str, int] = field(default_factory=dict)
    clock: int = 0
    swept_at: int = 0
    repeats: int = 0

    def take(self, value: bytes, stamp: int) -> str:
        event = json.loads(value)
        at_ms = self._time(event.get("received_at", 0) or stamp, stamp)
        name, seq = event["session_id"], event["seq"]
        known = self.sessions.get(name)
        if known is None and name in self.closed:
            return "session_closed"
        if known is not None and at_ms > known.closes_at + GRACE_MS:
            return "session_closed"
        session = known or Session(seq - 1, at_ms + TIMEOUT_MS, list(range(max(0, seq - LOST_KEPT), seq)))
        if seq <= session.seq:
            if seq not in session.lost:
                self.repeats += 1
                return ""
            self._take_late(session, event)
        else:
            code = self._refusal(session, event)
            if code:
                return code
            self.sessions[name] = session
            self._take_next(session, event, at_ms, known is None)
        if event["kind"] in ADS:
            self._count_ad(session, event)
        return ""

    def _time(self, at_ms: int, stamp: int) -> int:
        if at_ms > self.clock:
            if 0 < stamp < at_ms - SKEW_MS:
                at_ms = stamp
            self.clock = max(self.clock, at_ms)
            if self.clock >= self.swept_at + SWEEP_MS:
                self._sweep()
        return at_ms

    def _sweep(self) -> None:
        self.swept_at = self.clock
        for name in [n for n, s in self.sessions.items() if s.closes_at + GRACE_MS < self.clock]:
            self.closed[name] = self.sessions.pop(name).closes_at
        for name in list(self.closed):
            if self.closed[name] + MEMORY_MS >= self.clock:
                break
            del self.closed[name]

    def _refusal(self, session: Session, event: dict[str, Any]) -> str:
        if event["kind"] not in PLAYING:
            return ""
        video = event.get("video_id") or session.video
        if video is None or (event["kind"] == "video_started" and event.get("video_id") is None):
            return "no_video"
        same = event["kind"] != "video_started" and video == session.video
        duration = _ms(event.get("duration_s")) or (session.duration if same else None)
        places = [_ms(event.get("position_s", 0.0)), _ms(event.get("from_position_s"))]
        if duration and any(place is not None and place > duration + BEYOND_MS for place in places):
            return "position_beyond_video"
        return ""

    def _take_late(self, session: Session, event: dict[str, Any]) -> None:
        """It came after later ones of its session: nothing that was played is counted any more."""
        session.lost.remove(event["seq"])
        is_start = event["kind"] == "video_started" and event.get("video_id") == session.video
        if is_start and session.duration is None:
            session.duration = _ms(event.get("duration_s")) or None
            session.category = event.get("category", "")

    def _take_next(self, session: Session, event: dict[str, Any], at_ms: int, is_new: bool) -> None:
        kind, seq = event["kind"], event["seq"]
        unbroken = seq == session.seq + 1
        session.lost = (session.lost + list(range(max(session.seq + 1, seq - LOST_KEPT), seq)))[-LOST_KEPT:]
        session.seq = seq
        if is_new:
            add(self.counters, at_ms, "sessions", 1)
        opens = kind in PLAYING and (
            kind == "video_started" or (event.get("video_id") or session.video) != session.video
        )
        was_view = not opens and (session.completed or session.viewed >= VIEW_MS)
        if opens:
            self._open(session, event)
        was_completed = session.completed
        played = self._play(session, event, opens, unbroken) if kind in PLAYING else 0
        session.closes_at = at_ms - 1 if kind == "session_ended" else max(session.closes_at, at_ms + TIMEOUT_MS)
        if session.video is None:
            return
        names = {"video": session.video, "category": session.category or "none"}
        if opens:
            add(self.counters, at_ms, "plays", 1, **names)
        if played:
            add(self.counters, at_ms, "watch_ms", played, **names)
        if session.completed and not was_completed:
            add(self.counters, at_ms, "completions", 1, **names)
        if not was_view and (session.completed or session.viewed >= VIEW_MS):
            add(self.counters, at_ms, "views", 1, **names)

    @staticmethod
    def _open(session: Session, event: dict[str, Any]) -> None:
        session.video, session.duration = event["video_id"], _ms(event.get("duration_s")) or None
        session.category = event.get("category", "")
        session.position = _ms(event.get("position_s", 0.0)) or 0
        session.viewed, session.completed = 0, False

    @staticmethod
    def _play(session: Session, event: dict[str, Any], opens: bool, unbroken: bool) -> int:
        """Move to the event's position; how much of the way there was played."""
        kind, before = event["kind"], session.viewed
        to = _ms(event.get("position_s", 0.0)) or 0
        if not session.duration and event.get("video_id") == session.video:
            session.duration = _ms(event.get("duration_s")) or None
        if kind in ("seeked", "rewound"):
            origin = _ms(event.get("from_position_s"))
            if origin is not None and origin > session.position:
                _credit(session, origin, unbroken)
            session.position = to
        elif not opens:
            if kind == "video_completed" and session.duration:
                to = session.duration
            if to >= session.position:
                _credit(session, to, unbroken)
            elif kind == "progressed":
                session.position = to
        if kind == "video_completed":
            session.completed = True
        return session.viewed - before

    def _count_ad(self, session: Session, event: dict[str, Any]) -> None:
        add(
            self.counters,
            event.get("received_at", 0),
            ADS[event["kind"]],
            1,
            category=session.category or "none",
            video=session.video,
            rule=event.get("rule_id"),
            format=event.get("ad_type"),
        )


def count_decisions(counters: Counters, values: list[bytes]) -> None:
    """Each decision once, by its id, however often it stands in the log."""
    for decision in {decision["decision_id"]: decision for decision in map(json.loads, values)}.values():
        names = {"video": decision["video_id"], "rule": decision["rule_id"]}
        add(counters, decision["decided_at"], "deliveries", 1, **names, format=decision["format"].get("type", "spot"))


def _credit(session: Session, to: int, unbroken: bool) -> None:
    stretch = to - session.position
    session.viewed += stretch if unbroken else min(stretch, UNSEEN_MS)
    session.position = to


def _ms(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * 1000)

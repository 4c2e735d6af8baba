"""A session as a picture: spans of playing, pausing and ads, marks of what the viewer did, and positions over time.

Pure: events and decisions in, geometry out. Times are the collector's (``received_at``, ms): decisions use no other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from cuepoint.schemas.playback import AdDecision, PlayerEvent

# ads that cover or accompany the picture while the video goes on
OVERLAYS = frozenset({"bug", "ticker", "banner", "telescoping", "interactive", "curtain"})
SpanKind = Literal["play", "pause", "ad", "planned"]
MARKS = {
    "seeked": "Seek",
    "rewound": "Rewind",
    "muted": "Mute",
    "unmuted": "Unmute",
    "fullscreen_entered": "Full screen",
    "fullscreen_left": "Left full screen",
    "hovered": "Hover",
    "clicked": "Click",
    "site_action": "Site action",
    "ad_skipped": "Ad skipped",
    "ad_clicked": "Ad clicked",
    "ad_failed": "Ad failed",
}
AD_ENDS = frozenset({"ad_completed", "ad_skipped", "ad_failed"})


@dataclass(frozen=True)
class Span:
    """Something that lasted. ``number`` is that of the decision for ads; ``running``: it has not ended yet."""

    kind: SpanKind
    start_ms: int
    end_ms: int
    label: str
    number: int = 0
    running: bool = False


@dataclass(frozen=True)
class Mark:
    """Something that happened at a moment."""

    kind: str
    at_ms: int
    label: str


@dataclass
class Timeline:
    """All that is drawn. ``positions``: one line of (ms, seconds of the video) for each video played."""

    start_ms: int
    end_ms: int
    spans: list[Span] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    positions: list[list[tuple[int, float]]] = field(default_factory=list)

    @property
    def length_s(self) -> float:
        return (self.end_ms - self.start_ms) / 1000

    @property
    def top_position_s(self) -> float:
        return max((at for line in self.positions for _, at in line), default=0.0)


class _Builder:
    """Walks through the events of a session in order."""

    def __init__(self, decisions: Sequence[AdDecision], start_ms: int) -> None:
        self.decisions = {one.decision_id: one for one in decisions}
        self.line = Timeline(start_ms, start_ms)
        self.video = ""
        self.open: dict[str, tuple[SpanKind, int, str, int]] = {}  # lane -> kind, start, label, number
        self.shown: set[str] = set()

    def begin(self, lane: str, kind: SpanKind, at_ms: int, label: str, number: int = 0) -> None:
        self.end(lane, at_ms)
        self.open[lane] = (kind, at_ms, label, number)

    def end(self, lane: str, at_ms: int, running: bool = False) -> None:
        if lane in self.open:
            kind, start_ms, label, number = self.open.pop(lane)
            self.line.spans.append(Span(kind, start_ms, max(at_ms, start_ms), label, number, running))

    def ad_started(self, event: PlayerEvent, at_ms: int) -> None:
        decision = self.decisions.get(event.decision_id or "")
        overlay = decision is not None and decision.format.type in OVERLAYS
        if not overlay:
            self.end("video", at_ms)
        if decision is not None:
            self.shown.add(decision.decision_id)
        self.begin("ad", "ad", at_ms, decision.format.type if decision else "ad", decision.number if decision else 0)

    def take(self, event: PlayerEvent, at_ms: int) -> None:
        kind = event.kind
        if kind == "video_started":
            self.video = event.video_id or "video"
            self.begin("video", "play", at_ms, self.video)
            self.line.positions.append([])
        elif kind == "paused":
            self.begin("video", "pause", at_ms, "Paused")
        elif kind == "ad_started":
            self.ad_started(event, at_ms)
        elif kind in AD_ENDS:
            self.end("ad", at_ms)
        elif kind in ("video_completed", "session_ended"):
            self.end("video", at_ms)
            self.video = ""
        resumes = kind == "resumed" or kind in AD_ENDS
        if resumes and self.video and self.open.get("video", ("pause",))[0] == "pause":
            self.begin("video", "play", at_ms, self.video)
        if kind in MARKS:
            self.line.marks.append(Mark(kind, at_ms, mark_label(event)))
        if self.line.positions and not kind.startswith(("ad_", "session_")):
            if event.from_position_s is not None:
                self.line.positions[-1].append((at_ms, event.from_position_s))
            self.line.positions[-1].append((at_ms, event.position_s))


def mark_label(event: PlayerEvent) -> str:
    """What a mark says when pointed at, e.g. ``Seek 0:20 to 1:05``."""
    label = MARKS[event.kind]
    if event.from_position_s is not None:
        return f"{label} {clock_text(event.from_position_s)} to {clock_text(event.position_s)}"
    return f"{label} {event.action}".strip() + f" at {clock_text(event.position_s)}"


def clock_text(position_s: float) -> str:
    """Minutes and seconds.

    >>> clock_text(65.4)
    '1:05'
    """
    return f"{int(position_s) // 60}:{int(position_s) % 60:02d}"


def build_timeline(
    events: Sequence[PlayerEvent], decisions: Sequence[AdDecision], now_ms: int | None = None
) -> Timeline:
    """The timeline of a session; events in ``seq`` order. ``now_ms``: it still runs, and open spans reach to now.

    An ad that no player event speaks of yet is drawn where it was decided, as planned.
    """
    moments = [event.received_at for event in events] + [one.decided_at for one in decisions]
    if not moments:
        return Timeline(0, 0)
    builder = _Builder(decisions, min(moments))
    latest = builder.line.start_ms
    for event in events:
        latest = max(latest, event.received_at)  # a late event must not run backwards
        builder.take(event, latest)
    planned = [one for one in decisions if one.decision_id not in builder.shown]
    ends = [one.decided_at + int(one.duration_s * 1000) for one in planned]
    end_ms = max(*moments, *ends, now_ms or 0, builder.line.start_ms + 1000)
    for lane in list(builder.open):
        builder.end(lane, max(now_ms or 0, latest), running=now_ms is not None)
    for one, end in zip(planned, ends, strict=True):
        builder.line.spans.append(Span("planned", one.decided_at, end, one.format.type, one.number))
    builder.line.end_ms = end_ms
    return builder.line

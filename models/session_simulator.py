"""Simulated viewers (seeded, labelled ``sim-``): player events in time order, reacting to the ads they are given."""

from __future__ import annotations

import heapq
import math
from random import Random

from cuepoint.models.session_calibration import (
    CATEGORIES,
    DURATION_LOG_SIGMA,
    DURATION_MEDIAN_S,
    HOURLY,
    MAX_DURATION_S,
    MIN_DURATION_S,
)
from cuepoint.models.session_viewer import Video, Viewer
from cuepoint.schemas.playback import AdDecision, PlayerEvent

CHANNEL = "simulated"
REFILL_MS = 2_000  # mean time after which a viewer who left is followed by another


def make_catalogue(rng: Random, videos: int) -> list[Video]:
    """Videos with lengths drawn from the derived distribution.

    >>> [video.video_id for video in make_catalogue(Random(1), 2)]
    ['sim-video-01', 'sim-video-02']
    """
    catalogue = []
    for number in range(1, videos + 1):
        drawn_s = DURATION_MEDIAN_S * math.exp(rng.gauss(0.0, DURATION_LOG_SIGMA))
        length_s = round(min(MAX_DURATION_S, max(MIN_DURATION_S, drawn_s)), 1)
        catalogue.append(Video(f"sim-video-{number:02d}", length_s, CATEGORIES[number % len(CATEGORIES)], CHANNEL))
    return catalogue


class ViewerSimulator:
    """About ``sessions`` viewers at once at the time of day of the peak, fewer at others (``day_shape=False``: always
    as many).

    The same seed, start, steps and decisions give the same events, byte for byte.

    >>> simulator = ViewerSimulator(seed=1, start_ms=1_700_000_000_000, sessions=2, videos=3)
    >>> [event.kind for event in simulator.advance(1_700_000_010_000)][:2]
    ['session_started', 'video_started']
    """

    def __init__(
        self, seed: int, start_ms: int, sessions: int = 100, videos: int = 50, *, day_shape: bool = True
    ) -> None:
        self.now_ms = start_ms
        self._rng = Random(f"viewers {seed}")  # noqa: S311 - a simulation
        self._prefix = f"sim-{seed}-{start_ms // 1000:x}"
        self.catalogue = make_catalogue(self._rng, videos)
        self._sessions, self._day_shape = sessions, day_shape
        self._viewers: dict[str, Viewer] = {}
        self._waking: list[tuple[int, int, str]] = []  # (when, turn, session): a heap
        self._turn = self._begun = 0
        self._events: list[PlayerEvent] = []
        for _ in range(self._wanted()):
            self._admit(start_ms + int(self._rng.random() * 10_000))
        self._refill_at = start_ms + REFILL_MS

    def advance(self, to_ms: int) -> list[PlayerEvent]:
        """All events up to and including ``to_ms``, in the order of time."""
        while True:
            waking_at = self._waking[0][0] if self._waking else to_ms + 1
            if min(waking_at, self._refill_at) > to_ms:
                break
            if self._refill_at < waking_at:
                self._refill()
            else:
                self._wake(*heapq.heappop(self._waking))
        self.now_ms = max(self.now_ms, to_ms)
        events, self._events = self._events, []
        return events

    def receive(self, decision: AdDecision) -> None:
        """Hand a viewer an ad; it acts on it from now on. Repeats, and sessions that are over, are ignored."""
        viewer = self._viewers.get(decision.session_id)
        if viewer is not None and viewer.give(decision):
            self._schedule(viewer, self.now_ms)

    def live_session_ids(self) -> list[str]:
        """Sessions that have begun and not ended."""
        return [name for name, viewer in self._viewers.items() if viewer.seq > 0]

    def _wanted(self) -> int:
        return max(1, round(self._sessions * (HOURLY[self.now_ms // 3_600_000 % 24] if self._day_shape else 1.0)))

    def _refill(self) -> None:
        self.now_ms = self._refill_at
        missing = self._wanted() - len(self._viewers)
        for _ in range(max(0, missing)):
            self._admit(self._refill_at + int(self._rng.expovariate(1.0 / REFILL_MS)))
        self._refill_at += REFILL_MS

    def _admit(self, at_ms: int) -> None:
        self._begun += 1
        name = f"{self._prefix}-{self._begun:06d}"
        viewer = Viewer(name, Random(f"{self._prefix} {name}"), self.catalogue, at_ms)  # noqa: S311
        self._viewers[name] = viewer
        self._schedule(viewer, at_ms)

    def _schedule(self, viewer: Viewer, at_ms: int) -> None:
        self._turn += 1
        viewer.turn = self._turn
        heapq.heappush(self._waking, (at_ms, self._turn, viewer.session_id))

    def _wake(self, at_ms: int, turn: int, session_id: str) -> None:
        viewer = self._viewers.get(session_id)
        if viewer is None or viewer.turn != turn:
            return  # it was woken earlier, by an ad
        self.now_ms = max(self.now_ms, at_ms)
        wake_at = viewer.wake(self.now_ms, self._events)
        if wake_at is None:
            del self._viewers[session_id]
        else:
            self._schedule(viewer, max(wake_at, self.now_ms + 1))

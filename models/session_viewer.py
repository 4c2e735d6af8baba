"""One simulated viewer: what he watches, when he pauses, seeks and leaves, and what he does with ads."""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from random import Random
from typing import Any, NamedTuple, TypeVar

from cuepoint.models import session_calibration as c
from cuepoint.schemas.playback import AdDecision, PlayerEvent, PlayerEventKind

T = TypeVar("T")
Life = Generator[int, int, None]  # yields the moment (ms) to be woken at, is sent the moment it was
OVERLAYS = frozenset(("bug", "ticker", "telescoping", "banner"))  # the video plays on under them


class Video(NamedTuple):
    video_id: str
    duration_s: float
    category: str
    channel: str


class Overlay(NamedTuple):
    ends_at: int
    decision: AdDecision


def draw(rng: Random, weighted: Sequence[tuple[T, float]]) -> T:
    """One of the values, by weight."""
    return rng.choices([value for value, _ in weighted], [weight for _, weight in weighted])[0]


def from_quantiles(rng: Random, quantiles: Sequence[float]) -> float:
    """A value of the distribution with these equally spaced quantiles."""
    at = rng.random() * (len(quantiles) - 1)
    low = int(at)
    return quantiles[low] + (at - low) * (quantiles[low + 1] - quantiles[low])


def count(rng: Random, counts: c.Counts) -> int:
    """A negative binomial count, as a Poisson of a gamma rate, at most MAX_ACTIONS."""
    rate = rng.gammavariate(counts.dispersion, counts.mean / counts.dispersion)
    number, product, floor = 0, rng.random(), math.exp(-min(rate, 50.0))
    while product > floor and number < c.MAX_ACTIONS:
        number, product = number + 1, product * rng.random()
    return number


class Viewer:
    """A session in progress. ``wake`` lets it act and says when it wants to be woken next (None: the session is
    over)."""

    def __init__(self, session_id: str, rng: Random, catalogue: Sequence[Video], at_ms: int) -> None:
        self.session_id, self.seq, self.turn = session_id, 0, 0
        self._rng, self._catalogue, self._now = rng, catalogue, at_ms
        self._profile: dict[str, Any] = {
            "viewer_id": f"sim-viewer-{rng.randrange(5000):04d}",
            "registered": rng.random() < c.REGISTERED,
            "device": draw(rng, c.DEVICES),
            "country": draw(rng, c.COUNTRIES),
        }
        self._video: Video = catalogue[0]
        self._position_s, self._rate = 0.0, 1.0
        self._given: list[AdDecision] = []
        self._known: set[str] = set()
        self._overlays: list[Overlay] = []
        self._leaves_video = self._leaves_session = False
        self._out: list[PlayerEvent] = []
        self._life = self._live()
        self._begun = False

    def wake(self, now_ms: int, out: list[PlayerEvent]) -> int | None:
        """Act at ``now_ms``, appending events to ``out``."""
        self._out, self._now = out, now_ms
        try:
            if self._begun:
                return self._life.send(now_ms)
            self._begun = True
            return next(self._life)
        except StopIteration:
            return None

    def give(self, decision: AdDecision) -> bool:
        """Hand over an ad; whether it is a new one for a viewer who is there."""
        if decision.decision_id in self._known or self.seq == 0:
            return False
        self._known.add(decision.decision_id)
        self._given.append(decision)
        return True

    def _emit(self, kind: PlayerEventKind, **fields: Any) -> None:
        fields.setdefault("position_s", round(self._position_s, 3))
        event = PlayerEvent(
            event_id=f"{self.session_id}-{self.seq}",
            session_id=self.session_id,
            seq=self.seq,
            kind=kind,
            at=self._now,
            received_at=self._now,
            video_id=None if kind in ("session_started", "session_ended") else self._video.video_id,
            **fields,
        )
        self.seq += 1
        self._out.append(event)

    def _live(self) -> Life:
        self._emit("session_started", position_s=0.0, **self._profile)
        watch_s = min(c.MAX_SESSION_S, from_quantiles(self._rng, c.SESSION_WATCH_S))
        watched_s = 0.0
        while True:
            self._video = self._rng.choice(self._catalogue)
            begun_at = self._now
            yield from self._watch()
            watched_s += (self._now - begun_at) / 1000.0
            if watched_s >= watch_s or self._leaves_session:
                break
            yield from self._wait(self._rng.expovariate(1.0 / c.BETWEEN_VIDEOS_S))
            yield from self._take_ads()
            if self._leaves_session:
                break
        self._emit("session_ended", position_s=0.0)

    def _watch(self) -> Life:
        rng, video = self._rng, self._video
        self._position_s, self._rate, self._leaves_video = 0.0, draw(rng, c.RATES), False
        kind = draw(rng, [(view, view.probability) for view in c.VIEWS.values()])
        stop_s = video.duration_s * from_quantiles(rng, kind.shares)
        plan = self._plan(kind, stop_s)
        self._emit(
            "video_started",
            duration_s=video.duration_s,
            category=video.category,
            channel=video.channel,
            **self._profile,
        )
        while not self._leaves_video:
            upcoming = min(stop_s, plan[-1][0] if plan else stop_s)
            if self._position_s >= upcoming - 1e-9:
                if not plan:
                    break
                yield from self._do(plan.pop()[1])
                continue
            yield from self._play_to(min(upcoming, self._position_s + c.HEARTBEAT_S * self._rate))
        if not self._leaves_video and kind.shares[0] == 1.0:
            self._position_s = video.duration_s
            self._emit("video_completed")
        else:
            self._emit("progressed")  # what a page sends when it is left
        yield from self._take_ads()

    def _plan(self, kind: c.ViewClass, stop_s: float) -> list[tuple[float, str]]:
        """(position, action) the viewer will take, the next one last."""
        rng = self._rng
        actions = ["pause"] * count(rng, kind.pauses) + ["rewind"] * count(rng, kind.rewinds)
        actions += ["forward"] * count(rng, kind.forwards)
        extras = (
            ("muted", c.MUTED),
            ("fullscreen_entered", c.FULLSCREEN),
            ("clicked", c.CLICKED),
            ("hovered", c.HOVERED),
        )
        actions += [name for name, probability in extras if rng.random() < probability]
        return sorted(((rng.random() * stop_s, action) for action in actions), reverse=True)

    def _play_to(self, position_s: float) -> Life:
        """Play on, unless an ad comes; a heartbeat where a whole one was played."""
        from_s, began = self._position_s, self._now
        yield from self._wait((position_s - from_s) / self._rate)
        played_s = (self._now - began) / 1000.0 * self._rate
        self._position_s = position_s if not self._given else min(position_s, from_s + played_s)
        if self._position_s - from_s >= c.HEARTBEAT_S * self._rate * 0.999:
            self._emit("progressed")
        yield from self._take_ads()

    def _do(self, action: str) -> Life:
        if action == "pause":
            self._emit("paused")
            share = c.PAUSE_SHARE_MEDIAN * math.exp(self._rng.gauss(0.0, c.PAUSE_SHARE_LOG_SIGMA))
            until = self._now + round(min(c.MAX_PAUSE_S, share * self._video.duration_s) * 1000)
            while self._now < until and not self._leaves_video:
                yield from self._wait((until - self._now) / 1000.0)
                yield from self._take_ads()
            self._emit("resumed")
        elif action in ("rewind", "forward"):
            from_s, step_s = self._position_s, self._rng.expovariate(1.0 / c.SKIP_STEP_S)
            forward = action == "forward"
            to_s = min(self._video.duration_s, from_s + step_s) if forward else max(0.0, from_s - step_s)
            self._position_s = to_s
            self._emit("seeked" if forward else "rewound", from_position_s=round(from_s, 3))
        elif action == "muted":
            self._emit("muted")
        elif action == "fullscreen_entered":
            self._emit("fullscreen_entered")
        else:
            self._emit("clicked" if action == "clicked" else "hovered")
        yield from self._take_ads()

    def _take_ads(self) -> Life:
        while self._given:
            decision = self._given.pop(0)
            if decision.video_id != self._video.video_id or self._leaves_session:
                continue  # it came after its video was left
            self._ad("ad_started", decision)
            if self._rng.random() < c.REACTIONS.fail:
                self._ad("ad_failed", decision)
            elif decision.format.type in OVERLAYS:
                self._overlays.append(Overlay(self._now + int(decision.duration_s * 1000), decision))
            else:
                yield from self._sit_through(decision)

    def _sit_through(self, decision: AdDecision) -> Life:
        rng, reaction = self._rng, c.REACTIONS
        skips = rng.random() < reaction.skip and decision.duration_s > reaction.skip_after_s
        lasts_s = reaction.skip_after_s + rng.random() if skips else decision.duration_s
        ends_at = self._now + int(min(lasts_s, decision.duration_s) * 1000)
        while self._now < ends_at:
            self._now = yield ends_at
        if rng.random() < reaction.click:
            self._ad("ad_clicked", decision)
        self._ad("ad_skipped" if skips else "ad_completed", decision)
        self._leaves_session = rng.random() < reaction.leave_session
        self._leaves_video = self._leaves_session or rng.random() < reaction.leave_video

    def _ad(self, kind: PlayerEventKind, decision: AdDecision) -> None:
        self._emit(kind, decision_id=decision.decision_id, rule_id=decision.rule_id, ad_type=decision.format.type)

    def _wait(self, seconds: float) -> Life:
        """Let time pass; ends early when an ad is handed over. Overlays end in the meantime."""
        until = self._now + max(1, round(seconds * 1000))
        while self._now < until and not self._given:
            self._now = yield min([until, *(overlay.ends_at for overlay in self._overlays)])
            for overlay in [one for one in self._overlays if one.ends_at <= self._now]:
                self._overlays.remove(overlay)
                self._ad("ad_completed", overlay.decision)

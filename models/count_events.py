"""What player events and decisions add to the counters. Repeats are recognised, so each thing is counted once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cuepoint.models.count_keys import VIEW_S
from cuepoint.models.count_tally import NO_CATEGORY, Tally
from cuepoint.models.rule_book import RuleBook
from cuepoint.models.session_decide import Results
from cuepoint.models.session_engine import Outcome, SessionEngine
from cuepoint.models.session_settings import SessionSettings
from cuepoint.schemas.errors import ContractError
from cuepoint.schemas.playback import AdDecision, PlayerEvent

_AD_METRICS = {
    "ad_started": "ad_starts",
    "ad_completed": "ad_completes",
    "ad_skipped": "ad_skips",
    "ad_clicked": "ad_clicks",
    "ad_failed": "ad_failures",
}
FORGET_MS = 2 * 3_600_000
_EMPTY = RuleBook()


class PlaybackCounter:
    """Follows sessions as the session engine does, without rules, and counts what each event adds.

    Events the engine refuses (beyond the video, of a closed session) are not counted; they are the session agent's
    dead letters.
    """

    def __init__(self, settings: SessionSettings) -> None:
        self.engine = SessionEngine(settings)

    def count(self, events: Sequence[PlayerEvent], stamps: Sequence[int]) -> Tally:
        """The increments of these events, in the order of the log."""
        tally, out = Tally(), Results()
        for event, stamp in zip(events, stamps, strict=True):
            session = self.engine.sessions.get(event.session_id)
            before = (-1, 0.0, 0.0, True) if session is None else _marks(session)
            try:
                outcome = self.engine.step(event, stamp, _EMPTY, out)
            except ContractError:
                continue
            if outcome is Outcome.REPEATED:
                continue
            at_ms = event.received_at or max(stamp, 0)
            if event.kind in _AD_METRICS:
                _count_ad(tally, self.engine, event, at_ms)
            if outcome is Outcome.APPLIED:
                if session is None:
                    tally.add(at_ms, "sessions", 1, {})
                _count_play(tally, self.engine, event, at_ms, before)
        return tally


def _marks(session: Any) -> tuple[int, float, float, bool]:
    return session.view_seq, session.session_played_s, session.view_played_s, session.completed


def _count_ad(tally: Tally, engine: SessionEngine, event: PlayerEvent, at_ms: int) -> None:
    session = engine.sessions[event.session_id]
    names = _video_names(session.video_id, session.category)
    if event.rule_id is not None:
        names["rule"] = event.rule_id
    if event.ad_type is not None:
        names["format"] = event.ad_type
    tally.add(at_ms, _AD_METRICS[event.kind], 1, names)


def _count_play(
    tally: Tally, engine: SessionEngine, event: PlayerEvent, at_ms: int, before: tuple[int, float, float, bool]
) -> None:
    session = engine.sessions[event.session_id]
    if session.video_id is None:
        return
    view_seq, session_s, view_s, completed = before
    names = _video_names(session.video_id, session.category)
    if session.view_seq != view_seq:
        tally.add(at_ms, "plays", 1, names)
        view_s, completed = 0.0, False
    watched_s = session.session_played_s - session_s
    if watched_s > 0.0:
        tally.add(at_ms, "watch_ms", round(watched_s * 1000.0), names)
    if session.completed and not completed:
        tally.add(at_ms, "completions", 1, names)
    reached = session.view_played_s >= VIEW_S
    viewed_before = completed or view_s >= VIEW_S
    if (reached or session.completed) and not viewed_before:
        tally.add(at_ms, "views", 1, names)


def _video_names(video_id: str | None, category: str) -> dict[str, str]:
    names = {"category": category or NO_CATEGORY}
    if video_id is not None:
        names["video"] = video_id
    return names


class DecisionCounter:
    """Counts decisions once: within a session they are numbered, and a number that is not new is a repeat. So is a
    decision from before the time that sessions are remembered: the log is in the order of time, but for what a worker
    that begins again from an older state says once more."""

    def __init__(self) -> None:
        self.last: dict[str, tuple[int, int]] = {}  # session -> (number, decided_at), the oldest first
        self.clock = 0

    def count(self, decisions: Sequence[AdDecision]) -> Tally:
        """The increments of these decisions, in the order of the log."""
        tally = Tally()
        for decision in decisions:
            if decision.session_id not in self.last and decision.decided_at + FORGET_MS < self.clock:
                continue
            number, _ = self.last.pop(decision.session_id, (0, 0))
            self.clock = max(self.clock, decision.decided_at)
            self.last[decision.session_id] = (max(number, decision.number), self.clock)
            if decision.number > number:
                names = {"video": decision.video_id, "rule": decision.rule_id, "format": decision.format.type}
                tally.add(decision.decided_at, "deliveries", 1, names)
        for session_id in list(self.last):
            if self.last[session_id][1] + FORGET_MS >= self.clock:
                break
            del self.last[session_id]
        return tally

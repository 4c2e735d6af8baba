"""The judge of the compiled sessions (models/session_partition.py): the same, plainly, one event after the other."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from math import ceil
from typing import Any

from plain_plan import ActiveRules, plain
from plain_playback import MAX_MISSING, MOVES, absorb, advance, react
from plain_state import SessionState

from cuepoint.models.rule_book import RuleBook
from cuepoint.models.session_results import Results
from cuepoint.models.session_settings import SessionSettings
from cuepoint.schemas.errors import ContractError
from cuepoint.schemas.playback import PlayerEvent

SWEEP_MS = 60_000
MAX_REMEMBERED = 500_000  # closed sessions


class Outcome(IntEnum):
    APPLIED = 0
    LATE = 1
    REPEATED = 2


class SessionEngine:
    """``clock`` is the partition's time: the highest ``received_at`` so far, never more than the allowed skew ahead
    of the broker."""

    def __init__(self, settings: SessionSettings) -> None:
        self.sessions: dict[str, SessionState] = {}
        self.closed: dict[str, int] = {}  # closed for good: session -> when, oldest first
        self.clock = 0
        self._swept_at = 0
        self._timeout, self._grace = settings.timeout_s * 1000, settings.grace_s * 1000
        self._memory, self._skew = settings.memory_s * 1000, settings.clock_skew_s * 1000
        self._max_sessions = settings.max_sessions

    @property
    def live(self) -> int:
        """Sessions that are open at the partition's time."""
        return sum(1 for session in self.sessions.values() if session.closes_at >= self.clock)

    def run(self, events: Sequence[PlayerEvent], stamps: Sequence[int], book: RuleBook, out: Results) -> None:
        """Take in events in the order of the log. ``stamps`` are the broker's times (ms; 0 or less: none)."""
        sessions, timeout, skew, clock = self.sessions, self._timeout, self._skew, self.clock
        rules = plain(book.at(clock))
        since, before = self._span(rules)
        for index, event in enumerate(events):
            at_ms, session = event.received_at, sessions.get(event.session_id)
            if (
                session is not None
                and event.seq == session.seq + 1
                and since <= at_ms < before
                and at_ms <= session.closes_at
                and (at_ms <= clock or not 0 < stamps[index] < at_ms - skew)
            ):  # the next event of an open session, with no change of rules and no sweep between: what step comes to
                if at_ms > clock:
                    clock = at_ms
                kind, plan = event.kind, session.plan
                if (
                    kind in MOVES
                    and session.position_s <= event.position_s <= session.quiet_until_s
                    and plan is not None
                    and plan.moment is rules
                    and event.video_id == session.video_id
                ):  # the common case: a move up to where nothing can be due
                    session.seq, session.position_s = event.seq, event.position_s
                    if kind != "progressed":
                        react(session, event, plan, at_ms, out)
                else:
                    try:
                        advance(session, event, at_ms, rules, out)
                    except ContractError as error:
                        out.refused.append((index, error))
                        continue
                    if kind == "session_ended":
                        session.ended, session.closes_at = True, at_ms - 1
                        continue
                closes_at = at_ms + timeout
                if closes_at > session.closes_at:
                    session.closes_at = closes_at
                continue
            self.clock = clock
            try:
                self.step(event, stamps[index], book, out, rules)
            except ContractError as error:
                out.refused.append((index, error))
            clock = self.clock
            if not rules.begins <= clock < rules.until:
                rules = plain(book.at(clock))
            since, before = self._span(rules)
        self.clock = clock

    def _span(self, rules: ActiveRules) -> tuple[int, int]:
        """From when on, and before when (ms), these rules hold and no sweep is due: whole numbers compare faster."""
        sweep_at = self._swept_at + SWEEP_MS
        since = 1 if rules.begins < 1 else ceil(rules.begins)
        return since, sweep_at if rules.until >= sweep_at else ceil(rules.until)

    def step(
        self, event: PlayerEvent, stamp: int, book: RuleBook, out: Results, rules: ActiveRules | None = None
    ) -> Outcome:
        """Take in one event; ``rules``, where given, are tried before the book is asked.

        Raises ContractError (session_closed, too_many_sessions, no_video, position_beyond_video)."""
        at_ms = self._time_of(event, stamp)
        session = self.sessions.get(event.session_id)
        if session is None:
            session = self._open(event, at_ms)
        elif at_ms > session.closes_at + self._grace:
            raise ContractError("session_closed", "$.session_id", "the session ended too long ago to be re-opened")
        if event.seq <= session.seq:
            if event.seq not in session.missing:
                out.repeats += 1
                return Outcome.REPEATED
            absorb(session, event)
            out.late += 1
            return Outcome.LATE
        if rules is None or not rules.begins <= at_ms < rules.until:
            rules = plain(book.at(at_ms))
        advance(session, event, at_ms, rules, out)
        self.sessions[event.session_id] = session
        if at_ms > session.closes_at:
            session.reopened += 1
            session.ended = False
        if event.kind == "session_ended":
            session.ended, session.closes_at = True, at_ms - 1
        else:
            session.closes_at = max(session.closes_at, at_ms + self._timeout)
        return Outcome.APPLIED

    def _time_of(self, event: PlayerEvent, stamp: int) -> int:
        """The event's time; moves the partition's clock and now and then sweeps."""
        at_ms = event.received_at or max(stamp, 0)
        if at_ms > self.clock:
            if 0 < stamp < at_ms - self._skew:
                at_ms = stamp
            self.clock = max(self.clock, at_ms)
            if self.clock >= self._swept_at + SWEEP_MS:
                self._sweep()
        return at_ms

    def _open(self, event: PlayerEvent, at_ms: int) -> SessionState:
        if event.session_id in self.closed:
            raise ContractError("session_closed", "$.session_id", "the session ended too long ago to be re-opened")
        if len(self.sessions) >= self._max_sessions:
            raise ContractError("too_many_sessions", "$.session_id", f"{self._max_sessions} sessions are open")
        session = SessionState(event.session_id, event.seq, at_ms + self._timeout)
        session.missing = tuple(range(max(0, event.seq - MAX_MISSING), event.seq))
        return session

    def _sweep(self) -> None:
        """Forget sessions that can no longer be re-opened, and in time that they were there."""
        self._swept_at = self.clock
        gone = [key for key, session in self.sessions.items() if session.closes_at + self._grace < self.clock]
        for key in gone:
            self.closed[key] = self.sessions.pop(key).closes_at
        for key in list(self.closed):
            if self.closed[key] + self._memory >= self.clock and len(self.closed) <= MAX_REMEMBERED:
                break
            del self.closed[key]

    def rows(self) -> dict[str, Any]:
        """The state as plain values; equal for equal logs, however they were cut into runs."""
        return {
            "clock": self.clock,
            "swept_at": self._swept_at,
            "closed": self.closed,
            "sessions": [session.row() for session in self.sessions.values()],
        }

    def load(self, rows: dict[str, Any]) -> None:
        """The inverse of ``rows``."""
        self.clock, self._swept_at, self.closed = rows["clock"], rows["swept_at"], dict(rows["closed"])
        restored = (SessionState.of_row(row) for row in rows["sessions"])
        self.sessions = {session.session_id: session for session in restored}

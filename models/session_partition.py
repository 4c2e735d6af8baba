"""All sessions of a partition: opened, advanced, closed by event or time, re-opened, forgotten."""

from __future__ import annotations

from math import ceil, inf
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cuepoint.models import session_kernel as kernel
from cuepoint.models.report_columns import Located, locate
from cuepoint.models.report_names import Names
from cuepoint.models.rule_book import ActiveRules, RuleBook
from cuepoint.models.rule_kernel import DECISIONS, FIELDS, FREE, FREE_LEFT, STAMPS, TRACES
from cuepoint.models.rule_says import Texts
from cuepoint.models.rule_tables import LaidOut, lay_out
from cuepoint.models.session_events import read_events
from cuepoint.models.session_results import Marked, Results, Traced, build_decisions, build_refusals
from cuepoint.models.session_rows import TEXTS, load_rows, session_rows
from cuepoint.models.session_settings import SessionSettings
from cuepoint.models.session_table import DECISION, DUE, MARK, REFUSAL, SESSION, TALLY, TRACE, Out, State
from cuepoint.models.session_written import DecisionWriter

SLICE = 2048  # events read and taken in at once: their columns are still in the processor's cache
MAX_REMEMBERED = 500_000  # closed sessions
_FEW, _MANY_NAMES, _TABLES = 1024, 50_000, 4
_FOREVER = 2**62


class PartitionSessions:
    """``clock`` is the partition's time: the highest ``received_at`` so far, never more than the allowed skew ahead
    of the broker. ``marking``: results say of each event what it changed; ``tracing``: of each occasion what became of
    it (slowly); ``writing``: decisions are messages in JSON."""

    def __init__(
        self, settings: SessionSettings, *, marking: bool = False, tracing: bool = False, writing: bool = False
    ) -> None:
        self._writer = DecisionWriter() if writing else None
        self._closed = np.empty(0, dtype=np.int32)  # ids closed for good, oldest first
        self._closed_at = np.empty(0, dtype=np.int64)
        control = np.zeros(kernel.CONTROLS, dtype=np.int64)
        control[kernel.TIMEOUT], control[kernel.GRACE] = settings.timeout_s * 1000, settings.grace_s * 1000
        control[kernel.SKEW], control[kernel.MAX_SESSIONS] = settings.clock_skew_s * 1000, settings.max_sessions
        self._memory = settings.memory_s * 1000
        self._names = Names()
        self._names.row("")  # row 0: no text
        self._texts = Texts(self._names)
        self._state = State(
            np.empty(0, dtype=SESSION),
            np.empty((0, kernel.MAX_MISSING), dtype=np.uint32),
            np.empty(0, dtype=np.int32),
            np.empty(0, dtype=TALLY),
            control,
            np.empty(0, dtype=DUE),
        )
        self._control = control
        control[FREE] = -1
        self._tracing = tracing
        self._marking, self._worth_forgetting = marking, 2 * _MANY_NAMES
        self._laid_out: dict[int, tuple[ActiveRules, LaidOut]] = {}
        self._out = Out(
            np.empty(0, dtype=DECISION),
            np.empty((0, FIELDS)),
            np.empty(_FEW, dtype=REFUSAL),
            np.empty(0, MARK),
            np.empty(0, TRACE),
            np.empty((0, FIELDS)),
        )

    @property
    def clock(self) -> int:
        return int(self._control[kernel.CLOCK])

    @property
    def live(self) -> int:
        """Sessions that are open at the partition's time."""
        return int(np.count_nonzero(self.sessions["closes_at"] >= self.clock))

    @property
    def sessions(self) -> NDArray[Any]:
        """The sessions held, in the order they were opened."""
        return self._state.sessions[: self._control[kernel.SESSIONS]]

    def run(self, records: Located, first: int, stamps: NDArray[np.int64], book: RuleBook, out: Results) -> int:
        """Take in records from ``first`` on in the order of the log, up to the first rule among them; returns its
        place, or the number of records. ``stamps`` are the broker's times (ms; 0 or less: none)."""
        place = first
        while place < len(records.ends):
            part = range(place, min(place + SLICE, len(records.ends)))
            taken = self._run(records, part, stamps, book, out)
            place += taken
            if taken < len(part):
                break
        return place

    def warm_up(self) -> None:
        """Compile what is not compiled yet (seconds, once on a machine), before there is anything to wait for it."""
        nothing, book, out = locate([]), RuleBook(), Results()
        self._run(nothing, range(0), np.empty(0, dtype=np.int64), book, out)
        if self._writer is not None:
            events = read_events(nothing, range(0), self._names)
            self._writer.write(self._found(), self._rules(book, 0), events, self._names, self._texts, out)
        kernel.release(self.sessions, np.empty(0, dtype=np.int64), self._state.tallies, self._control)

    def _run(self, records: Located, part: range, stamps: NDArray[np.int64], book: RuleBook, out: Results) -> int:
        """Take in a part of the records; how many of them, which are fewer where a rule follows."""
        self._forget_names()
        control, times = self._control, stamps[part.start : part.stop]
        rules = self._rules(book, self.clock)
        events = read_events(records, part, self._names)
        self._reserve_for(part, rules)
        control[kernel.NEXT] = control[kernel.REPEATS] = control[kernel.LATE] = 0
        refused = [*events.refused]
        if self._marking:
            self._out = self._out._replace(marks=np.zeros(len(events.cells), dtype=MARK))
            out.marked.append(Marked(events, self._out.marks, times, self._texts))
        why = -1
        while why != kernel.DONE:
            control[DECISIONS] = control[TRACES] = control[kernel.REFUSALS] = 0
            letters, offsets = self._names.table[:2]
            tables = rules.tables._replace(letters=letters, offsets=offsets)
            why = kernel.run(tables, events.cells, events.texts, events.extras, times, self._state, self._out)
            found = self._found()
            if self._writer is None:
                build_decisions(found, rules, events, self._texts, out)
            elif len(found.decisions):
                self._writer.write(found, rules, events, self._names, self._texts, out)
            if self._tracing:
                out.traced.append(Traced(events, rules, found.traces.copy(), found.traced.copy(), self._texts))
            refused += build_refusals(found.refusals, events, int(control[kernel.MAX_SESSIONS]))
            if why == kernel.SWEEP:
                self._sweep()
            elif why == kernel.RULES:
                rules = self._rules(book, int(control[kernel.ASKED_AT]))
            if why != kernel.DONE:
                self._reserve_for(part, rules)
        out.refused += sorted(((part.start + k, error) for k, error in refused), key=lambda refusal: refusal[0])
        out.repeats += int(control[kernel.REPEATS])
        out.late += int(control[kernel.LATE])
        return len(events.cells)

    def _found(self) -> Out:
        decisions, refusals = int(self._control[DECISIONS]), int(self._control[kernel.REFUSALS])
        out = self._out
        traces = int(self._control[TRACES])
        return Out(
            out.decisions[:decisions],
            out.values[:decisions],
            out.refusals[:refusals],
            out.marks,
            out.traces[:traces],
            out.traced[:traces],
        )

    # ---- rules

    def _rules(self, book: RuleBook, at_ms: int) -> LaidOut:
        """The rules of a moment, laid out, and bounds of the time for which they hold."""
        active = book.at(at_ms)
        held = self._laid_out.get(id(active))
        if held is None:
            if len(self._laid_out) >= _TABLES:
                self._laid_out.clear()
            self._control[STAMPS] += 1
            held = self._laid_out[id(active)] = (
                active,
                lay_out(active.rules, self._names, int(self._control[STAMPS]), tracing=self._tracing),
            )
        self._control[kernel.SINCE] = -_FOREVER if active.begins == -inf else ceil(active.begins)
        self._control[kernel.BEFORE] = _FOREVER if active.until == inf else ceil(active.until)
        return held[1]

    # ---- room

    def _reserve_for(self, part: range, rules: LaidOut) -> None:
        due = max(rules.most_due, len(self._state.due))
        self._reserve(len(part), due + 3 * len(rules.tables.ads) + _FEW, due)
        room = due + len(rules.rules) + _FEW
        if self._tracing and len(self._out.traces) < room:
            self._out = self._out._replace(traces=np.empty(room, TRACE), traced=np.empty((room, FIELDS)))

    def _reserve(self, more: int, tallies: int, due: int = 0) -> None:
        """Room for so many new sessions, for tallies, for what one event makes due, and for results."""
        state, control = self._state, self._control
        held, known = int(control[kernel.SESSIONS]), len(self._names)
        if held + more > len(state.sessions):
            room = held + more + held // 8
            missing, lost = np.empty((room, kernel.MAX_MISSING), np.uint32), np.flatnonzero(self.sessions["missing"])
            missing[lost] = state.missing[lost]  # of few: what is not written to takes no memory
            state = state._replace(sessions=_grown(state.sessions, room), missing=missing)
        if known > len(state.row_of):
            rows = np.full(known + known // 4, -1, dtype=np.int32)
            rows[: len(state.row_of)] = state.row_of
            state = state._replace(row_of=rows)
        if control[FREE_LEFT] < tallies:
            state = state._replace(tallies=self._more_tallies(state.tallies, tallies + len(state.tallies) // 4))
        if due > len(state.due):
            state = state._replace(due=np.empty(due, dtype=DUE))
        self._state = state
        if len(self._out.decisions) < len(state.due) + _FEW:
            room = len(state.due) + _FEW
            self._out = self._out._replace(decisions=np.empty(room, dtype=DECISION), values=np.empty((room, FIELDS)))

    def _more_tallies(self, tallies: NDArray[Any], more: int) -> NDArray[Any]:
        used = len(tallies)
        grown = _grown(tallies, used + more)
        grown["rule"][used:] = 0
        grown["next"][used:] = np.arange(used + 1, used + more + 1)
        grown["next"][-1] = self._control[FREE]
        self._control[FREE] = used
        self._control[FREE_LEFT] += more
        return grown

    # ---- the end of sessions

    def _past_recall(self) -> NDArray[np.bool_]:
        """Which sessions are over and can no longer be re-opened."""
        past: NDArray[np.bool_] = self.sessions["closes_at"] + self._control[kernel.GRACE] < self.clock
        return past

    def _sweep(self) -> None:
        """Forget sessions that can no longer be re-opened, and in time that they were there."""
        state, control, clock = self._state, self._control, self.clock
        control[kernel.SWEPT_AT] = clock
        sessions = self.sessions
        over = self._past_recall()
        if over.any():
            kernel.release(sessions, np.flatnonzero(over), state.tallies, control)
            state.row_of[sessions["session_id"][over]] = kernel.FORGOTTEN
            self._closed = np.concatenate((self._closed, sessions["session_id"][over]))
            self._closed_at = np.concatenate((self._closed_at, sessions["closes_at"][over]))
            kept = sessions[~over]
            lost = np.flatnonzero(kept["missing"])
            state.missing[lost] = state.missing[np.flatnonzero(~over)[lost]]
            state.sessions[: len(kept)] = kept
            state.row_of[kept["session_id"]] = np.arange(len(kept))
            control[kernel.SESSIONS] = len(kept)
        due = max(0, len(self._closed) - MAX_REMEMBERED)
        remembered = self._closed_at[due:] + self._memory >= clock
        first = due + int(remembered.argmax()) if remembered.any() else len(self._closed)
        if first:
            state.row_of[self._closed[:first]] = -1
            self._closed, self._closed_at = self._closed[first:].copy(), self._closed_at[first:].copy()

    def _forget_names(self) -> None:
        """Once most names are of nothing any more, number those in use anew."""
        known = len(self._names)
        if known < self._worth_forgetting:
            return
        state, used = self._state, np.zeros(known, dtype=np.bool_)
        columns = [self.sessions[name] for name in TEXTS] + [state.tallies["rule"], self._closed]
        for column in columns:
            used[column[column >= 0]] = True
        used[0] = True
        letters, sizes = self._names.to_arrays()
        self._names = Names(letters[np.repeat(used, sizes)], sizes[used])
        self._texts = Texts(self._names)
        anew = (np.cumsum(used) - 1).astype(np.int32)
        for column in columns:
            column[:] = np.where(column >= 0, anew[column], -1)
        row_of = np.full(len(state.row_of), -1, dtype=np.int32)
        row_of[: len(self._names)] = state.row_of[:known][used]
        self._state = state._replace(row_of=row_of)
        self._laid_out.clear()
        self._worth_forgetting = 2 * len(self._names) + _MANY_NAMES

    # ---- as plain values

    def rows(self) -> dict[str, Any]:
        """The state as plain values; equal for equal logs, however they were cut into runs."""
        names = self._names
        return {
            "clock": self.clock,
            "swept_at": int(self._control[kernel.SWEPT_AT]),
            "closed": dict(zip(map(names.__getitem__, self._closed.tolist()), self._closed_at.tolist(), strict=True)),
            "sessions": session_rows(self.sessions, self._state, names),
        }

    def load(self, rows: dict[str, Any]) -> None:
        """The inverse of ``rows``."""
        control, names = self._control, self._names
        control[kernel.CLOCK], control[kernel.SWEPT_AT] = rows["clock"], rows["swept_at"]
        self._closed = np.array([names.row(name) for name in rows["closed"]], dtype=np.int32)
        self._closed_at = np.array(list(rows["closed"].values()), dtype=np.int64)
        links = sum(len(part) for row in rows["sessions"] for part in row if isinstance(part, dict | list))
        self._reserve(len(rows["sessions"]), 2 * links)
        load_rows(rows["sessions"], self._state, names)
        self._reserve(0, 0)
        self._state.row_of[self._closed] = kernel.FORGOTTEN
        self._state.row_of[self.sessions["session_id"]] = np.arange(len(self.sessions))


def _grown(array: NDArray[Any], room: int) -> NDArray[Any]:
    more = np.empty((room, *array.shape[1:]), dtype=array.dtype)
    more[: len(array)] = array
    return more

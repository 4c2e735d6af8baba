"""From what the compiled loop found to messages: decisions, faults of rules, refusals."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cuepoint.models import session_kernel as kernel
from cuepoint.models.rule_says import KINDS, Texts
from cuepoint.models.rule_tables import LaidOut
from cuepoint.models.session_events import Events
from cuepoint.models.session_table import Out
from cuepoint.schemas.errors import ContractError
from cuepoint.schemas.playback import AdDecision
from cuepoint.schemas.rules import AdRule


class Marked(NamedTuple):
    """What the events of a part changed: ``marks`` (n,) MARK; ``stamps`` (at least n,) the broker's times."""

    events: Events
    marks: NDArray[Any]
    stamps: NDArray[np.int64]
    texts: Texts


class Traced(NamedTuple):
    """What became of each occasion of a part: ``traces`` (n,) TRACE; ``values`` (n, fields), those of every field."""

    events: Events
    rules: LaidOut
    traces: NDArray[Any]
    values: NDArray[np.float64]
    texts: Texts


class RuleFault(NamedTuple):
    """A rule that raised while it was asked."""

    rule: AdRule
    reason: str
    at_ms: int


class Written(NamedTuple):
    """A decision as its message in JSON."""

    session_id: str
    decision_id: str
    value: bytes
    at_ms: int


class Results:
    """What a run over events gave. ``refused`` pairs the event's place in the run with the error; decisions stand in
    ``decisions`` or, where that was asked for, in ``written``."""

    __slots__ = ("decisions", "faults", "late", "marked", "refused", "repeats", "traced", "written")

    def __init__(self) -> None:
        self.decisions: list[AdDecision] = []
        self.written: list[Written] = []
        self.faults: list[RuleFault] = []
        self.refused: list[tuple[int, ContractError]] = []
        self.marked: list[Marked] = []
        self.traced: list[Traced] = []
        self.repeats = self.late = 0


def decision_id(session_id: str, rule_id: str, occasion: str) -> str:
    """The same for the same occasion, whoever computes it and however often; the rule's version is not part of it, so
    that an occasion stays decided when the rule changes.

    >>> decision_id("s", "r", "0:start") == decision_id("s", "r", "0:start") != decision_id("s", "r", "9:start")
    True
    """
    return blake2b(f"{session_id}\n{rule_id}\n{occasion}".encode(), digest_size=16).hexdigest()


def build_decisions(found: Out, rules: LaidOut, events: Events, texts: Texts, out: Results) -> None:
    """Append the decisions found, and faults of rules, to ``out``."""
    rows = found.decisions
    if not len(rows):
        return
    ids, loads = events.ids(rows["event"]), spot_loads(rows)
    for k, row in enumerate(rows.tolist()):
        built = build(row, found.values[k].tolist(), rules, ids[k], loads[k], texts)
        if isinstance(built, AdDecision):
            out.decisions.append(built)
        else:
            out.faults.append(built)


def build(  # noqa: PLR0917
    row: tuple[Any, ...], values: list[float], rules: LaidOut, ids: tuple[str, str], load: float, texts: Texts
) -> AdDecision | RuleFault:
    """The message of one DECISION; ``ids`` are those of its event and session."""
    position_s, where, since_seq, r, how, _, _, at_ms, _, count, video, fault, length_s, ad, pod_number = row
    rule, says = rules.rules[r], rules.says[r]
    asked = {field: say(value, texts) for (field, say), value in zip(says.asks, values, strict=False)}
    if fault:
        return RuleFault(rule, f"a condition of its criteria is of an unknown kind; values: {asked}", at_ms)
    event_id, session_id = ids
    occasion, reason = says.named(how, where)
    return AdDecision(
        decision_id=decision_id(session_id, rule.rule_id, f"{since_seq}:{occasion}"),
        session_id=session_id,
        video_id=texts[video],
        rule_id=rule.rule_id,
        rule_version=rule.version,
        event_id=event_id,
        decided_at=at_ms,
        number=count,
        place=says.place,
        position_s=position_s,
        format=says.formats[ad],
        duration_s=length_s,
        adapted=ad,
        pod_number=pod_number,
        spot_load=load,
        reason=reason,
        criteria=asked,
    )


def spot_loads(rows: NDArray[Any]) -> list[float]:
    """Ads per minute played, to six decimals. As ``round`` has it, which takes longer than all else a decision needs;
    where the product is not near a half, the nearest whole number over a million is the same."""
    loads = rows["number"] * 60.0 / np.maximum(rows["played_s"], 60.0)
    scaled = loads * 1e6
    rounded: list[float] = (np.floor(scaled + 0.5) / 1e6).tolist()
    for k in np.flatnonzero(np.abs(scaled - np.floor(scaled) - 0.5) < 1e-3).tolist():
        rounded[k] = round(float(loads[k]), 6)
    return rounded


def build_refusals(refusals: NDArray[Any], events: Events, max_sessions: int) -> Iterable[tuple[int, ContractError]]:
    """(place, error) of events refused."""
    for place_s, limit_s, event, why in refusals.tolist():
        yield event, _error(why, place_s, limit_s, KINDS[events.cells[event]["kind"]], max_sessions)


def _error(why: int, place_s: float, limit_s: float, kind: str, max_sessions: int) -> ContractError:
    if why == kernel.CLOSED:
        return ContractError("session_closed", "$.session_id", "the session ended too long ago to be re-opened")
    if why == kernel.TOO_MANY:
        return ContractError("too_many_sessions", "$.session_id", f"{max_sessions} sessions are open")
    if why == kernel.NO_VIDEO:
        return ContractError("no_video", "$.video_id", f"{kind} names no video and none is known of the session")
    name = "position_s" if why == kernel.BAD_POSITION else "from_position_s"
    reason = f"{place_s:g} s lies beyond the video's {limit_s:g} s"
    return ContractError("position_beyond_video", f"$.{name}", reason)

"""From what the compiled loop found to messages: decisions, faults of rules, refusals."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from numpy.typing import NDArray

from cuepoint.models import session_kernel as kernel
from cuepoint.models.report_names import Names
from cuepoint.models.rule_fields import FIELDS, ad_length_s
from cuepoint.models.rule_tables import KINDS, LaidOut
from cuepoint.models.session_decide import Results, RuleFault, decision_id
from cuepoint.models.session_events import Events
from cuepoint.models.session_table import Out
from cuepoint.schemas.errors import ContractError
from cuepoint.schemas.playback import AdDecision

_SAID = {kernel.AT_START: "the video starts", kernel.AT_END: "the video ended"}


def build_decisions(found: Out, number: int, rules: LaidOut, events: Events, names: Names, out: Results) -> None:
    """Append the first ``number`` decisions found, and faults of rules, to ``out``."""
    if not number:
        return
    values = found.values[:number].tolist()
    for k, row in enumerate(found.decisions[:number].tolist()):
        position_s, where, since_seq, r, how, played_s, duration_s, at_ms, event, count, video, fault = row
        rule = rules.rules[r]
        if fault:
            out.faults.append(RuleFault(rule, "a condition of its criteria is of an unknown kind", at_ms))
            continue
        occasion, why = _named(rules, r, since_seq, how, where)
        session_id = names[events.texts[event, kernel.SESSION_ID]]
        decision = AdDecision(
            decision_id=decision_id(session_id, rule.rule_id, occasion),
            session_id=session_id,
            video_id=names[video],
            rule_id=rule.rule_id,
            rule_version=rule.version,
            event_id=events.event_id(event),
            decided_at=at_ms,
            number=count,
            position_s=position_s,
            format=rule.format,
            duration_s=ad_length_s(rule.format, duration_s or None),
            spot_load=round(count * 60.0 / max(played_s, 60.0), 6),
            reason=f"{rules.texts[r]}: {why}",
            criteria={field: _said(field, value, names) for field, value in zip(rules.asks[r], values[k], strict=False)},
        )
        out.decisions.append(decision)


def _named(rules: LaidOut, r: int, since_seq: int, how: int, where: float) -> tuple[str, str]:
    """The occasion's name within the session, and what says it to people."""
    if how in _SAID:
        return f"{since_seq}:{'start' if how == kernel.AT_START else 'end'}", _SAID[how]
    if how in (kernel.PASSED, kernel.JUMPED):
        return f"{since_seq}:at{where!r}", f"{'passed' if how == kernel.PASSED else 'jumped over'} {where:g} s"
    if how == kernel.PLAYED:
        return f"{since_seq}:n{int(where)}", f"{rules.series[r].moment(int(where)):g} s played"
    return f"{since_seq}:action", KINDS[int(where)]


def _said(field: str, value: float, names: Names) -> str | float | bool | None:
    """A field's value as the decision tells it."""
    kind = FIELDS[field]
    if value != value:  # NaN: it is unknown
        return None
    if kind.kind == "flag":
        return bool(value)
    if field == "last_action":
        return KINDS[int(value)] if value else ""
    if kind.kind == "text":
        return names[int(value)]
    return int(value) if kind.whole else value


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

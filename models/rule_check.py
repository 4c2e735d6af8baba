"""Refusing rules that contradict themselves or can never fire."""

from __future__ import annotations

import datetime as dt
import math

from cuepoint.models.rule_fields import FIELDS, settled_fields
from cuepoint.models.rule_satisfy import Literal, conjunctions, impossible_field, number_range
from cuepoint.schemas.errors import RuleError
from cuepoint.schemas.rules import (
    AdRule,
    All,
    AnyOf,
    AtCuePoints,
    AtSeconds,
    AtStart,
    Compare,
    CriteriaTree,
    Every,
    Not,
    OnAction,
    OneOf,
    Progressive,
    SessionPaced,
)

Problems = list[tuple[str, str]]
MIN_INTERVAL_S = 1.0
MAX_DEPTH = 32
_FULL, _CORNERS = ("full",), ("top_left", "top_right", "bottom_left", "bottom_right")
SCREENS: dict[str, tuple[str, ...]] = {
    "spot": _FULL,
    "interstitial": _FULL,
    "bumper": _FULL,
    "gateway": _FULL,
    "roadblock": _FULL,
    "curtain": _FULL,
    "interactive": _FULL,
    "bug": (*_CORNERS, "bottom"),
    "telescoping": (*_CORNERS, "bottom"),
    "ticker": ("bottom",),
    "banner": ("bottom", "beside"),
}


def check_rule(rule: AdRule) -> None:
    """Raise RuleError with every problem found as (JSON path, reason); a rule that passes can fire for some session.

    >>> from cuepoint.schemas.rules import AdFormat
    >>> try:
    ...     check_rule(AdRule(rule_id="r", name="r", format=AdFormat(screen="bottom"), insertion=AtStart()))
    ... except RuleError as error:
    ...     error.problems
    [('$.format.screen', 'a spot is shown full, not bottom')]
    """
    problems = _format(rule) + _schedule(rule) + _insertion(rule) + _limits(rule)
    ill_typed = _types(rule.criteria, "$.criteria", 0)
    problems += ill_typed or _criteria(rule)
    if problems:
        raise RuleError(problems)


def _format(rule: AdRule) -> Problems:
    ad, problems = rule.format, Problems()
    if ad.screen not in SCREENS[ad.type]:
        problems.append(("$.format.screen", f"a {ad.type} is shown {' or '.join(SCREENS[ad.type])}, not {ad.screen}"))
    if ad.type in ("gateway", "roadblock") and not isinstance(rule.insertion, AtStart):
        problems.append(("$.insertion.at", f"a {ad.type} stands at the start of a video"))
    return problems


def _schedule(rule: AdRule) -> Problems:
    problems = Problems()
    for name, moment in (("starts", rule.starts), ("ends", rule.ends)):
        if moment is not None and moment.tzinfo is None:
            problems.append((f"$.{name}", "needs a time zone"))
    if problems or rule.ends is None:
        return problems
    if rule.starts is not None and rule.ends <= rule.starts:
        problems.append(("$.ends", "ends before it starts"))
    if rule.effective_at >= rule.ends.timestamp() * 1000:
        at = dt.datetime.fromtimestamp(rule.effective_at / 1000, dt.UTC).isoformat()
        problems.append(("$.ends", f"ends before the version takes effect ({at})"))
    return problems


def _insertion(rule: AdRule) -> Problems:
    place, problems = rule.insertion, Problems()
    shortest: tuple[str, float] | None = None
    if isinstance(place, AtSeconds) and not math.isfinite(place.seconds):
        problems.append(("$.insertion.seconds", "is not a finite number"))
    elif isinstance(place, Every | SessionPaced):
        shortest = ("seconds", place.seconds)
    elif isinstance(place, Progressive):
        shortest = ("intervals_s", min(place.intervals_s))
    elif isinstance(place, OnAction) and place.value and place.action not in ("clicked", "site_action"):
        problems.append(("$.insertion.value", f"only a click or a site action has a value, {place.action} has none"))
    if shortest is not None and shortest[1] < MIN_INTERVAL_S:
        problems.append((f"$.insertion.{shortest[0]}", f"an interval is at least {MIN_INTERVAL_S:g} s"))
    if isinstance(place, SessionPaced) and place.max_seconds < place.seconds:
        problems.append(("$.insertion.max_seconds", "is less than the interval it bounds"))
    return problems


def _limits(rule: AdRule) -> Problems:
    limits = rule.limits
    if limits.per_session is not None and limits.per_video is not None and limits.per_video > limits.per_session:
        return [("$.limits.per_video", "allows more in one video than per_session allows in all")]
    return []


def _types(tree: CriteriaTree, place: str, depth: int) -> Problems:
    """Fields compared with values of another kind; a tree too deep."""
    if depth > MAX_DEPTH:
        return [(place, f"nested deeper than {MAX_DEPTH}")]
    if isinstance(tree, All | AnyOf):
        return [p for k, part in enumerate(tree.of) for p in _types(part, f"{place}.of[{k}]", depth + 1)]
    if isinstance(tree, Not):
        return _types(tree.of, f"{place}.of", depth + 1)
    problems = Problems()
    name, values = ("values", list(tree.values)) if isinstance(tree, OneOf) else ("value", [tree.value])
    for value in values:
        reason = _misfit(tree.field, value)
        if reason:
            problems.append((f"{place}.{name}", reason))
    if isinstance(tree, Compare) and FIELDS[tree.field].kind != "number" and tree.is_ not in ("==", "!="):
        problems.append((f"{place}.is", f"{tree.field} has no order: use == or !="))
    return problems


def _misfit(field: str, value: str | float | bool) -> str:
    kind = FIELDS[field].kind
    if kind == "text":
        return "" if isinstance(value, str) else f"{field} is a text, not {value!r}"
    if kind == "flag":
        return "" if isinstance(value, bool) else f"{field} is true or false, not {value!r}"
    if isinstance(value, bool | str):
        return f"{field} is a number, not {value!r}"
    return "" if math.isfinite(value) else "is not a finite number"


def _criteria(rule: AdRule) -> Problems:
    """Criteria that never hold, alone or with the rest of the rule; insertion points beyond every video they admit."""
    alternatives = conjunctions(rule.criteria)
    if alternatives is None:
        return [("$.criteria", "has too many alternatives to be checked: split the rule")]
    if not alternatives:
        return [("$.criteria", "never holds")]
    settled = settled_fields(rule)
    possible: list[tuple[Literal, ...]] = []
    blamed: list[str] = []
    for literals in alternatives:
        field = impossible_field(literals, settled)
        if field is None:
            possible.append(literals)
        elif field not in blamed:
            blamed.append(field)
    if not possible:
        return [("$.criteria", f"can never hold: no value of {' or '.join(blamed)} satisfies it")]
    longest = max(number_range("video_length_s", literals).high for literals in possible)
    return _reach(rule, longest)


def _reach(rule: AdRule, longest_s: float) -> Problems:
    place = rule.insertion
    first: dict[str, float] = {}
    if isinstance(place, AtSeconds):
        first = {"seconds": abs(place.seconds)}
    elif isinstance(place, AtCuePoints):
        first = {"positions_s": min(place.positions_s)}
    elif isinstance(place, Every):
        first = {"seconds": place.seconds}
    elif isinstance(place, Progressive):
        first = {"intervals_s": place.intervals_s[0]}
    reason = f"is never reached: the criteria admit videos of at most {longest_s:g} s"
    return [(f"$.insertion.{name}", reason) for name, seconds in first.items() if seconds > longest_s]

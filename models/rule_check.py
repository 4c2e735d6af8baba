"""Refusing rules that contradict themselves or can never fire."""

from __future__ import annotations

import datetime as dt
import math
from itertools import pairwise

from cuepoint.models.rule_fields import AD_ACTIONS, FIELDS, settled_fields
from cuepoint.models.rule_kind import check_adaptations, check_kind, place_of
from cuepoint.models.rule_satisfy import Literal, conjunctions, impossible_field, number_range
from cuepoint.schemas.errors import RuleError
from cuepoint.schemas.rules import (
    AdRule,
    All,
    AnyOf,
    AtCuePoints,
    AtPercent,
    AtSeconds,
    BetweenClips,
    ByLength,
    Compare,
    CriteriaTree,
    Every,
    Has,
    Not,
    OnAction,
    OneOf,
    Progressive,
    SessionPaced,
)

Problems = list[tuple[str, str]]
VALUED = ("clicked", "site_action", *AD_ACTIONS)
MIN_INTERVAL_S = 1.0
MAX_DEPTH = 32
_FULL, _PAGE, _CORNERS = ("full",), ("page", "beside"), ("top_left", "top_right", "bottom_left", "bottom_right")
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
    "context": (*_CORNERS, "bottom", "center"),
    "shadow": (*_PAGE, "skin"),
    "tristitial": ("full", *_PAGE),
    "floating": ("center", "page"),
    "expanding": (*_CORNERS, "bottom", "beside"),
    "wallpaper": ("page",),
    "pop_up": ("window",),
    "pop_under": ("window",),
    "map": ("full", "center", "beside"),
    "form": ("full", "center", "beside"),
    "skin": ("skin",),
}


def check_rule(rule: AdRule) -> None:
    """Raise RuleError with every problem found as (JSON path, reason); a rule that passes can fire for some session.

    >>> from cuepoint.schemas.rules import AdFormat, AtStart
    >>> try:
    ...     check_rule(AdRule(rule_id="r", name="r", format=AdFormat(screen="bottom"), insertion=AtStart()))
    ... except RuleError as error:
    ...     error.problems
    [('$.format.screen', 'a spot is shown full, not bottom')]
    """
    problems = _format(rule) + _schedule(rule) + _insertion(rule) + _limits(rule) + check_kind(rule)
    ill_typed = _types(rule.criteria, "$.criteria", 0)
    for k, other in enumerate(rule.adapt):
        ill_typed += _types(other.when, f"$.adapt[{k}].when", 0)
    problems += ill_typed or _criteria(rule) + check_adaptations(rule)
    if problems:
        raise RuleError(problems)


def _format(rule: AdRule) -> Problems:
    problems = Problems()
    formats = [("$.format", rule.format)]
    formats += [(f"$.adapt[{k}].format", other.format) for k, other in enumerate(rule.adapt) if other.format]
    for place, ad in formats:
        if ad.screen not in SCREENS[ad.type]:
            reason = f"a {ad.type} is shown {' or '.join(SCREENS[ad.type])}, not {ad.screen}"
            problems.append((f"{place}.screen", reason))
        if ad.type in ("gateway", "roadblock") and place_of(rule.insertion) != "pre_roll":
            problems.append(("$.insertion.at", f"a {ad.type} stands at the start of a video"))
        if ad.min_length_s is not None and ad.max_length_s is not None and ad.max_length_s < ad.min_length_s:
            problems.append((f"{place}.max_length_s", "is less than min_length_s"))
        if ad.percent_of == "playback" and ad.length_percent is None:
            problems.append((f"{place}.percent_of", "says of what length_percent is, which is not given"))
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
    if isinstance(place, AtSeconds):
        problems += _seconds(place)
    elif isinstance(place, AtPercent) and place.of == "playback" and place.percent == 0.0:
        problems.append(("$.insertion.percent", "is more than 0 of what is played"))
    elif isinstance(place, AtCuePoints) and not math.isfinite(place.offset_s):
        problems.append(("$.insertion.offset_s", "is not a finite number"))
    elif isinstance(place, BetweenClips) and place.every > 1 and place.place != "between":
        problems.append(("$.insertion.every", f"counts clips, of which there is one {place.place}"))
    elif isinstance(place, ByLength):
        shortest = ("steps", min(step.seconds for step in place.steps))
        problems += _steps(place)
    elif isinstance(place, Every | SessionPaced):
        shortest = ("seconds", place.seconds)
    elif isinstance(place, Progressive):
        shortest = ("intervals_s", min(place.intervals_s))
    elif isinstance(place, OnAction) and place.value and place.action not in VALUED:
        problems.append(("$.insertion.value", f"only a click, a site action or an ad has one, {place.action} has none"))
    if shortest is not None and shortest[1] < MIN_INTERVAL_S:
        problems.append((f"$.insertion.{shortest[0]}", f"an interval is at least {MIN_INTERVAL_S:g} s"))
    if isinstance(place, SessionPaced) and place.max_seconds < place.seconds:
        problems.append(("$.insertion.max_seconds", "is less than the interval it bounds"))
    return problems


def _seconds(place: AtSeconds) -> Problems:
    if not math.isfinite(place.seconds):
        return [("$.insertion.seconds", "is not a finite number")]
    if place.from_ == "end" and place.seconds > 0.0:
        return [("$.insertion.seconds", "lies behind the video's end")]
    return []


def _steps(place: ByLength) -> Problems:
    bounds = [math.inf if step.up_to_s is None else step.up_to_s for step in place.steps]
    if all(earlier < later for earlier, later in pairwise(bounds)):
        return []
    return [("$.insertion.steps", "are not in the order of up_to_s: one is never reached")]


def _limits(rule: AdRule) -> Problems:
    limits, problems = rule.limits, Problems()
    if limits.per_session is not None and limits.per_video is not None and limits.per_video > limits.per_session:
        problems.append(("$.limits.per_video", "allows more in one video than per_session allows in all"))
    formats = [rule.format, *(other.format for other in rule.adapt if other.format)]
    if limits.separation_s and not any(ad.category for ad in formats):
        problems.append(("$.limits.separation_s", "separates ads of one category, and the format has none"))
    shortest_s = min(
        (ad.length_s if ad.length_percent is None else 0.0) if ad.min_length_s is None else ad.min_length_s
        for ad in formats
    )
    factor = min([1.0, *(other.length_factor for other in rule.adapt)])
    if limits.pod_length_s is not None and shortest_s * factor > limits.pod_length_s:
        problems.append(("$.limits.pod_length_s", f"is less than the ad's own {shortest_s * factor:g} s"))
    return problems


def _types(tree: CriteriaTree, place: str, depth: int) -> Problems:
    """Fields compared with values of another kind; a tree too deep."""
    if depth > MAX_DEPTH:
        return [(place, f"nested deeper than {MAX_DEPTH}")]
    if isinstance(tree, All | AnyOf):
        return [p for k, part in enumerate(tree.of) for p in _types(part, f"{place}.of[{k}]", depth + 1)]
    if isinstance(tree, Not):
        return _types(tree.of, f"{place}.of", depth + 1)
    if isinstance(tree, Has):
        return []
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
    if kind == "words":
        return f"{field} is asked with has"
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
        reach_s = 2.0 * abs(place.seconds) if place.from_ == "middle" else abs(place.seconds)
        first = {"seconds": reach_s}
    elif isinstance(place, AtCuePoints):
        shifted = [position_s + place.offset_s for position_s in place.positions_s]
        positions = [position_s for position_s in shifted if position_s >= 0.0]
        if place.positions_s and not positions:
            return [("$.insertion.offset_s", "puts every cue point before the start")]
        first = {"positions_s": min(positions, default=0.0)}
    elif isinstance(place, Every):
        first = {"seconds": place.seconds}
    elif isinstance(place, Progressive):
        first = {"intervals_s": place.intervals_s[0]}
    reason = f"is never reached: the criteria admit videos of at most {longest_s:g} s"
    return [(f"$.insertion.{name}", reason) for name, seconds in first.items() if seconds > longest_s]

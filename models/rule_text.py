"""Rules as a sentence."""

from __future__ import annotations

from cuepoint.schemas.rules import (
    AdFormat,
    AdRule,
    All,
    AnyOf,
    AtCuePoints,
    AtEnd,
    AtPercent,
    AtSeconds,
    AtStart,
    Compare,
    CriteriaTree,
    Every,
    InsertionPoint,
    Not,
    OneOf,
    Progressive,
    SessionPaced,
)


def describe_rule(rule: AdRule) -> str:
    """One line that says what the rule does.

    >>> from cuepoint.schemas.rules import Limits
    >>> describe_rule(AdRule(rule_id="m", name="Mid-rolls", insertion=Every(seconds=30.0), limits=Limits(per_video=3),
    ...     criteria=Compare(field="video_length_s", is_=">", value=90.0)))
    'spot of 15 s after every 30 s played, if video_length_s > 90; at most 3 a video'
    """
    parts = [f"{describe_format(rule.format)} {describe_insertion(rule.insertion)}"]
    if not (isinstance(rule.criteria, All) and not rule.criteria.of):
        parts[0] += f", if {describe_criteria(rule.criteria)}"
    parts += _limits(rule) + _where_and_when(rule)
    return "; ".join(parts)


def describe_format(ad: AdFormat) -> str:
    """Type, length and place of the ad.

    >>> describe_format(AdFormat(type="ticker", screen="bottom", length_s=20.0))
    'ticker of 20 s at the bottom'
    """
    length = f"{ad.length_s:g} s" if ad.length_percent is None else f"{ad.length_percent:g} % of the video"
    places = {"full": "", "beside": " beside the player", "bottom": " at the bottom"}
    return f"{ad.type} of {length}" + places.get(ad.screen, f" {ad.screen.replace('_', ' ')}")


def describe_insertion(place: InsertionPoint) -> str:
    """Where the ad is inserted.

    >>> describe_insertion(Progressive(intervals_s=[10.0, 20.0, 30.0]))
    'every 10, 20, 30 s played (the next from each 60 s on)'
    """
    fixed = {AtStart: "before the video", AtEnd: "after the video"}.get(type(place))
    if fixed is not None:
        return fixed
    if isinstance(place, AtSeconds):
        from_end = " before the end" if place.seconds < 0 else ""
        return f"at {abs(place.seconds):g} s{from_end}"
    if isinstance(place, AtPercent):
        return f"at {place.percent:g} % of the video"
    if isinstance(place, AtCuePoints):
        shown = ", ".join(f"{position:g}" for position in sorted(place.positions_s)[:5])
        return f"at the cue points {shown}{', ...' if len(place.positions_s) > 5 else ''} s"
    return _frequency(place)


def _frequency(place: InsertionPoint) -> str:
    if isinstance(place, Every):
        return f"after every {place.seconds:g} s played"
    if isinstance(place, Progressive):
        series = ", ".join(f"{interval:g}" for interval in place.intervals_s)
        return f"every {series} s played (the next from each {place.window_s:g} s on)"
    if isinstance(place, SessionPaced):
        grows = f"growing by {place.growth * 100:g} % a minute" if place.growth else "unchanged"
        return f"every {place.seconds:g} s of the session, {grows}, up to {place.max_seconds:g} s"
    action = getattr(place, "action", "").replace("_", " ")
    value = getattr(place, "value", "")
    return f"on {action} {value}".rstrip()


def describe_criteria(tree: CriteriaTree, inner: bool = False) -> str:
    """The criteria as a condition.

    >>> describe_criteria(Not(of=OneOf(field="device", values=["tv", "tablet"])))
    'not device in (tv, tablet)'
    """
    if isinstance(tree, Compare):
        return f"{tree.field} {tree.is_} {_value(tree.value)}"
    if isinstance(tree, OneOf):
        return f"{tree.field} in ({', '.join(_value(value) for value in tree.values)})"
    if isinstance(tree, Not):
        return f"not {describe_criteria(tree.of, inner=True)}"
    if not tree.of:
        return "always"
    joined = (" or " if isinstance(tree, AnyOf) else " and ").join(describe_criteria(p, inner=True) for p in tree.of)
    return f"({joined})" if inner and len(tree.of) > 1 else joined


def _value(value: str | float | bool) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else f"{value:g}"


def _limits(rule: AdRule) -> list[str]:
    caps = [(rule.limits.per_session, "a session"), (rule.limits.per_video, "a video")]
    parts = [f"at most {cap} {span}" for cap, span in caps if cap is not None]
    if rule.limits.min_gap_s:
        parts.append(f"at least {rule.limits.min_gap_s:g} s after any ad")
    return parts


def _where_and_when(rule: AdRule) -> list[str]:
    scope = rule.scope
    named = (
        ("videos", scope.videos),
        ("categories", scope.categories),
        ("channels", scope.channels),
        ("in", scope.countries),
    )
    parts = [f"{name} {', '.join(values)}" for name, values in named if values]
    parts += [
        f"{word} {moment.isoformat()}" for word, moment in (("from", rule.starts), ("until", rule.ends)) if moment
    ]
    return parts if rule.status == "active" else [*parts, rule.status]

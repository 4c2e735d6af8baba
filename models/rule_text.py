"""Rules as a sentence."""

from __future__ import annotations

from cuepoint.schemas.rules import (
    Adaptation,
    AdFormat,
    AdRule,
    All,
    AnyOf,
    AtCuePoints,
    AtEnd,
    AtMiddle,
    AtPercent,
    AtSeconds,
    AtStart,
    BetweenClips,
    ByLength,
    Compare,
    CriteriaTree,
    Every,
    Has,
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
    parts += [describe_adaptation(other) for other in rule.adapt]
    parts += _limits(rule) + _where_and_when(rule)
    return "; ".join(parts)


def describe_format(ad: AdFormat) -> str:
    """Type, length and place of the ad.

    >>> describe_format(AdFormat(type="ticker", screen="bottom", length_s=20.0))
    'ticker of 20 s at the bottom'
    """
    length = f"{ad.length_s:g} s"
    if ad.length_percent is not None:
        length = f"{ad.length_percent:g} % of the {'video' if ad.percent_of == 'video' else 'seconds played'}"
    bounds = ((ad.min_length_s, "at least"), (ad.max_length_s, "at most"))
    length += "".join(f", {word} {bound:g} s" for bound, word in bounds if bound is not None)
    places = {
        "full": "", "beside": " beside the player", "bottom": " at the bottom", "skin": " on the player's skin",
        "page": " on the page", "window": " in a window of its own",
    }  # fmt: skip
    shared = f" for up to {ad.pod_ads} ads" if ad.pod_ads > 1 else ""
    about = f" ({ad.category})" if ad.category else ""
    return f"{ad.type} of {length}" + places.get(ad.screen, f" {ad.screen.replace('_', ' ')}") + shared + about


def describe_adaptation(other: Adaptation) -> str:
    """What changes, and when.

    >>> describe_adaptation(Adaptation(when=Compare(field="muted", value=True), share=0.5, length_factor=2.0))
    'if muted == true: 50 % of its occasions, 200 % of the length'
    """
    changes = [describe_format(other.format)] if other.format is not None else []
    changes += [f"{other.share * 100:g} % of its occasions"] if other.share < 1.0 else []
    changes += [f"{other.length_factor * 100:g} % of the length"] if other.length_factor != 1.0 else []
    changes += [f"{other.delay_s:g} s later"] if other.delay_s else []
    changes += [f"at least {other.min_gap_s:g} s after any ad"] if other.min_gap_s is not None else []
    return f"if {describe_criteria(other.when)}: {', '.join(changes)}"


def describe_insertion(place: InsertionPoint) -> str:
    """Where the ad is inserted.

    >>> describe_insertion(Progressive(intervals_s=[10.0, 20.0, 30.0]))
    'every 10, 20, 30 s played (the next from each 60 s on)'
    """
    fixed = {AtStart: "before the video", AtEnd: "after the video", AtMiddle: "at the middle"}.get(type(place))
    if fixed is not None:
        return fixed
    if isinstance(place, AtSeconds):
        origin = "end" if place.from_ == "start" and place.seconds < 0 else place.from_
        word = "before" if place.seconds < 0 else "after"
        return f"at {abs(place.seconds):g} s" + (f" {word} the {origin}" if origin != "start" else "")
    if isinstance(place, AtPercent):
        return f"at {place.percent:g} % of the video" + (" played" if place.of == "playback" else "")
    return _boundary(place) if isinstance(place, BetweenClips | AtCuePoints) else _frequency(place)


def _boundary(place: BetweenClips | AtCuePoints) -> str:
    if isinstance(place, BetweenClips):
        nth = f" (every {place.every})" if place.every > 1 else ""
        names = {"before": "before the first clip", "after": "after the last clip", "between": "between clips"}
        return names.get(place.place, "between playlists") + nth
    word = "before" if place.offset_s < 0 else "after"
    offset = f"{abs(place.offset_s):g} s {word} " if place.offset_s else "at "
    if not place.positions_s:
        return f"{offset}the video's cue points"
    shown = ", ".join(f"{position:g}" for position in sorted(place.positions_s)[:5])
    return f"{offset}the cue points {shown}{', ...' if len(place.positions_s) > 5 else ''} s"


def _frequency(place: InsertionPoint) -> str:
    if isinstance(place, Every):
        return f"after every {place.seconds:g} s played"
    if isinstance(place, ByLength):
        steps = [(f"up to {step.up_to_s:g} s" if step.up_to_s else "longer", step.seconds) for step in place.steps]
        return "after every " + ", ".join(f"{seconds:g} s ({name})" for name, seconds in steps) + " played, by length"
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
    if isinstance(tree, Has):
        return f"{tree.field} has {tree.value}"
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
    limits = rule.limits
    caps = [(limits.per_session, "a session"), (limits.per_video, "a video"), (limits.per_hour, "an hour")]
    caps.append((limits.pod_ads, "together"))
    parts = [f"at most {cap} {span}" for cap, span in caps if cap is not None]
    parts += [f"at most {limits.pod_length_s:g} s together"] if limits.pod_length_s else []
    parts += [f"at least {limits.separation_s:g} s after its category"] if limits.separation_s else []
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
        ("playlists", scope.playlists),
        ("affiliates", scope.affiliates),
    )
    parts = [f"{name} {', '.join(values)}" for name, values in named if values]
    parts += [
        f"{word} {moment.isoformat()}" for word, moment in (("from", rule.starts), ("until", rule.ends)) if moment
    ]
    return parts if rule.status == "active" else [*parts, rule.status]

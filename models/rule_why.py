"""Why a rule did not insert, in words: the criterion that was false with its value, the limit that held it back."""

from __future__ import annotations

from collections.abc import Mapping

from cuepoint.models import session_occasions as occasions
from cuepoint.models.rule_criteria import fields_of
from cuepoint.models.rule_fields import Value
from cuepoint.models.rule_satisfy import Literal, holds
from cuepoint.models.rule_text import describe_criteria
from cuepoint.schemas.rules import AdRule, All, AnyOf, ByLength, CriteriaTree, Has, Not, OneOf

Values = Mapping[str, Value]


def truth(tree: CriteriaTree, values: Values) -> bool:
    """Whether the criteria hold for these values of their fields."""
    if isinstance(tree, All):
        return all(truth(part, values) for part in tree.of)
    if isinstance(tree, AnyOf):
        return any(truth(part, values) for part in tree.of)
    if isinstance(tree, Not):
        return not truth(tree.of, values)
    if isinstance(tree, OneOf):
        return holds(Literal(tree.field, "in", tuple(tree.values), False), values[tree.field])
    relation = "has" if isinstance(tree, Has) else tree.is_
    return holds(Literal(tree.field, relation, (tree.value,), False), values[tree.field])


def criteria_why(tree: CriteriaTree, values: Values) -> str:
    """What made the criteria fail, with the values found; empty where they hold.

    >>> from cuepoint.schemas.rules import Compare
    >>> criteria_why(All(of=[Compare(field="hour", is_=">", value=18.0), Compare(field="muted", value=True)]),
    ...     {"hour": 20, "muted": False})
    'muted == true is false: it is false'
    """
    if truth(tree, values):
        return ""
    if isinstance(tree, All):
        return " and ".join(criteria_why(part, values) for part in tree.of if not truth(part, values))
    if isinstance(tree, AnyOf):
        return " and ".join(criteria_why(part, values) for part in tree.of)
    if isinstance(tree, Not):
        fields = ", ".join(f"{field} is {_shown(values[field])}" for field in fields_of(tree.of))
        return f"{describe_criteria(tree)} is false: {fields}"
    return f"{describe_criteria(tree)} is false: it is {_shown(values[tree.field])}"


def scope_why(rule: AdRule, values: Values) -> str:
    """What put the rule out of scope of a play."""
    scope = rule.scope
    lists = (
        ("videos", scope.videos, "video_id"),
        ("categories", scope.categories, "category"),
        ("channels", scope.channels, "channel"),
        ("countries", scope.countries, "country"),
        ("playlists", scope.playlists, "playlist_id"),
        ("affiliates", scope.affiliates, "affiliate"),
    )
    for name, wanted, field in lists:
        if wanted and values[field] not in wanted:
            return f"scope.{name} holds only {', '.join(wanted)}: this is {_shown(values[field])}"
    why = criteria_why(rule.criteria, values)
    if not why and isinstance(rule.insertion, ByLength):
        why = f"no step of its frequency is for a video of {_shown(values['video_length_s'])} s"
    return why


def verdict_why(rule: AdRule, verdict: int, found: float, adaptation: int) -> str:  # noqa: PLR0911 - one for each verdict
    """What became of an occasion, in words; ``found`` is what the limit was held against."""
    limits, note = rule.limits, f" (adaptation {adaptation})" if adaptation else ""
    other = rule.adapt[adaptation - 1] if adaptation else None
    gap_s = other.min_gap_s if other is not None and other.min_gap_s is not None else limits.min_gap_s
    if verdict == occasions.GAP:
        return f"limits.min_gap_s: {found:g} s played since the last ad, at least {gap_s:g} are asked for{note}"
    if verdict in (occasions.PER_SESSION, occasions.PER_VIDEO, occasions.PER_HOUR):
        name = {occasions.PER_SESSION: "session", occasions.PER_VIDEO: "video"}.get(verdict, "hour")
        return f"limits.per_{name}: {found:g} of its ads so far, at most {getattr(limits, f'per_{name}')} are allowed"
    if verdict == occasions.SHARE and other is not None:
        return f"adapt[{adaptation - 1}].share takes {other.share:.0%} of the occasions, not number {found:g}"
    if verdict == occasions.POD_ADS:
        return f"limits.pod_ads: {found:g} ads stand at this moment already"
    if verdict == occasions.POD_LENGTH:
        return f"limits.pod_length_s: together they would last {found:g} s, at most {limits.pod_length_s:g} are allowed"
    if verdict == occasions.SEPARATION:
        return f"limits.separation_s: {found:g} s played since an ad of its category"
    if verdict == occasions.FAULTY:
        return "its criteria could not be asked; the session goes on without the rule"
    return f"decided{note}"


def _shown(value: Value) -> str:
    if value is None:
        return "unknown"
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:g}" if isinstance(value, int | float) else value or "not said"

"""What kind a rule is: known before the session plays, by who watches, or by what happens while he does."""

from __future__ import annotations

from typing import Literal

from cuepoint.models.rule_criteria import fields_of
from cuepoint.models.rule_fields import settled_fields
from cuepoint.models.rule_satisfy import conjunctions, impossible_field
from cuepoint.schemas.rules import (
    AdRule,
    AtEnd,
    AtStart,
    BetweenClips,
    Every,
    InsertionPoint,
    OnAction,
    Progressive,
    SessionPaced,
)

Kind = Literal["static", "dynamic", "progressively_dynamic"]
Place = Literal["pre_roll", "mid_roll", "post_roll"]
KINDS: tuple[Kind, ...] = ("static", "dynamic", "progressively_dynamic")
# what is known of a play before it begins, whoever watches
_STATIC = frozenset((
    "video_id", "video_length_s", "category", "channel", "affiliate", "playlist_id", "playlist_number", "country",
    "region", "device", "hour", "weekday", "day_part", "ad_type", "ad_length_s", "ad_category", "ad_rating",
))  # fmt: skip
# and what is known when it begins, of viewer, video and ad
_DYNAMIC = _STATIC | {
    "registered", "profile", "viewer_average_view_s", "viewer_average_session_s", "viewer_plays", "video_views",
    "video_trend", "video_rating", "session_average_view_s", "session_videos",
}  # fmt: skip


def kind_of(rule: AdRule) -> Kind:
    """Static: what a list of breaks made before the play can promise. Dynamic: settled when the play begins, by
    profile, history and ratings. Progressively dynamic: decided by what happens while it plays (the seed's
    three kinds of composition).

    >>> kind_of(AdRule(rule_id="r", name="r", insertion=AtStart()))
    'static'
    """
    asked = {field for tree in (rule.criteria, *(other.when for other in rule.adapt)) for field in fields_of(tree)}
    limits = rule.limits
    paced = isinstance(rule.insertion, SessionPaced | OnAction)
    if paced or asked - _DYNAMIC or rule.format.percent_of == "playback":
        return "progressively_dynamic"
    in_session = limits.per_session or limits.per_hour or limits.min_gap_s or limits.separation_s
    if asked - _STATIC or in_session or isinstance(rule.insertion, Every | Progressive):
        return "dynamic"
    return "static"


def check_kind(rule: AdRule) -> list[tuple[str, str]]:
    """The problem where the rule says that it is of a kind and needs more."""
    found = kind_of(rule)
    if rule.kind is None or KINDS.index(found) <= KINDS.index(rule.kind):
        return []
    return [("$.kind", f"the rule is {found.replace('_', ' ')}: what it asks for is not known in time otherwise")]


def place_of(insertion: InsertionPoint) -> Place:
    """Where a rule's ads stand to the video."""
    if isinstance(insertion, BetweenClips):
        return "post_roll" if insertion.place == "after" else "pre_roll"
    return "pre_roll" if isinstance(insertion, AtStart) else "post_roll" if isinstance(insertion, AtEnd) else "mid_roll"


def check_adaptations(rule: AdRule) -> list[tuple[str, str]]:
    """Adaptations that change nothing, whose condition never holds, or that stand behind one that always does."""
    problems: list[tuple[str, str]] = []
    settled, always = settled_fields(rule), False
    for k, other in enumerate(rule.adapt):
        place, alternatives = f"$.adapt[{k}]", conjunctions(other.when)
        if alternatives is None:
            problems.append((f"{place}.when", "has too many alternatives to be checked: split it"))
            continue
        if always:
            problems.append((place, "is never reached: the one before it always holds"))
        if all(impossible_field(literals, settled) for literals in alternatives):
            problems.append((f"{place}.when", "can never hold"))
        same = (other.share, other.length_factor, other.delay_s, other.min_gap_s) == (1.0, 1.0, 0.0, None)
        if same and other.format is None:
            problems.append((place, "changes nothing"))
        if other.share < 1.0 and isinstance(rule.insertion, OnAction):
            problems.append((f"{place}.share", "an action has no series of which to take a share"))
        always = always or () in alternatives
    return problems

"""What rules say of a video before it plays: the breaks that a VMAP or a manifest can promise."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple
from zlib import crc32

from cuepoint.models.rule_fields import ad_length_s
from cuepoint.models.vast_times import clock
from cuepoint.schemas.media import Video
from cuepoint.schemas.rules import (
    AdRule,
    All,
    AnyOf,
    AtCuePoints,
    AtEnd,
    AtMiddle,
    AtPercent,
    AtSeconds,
    AtStart,
    CriteriaTree,
    Every,
    Has,
    Limits,
    Not,
    OneOf,
)

_RELATIONS: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
    ">=": operator.ge,
    ">": operator.gt,
}
_MOST = 1000  # breaks of one rule in one video
Facts = Mapping[str, str | float | bool]


class PlannedBreak(NamedTuple):
    """``settled``: all that its rule asks for is known already, and no limit of it depends on the session; else the
    session decides when the break comes.
    ``position_s`` None: at the end of a video of unknown length. ``repeat_s``: again after so much of the video."""

    break_id: str
    rule: AdRule
    position_s: float | None
    at: Literal["start", "mid", "end"]
    length_s: float
    settled: bool
    repeat_s: float | None = None

    @property
    def offset(self) -> str:
        """As VMAP writes it: the start, the end, a per cent of a video of unknown length, else a time."""
        point = self.rule.insertion
        if self.at != "mid":
            return self.at
        if isinstance(point, AtPercent) and self.position_s is None:
            return f"{point.percent:g}%"
        return clock(self.position_s or 0.0)


def plan_breaks(rules: Sequence[AdRule], video: Video, facts: Facts, now_ms: int) -> list[PlannedBreak]:
    """The breaks in the order of the video, those of the first-asked rule before others in the same place. ``facts``
    are the known fields of criteria; what is not among them is unknown. A rule that cannot hold whatever comes, that is
    not in effect at ``now_ms``, or whose places the session makes, promises nothing."""
    known = facts_of(video) | dict(facts)
    video_mark = f"{crc32(video.video_id.encode()):08x}"  # a session may open many, each with its own breaks
    planned = []
    for rule in sorted(rules, key=lambda rule: (rule.priority, rule.rule_id)):
        if not _in_effect(rule, now_ms) or not _in_scope(rule, known):
            continue
        length_s = ad_length_s(rule.format, video.duration_s)
        own: Facts = known | {
            "ad_type": rule.format.type,
            "ad_length_s": length_s,
            "ad_category": rule.format.category,
            **({} if rule.format.rating is None else {"ad_rating": rule.format.rating}),
        }
        verdict = holds(rule.criteria, own)
        if verdict is not False:
            places = _places(rule, video)[: rule.limits.per_video]
            settled = verdict is True and not rule.adapt and rule.limits == Limits(per_video=rule.limits.per_video)
            name = f"{rule.rule_id}.{rule.version}"
            planned += [
                PlannedBreak(f"{name}.{n}.{video_mark}", rule, at_s, at, length_s, settled, repeat_s)
                for n, (at, at_s, repeat_s) in enumerate(places)
            ]
    order = {"start": 0, "mid": 1, "end": 2}
    return sorted(planned, key=lambda each: (order[each.at], each.position_s or 0.0))


def facts_of(video: Video) -> dict[str, str | float | bool]:
    """What metadata say of the fields of criteria."""
    facts: dict[str, str | float | bool] = {"video_id": video.video_id}
    if video.duration_s is not None:
        facts["video_length_s"] = video.duration_s
    if video.categories:
        facts["category"] = video.categories[0]
    if video.channel:
        facts["channel"] = video.channel
    return facts


def holds(tree: CriteriaTree, facts: Facts) -> bool | None:
    """Kleene's logic over what is known; None: it depends on what is not.

    >>> from cuepoint.schemas.rules import Compare
    >>> music, muted = Compare(field="category", value="music"), Compare(field="muted", value=True)
    >>> holds(music, {"category": "news"}), holds(AnyOf(of=[music, muted]), {"category": "news"}), holds(muted, {})
    (False, None, None)
    """
    if isinstance(tree, All | AnyOf):
        parts = [holds(part, facts) for part in tree.of]
        settling = isinstance(tree, AnyOf)
        if settling in parts:
            return settling
        return None if None in parts else not settling
    if isinstance(tree, Not):
        inner = holds(tree.of, facts)
        return None if inner is None else not inner
    if tree.field not in facts:
        return None
    value = facts[tree.field]
    if isinstance(tree, OneOf | Has):
        return tree.value in str(value).split(" ") if isinstance(tree, Has) else value in tree.values
    return _RELATIONS[tree.is_](value, tree.value)


def _in_effect(rule: AdRule, now_ms: int) -> bool:
    begun = rule.starts is None or rule.starts.timestamp() * 1000 <= now_ms
    over = rule.ends is not None and rule.ends.timestamp() * 1000 <= now_ms
    return rule.status == "active" and rule.effective_at <= now_ms and begun and not over


def _in_scope(rule: AdRule, known: Facts) -> bool:
    scope = rule.scope
    asked = (
        ("video_id", scope.videos),
        ("category", scope.categories),
        ("channel", scope.channels),
        ("country", scope.countries),
        ("playlist_id", scope.playlists),
        ("affiliate", scope.affiliates),
    )
    return all(not allowed or known.get(field, allowed[0]) in allowed for field, allowed in asked)


_Place = tuple[Literal["start", "mid", "end"], float | None, float | None]


def _places(rule: AdRule, video: Video) -> list[_Place]:
    length_s, point = video.duration_s, rule.insertion
    match point:
        case AtStart():
            return [("start", 0.0, None)]
        case AtEnd():
            return [("end", length_s, None)]
        case Every():
            if length_s is None:
                return [("mid", point.seconds, point.seconds)]
            at_s = [n * point.seconds for n in range(1, min(_MOST, math.ceil(length_s / point.seconds)))]
        case AtSeconds():
            from_start = point.from_ == "start" and point.seconds >= 0.0
            half = 0.5 if point.from_ == "middle" else 1.0
            at_s = [point.seconds if from_start else -1.0 if length_s is None else point.seconds + length_s * half]
        case AtMiddle():
            at_s = [] if length_s is None else [length_s / 2.0]
        case AtPercent(of="length"):
            if length_s is None:
                return [("mid", None, None)]
            at_s = [length_s * point.percent / 100.0]
        case AtCuePoints():
            cues = point.positions_s or [cue.at_s for cue in video.cue_points]
            at_s = sorted({at_s + point.offset_s for at_s in cues})
        case _:
            return []
    return [("mid", each, None) for each in at_s if each >= 0 and (length_s is None or each < length_s)]

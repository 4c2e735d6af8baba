"""Rules laid out as numbers, for the compiled loop: made once for the rules of a moment and a partition's names."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, get_args

import numpy as np

from cuepoint.models import rule_kernel as kernel
from cuepoint.models.report_names import Names
from cuepoint.models.rule_criteria import fields_of, split_criteria
from cuepoint.models.rule_fields import DAY_PARTS, FIELDS
from cuepoint.models.rule_says import KINDS, Says
from cuepoint.models.rule_series import Series, series_of
from cuepoint.models.session_table import AD, CODE, PLAN, RULE, Tables
from cuepoint.schemas.playback import MAX_CUE_POINTS
from cuepoint.schemas.rules import (
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
    Field,
    Has,
    InsertionPoint,
    Not,
    OnAction,
    OneOf,
    Progressive,
    SessionPaced,
)

MAX_PLANS = 20_000
FIELD_NAMES: tuple[str, ...] = get_args(Field)
RELATIONS = {
    "<": kernel.LESS,
    "<=": kernel.LESS_EQUAL,
    "==": kernel.EQUAL,
    "!=": kernel.UNEQUAL,
    ">=": kernel.GREATER_EQUAL,
    ">": kernel.GREATER,
}
_ON_SEEK = {"all": kernel.ON_SEEK_ALL, "last": kernel.ON_SEEK_LAST, "none": kernel.ON_SEEK_NONE}
_TRIGGERS: dict[type[InsertionPoint], int] = {
    AtStart: kernel.START,
    AtEnd: kernel.END,
    AtMiddle: kernel.PERCENT,
    AtSeconds: kernel.SECONDS,
    AtPercent: kernel.PERCENT,
    AtCuePoints: kernel.CUES,
    BetweenClips: kernel.CLIP_START,
    Every: kernel.OF_VIEW,
    Progressive: kernel.OF_VIEW,
    SessionPaced: kernel.OF_SESSION,
    OnAction: kernel.ACTION,
}
_ORIGINS = {"start": kernel.FROM_START, "middle": kernel.FROM_MIDDLE, "end": kernel.FROM_END}
_BOUNDARIES = {
    "before": kernel.BEFORE_FIRST,
    "between": kernel.BETWEEN,
    "between_playlists": kernel.BETWEEN_LISTS,
    "after": kernel.AFTER_LAST,
}


class LaidOut(NamedTuple):
    """``tables.rules[k]`` is ``rules[k]``, ``says[k]`` what its decisions say;
    ``most_due``: occasions one event can make due."""

    tables: Tables
    rules: tuple[AdRule, ...]
    says: tuple[Says, ...]
    most_due: int


def lay_out(rules: Sequence[AdRule], names: Names, stamp: int, *, tracing: bool = False) -> LaidOut:
    """The tables of these rules, the one asked first at the front; ``stamp`` tells sessions' plans of these rules from
    those of others. A rule whose frequency goes by the video's length stands there once for each step."""
    return _Layout([part for rule in rules for part in _by_length(rule)], names).done(stamp, tracing)


def _by_length(rule: AdRule) -> Iterable[tuple[AdRule, InsertionPoint, list[CriteriaTree]]]:
    """(rule, insertion, what must hold of the video besides its criteria)."""
    place = rule.insertion
    if not isinstance(place, ByLength):
        yield rule, place, []
        return
    above = Compare(field="video_length_s", is_=">", value=0.0)
    for step in place.steps:
        fits: list[CriteriaTree] = [above]
        if step.up_to_s is not None:
            fits.append(Compare(field="video_length_s", is_="<=", value=step.up_to_s))
            above = Compare(field="video_length_s", is_=">", value=step.up_to_s)
        yield rule, Every(seconds=step.seconds), fits


class _Layout:
    def __init__(self, parts: Sequence[tuple[AdRule, InsertionPoint, list[CriteriaTree]]], names: Names) -> None:
        self._names, self._rules = names, tuple(rule for rule, _, _ in parts)
        self._rows = np.zeros(len(parts), dtype=RULE)
        self._numbers: list[float] = []
        self._code: list[tuple[float, int, int, int, int, int, int]] = []
        self._fields: list[int] = []
        self._ads: list[tuple[Any, ...]] = []
        self._says: list[Says] = []
        for row, (rule, place, fits) in zip(self._rows, parts, strict=True):
            self._place(row, rule, place)
            self._limits(row, rule)
            self._criteria(row, rule, fits)

    def done(self, stamp: int, tracing: bool) -> LaidOut:
        plans, rules = MAX_PLANS, len(self._rules)
        slots = 1 << (2 * plans).bit_length()
        by_video = any(rule.scope.videos for rule in self._rules)
        by_playlist = any(rule.scope.playlists for rule in self._rules)
        cues = int(np.count_nonzero(self._rows["trigger"] == kernel.VIDEO_CUES))
        tables = Tables(
            self._rows,
            np.array(self._ads, dtype=AD),
            np.array(self._code, dtype=CODE),
            np.array(self._numbers, dtype=np.float64),
            np.array(self._fields, dtype=np.uint8),
            np.zeros(plans, dtype=PLAN),
            np.zeros((plans, rules), dtype=np.int16),
            np.zeros(slots, dtype=np.int32),
            np.array([stamp, 0, by_video, by_playlist, cues, tracing], dtype=np.int64),
            self._names.table.arena,
            self._names.table.offsets,
        )
        most_due = 2 * (rules + len(self._numbers) + cues * MAX_CUE_POINTS) + 2
        return LaidOut(tables, self._rules, tuple(self._says), most_due)

    def _place(self, row: Any, rule: AdRule, place: InsertionPoint) -> None:
        row["trigger"], row["on_seek"] = _TRIGGERS[type(place)], _ON_SEEK[rule.on_seek]
        if isinstance(place, AtSeconds):
            from_end = place.from_ == "start" and place.seconds < 0.0
            row["seconds"], row["origin"] = place.seconds, _ORIGINS["end" if from_end else place.from_]
        elif isinstance(place, Every | SessionPaced):
            row["seconds"] = place.seconds
        elif isinstance(place, AtMiddle):
            row["seconds"] = 50.0
        elif isinstance(place, AtPercent):
            row["seconds"] = place.percent
            if place.of == "playback":
                row["trigger"] = kernel.OF_SHARE
        elif isinstance(place, AtCuePoints):
            row["seconds"] = place.offset_s
            if not place.positions_s:
                row["trigger"] = kernel.VIDEO_CUES
            shifted = [position_s + place.offset_s for position_s in place.positions_s]
            row["first"], row["behind"] = self._range(position_s for position_s in shifted if position_s >= 0.0)
        elif isinstance(place, BetweenClips):
            row["seconds"], row["origin"] = place.every, _BOUNDARIES[place.place]
            if place.place == "after":
                row["trigger"] = kernel.CLIP_END
        elif isinstance(place, OnAction):
            row["action"], row["value"] = (
                KINDS.index(place.action) if place.action in KINDS else 0,
                self._names.row(place.value),
            )
        series = series_of(place) if isinstance(place, Every | Progressive | SessionPaced) else Series((), 0.0)
        self._says.append(Says(rule, series))
        if series.interval_s:
            row["first"], row["behind"] = self._range(series.moments)
            row["seconds"] = series.interval_s

    def _limits(self, row: Any, rule: AdRule) -> None:
        limits, scope = rule.limits, rule.scope
        row["name"] = self._names.row(rule.rule_id)
        for name in ("per_session", "per_video", "per_hour", "pod_ads"):
            most = getattr(limits, name)
            row[name] = -1 if most is None else most
        row["pod_length_s"], row["separation_s"] = limits.pod_length_s or 0.0, limits.separation_s
        lists = (scope.videos, scope.categories, scope.channels, scope.countries, scope.playlists, scope.affiliates)
        for k, wanted in enumerate(lists):
            row["scope"][k] = self._range(map(self._names.row, wanted))

    def _criteria(self, row: Any, rule: AdRule, fits: list[CriteriaTree]) -> None:
        fixed, rest = split_criteria(rule.criteria)
        row["fixed"] = self._entry(All(of=[*fits, fixed]), kernel.HOLDS, kernel.FAILS)
        row["criteria"] = self._entry(rest, kernel.HOLDS, kernel.FAILS)
        asked = fields_of(rule.criteria)
        row["asks"], row["asks_behind"] = len(self._fields), len(self._fields) + len(asked)
        self._fields += map(FIELD_NAMES.index, asked)
        row["ads"], gap_s = len(self._ads), rule.limits.min_gap_s
        self._ads.append(self._ad(rule.format, kernel.HOLDS, 1.0, 1.0, 0.0, gap_s))
        for other in rule.adapt:
            when = self._entry(other.when, kernel.HOLDS, kernel.FAILS)
            its_gap_s = gap_s if other.min_gap_s is None else other.min_gap_s
            ad = other.format or rule.format
            self._ads.append(self._ad(ad, when, other.length_factor, other.share, other.delay_s, its_gap_s))
        row["ads_behind"] = len(self._ads)
        gaps = [other.min_gap_s for other in rule.adapt if other.min_gap_s is not None]
        row["min_gap_s"] = min([gap_s, *gaps])

    def _ad(  # noqa: PLR0917 - as in Adaptation
        self, ad: AdFormat, when: int, factor: float, share: float, delay_s: float, min_gap_s: float
    ) -> tuple[Any, ...]:
        least_s, most_s = ad.min_length_s or 0.0, ad.max_length_s or np.inf
        rating = np.nan if ad.rating is None else ad.rating
        kind, category = self._names.row(ad.type), self._names.row(ad.category)
        length = (ad.length_s, ad.length_percent or 0.0, least_s, most_s, factor, share, delay_s, min_gap_s, rating)
        return (*length, when, kind, category, ad.percent_of == "playback")

    def _range(self, numbers: Iterable[float]) -> tuple[int, int]:
        """Where the numbers, sorted, stand among all."""
        first = len(self._numbers)
        self._numbers += sorted(set(numbers))
        return first, len(self._numbers)

    def _entry(self, tree: CriteriaTree, yes: int, no: int) -> int:
        """Where the tree is entered that goes on to ``yes`` where it holds and to ``no`` where it fails."""
        if isinstance(tree, Not):
            return self._entry(tree.of, no, yes)
        if isinstance(tree, All):
            for part in reversed(tree.of):
                yes = self._entry(part, yes, no)
            return yes
        if isinstance(tree, AnyOf):
            for part in reversed(tree.of):
                no = self._entry(part, yes, no)
            return no
        first = behind = 0
        relation, wanted = kernel.ONE_OF, 0.0
        if isinstance(tree, OneOf):
            first, behind = self._range(self._number(tree.field, value) for value in tree.values)
        elif isinstance(tree, Has):
            relation, wanted = kernel.HAS, float(self._names.row(tree.value))
        else:
            relation, wanted = RELATIONS[tree.is_], self._number(tree.field, tree.value)
        self._code.append((wanted, first, behind, yes, no, FIELD_NAMES.index(tree.field), relation))
        return len(self._code) - 1

    def _number(self, field: str, value: str | float | bool) -> float:
        """The value as the loop compares it: texts by their row, actions by their kind."""
        if FIELDS[field].kind not in ("text", "words"):
            return float(value)
        if field == "day_part":
            return float(DAY_PARTS.index(str(value)) if value in DAY_PARTS else -1)
        if field == "last_action":
            return float(KINDS.index(value) if value in KINDS else -1 if value else 0)
        return float(self._names.row(str(value)))

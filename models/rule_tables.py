"""Rules laid out as numbers, for the compiled loop: made once for the rules of a moment and a partition's names."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, get_args

import numpy as np

from cuepoint.models import rule_kernel as kernel
from cuepoint.models.report_names import Names
from cuepoint.models.rule_criteria import fields_of, split_criteria
from cuepoint.models.rule_fields import FIELDS
from cuepoint.models.rule_says import KINDS, Says
from cuepoint.models.rule_series import Series, series_of
from cuepoint.models.session_table import CODE, PLAN, RULE, Tables
from cuepoint.schemas.rules import (
    AdRule,
    All,
    AnyOf,
    AtCuePoints,
    AtEnd,
    AtPercent,
    AtSeconds,
    AtStart,
    CriteriaTree,
    Every,
    Field,
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
    AtSeconds: kernel.SECONDS,
    AtPercent: kernel.PERCENT,
    AtCuePoints: kernel.CUES,
    Every: kernel.OF_VIEW,
    Progressive: kernel.OF_VIEW,
    SessionPaced: kernel.OF_SESSION,
    OnAction: kernel.ACTION,
}


class LaidOut(NamedTuple):
    """``tables.rules[k]`` is ``rules[k]``, ``says[k]`` what its decisions say;
    ``most_due``: occasions one event can make due."""

    tables: Tables
    rules: tuple[AdRule, ...]
    says: tuple[Says, ...]
    most_due: int


def lay_out(rules: Sequence[AdRule], names: Names, stamp: int) -> LaidOut:
    """The tables of these rules, the one asked first at the front; ``stamp`` tells sessions' plans of these rules from
    those of others."""
    return _Layout(rules, names).done(stamp)


class _Layout:
    def __init__(self, rules: Sequence[AdRule], names: Names) -> None:
        self._names, self._rules = names, tuple(rules)
        self._rows = np.zeros(len(rules), dtype=RULE)
        self._numbers: list[float] = []
        self._code: list[tuple[float, int, int, int, int, int, int]] = []
        self._fields: list[int] = []
        self._says: list[Says] = []
        for row, rule in zip(self._rows, rules, strict=True):
            self._rule(row, rule)

    def done(self, stamp: int) -> LaidOut:
        plans, rules = MAX_PLANS, len(self._rules)
        slots = 1 << (2 * plans).bit_length()
        by_video = any(rule.scope.videos for rule in self._rules)
        tables = Tables(
            self._rows,
            np.array(self._code, dtype=CODE),
            np.array(self._numbers, dtype=np.float64),
            np.array(self._fields, dtype=np.uint8),
            np.zeros(plans, dtype=PLAN),
            np.zeros((plans, rules), dtype=np.int16),
            np.zeros(slots, dtype=np.int32),
            np.array([stamp, 0, by_video], dtype=np.int64),
        )
        return LaidOut(tables, self._rules, tuple(self._says), 2 * (rules + len(self._numbers)) + 2)

    def _rule(self, row: Any, rule: AdRule) -> None:
        limits, ad, scope, place = rule.limits, rule.format, rule.scope, rule.insertion
        row["name"], row["min_gap_s"] = self._names.row(rule.rule_id), limits.min_gap_s
        row["per_session"] = -1 if limits.per_session is None else limits.per_session
        row["per_video"] = -1 if limits.per_video is None else limits.per_video
        row["ad_type"], row["ad_length_s"], row["ad_percent"] = (
            self._names.row(ad.type),
            ad.length_s,
            ad.length_percent or 0.0,
        )
        row["trigger"], row["on_seek"] = _TRIGGERS[type(place)], _ON_SEEK[rule.on_seek]
        if isinstance(place, AtSeconds | Every | SessionPaced):
            row["seconds"] = place.seconds
        elif isinstance(place, AtPercent):
            row["seconds"] = place.percent
        elif isinstance(place, AtCuePoints):
            row["first"], row["behind"] = self._range(place.positions_s)
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
        lists = (scope.videos, scope.categories, scope.channels, scope.countries)
        for k, wanted in enumerate(lists):
            row["scope"][k] = self._range(map(self._names.row, wanted))
        fixed, rest = split_criteria(rule.criteria)
        row["fixed"] = self._entry(fixed, kernel.HOLDS, kernel.FAILS)
        row["criteria"] = self._entry(rest, kernel.HOLDS, kernel.FAILS)
        asked = fields_of(rule.criteria)
        row["asks"], row["asks_behind"] = len(self._fields), len(self._fields) + len(asked)
        self._fields += map(FIELD_NAMES.index, asked)

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
        else:
            relation, wanted = RELATIONS[tree.is_], self._number(tree.field, tree.value)
        self._code.append((wanted, first, behind, yes, no, FIELD_NAMES.index(tree.field), relation))
        return len(self._code) - 1

    def _number(self, field: str, value: str | float | bool) -> float:
        """The value as the loop compares it: texts by their row, actions by their kind."""
        if FIELDS[field].kind != "text":
            return float(value)
        if field == "last_action":
            return float(KINDS.index(value) if value in KINDS else -1 if value else 0)
        return float(self._names.row(str(value)))

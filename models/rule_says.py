"""What a decision says of its rule: the occasion's name and the reason, the values of the criteria."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from math import isnan
from typing import get_args

from cuepoint.models import session_occasions as occasions
from cuepoint.models.report_names import Names
from cuepoint.models.rule_criteria import fields_of
from cuepoint.models.rule_fields import DAY_PARTS, FIELDS, Value
from cuepoint.models.rule_kind import place_of
from cuepoint.models.rule_series import Series
from cuepoint.models.rule_text import describe_insertion
from cuepoint.schemas.playback import PlayerEventKind
from cuepoint.schemas.rules import AdRule

KINDS: tuple[str, ...] = get_args(PlayerEventKind)
_SAID_OF_A_RULE = 1024


class Texts(dict[int, str]):
    """Texts by their row, read off the names when first asked for."""

    def __init__(self, names: Names) -> None:
        super().__init__()
        self._names = names

    def __missing__(self, row: int) -> str:
        text = self[row] = self._names[row] if row >= 0 else ""
        return text


Say = Callable[[float, Texts], Value]


class Says:
    """``asks`` pairs the fields that a rule's criteria ask for with how their values are told."""

    def __init__(self, rule: AdRule, series: Series) -> None:
        self._text, self._series = describe_insertion(rule.insertion), series
        self.place = place_of(rule.insertion)
        self.formats = (rule.format, *(other.format or rule.format for other in rule.adapt))
        self.asks = tuple((field, say_of(field)) for field in fields_of(rule.criteria))
        self.named = lru_cache(_SAID_OF_A_RULE)(self._named)

    def _named(self, how: int, where: float) -> tuple[str, str]:
        """The occasion's name within the session (but for what it is counted from), and the reason told to people."""
        if how in (occasions.AT_START, occasions.AT_END):
            name, why = ("start", "the video starts") if how == occasions.AT_START else ("end", "the video ended")
        elif how in (occasions.PASSED, occasions.JUMPED):
            name, why = f"at{where!r}", f"{'passed' if how == occasions.PASSED else 'jumped over'} {where:g} s"
        elif how == occasions.PLAYED:
            listed = self._series.moments or self._series.interval_s
            name = f"n{int(where)}"
            why = f"{self._series.moment(int(where)):g} s played" if listed else "so much of it was played"
        else:
            name, why = "action", KINDS[int(where)]
        return name, f"{self._text}: {why}"


def say_of(field: str) -> Say:
    """How a field's number is told."""
    kind = FIELDS[field]
    if kind.kind == "flag":
        return lambda value, _: bool(value)
    if field == "day_part":
        return lambda value, _: DAY_PARTS[int(value)]
    if field == "last_action":
        return lambda value, _: KINDS[int(value)] if value else ""
    if kind.kind in ("text", "words"):
        return lambda value, texts: texts[int(value)]
    if kind.whole:
        return lambda value, _: int(value)
    return lambda value, _: None if isnan(value) else value  # it is unknown

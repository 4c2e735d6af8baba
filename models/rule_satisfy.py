"""Whether a criteria tree can ever hold: disjunctive normal form, then one domain per field and conjunction."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from cuepoint.models.rule_fields import FIELDS, FieldKind, Value
from cuepoint.schemas.rules import All, Compare, CriteriaTree, Has, Not, OneOf

MAX_CONJUNCTIONS = 4096


class Literal(NamedTuple):
    """``field`` stands in ``relation`` to ``values`` (one, or several for ``in``), or does not (``negated``)."""

    field: str
    relation: str
    values: tuple[Value, ...]
    negated: bool


class Range(NamedTuple):
    low: float
    low_open: bool
    high: float
    high_open: bool


def conjunctions(tree: CriteriaTree, negated: bool = False) -> list[tuple[Literal, ...]] | None:
    """The tree as alternatives of literals that hold together; None where there would be more than MAX_CONJUNCTIONS."""
    if isinstance(tree, Compare | Has):
        relation = "has" if isinstance(tree, Has) else tree.is_
        return [(Literal(tree.field, relation, (tree.value,), negated),)]
    if isinstance(tree, OneOf):
        return [(Literal(tree.field, "in", tuple(tree.values), negated),)]
    if isinstance(tree, Not):
        return conjunctions(tree.of, not negated)
    parts = [conjunctions(part, negated) for part in tree.of]
    if isinstance(tree, All) != negated:
        return _product(parts)
    joined: list[tuple[Literal, ...]] = []
    for part in parts:
        if part is None:
            return None
        joined += part
    return joined if len(joined) <= MAX_CONJUNCTIONS else None


def _product(parts: Sequence[list[tuple[Literal, ...]] | None]) -> list[tuple[Literal, ...]] | None:
    product: list[tuple[Literal, ...]] = [()]
    for part in parts:
        if part is None or len(product) * len(part) > MAX_CONJUNCTIONS:
            return None
        product = [left + right for left in product for right in part]
    return product


def impossible_field(literals: Sequence[Literal], settled: Mapping[str, tuple[Value, ...]]) -> str | None:
    """The first field that no value can satisfy, or None where all literals can hold at once."""
    by_field: dict[str, list[Literal]] = {}
    for literal in literals:
        by_field.setdefault(literal.field, []).append(literal)
    for field, group in by_field.items():
        if not _possible(FIELDS[field], group, settled.get(field)):
            return field
    return None


def number_range(field: str, literals: Sequence[Literal]) -> Range:
    """The interval within which ``field`` must lie for the literals to hold (single excluded points left aside).

    >>> number_range("video_length_s", [Literal("video_length_s", ">", (90.0,), False)])
    Range(low=90.0, low_open=True, high=inf, high_open=False)
    """
    kind = FIELDS[field]
    low, low_open, high, high_open = kind.low, False, kind.high, False
    for literal in literals:
        if literal.field != field:
            continue
        for relation, value in _bounds(literal):
            if relation in (">", ">=") and (value, relation == ">") > (low, low_open):
                low, low_open = value, relation == ">"
            if relation in ("<", "<=") and (-value, relation == "<") > (-high, high_open):
                high, high_open = value, relation == "<"
    return Range(low, low_open, high, high_open)


_OPPOSITE = {"<": ">=", "<=": ">", ">": "<=", ">=": "<", "==": "!=", "!=": "=="}


def _bounds(literal: Literal) -> list[tuple[str, float]]:
    relation = literal.relation
    if relation == "in":
        if literal.negated:
            return []
        numbers = [float(v) for v in literal.values if isinstance(v, int | float)]
        return [(">=", min(numbers)), ("<=", max(numbers))] if numbers else []
    relation = _OPPOSITE[relation] if literal.negated else relation
    value = literal.values[0]
    if isinstance(value, bool) or not isinstance(value, int | float):
        return []
    if relation == "==":
        return [(">=", value), ("<=", value)]
    return [] if relation == "!=" else [(relation, value)]


def holds(literal: Literal, value: Value) -> bool:
    """Whether the literal holds for one value; an unknown value satisfies negated literals only."""
    if value is None:
        return literal.negated
    relation, wanted = literal.relation, literal.values[0]
    if relation == "has":
        found = wanted in str(value).split(" ")
    elif relation == "in":
        found = value in literal.values
    elif relation in ("==", "!="):
        found = (value == wanted) == (relation == "==")
    elif isinstance(value, str) or isinstance(wanted, str) or wanted is None:
        found = False
    else:
        found = {"<": value < wanted, "<=": value <= wanted, ">": value > wanted, ">=": value >= wanted}[relation]
    return found != literal.negated


def _possible(kind: FieldKind, group: list[Literal], settled: tuple[Value, ...] | None) -> bool:
    if kind.nullable and all(literal.negated for literal in group):
        return True
    return any(all(holds(literal, value) for literal in group) for value in _candidates(kind, group, settled))


def _candidates(kind: FieldKind, group: list[Literal], settled: tuple[Value, ...] | None) -> list[Value]:
    """Values of which one satisfies the group if any value does: the named ones, and one between and beyond each."""
    if settled is not None:
        return list(settled)
    if kind.kind == "flag":
        return [True, False]
    named = [value for literal in group for value in literal.values]
    if kind.kind == "words":
        return [" ".join(str(literal.values[0]) for literal in group if not literal.negated)]
    if kind.kind == "text":
        return list(kind.names) if kind.names is not None else [*named, "\x00none of those named"]
    numbers = sorted({float(v) for v in named if isinstance(v, int | float)} | {kind.low})
    points = {kind.low, kind.high if math.isfinite(kind.high) else numbers[-1] + 1.0}
    for left, right in zip(numbers, [*numbers[1:], numbers[-1] + 2.0], strict=True):
        points |= {left, right}
        if kind.whole:
            points |= {float(math.floor(left) + k) for k in (1, 2)} | {float(math.ceil(right) - k) for k in (1, 2)}
        else:
            points.add((left + right) / 2.0)
    if not kind.whole:
        return [point for point in points if kind.low <= point <= kind.high]
    return [point for point in points if point == math.floor(point) and kind.low <= point <= kind.high]

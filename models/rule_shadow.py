"""What a rule cannot do because of other rules: one always stands in its place, one it waits for is not there.

Only what is certain is said; a rule that is told nothing of may still never be reached.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from cuepoint.models.rule_criteria import fields_of
from cuepoint.models.rule_fields import AD_ACTIONS, settled_fields
from cuepoint.models.rule_satisfy import conjunctions, impossible_field
from cuepoint.schemas.rules import AdRule, All, Limits, Not, OnAction

_FIRST, _LAST = (dt.datetime(year, 1, 1, tzinfo=dt.UTC) for year in (1, 9999))
Warnings = list[tuple[str, str]]


def warnings_of(rule: AdRule, others: Sequence[AdRule]) -> Warnings:
    """(JSON path, reason) of each: the rule beside the latest versions of all others.

    >>> from cuepoint.schemas.rules import AtStart
    >>> first = AdRule(rule_id="a", name="a", insertion=AtStart())
    >>> warnings_of(AdRule(rule_id="b", name="b", insertion=AtStart(), limits=Limits(min_gap_s=60)), [first])
    [('$.limits.min_gap_s', 'is never met: rule a inserts at each of the same occasions before')]
    """
    beside = [other for other in others if other.rule_id != rule.rule_id and other.status == "active"]
    found: Warnings = []
    point = rule.insertion
    awaited = point.value if isinstance(point, OnAction) and point.action in AD_ACTIONS else ""
    if awaited not in {"", rule.rule_id, *(other.rule_id for other in beside)}:
        found.append(("$.insertion.value", f"there is no active rule {awaited}, whose ads it waits for"))
    for other in sorted(beside, key=_order):
        if _order(other) < _order(rule) and _always_before(other, rule):
            found += _kept_out(rule, other)
    return found


def _order(rule: AdRule) -> tuple[int, str]:
    return rule.priority, rule.rule_id


def _kept_out(rule: AdRule, other: AdRule) -> Warnings:
    reason = f"is never met: rule {other.rule_id} inserts at each of the same occasions before"
    limits, gaps = rule.limits, [each.min_gap_s for each in rule.adapt]
    if limits.min_gap_s > 0 and all(gap is None or gap > 0 for gap in gaps):
        return [("$.limits.min_gap_s", reason)]
    if limits.pod_ads == 1:
        return [("$.limits.pod_ads", reason)]
    return []


def _always_before(other: AdRule, rule: AdRule) -> bool:
    """Whether ``other`` inserts wherever ``rule`` is asked to: same occasions, wider criteria, scope and schedule, and
    nothing of its own that holds it back."""
    return (
        other.insertion == rule.insertion
        and other.on_seek == rule.on_seek
        and other.limits == Limits()
        and not other.adapt
        and (other.starts or _FIRST) <= (rule.starts or _FIRST)
        and (other.ends or _LAST) >= (rule.ends or _LAST)
        and _wider_scope(other, rule)
        and _implied(other, rule)
    )


def _wider_scope(other: AdRule, rule: AdRule) -> bool:
    pairs = [(getattr(other.scope, name), getattr(rule.scope, name)) for name in rule.scope.__struct_fields__]
    return all(not wide or (narrow and set(narrow) <= set(wide)) for wide, narrow in pairs)


def _implied(other: AdRule, rule: AdRule) -> bool:
    """Whether the criteria of ``rule`` cannot hold without those of ``other``."""
    if other.criteria == All():
        return True
    if any(field.startswith("ad_") for field in fields_of(other.criteria)):
        return False  # of its own ad
    apart = conjunctions(All(of=[rule.criteria, Not(of=other.criteria)]))
    settled = settled_fields(rule)
    return apart is not None and all(impossible_field(literals, settled) is not None for literals in apart)

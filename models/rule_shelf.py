"""All rules told of outside the log of player events, for a log whose beginning is gone."""

from __future__ import annotations

from msgspec.structs import replace

from cuepoint.models.rule_check import check_rule
from cuepoint.schemas.rules import AdRule


class RuleShelf:
    """Rules arrive in any order and any number of times.

    >>> from cuepoint.schemas.rules import AtStart
    >>> shelf = RuleShelf()
    >>> shelf.add(AdRule(rule_id="pre", name="Pre-roll", insertion=AtStart(), offsets={"0": 7}))
    >>> [rule.rule_id for rule in shelf.before(0, 7)], [rule.rule_id for rule in shelf.before(0, 8)]
    ([], ['pre'])
    """

    def __init__(self) -> None:
        self._rules: dict[tuple[str, int], AdRule] = {}

    def add(self, rule: AdRule) -> None:
        """Take in one version. Of one published twice the first copy of each partition counts. Raises RuleError."""
        check_rule(rule)
        key = (rule.rule_id, rule.version)
        before = self._rules[key].offsets if key in self._rules else {}
        offsets = {place: min(rule.offsets.get(place, at), at) for place, at in before.items()}
        self._rules[key] = replace(rule, offsets={**rule.offsets, **offsets})

    def before(self, partition: int, offset: int) -> list[AdRule]:
        """The versions that hold at the offset already: their copy in the partition stands before it, or there is none
        (the partition is newer than the rule)."""
        held = [rule for _, rule in sorted(self._rules.items()) if rule.offsets.get(str(partition), -1) < offset]
        return [replace(rule, offsets={}) for rule in held]

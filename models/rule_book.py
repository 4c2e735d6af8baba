"""All versions of all rules, and which of them are in effect when."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass

from cuepoint.models.rule_check import check_rule
from cuepoint.schemas.rules import AdRule

_ALWAYS = float("inf")


@dataclass(frozen=True, slots=True, eq=False)
class ActiveRules:
    """The rules in effect from ``begins`` up to, not including, ``until`` (ms), the one asked first at the front."""

    begins: float
    until: float
    rules: tuple[AdRule, ...]


class RuleBook:
    """Rules arrive in any order and any number of times; what is in effect at a moment depends on nothing else.

    >>> from cuepoint.schemas.rules import AtStart
    >>> book = RuleBook()
    >>> book.add(AdRule(rule_id="pre", name="Pre-roll", insertion=AtStart(), effective_at=1000))
    True
    >>> [rule.rule_id for rule in book.current(999)], [rule.rule_id for rule in book.current(1000)]
    ([], ['pre'])
    """

    def __init__(self) -> None:
        self._versions: dict[str, dict[int, AdRule]] = {}
        self._changes: list[float] = []  # moments at which the rules in effect may differ from those before
        self._active: dict[int, ActiveRules] = {}

    def add(self, rule: AdRule) -> bool:
        """Take in one version; False where it is already held. Raises RuleError and leaves the book as it was."""
        held = self._versions.get(rule.rule_id, {})
        if held.get(rule.version) == rule:
            return False
        check_rule(rule)
        self._versions.setdefault(rule.rule_id, held)[rule.version] = rule
        self._changes, self._active = self._moments(), {}
        return True

    def drop_superseded(self, before_ms: int) -> None:
        """Forget versions that a later one has replaced for all events received from ``before_ms`` on."""
        for versions in self._versions.values():
            newest = max((number for number, rule in versions.items() if rule.effective_at <= before_ms), default=0)
            for number in [number for number in versions if number < newest]:
                del versions[number]
        self._changes, self._active = self._moments(), {}

    def rules(self) -> list[AdRule]:
        """All versions held, by rule and version."""
        return [versions[number] for _, versions in sorted(self._versions.items()) for number in sorted(versions)]

    def _moments(self) -> list[float]:
        moments = {bound for kept in self.rules() for bound in (float(kept.effective_at), *_span(kept))}
        return sorted(moments - {-_ALWAYS, _ALWAYS})

    def at(self, at_ms: int) -> ActiveRules:
        """The rules in effect at ``at_ms``; the same object for the same moment until the book changes."""
        index = bisect_right(self._changes, at_ms)
        active = self._active.get(index)
        if active is None:
            begins = self._changes[index - 1] if index else -_ALWAYS
            until = self._changes[index] if index < len(self._changes) else _ALWAYS
            active = self._active[index] = ActiveRules(begins, until, tuple(self.current(at_ms)))
        return active

    def current(self, at_ms: int) -> list[AdRule]:
        """The active rules in effect at ``at_ms``, the one asked first at the front (priority, then id)."""
        found: list[AdRule] = []
        for versions in self._versions.values():
            begun = [number for number, rule in versions.items() if rule.effective_at <= at_ms]
            if not begun:
                continue
            rule = versions[max(begun)]
            starts, ends = _span(rule)
            if rule.status == "active" and starts <= at_ms < ends:
                found.append(rule)
        return sorted(found, key=lambda rule: (rule.priority, rule.rule_id))


def _span(rule: AdRule) -> tuple[float, float]:
    starts = rule.starts.timestamp() * 1000.0 if rule.starts is not None else -_ALWAYS
    ends = rule.ends.timestamp() * 1000.0 if rule.ends is not None else _ALWAYS
    return starts, ends

"""What the checks of a chaos run found wrong."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

KINDS = ("lost", "duplicated", "state_mismatches", "unchecked")
_SHOWN = 5


@dataclass
class Findings:
    """``unchecked`` counts checks that could not be made: as bad as one that failed."""

    counts: Counter[str] = field(default_factory=Counter)

    def add(self, kind: str, what: str, amount: int = 1) -> None:
        assert kind in KINDS
        self.counts[kind] += amount
        say(f"FOUND {kind} ({amount}): {what}")

    def add_all(self, kind: str, what: str, which: Collection[Any]) -> None:
        """One for each of ``which``, if any."""
        if which:
            some = ", ".join(map(str, sorted(which, key=str)[:_SHOWN]))
            self.add(kind, f"{what}: {some}{', ...' if len(which) > _SHOWN else ''}", len(which))

    @property
    def total(self) -> int:
        return sum(self.counts.values())


def say(text: str) -> None:
    """To standard error: standard output ends with the one JSON line."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()

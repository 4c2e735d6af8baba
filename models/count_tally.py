"""Increments of counters, added up over a batch."""

from __future__ import annotations

from collections.abc import Mapping

from cuepoint.models.count_keys import of_hour

Increments = dict[str, dict[str, int]]
HOUR_MS = 3_600_000
NO_CATEGORY = "none"


class Tally:
    """Adds up increments; ``increments`` is what a batch changes, key by key."""

    __slots__ = ("increments",)

    def __init__(self) -> None:
        self.increments: Increments = {}

    def add(self, at_ms: int, metric: str, amount: int, names: Mapping[str, str]) -> None:
        """Count ``amount`` in the totals of the day and hour of ``at_ms``, its day part, and under each of ``names``
        (``video``, ``category``, ``rule``, ``format``).

        >>> tally = Tally()
        >>> tally.add(1_700_000_000_000, "plays", 1, {"video": "v1"})
        >>> tally.increments["video:2023-11-14"]
        {'v1|plays': 1}
        """
        day, hour, part = of_hour(at_ms // HOUR_MS)
        self._put(f"total:{day}", metric, amount)
        self._put(f"hour:{hour}", metric, amount)
        self._put(f"day_part:{day}", f"{part}|{metric}", amount)
        for kind, name in names.items():
            self._put(f"{kind}:{day}", f"{name}|{metric}", amount)

    def merge(self, other: Tally) -> None:
        """Add what another tally holds."""
        for key, fields in other.increments.items():
            self.put(key, fields)

    def put(self, key: str, fields: Mapping[str, int]) -> None:
        """Add to one key's fields."""
        for field, amount in fields.items():
            self._put(key, field, amount)

    def _put(self, key: str, field: str, amount: int) -> None:
        fields = self.increments.get(key)
        if fields is None:
            fields = self.increments[key] = {}
        fields[field] = fields.get(field, 0) + amount

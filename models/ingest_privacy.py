"""From persons to groups: age bands, and cells of too few persons merged upward or left out.

k-anonymity by generalisation and suppression (Samarati and Sweeney, 1998): a group of fewer than ``k`` persons gives up
one attribute after the other, the most telling first, until it has company; what never finds any is suppressed. The
geodemographic groups are those of the mission's row C3; docs/reports.md says the same for those who read the data.
"""

from __future__ import annotations

import datetime as dt
from array import array
from collections.abc import Mapping
from typing import Any, NamedTuple, TypeAlias

from cuepoint.schemas.consumption import Activity, AgeBand, Cell, Context, Device, Gender, Subscription

_BANDS: tuple[tuple[int, AgeBand], ...] = (
    (18, "0-17"),
    (25, "18-24"),
    (35, "25-34"),
    (45, "35-44"),
    (55, "45-54"),
    (65, "55-64"),
)
OLDEST = 120


class Group(NamedTuple):
    """A group and a way of listening: what a cell says beside its numbers.

    In the order in which attributes are given up: who somebody is goes before how they listened, for causes are told
    by the latter.
    """

    age_band: AgeBand = "unknown"
    gender: Gender = "unknown"
    region: str = ""
    device: Device = "unknown"
    container: str = ""
    container_name: str = ""
    subscription: Subscription = "unknown"
    context: Context = "unknown"
    activity: Activity = "unknown"


NOBODY = Group()
HIERARCHY: tuple[tuple[str, ...], ...] = (
    ("age_band",),
    ("gender",),
    ("region",),
    ("device",),
    ("container", "container_name"),
    ("subscription",),
    ("context", "activity"),
)
_GIVEN_UP = (1, 2, 3, 4, 6, 7, 9)  # attributes after each step


Members: TypeAlias = "array[int] | set[int]"


class Tally:
    """The numbers of a group.

    ``members``: a number for each distinct person; None where the report does not tell persons apart:
    then ``listeners`` is how many it says there were, or None, and no more persons than streams are taken for granted.
    """

    __slots__ = ("completed", "count", "listeners", "members", "played_seconds")

    def __init__(
        self,
        count: int = 0,
        played_seconds: int = 0,
        completed: int | None = None,
        members: Members | None = None,
        listeners: int | None = None,
    ) -> None:
        self.count, self.played_seconds, self.completed = count, played_seconds, completed
        self.members, self.listeners = members, listeners

    @property
    def persons(self) -> int:
        """How many persons there are at most."""
        if self.members is not None:
            return len(self.members)
        return self.count if self.listeners is None else min(self.count, self.listeners)

    def add(self, other: Tally) -> None:
        """Take in another group's numbers; a person of both is one person."""
        self.count += other.count
        self.played_seconds += other.played_seconds
        if other.completed is not None:
            self.completed = (self.completed or 0) + other.completed
        if self.members is None and other.members is None:
            both = self.listeners is not None and other.listeners is not None
            self.listeners = (self.listeners or 0) + (other.listeners or 0) if both else None
        else:
            mine = self.members if isinstance(self.members, set) else set(self.members or ())
            mine.update(other.members or ())
            self.members = mine

    def cell(self, group: Group) -> Cell:
        """The group with its numbers as the contract has it."""
        return Cell(**self.fields(group))

    def fields(self, group: Group) -> dict[str, Any]:
        """The fields of that cell."""
        return {
            **group._asdict(),
            "count": self.count,
            "consumers": self.listeners if self.members is None else len(self.members),
            "played_seconds": self.played_seconds,
            "completed": self.completed,
        }


def age_band(birth_year: int, day: dt.date) -> AgeBand:
    """The band of the age that is reached in the year of ``day``; unknown for an age nobody has.

    >>> [age_band(born, dt.date(2018, 11, 26)) for born in (1994, 1993, 2030)]
    ['18-24', '25-34', 'unknown']
    """
    age = day.year - birth_year
    if not 0 <= age <= OLDEST:
        return "unknown"
    return next((band for end, band in _BANDS if age < end), "65+")


def merge_small(cells: Mapping[Group, Tally], k: int) -> dict[Group, Tally]:
    """The cells of one asset in one report, each of at least ``k`` persons.

    A smaller cell gives up the attributes of HIERARCHY one after the other; cells that have become alike are one. What
    is too small even without any attribute is left out. The tallies handed over may be changed.

    >>> small, large = Group(gender="male", context="search"), Group(gender="female", context="search")
    >>> merged = merge_small({small: Tally(3), large: Tally(40)}, k=10)
    >>> [(group.gender, tally.count) for group, tally in merged.items()]
    [('female', 40)]
    """
    kept = dict(cells)
    if sum(tally.persons for tally in kept.values()) < k:
        return {}
    for given_up in _GIVEN_UP:
        small = [group for group, tally in kept.items() if tally.persons < k]
        if not small:
            return kept
        for group in small:  # of which all that stands before is given up already
            parent = Group._make((*NOBODY[:given_up], *group[given_up:]))
            if parent == group:
                continue
            tally, known = kept.pop(group), kept.get(parent)
            if known is None:
                kept[parent] = tally
            else:
                known.add(tally)
    return {group: tally for group, tally in kept.items() if tally.persons >= k}


def merge_to_size(cells: Mapping[Group, Tally], k: int, most: int) -> dict[Group, Tally]:
    """As ``merge_small``, with ``k`` doubled until at most ``most`` (1 or more) cells are left."""
    merged = merge_small(cells, k)
    while len(merged) > most:
        k *= 2
        merged = merge_small(merged, k)
    return merged

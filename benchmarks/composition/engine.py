"""The session agent alone, in memory: what it costs as rules and sessions grow."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from itertools import islice
from typing import NamedTuple

import sessions
from msgspec.structs import replace
from workload import player_events, twenty_rules

from cuepoint.schemas.rules import AdRule

PASSES = 3
_TELLING = 10_000  # sessions: with fewer, what the process grows by is noise


class Held(NamedTuple):
    """So many live sessions: events a CPU second, bytes of each (None where too few to tell)."""

    sessions: int
    events_per_cpu_s: float
    bytes_each: float | None


class ManyRules(sessions.Rules):
    """``count`` active rules: the twenty over and over, each round under names of its own."""

    def __init__(self, count: int) -> None:
        twenty = twenty_rules()
        chosen = [twenty[n % len(twenty)] for n in range(count)]
        self._rules = [replace(rule, rule_id=f"{rule.rule_id}-{n}") for n, rule in enumerate(chosen)]

    def before(self, partition: int, offset: int) -> list[AdRule]:
        return self._rules


def by_rules(counts: Sequence[int], events: int) -> list[tuple[int, float]]:
    """(rules, events a CPU second), simulated viewers."""
    log = list(sessions.batches(player_events(events, max(2_000, events // 75))))
    found = []
    for count in counts:
        rules = ManyRules(count)
        sessions.one_pass(log[:1], rules)
        spent_s = statistics.median(sessions.one_pass(log, rules)[0] for _ in range(PASSES))
        found.append((count, events / spent_s))
    return found


def row(held: Held) -> str:
    """Its cells of the table."""
    size = "-" if held.bytes_each is None else f"{held.bytes_each:,.0f}"
    return f"| | {held.sessions:,} | {held.events_per_cpu_s:,.0f} | {size} |"


def by_sessions(counts: Sequence[int]) -> list[Held]:
    """Twenty rules, each session in the middle of a video."""
    found = []
    for count in counts:
        log = list(sessions.batches(islice(sessions.heartbeats(count), max(6 * count, 3 * sessions.BATCH))))
        events = sum(len(part.values) for part in log)
        spent_s = statistics.median(sessions.one_pass(log, sessions.Rules())[0] for _ in range(PASSES))
        del log
        size = sessions.bytes_in_a_fresh_process(count) if count >= _TELLING else None
        found.append(Held(count, events / spent_s, size))
    return found

"""Rates over the last minutes, computed from the totals in the workers' heartbeats."""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import dataclass, field
from typing import NamedTuple

from cuepoint.schemas.topics import AD_DECISIONS, PLAYER_EVENTS, TREND_RECORDS
from cuepoint.streams.heartbeats import Heartbeat


class Flow(NamedTuple):
    """Messages of one topic through one role."""

    role: str
    way: str  # in, out
    topic: str


INPUTS = (Flow("trends", "in", TREND_RECORDS.name), Flow("sessions", "in", PLAYER_EVENTS.name))
DECISIONS = Flow("sessions", "out", AD_DECISIONS.name)


def flows_of(beat: Heartbeat) -> dict[Flow, int]:
    """The totals of one worker by flow."""
    flows = {Flow(beat.role, "in", topic): total for topic, total in beat.received.items()}
    return flows | {Flow(beat.role, "out", topic): total for topic, total in beat.sent.items()}


def rates_between(before: Heartbeat, now: Heartbeat) -> dict[Flow, float]:
    """Messages a second of one worker between two of its heartbeats; nothing if it was restarted in between."""
    elapsed_s = (now.at - before.at) / 1000
    if elapsed_s <= 0 or now.started_at != before.started_at:
        return {}
    old = flows_of(before)
    return {flow: max(total - old.get(flow, 0), 0) / elapsed_s for flow, total in flows_of(now).items()}


@dataclass
class RateBoard:
    """Keeps the last ``keep`` samples. ``observe`` takes all heartbeats of one moment; each flow's series has one
    rate a sample (the first look has nothing to compare with)."""

    keep: int = 60
    beats: list[Heartbeat] = field(default_factory=list)
    series: dict[Flow, deque[float]] = field(default_factory=dict)
    totals: dict[Flow, int] = field(default_factory=dict)
    samples: int = 0

    def observe(self, beats: list[Heartbeat]) -> None:
        """Take the heartbeats of now. A worker heard of for the first time counts from the next sample on."""
        first, before = not self.beats, {(beat.role, beat.worker): beat for beat in self.beats}
        self.beats = beats
        sums: dict[Flow, float] = defaultdict(float)
        self.totals = defaultdict(int)
        for beat in beats:
            for flow, total in flows_of(beat).items():
                self.totals[flow] += total
                sums.setdefault(flow, 0.0)
            known = before.get((beat.role, beat.worker))
            if known is not None:
                for flow, value in rates_between(known, beat).items():
                    sums[flow] += value
        if first:
            return
        for flow in set(sums) | set(self.series):
            line = self.series.setdefault(flow, deque([0.0] * self.samples, maxlen=self.keep))
            line.append(sums.get(flow, 0.0))
        self.samples = min(self.samples + 1, self.keep)

    def rate(self, *flows: Flow, samples: int = 5) -> float:
        """Messages a second over the last ``samples``, summed over ``flows``."""
        recent = [list(self.series[flow])[-samples:] for flow in flows if flow in self.series]
        return sum(sum(line) / len(line) for line in recent)

    def line(self, *flows: Flow) -> list[float]:
        """The series of rates summed over ``flows``, oldest first."""
        lines = [self.series[flow] for flow in flows if flow in self.series]
        return [sum(values) for values in zip(*lines, strict=True)] if lines else []

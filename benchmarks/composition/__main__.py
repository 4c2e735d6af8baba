"""``make bench-composition`` (``QUICK=1``: under a minute): rules and sessions on Apache Kafka, up to a real browser.

Throughput, latency, rule change and browser run real workers against Kafka (the embedded broker where Java or Maven is
missing, and it says so); what rules and sessions cost is measured in the session agent alone. Parts and log are those
of benchmarks/stream. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from pathlib import Path
from typing import NamedTuple

sys.path.append(str(Path(__file__).parents[1]))
sys.path.append(str(Path(__file__).parents[1] / "stream"))

import engine
import latency
import live
import ours
import workload
from machine import Place, describe, prepare

from cuepoint.schemas.topics import PLAYER_EVENTS

RATE = 1_000.0  # events a second of the decision latency


class Sizes(NamedTuple):
    """How much is measured."""

    events: int
    repeats: int
    latency_s: float
    changes: int
    clicks: int
    engine_events: int
    rules: tuple[int, ...]
    sessions: tuple[int, ...]


FULL = Sizes(1_500_000, 3, 30.0, 20, 500, 300_000, (1, 5, 20, 100, 500), (1_000, 10_000, 100_000))
QUICK = Sizes(80_000, 1, 4.0, 3, 40, 30_000, (1, 20, 500), (1_000, 10_000))
Figures = dict[str, float | None]


def tell(text: str) -> None:
    """Progress, on stderr: stdout is for the result."""
    sys.stderr.write(f"{text}\n")


def main() -> None:
    parser = argparse.ArgumentParser(description="Rules and sessions on Apache Kafka, up to a real browser.")
    parser.add_argument("--quick", action="store_true", help="under a minute")
    sizes = QUICK if parser.parse_args().quick else FULL
    with prepare() as place:
        lines, figures = describe(place), measure(place, sizes)
    lines += [
        "",
        "| rules | events per CPU s | | live sessions | events per CPU s | bytes a session |",
        "|" + "---|" * 6,
    ]
    by_rules, by_sessions = engine.by_rules(sizes.rules, sizes.engine_events), engine.by_sessions(sizes.sessions)
    for n in range(max(len(by_rules), len(by_sessions))):
        left = f"| {by_rules[n][0]:,} | {by_rules[n][1]:,.0f}" if n < len(by_rules) else "| |"
        lines.append(f"{left} {engine.row(by_sessions[n]) if n < len(by_sessions) else '| | | | |'}")
    figures["bytes_per_session"] = by_sessions[-1].bytes_each
    for line in lines:
        print(line)
    print(json.dumps({name: None if value is None else round(value, 3) for name, value in figures.items()}))


def measure(place: Place, sizes: Sizes) -> Figures:
    """What needs broker and workers."""
    figures: Figures = {}
    events = workload.player_events(sizes.events, max(2_000, sizes.events // 75))
    tell(f"writing {len(events):,} player events, {workload.RULES} rules")
    workload.make_player_log(place.broker, "comp-log.", events)
    speeds = []
    for number in range(sizes.repeats):
        with ours.workers(place, "sessions", PLAYER_EVENTS, "comp-log.", f"comp-{number}") as running:
            ours.until_received(place, running, len(events))
            speeds.append(running[0].speed(len(events)))
        tell(f"{speeds[-1].per_s:,.0f} events/s, {speeds[-1].per_cpu_s:,.0f} per CPU s")
    figures["events_per_s"] = statistics.median(speed.per_s for speed in speeds)
    figures["events_per_cpu_s"] = statistics.median(speed.per_cpu_s for speed in speeds)
    count = int(RATE * (latency.WARM_S + sizes.latency_s))
    paced = workload.player_events(count, max(50, count // 200))
    told = latency.measure(place, paced, RATE, "comp-paced.", redis=False)
    tell(f"{told}")
    with live.system(place, "comp-live.") as system:
        figures["rule_change_s"] = live.rule_change_s(system, sizes.changes)
        tell(f"rule change to effect: {figures['rule_change_s']:.3f} s")
        figures["decision_ms_p50"], _, figures["decision_ms_p99"] = told.topic_ms or (None, None, None)
        figures["browser_ms_p99"] = live.browser_ms_p99(system, sizes.clicks)
    return figures


if __name__ == "__main__":
    main()

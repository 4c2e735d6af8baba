"""Events a CPU second, and bytes a live session, of the session agent alone, with twenty active rules.

``make bench-sessions`` (``QUICK=1``: under a minute): a log of heartbeats alone (each session plays one long video) and
the simulated viewers' mix, both seeded, in memory, in batches of 20,000; medians of several passes, each with a fresh
agent. The last line is one JSON object. Transport is measured by ``make bench-stream``.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import resource
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import cuepoint
from cuepoint.agents.compose_sessions import ComposeSessions
from cuepoint.models.rule_book import RuleBook
from cuepoint.schemas.codec import encode
from cuepoint.schemas.playback import PlayerEvent
from cuepoint.schemas.topics import AD_DECISIONS
from cuepoint.streams.batch import Batch

sys.path.append(str(Path(__file__).parent / "stream"))
from workload import START_MS, player_events, twenty_rules  # noqa: E402 - the same rules and viewers as bench-stream

BATCH, HEARTBEAT_S = 20_000, 10.0
GC_THRESHOLDS = (200_000, 20, 50)


class Rules:
    """The twenty rules."""

    def __init__(self) -> None:
        self._book = RuleBook()
        for rule in twenty_rules():
            self._book.add(rule)

    def book(self) -> RuleBook:
        return self._book


def heartbeats(count: int, sessions: int) -> list[PlayerEvent]:
    """``count`` events of sessions that each start one video of an hour and play on."""
    events: list[PlayerEvent] = []
    seq = 0
    while len(events) < count:
        for number in range(sessions):
            kind = ("session_started", "video_started")[seq] if seq < 2 else "progressed"
            at_ms, viewer = START_MS + seq * 10_000 + number, {"device": "mobile", "country": "DE"}
            playing = {"video_id": f"video-{number % 200:03d}", "position_s": max(0, seq - 1) * HEARTBEAT_S}
            event = PlayerEvent(
                event_id=f"bench-{number:06d}-{seq}",
                session_id=f"bench-{number:06d}",
                seq=seq,
                kind=kind,  # type: ignore[arg-type]
                at=at_ms,
                received_at=at_ms,
                **(playing if seq else {}),
                **(viewer if seq < 2 else {}),
                **({"duration_s": 3600.0, "category": "news"} if seq == 1 else {}),
            )
            events.append(event)
        seq += 1
    return events[:count]


def batches(events: Sequence[PlayerEvent]) -> list[Batch]:
    """The log as the transport hands it over."""
    values = [encode(event) for event in events]
    cut: list[Batch] = []
    for first in range(0, len(values), BATCH):
        part, last = values[first : first + BATCH], min(first + BATCH, len(values)) - 1
        stamps = [event.received_at for event in events[first : first + BATCH]]
        offsets = range(first, last + 1)
        cut.append(Batch("events", 0, first, last, part, [None] * len(part), offsets, stamps))
    return cut


def one_pass(log: Sequence[Batch], rules: Rules) -> tuple[float, int]:
    """(CPU seconds, decisions) of a fresh agent."""

    async def feed() -> int:
        agent, decisions = ComposeSessions(rules), 0
        agent.restore(0, None)
        for part in log:
            decisions += sum(1 for out in await agent.process(part) if out.topic is AD_DECISIONS)
        return decisions

    began = time.process_time()
    decisions = asyncio.run(feed())
    return time.process_time() - began, decisions


def resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize()


def bytes_per_session(sessions: int) -> float:
    """Growth of the process by so many sessions in the middle of a video."""
    log = batches(heartbeats(sessions * 6, sessions))
    agent = ComposeSessions(Rules())
    agent.restore(0, None)
    gc.collect()
    before = resident_bytes()

    async def feed() -> None:
        for part in log:
            await agent.process(part)

    asyncio.run(feed())
    gc.collect()
    return (resident_bytes() - before) / agent.live_sessions


def measure(events: Sequence[PlayerEvent], passes: int) -> dict[str, float]:
    log, rules = batches(events), Rules()
    one_pass(log[:2], rules)
    found = [one_pass(log, rules) for _ in range(passes)]
    other = sum(1 for event in events if event.kind != "progressed") / len(events)
    return {
        "events_per_cpu_s": round(len(events) / statistics.median(cpu_s for cpu_s, _ in found)),
        "best": round(len(events) / min(cpu_s for cpu_s, _ in found)),
        "decisions": found[0][1],
        "not_heartbeats": round(other, 4),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true", help="a fifth of the events")
    quick = parser.parse_args().quick
    count, sessions, passes = (100_000, 2_500, 5) if quick else (500_000, 10_000, 7)
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
    memory = bytes_per_session(20_000 if quick else 50_000)
    mixes = {
        "heartbeats": measure(heartbeats(count, sessions // 5), passes),
        "simulator": measure(player_events(count, sessions), passes),
    }
    print(f"cuepoint {cuepoint.__version__}, {count} events, medians of {passes}, load {os.getloadavg()[0]:.1f}")
    print(f"{'mix':12} {'events/CPU s':>13} {'best':>10} {'not heartbeats':>15} {'decisions':>10}")
    for name, row in mixes.items():
        print(
            f"{name:12} {row['events_per_cpu_s']:13,.0f} {row['best']:10,.0f}"
            f" {row['not_heartbeats']:15.1%} {row['decisions']:10,.0f}"
        )
    print(f"bytes a live session: {memory:,.0f}")
    figures = {name: row["events_per_cpu_s"] for name, row in mixes.items()}
    print(json.dumps({"events_per_cpu_s": figures, "bytes_per_session": round(memory), "rules": 20}))


if __name__ == "__main__":
    main()

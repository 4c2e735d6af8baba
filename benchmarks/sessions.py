"""Events a CPU second, and bytes a live session, of the session agent alone, with twenty active rules.

``make bench-sessions`` (``QUICK=1``: under a minute): a log of heartbeats alone (each session plays one long video) and
the simulated viewers' mix, both seeded, in memory, in batches of 20,000; medians of several passes, each with a fresh
agent. The last line is one JSON object. Transport is measured by ``make bench-stream``.
"""

from __future__ import annotations

import argparse
import asyncio
import ctypes
import gc
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import count, islice
from pathlib import Path
from typing import Any

import cuepoint
from cuepoint.agents.compose_sessions import ComposeSessions
from cuepoint.schemas.codec import encode
from cuepoint.schemas.playback import PlayerEvent, PlayerEventKind
from cuepoint.schemas.rules import AdRule
from cuepoint.schemas.topics import AD_DECISIONS
from cuepoint.streams.batch import Batch

sys.path.append(str(Path(__file__).parent / "stream"))
from workload import START_MS, player_events, twenty_rules

BATCH, HEARTBEAT_S = 20_000, 10.0
KINDS: tuple[PlayerEventKind, ...] = ("session_started", "video_started", "progressed")
GC_THRESHOLDS = (200_000, 20, 50)


class Rules:
    """The twenty rules."""

    def before(self, partition: int, offset: int) -> list[AdRule]:
        return twenty_rules()


def heartbeats(sessions: int) -> Iterator[PlayerEvent]:
    """Events of sessions that each start one video of an hour and play on, without end."""
    for seq in count():
        fields: dict[str, Any] = {"device": "mobile", "country": "DE"} if seq < 2 else {}
        if seq == 1:
            fields |= {"duration_s": 3600.0, "category": "news"}
        for number in range(sessions):
            if seq:
                fields |= {"video_id": f"video-{number % 200:03d}", "position_s": (seq - 1) * HEARTBEAT_S}
            at_ms = START_MS + seq * 10_000 + number
            yield PlayerEvent(
                event_id=f"bench-{number:06d}-{seq}",
                session_id=f"bench-{number:06d}",
                seq=seq,
                kind=KINDS[min(seq, 2)],
                at=at_ms,
                received_at=at_ms,
                **fields,
            )


def batches(events: Iterable[PlayerEvent]) -> Iterator[Batch]:
    """The log as the transport hands it over."""
    source, first = iter(events), 0
    while part := list(islice(source, BATCH)):
        values, stamps = [encode(event) for event in part], [event.received_at for event in part]
        offsets = range(first, first + len(part))
        yield Batch("events", 0, first, offsets[-1], values, [None] * len(part), offsets, stamps)
        first += len(part)


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
    """After a collection, with free memory given back: what is held, and not how it came about."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize()


def bytes_per_session(sessions: int) -> float:
    """Growth of the process by so many sessions in the middle of a video."""
    agent = ComposeSessions(Rules())
    agent.restore(0, None)

    async def feed(log: Iterable[Batch]) -> None:
        for part in log:
            await agent.process(part)

    asyncio.run(feed(batches(islice(heartbeats(100), 3 * BATCH))))  # what a batch needs is there from now on
    agent.restore(0, None)
    before = resident_bytes()
    asyncio.run(feed(batches(islice(heartbeats(sessions), 6 * sessions))))
    return (resident_bytes() - before) / agent.live_sessions


def bytes_in_a_fresh_process(sessions: int) -> float:
    """The same, where no memory left over from other work is used again."""
    command = [sys.executable, __file__, "--memory", str(sessions)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def measure(events: Sequence[PlayerEvent], passes: int) -> dict[str, float]:
    log, rules = list(batches(events)), Rules()
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
    parser.add_argument("--memory", type=int, metavar="SESSIONS", help="only the bytes a live session, of so many")
    arguments = parser.parse_args()
    if arguments.memory:
        print(bytes_per_session(arguments.memory))
        return
    quick = arguments.quick
    events, sessions, passes = (100_000, 2_500, 5) if quick else (500_000, 10_000, 7)
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
    memory = bytes_in_a_fresh_process(100_000)
    mixes = {
        "heartbeats": measure(list(islice(heartbeats(sessions // 5), events)), passes),
        "simulator": measure(player_events(events, sessions), passes),
    }
    print(f"cuepoint {cuepoint.__version__}, {events} events, medians of {passes}, load {os.getloadavg()[0]:.1f}")
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

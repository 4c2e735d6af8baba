"""``gc_policy.py KIND POLICY``: what the garbage collector costs an agent, fed directly. Prints one JSON object.

KIND: sessions, open or all (trends, with these asset days). POLICY: python (its own thresholds), cuepoint (those of our
workers), off.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import time
from pathlib import Path

import faust  # noqa: F401 - what a worker has loaded
from memory import BATCH, Feeder, Shelf, day_of
from meter import settle_memory
from workload import Catalogue, player_events

from cuepoint.agents.agent import StatefulAgent
from cuepoint.agents.compose_sessions import ComposeSessions
from cuepoint.agents.watch_trends import WatchTrends, warm_up
from cuepoint.ops.settings import Settings
from cuepoint.schemas.codec import encode

KINDS, POLICIES = ("sessions", "open", "all"), ("python", "cuepoint", "off")
EVENTS, VIEWERS, ASSETS, DAYS = 150_000, 6_000, 40_000, 6


def _work(kind: str) -> tuple[StatefulAgent, list[bytes]]:
    if kind == "sessions":
        return ComposeSessions(Shelf()), [encode(event) for event in player_events(EVENTS, VIEWERS)]
    warm_up()
    catalogue = Catalogue(ASSETS)
    agent = WatchTrends(asset_days="all" if kind == "all" else "open")
    return agent, [value for number in range(DAYS) for value in day_of(catalogue, number)]


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def main() -> None:
    kind, policy = sys.argv[1:]
    agent, values = _work(kind)
    feeder, collections = Feeder(agent), 0

    def count(phase: str, _info: object) -> None:
        nonlocal collections
        collections += phase == "start"

    gc.collect()
    if policy == "cuepoint":
        settle_memory(Settings().gc_threshold)
    elif policy == "off":
        gc.disable()
    gc.callbacks.append(count)
    before, began = _resident_bytes(), time.process_time()
    for first in range(0, len(values), BATCH):
        feeder.feed(values[first : first + BATCH])
    spent_us = (time.process_time() - began) / len(values) * 1e6
    said = {"kind": kind, "policy": policy, "cpu_us": spent_us, "collections": collections}
    print(json.dumps(said | {"grown_bytes": _resident_bytes() - before}))


if __name__ == "__main__":
    main()

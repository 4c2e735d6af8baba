"""``memory.py KIND NUMBER``: growth of a process per asset or live session, its agent fed directly (no broker).

Resident memory before and after, both after a collection and with free memory given back: state, its indexes, the room
kept for growth and whatever the allocator wastes. Prints one JSON object.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

from workload import FIRST_DAY, START_MS, Catalogue, player_events, twenty_rules

from cuepoint.agents.agent import StatefulAgent
from cuepoint.agents.compose_sessions import ComposeSessions
from cuepoint.agents.watch_trends import WatchTrends
from cuepoint.schemas.codec import encode
from cuepoint.schemas.rules import AdRule
from cuepoint.schemas.trends import ReportCompleted, ReportOpened, TrendRecord
from cuepoint.streams.batch import Batch
from cuepoint.streams.state_archive import FileArchive

DAYS = 80  # past the point from which all is held that is kept for late reports
BATCH = 10_000
EVENTS_PER_SESSION = 8
WARM_UP = 500
_LIBC = ctypes.CDLL(None)


def resident_bytes() -> int:
    gc.collect()
    _LIBC.malloc_trim(0)
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class Feeder:
    """Hands values to an agent as its worker would: batches of one partition."""

    def __init__(self, agent: StatefulAgent) -> None:
        self._agent, self._at = agent, 0
        agent.restore(0, None)

    def feed(self, values: Sequence[bytes]) -> None:
        first, last = self._at, self._at + len(values) - 1
        batch = Batch(
            self._agent.topics[0].name,
            0,
            first,
            last,
            values,
            [None] * len(values),
            range(first, last + 1),
            [START_MS] * len(values),
        )
        asyncio.run(self._agent.process(batch))
        self._at = last + 1


def trends(assets: int) -> tuple[int, int, int]:
    """(growth, assets, bytes of the snapshot)."""
    if assets > WARM_UP:
        trends(WARM_UP)  # what the code itself takes when first used
    with TemporaryDirectory() as folder:
        return _trends(assets, Path(folder))


def _trends(assets: int, folder: Path) -> tuple[int, int, int]:
    catalogue, agent = Catalogue(assets), WatchTrends(asset_days="open", archive=lambda _: FileArchive(folder))
    feeder = Feeder(agent)
    before = resident_bytes()
    for number in range(DAYS):
        values = day_of(catalogue, number)
        while part := list(islice(values, BATCH)):
            feeder.feed(part)
    growth = resident_bytes() - before
    return growth, assets, len(agent.snapshot(0))


def day_of(catalogue: Catalogue, number: int) -> Iterator[bytes]:
    """A day's report of one partition."""
    day, assets = FIRST_DAY.fromordinal(FIRST_DAY.toordinal() + number), len(catalogue.ids)
    yield encode(ReportOpened(dsp="d", day=day))
    for asset_id, count in zip(catalogue.ids, catalogue.day(number).tolist(), strict=True):
        yield encode(TrendRecord(asset_id=asset_id, day=day, dsp="d", count=count))
    yield encode(ReportCompleted(dsp="d", day=day, records=assets, partition_records=assets))


class Shelf:
    """The twenty rules, where the agent looks for them."""

    def before(self, partition: int, offset: int) -> list[AdRule]:
        return twenty_rules()


def sessions(number: int) -> tuple[int, int, int]:
    """(growth, live sessions, bytes of the snapshot). The viewers are simulated in another process."""
    if number > WARM_UP:
        sessions(WARM_UP)
    agent = ComposeSessions(Shelf())
    feeder = Feeder(agent)
    events = subprocess.Popen([sys.executable, __file__, "events", str(number)], stdout=subprocess.PIPE)
    assert events.stdout is not None
    before = resident_bytes()
    while part := list(islice(events.stdout, BATCH)):
        feeder.feed(part)
    growth = resident_bytes() - before
    return growth, agent.live_sessions, len(agent.snapshot(0))


def write_events(number: int) -> None:
    for event in player_events(EVENTS_PER_SESSION * number, number):
        sys.stdout.buffer.write(encode(event) + b"\n")


def main() -> None:
    kind, number = sys.argv[1], int(sys.argv[2])
    if kind == "events":
        write_events(number)
        return
    growth, held, snapshot = (trends if kind == "trends" else sessions)(number)
    print(json.dumps({"held": held, "bytes_each": growth / held, "snapshot_bytes_each": snapshot / held}))


if __name__ == "__main__":
    main()

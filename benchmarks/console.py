"""``make bench-console``: pages of the list of changes over a large history in SQLite, processor time of the reads.

Changes, assets and verdicts are made up, seeded; no browser and no HTTP.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from cuepoint.schemas.opportunities import Opportunity
from cuepoint.schemas.trends import Asset, Change
from cuepoint.streams.change_search import ChangeFilter
from cuepoint.streams.database import open_engine, upgrade
from cuepoint.streams.history import HistoryWriter
from cuepoint.streams.history_reads import HistoryReader
from cuepoint.streams.history_rows import Recorded

FIRST_DAY = dt.date(2020, 1, 1)
AT_ONCE = 5000
PAGES = {
    "all": ChangeFilter(),
    "rapid and open": ChangeFilter(kind="rapid", status="open"),
    "100 % or more": ChangeFilter(least_percent=100.0),
    "largest first": ChangeFilter(order="largest"),
    "an owner": ChangeFilter(owner="Label 7"),
    "opportunities": ChangeFilter(verdict="any"),
    "search": ChangeFilter(query="artist 13 song"),
    "search, nothing found": ChangeFilter(query="no such song"),
}


def change(number: int, chance: random.Random) -> Change:
    day, size = FIRST_DAY + dt.timedelta(days=number % 1000), chance.gauss(0, 50)
    return Change(
        change_id=f"change-{number:08}",
        revision=1,
        status="opened",
        asset_id=f"asset-{number // 3}",
        kind=chance.choice(["rapid", "gradual"]),
        direction="up" if size > 0 else "down",
        start=day,
        day=day,
        probability=0.99,
        size_per_day=100 * size,
        size_percent=size,
        count=10_000.0,
        expected=10_000.0,
        **dict.fromkeys(("lower_80", "upper_80", "lower_95", "upper_95"), 10_000.0),
    )


def asset(number: int) -> Asset:
    title, artist = f"Song of number {number}", f"Artist {number % 977}"
    return Asset(asset_id=f"asset-{number}", title=title, artist=artist, owner=f"Label {number % 40}")


def opportunity(number: int) -> Opportunity:
    about = {"change_id": f"change-{number:08}", "asset_id": f"asset-{number // 3}", "day": FIRST_DAY}
    return Opportunity(revision=1, opportunity=number % 8 == 0, goal="expand", **about)  # type: ignore[arg-type]


def fill(writer: HistoryWriter, size: int) -> None:
    chance = random.Random(1)
    for start in range(0, size, AT_ONCE):
        numbers = range(start, min(start + AT_ONCE, size))
        writer.write("changes", 0, numbers[-1], [Recorded(n, n, change(n, chance)) for n in numbers])
        writer.write("assets", 0, numbers[-1], [Recorded(n, n, asset(n // 3)) for n in numbers if n % 3 == 0])
        writer.write("verdicts", 0, numbers[-1], [Recorded(n, n, opportunity(n)) for n in numbers if n % 2 == 0])


def least_ms(read: Callable[[], object], times: int = 5) -> float:
    found = []
    for _ in range(times):
        began = time.process_time()
        read()
        found.append(1000 * (time.process_time() - began))
    return min(found)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--quick", action="store_true", help="10,000 changes in place of 100,000")
    size = 10_000 if options.parse_args().quick else 100_000
    with tempfile.TemporaryDirectory() as folder:
        engine = open_engine(f"sqlite:///{Path(folder)}/history.db")
        upgrade(engine)
        fill(HistoryWriter(engine), size)
        reader, found = HistoryReader(engine), {}
        for name, wanted in PAGES.items():
            found[name] = least_ms(lambda wanted=wanted: reader.changes(wanted, limit=50, reasons=True))  # type: ignore[misc]
            print(f"{name:24}{found[name]:8.1f} ms")
        last = least_ms(lambda: reader.changes(limit=50, offset=size - 50, reasons=True))
        print(f"{'the last page':24}{last:8.1f} ms\n{'totals of the overview':24}{least_ms(reader.overview):8.1f} ms")
        engine.dispose()
    print(json.dumps({"changes": size, "slowest_page_ms": round(max(last, *found.values()), 1)}))


if __name__ == "__main__":
    main()

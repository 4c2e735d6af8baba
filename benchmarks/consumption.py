"""The consumption store: size, times of questions, and what the agent writes a second.

``make bench-consumption``: 100 million simulated cells (``QUICK=1``: 2 million). They are made by DuckDB straight into
files of the store's own form, and entered in its catalogue as the agent would; the agent itself is fed a smaller
number, as messages. Prints tables; the last line is one JSON object. ``--keep DIR`` leaves the store there.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime as dt
import json
import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from cuepoint.agents.store_consumption import StoreConsumption
from cuepoint.models.consumption_ledger import Mark, ReportKey
from cuepoint.schemas.codec import encode
from cuepoint.schemas.consumption import Consumption
from cuepoint.schemas.topics import CONSUMPTION
from cuepoint.schemas.trends import ReportCompleted, ReportOpened
from cuepoint.streams.batch import Batch
from cuepoint.streams.consumption_catalogue import ConsumptionCatalogue
from cuepoint.streams.consumption_files import _FORM, _ORDER, ParquetFiles, Written, connect, quoted
from cuepoint.streams.consumption_sandbox import ask
from cuepoint.streams.consumption_store import ConsumptionStore, Where
from cuepoint.streams.consumption_upkeep import Upkeep, UpkeepOptions
from cuepoint.streams.consumption_writer import ConsumptionWriter
from cuepoint.streams.database import open_engine, upgrade
from cuepoint.streams.producer import partition_of

FIRST = dt.date(2026, 1, 5)
PARTITIONS, WEEKS, ASSETS = 4, 26, 200_000
DSPS = ("spotify", "apple", "amazon", "deezer")
TERRITORIES = ("US", "DE", "GB", "FR", "BR", "MX", "JP", "IN", "SE", "AU")
LAST = FIRST + dt.timedelta(weeks=WEEKS) - dt.timedelta(days=1)

# A cell of a simulated catalogue: few assets have most cells, a third of the streams come by playlist.
CELLS = """
WITH drawn AS (
    SELECT random() AS size, random() AS chance, (random() * 7)::INTEGER % 7 AS d, (random() * 4)::INTEGER % 4 AS s,
        (random() * 10)::INTEGER % 10 AS t, (random() * 11)::INTEGER % 11 AS c, (random() * 7)::INTEGER % 7 AS v,
        (random() * 8)::INTEGER % 8 AS age, (random() * 4)::INTEGER % 4 AS sex, (random() * 4)::INTEGER % 4 AS sub
    FROM range({rows})
), told AS (
    SELECT asset_id,
        (DATE '{monday}' + d) AS day, {dsps}[s + 1] AS dsp, {territories}[t + 1] AS territory, '' AS region,
        ['female', 'male', 'other', 'unknown'][sex + 1] AS gender,
        ['0-17', '18-24', '25-34', '35-44', '45-54', '55-64', '65+', 'unknown'][age + 1] AS age_band,
        ['paid', 'free', 'trial', 'unknown'][sub + 1] AS subscription,
        ['library', 'search', 'discovery', 'playlist', 'radio', 'album', 'artist', 'external', 'playlist', 'playlist',
            'other'][c + 1] AS context,
        ['phone', 'tablet', 'computer', 'speaker', 'tv', 'car', 'other'][v + 1] AS device,
        greatest(3, (20 / (chance + 0.01)))::BIGINT AS count, d, s, t
    FROM drawn JOIN home ON home.number = floor({assets} * size ** 3)::BIGINT
)
SELECT asset_id, day, dsp, territory, region, gender, age_band, subscription, context,
    CASE WHEN context IN ('playlist', 'radio') THEN 'passive' ELSE 'active' END AS activity,
    CASE WHEN context = 'playlist' THEN 'playlist-' || (hash(asset_id) % 2000) ELSE '' END AS container,
    CASE WHEN context = 'playlist' THEN 'Playlist ' || (hash(asset_id) % 2000) ELSE '' END AS container_name,
    device, count, count * 150 AS played_seconds,
    ((d * 4 + s) * 10 + t) * {partitions} + {partition} AS report_id,
    (count * 0.7)::BIGINT AS consumers, NULL::BIGINT AS completed
FROM told ORDER BY {order}
"""
# Later weeks are the first one with other days and numbers: drawing and sorting each anew would take ten times as long.
LATER = """
SELECT * EXCLUDE (varied) REPLACE ((day + {days})::DATE AS day, varied AS count, varied * 150 AS played_seconds,
    (varied * 0.7)::BIGINT AS consumers, report_id + {reports} AS report_id)
FROM (SELECT *, (count * (50 + hash(asset_id, context, device, {days}) % 100) // 100)::BIGINT + 3 AS varied
    FROM read_parquet({first}))
"""


class Built:
    """A store in a folder."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.root = folder / "consumption"
        self.engine = open_engine(f"sqlite:///{folder}/catalogue.db")
        upgrade(self.engine)
        self.catalogue = ConsumptionCatalogue(self.engine)
        self.store = ConsumptionStore(
            self.root, self.engine, partitions=PARTITIONS, memory_bytes=2 << 30, timeout_s=600
        )


def fill(built: Built, rows: int) -> float:
    """Make the files and enter them; CPU seconds it took."""
    connection = connect(os.cpu_count() or 1, 4 << 30, built.root / "scratch")
    connection.execute("SELECT setseed(0.5)").fetchall()
    homes: list[list[str]] = [[] for _ in range(PARTITIONS)]
    for number in range(ASSETS):
        asset = f"asset-{number:07d}"
        homes[partition_of(asset.encode(), PARTITIONS)].append(asset)
    each, began = rows // (PARTITIONS * WEEKS), time.process_time()
    for week in range(WEEKS):
        monday = FIRST + dt.timedelta(weeks=week)
        folder = built.root / f"week={monday}"
        folder.mkdir(parents=True)
        for partition, home in enumerate(homes):
            connection.register("home", {"number": np.arange(len(home)), "asset_id": np.array(home, dtype=object)})
            file = folder / f"p{partition:04d}-bench.parquet"
            if week:
                first = quoted(str(built.root / f"week={FIRST}" / file.name))
                cells = LATER.format(days=7 * week, reports=week * 7 * 4 * 10 * PARTITIONS, first=first)
            else:
                cells = CELLS.format(
                    rows=each,
                    assets=len(homes[partition]),
                    partitions=PARTITIONS,
                    partition=partition,
                    monday=monday,
                    dsps=quoted(DSPS),
                    territories=quoted(TERRITORIES),
                    order=_ORDER,
                )
            connection.execute(f"COPY ({cells}) TO {quoted(str(file))} {_FORM}").fetchall()
            enter(built, connection, file, partition, week)
    return time.process_time() - began


def enter(built: Built, connection: Any, file: Path, partition: int, week: int) -> None:
    source = f"FROM read_parquet({quoted(str(file))})"
    [(rows, first, last)] = connection.execute(f"SELECT count(*), min(asset_id), max(asset_id) {source}").fetchall()
    counts = connection.execute(
        f"SELECT report_id, any_value(dsp), any_value(territory), any_value(day), count(*) {source} GROUP BY 1"
    ).fetchall()
    marks = [
        Mark(report_id, ReportKey(dsp, territory, day), 1, "complete", count, count)
        for report_id, dsp, territory, day, count in counts
    ]
    monday = FIRST + dt.timedelta(weeks=week)
    written = Written(monday, f"week={monday}/{file.name}", rows, file.stat().st_size, first, last)
    built.catalogue.add(partition, week - 1 if week else None, week, [written], marks)


def questions(store: ConsumptionStore) -> dict[str, tuple[str, Callable[[], Any]]]:
    month = (LAST - dt.timedelta(days=27), LAST)
    week = Where(first_day=LAST - dt.timedelta(days=6), last_day=LAST)
    playlists = "SELECT container, sum(count) AS n FROM consumption WHERE context = 'playlist' AND day > DATE '{}'"
    top = playlists.format(LAST - dt.timedelta(days=7)) + " GROUP BY 1 ORDER BY n DESC LIMIT 20"
    return {
        "cells_28_days": ("cells of a small asset, 28 days", lambda: store.cells("asset-0150001", *month)),
        "cells_28_days_large": ("cells of the largest asset, 28 days", lambda: store.cells("asset-0000001", *month)),
        "cells_half_year": ("cells of a small asset, half a year", lambda: store.cells("asset-0150001", FIRST, LAST)),
        "asset_by_day_context": (
            "a small asset by day and context, half a year",
            lambda: store.totals(("day", "context"), Where(assets=["asset-0150001"])),
        ),
        "week_by_dsp_territory": ("all by DSP and territory, a week", lambda: store.totals(("dsp", "territory"), week)),
        "week_top_playlists": ("the 20 largest playlists of a week, by SQL", lambda: ask(store, top, 20)),
        "all_by_day": ("all by day, half a year", lambda: store.totals(("day",))),
        "all_by_day_dsp_context": (
            "all by day, DSP and context, half a year",
            lambda: store.totals(("day", "dsp", "context")),
        ),
        "reports_28_days": ("what is stored, 28 days", lambda: store.watermarks(*month)),
    }


def messages(rows: int) -> list[bytes]:
    """Reports of 20,000 cells, encoded as the topic has them."""
    draw, found = random.Random(1), []
    for number, first in enumerate(range(0, rows, 20_000)):
        day, size = FIRST + dt.timedelta(days=number // 4), min(20_000, rows - first)
        of: dict[str, Any] = {"dsp": DSPS[number % 4], "territory": "US", "day": day}
        found.append(encode(ReportOpened(**of)))
        for _ in range(size):
            asset = f"asset-{int(ASSETS * draw.random() ** 3):07d}"
            context = draw.choice(("playlist", "search", "library"))
            container = f"playlist-{draw.randrange(2000)}" if context == "playlist" else ""
            found.append(
                encode(
                    Consumption(
                        asset_id=asset,
                        **of,
                        gender=draw.choice(("female", "male")),
                        age_band=draw.choice(("18-24", "25-34")),
                        context=context,
                        container=container,
                        device=draw.choice(("phone", "car")),
                        count=draw.randrange(3, 500),
                        consumers=3,
                    )
                )
            )
        found.append(encode(ReportCompleted(**of, records=size, partition_records=size)))
    return found


async def write_rate(built: Built, rows: int) -> tuple[float, float]:
    """Rows a CPU second that the agent stores, files and catalogue included; CPU seconds of merging it all."""
    agent = StoreConsumption(ConsumptionWriter(built.catalogue, ParquetFiles(built.root)))
    values = messages(rows)
    await agent.position(CONSUMPTION.name, 0)
    began, size = time.process_time(), 17_000  # about what a fetch of 4 MiB holds
    for first in range(0, len(values), size):
        part = values[first : first + size]
        offsets = range(first, first + len(part))
        at = [0] * len(part)
        await agent.process(Batch(CONSUMPTION.name, 0, first, offsets[-1], part, [None] * len(part), offsets, at))
    await agent.flush(only_due=False)
    took_s = time.process_time() - began
    assert int(built.store.totals(())["count"][0]) > 0
    assert sum(mark.rows for mark in built.store.watermarks()) == rows
    began = time.process_time()
    Upkeep(built.catalogue, ParquetFiles(built.root), built.root, UpkeepOptions(merge_files=2)).run(0)
    return rows / took_s, time.process_time() - began


def measure(store: ConsumptionStore, times: int) -> dict[str, float]:
    found = {}
    print(f"\n| question | rows of the answer | first ms | then ms (median of {times}) | CPU ms |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for name, (told, question) in questions(store).items():
        taken, cpu, answer = [], [], None
        for _ in range(times + 1):
            began, began_cpu = time.perf_counter(), time.process_time()
            answer = question()
            taken.append((time.perf_counter() - began) * 1000)
            cpu.append((time.process_time() - began_cpu) * 1000)
        size = len(answer["count"]) if isinstance(answer, dict) else len(getattr(answer, "rows", answer))
        found[f"{name}_ms"] = round(statistics.median(taken[1:]), 1)
        print(
            f"| {told} | {size:,} | {taken[0]:,.1f} | {found[f'{name}_ms']:,.1f} | {statistics.median(cpu[1:]):,.1f} |",
            flush=True,
        )
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="2 million rows in place of 100")
    parser.add_argument("--rows", type=int)
    parser.add_argument("--keep", type=Path)
    options = parser.parse_args()
    rows = options.rows or (2_000_000 if options.quick else 100_000_000)
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.keep or Path(scratch)
        print(f"load average before the start: {os.getloadavg()[0]:.1f}", flush=True)
        rate, merge_s = asyncio.run(write_rate(Built(folder / "agent"), 100_000 if options.quick else 600_000))
        print(f"the agent stores {rate:,.0f} rows a CPU second; merging those took {merge_s:.1f} CPU s", flush=True)
        built = Built(folder / "large")
        filled_s = fill(built, rows)
        files = built.catalogue.live_files()
        stored, size = sum(file.rows for file in files), sum(file.bytes for file in files)
        print(f"{stored:,} rows in {len(files)} files, {size / 1e9:.2f} GB: {size / stored:.1f} bytes a row")
        print(f"made by DuckDB at {stored / filled_s:,.0f} rows a CPU second", flush=True)
        found = {
            "rows": stored,
            "bytes_per_row": round(size / stored, 2),
            "agent_rows_per_cpu_s": round(rate),
            "made_rows_per_cpu_s": round(stored / filled_s),
        }
        print(json.dumps(found | measure(built.store, 3 if options.quick else 5)))


if __name__ == "__main__":
    main()

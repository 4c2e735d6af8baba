"""Rows a second of ``cuepoint ingest``: reading, adding up, merging small groups; to no broker.

``make bench-ingest``; simulated rows of persons (JSON lines) and of counts (CSV). Rows by process CPU second of all
threads, and the largest memory; the last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import tempfile
import time
from pathlib import Path

from cuepoint.ops.ingest import Ingest
from cuepoint.ops.ingest_presets import PRESETS
from cuepoint.ops.ingest_progress import IngestProgress
from cuepoint.ops.ingest_reports import Nowhere, Privacy, ReportSender
from cuepoint.ops.ingest_spool import Spool
from cuepoint.streams.producer import partition_of

ASSETS = 20_000
SOURCES = ("search", "collection", "others_playlist", "radio", "album", "artist")


def write_trends(path: Path, rows: int) -> None:
    """A row a stream, three days and territories, assets by a heavy-tailed size."""
    rng = random.Random(1)
    with path.open("w") as file:
        for n in range(rows):
            asset = int(rng.paretovariate(0.8)) % ASSETS
            row = {
                "isrc": f"QZSIM26{asset:05d}",
                "dsp": "sim-wave",
                "country": rng.choice(("US", "DE", "FR")),
                "transaction_date": f"2026-01-0{1 + n * 3 // rows}",
                "quantity": 1,
                "played_seconds": rng.randint(30, 240),
                "user_id": f"simulated-{rng.randint(0, 800_000):07d}",
                "gender": rng.choice(("female", "male", "unknown")),
                "birth_year": rng.randint(1950, 2012),
                "access": rng.choice(("premium", "free")),
                "source": rng.choice(SOURCES),
                "playlist_id": f"p{rng.randint(0, 300)}",
                "device_type": rng.choice(("mobile", "desktop", "tablet")),
            }
            file.write(json.dumps(row) + "\n")


def write_counts(path: Path, rows: int) -> None:
    """A row an asset and day."""
    with path.open("w") as file:
        file.write("asset_id,day,dsp,territory,count\n")
        for n in range(rows):
            file.write(f"asset{n % ASSETS},2026-01-{1 + n // ASSETS % 28:02d},sim-wave,US,{n % 9973}\n")


def measure(path: Path, preset: str, folder: Path) -> dict[str, float]:
    """Read and send to nowhere."""
    sender = Nowhere()
    began = time.process_time()
    with IngestProgress() as progress, Spool(folder) as spool:
        reports = ReportSender(sender, 4, 4, partition_of, Privacy())
        summary = Ingest(sender, reports, progress).run([path], PRESETS[preset], spool)
    rows_per_s = summary.rows / (time.process_time() - began)
    return {
        "rows": summary.rows,
        "megabytes": path.stat().st_size >> 20,
        "rows_per_cpu_s": round(rows_per_s),
        "memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10,
    }


def main(rows: int) -> None:
    result = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for preset, write, kind in (("cuepoint", write_counts, "csv"), ("trends-jsonl", write_trends, "jsonl")):
            path = folder / f"simulated.{kind}"
            write(path, rows)
            result[preset] = measure(path, preset, folder / "data")
            print(preset, result[preset])
    print(json.dumps(result))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="200,000 rows in place of 6,000,000")
    main(200_000 if parser.parse_args().quick else 6_000_000)

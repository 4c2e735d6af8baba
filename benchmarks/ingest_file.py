"""A file of a gigabyte through ``cuepoint ingest``: peak memory, and going on after a kill. ``make bench-ingest-file``.

Simulated rows of persons (JSON lines) to an embedded broker. The sending is killed (SIGKILL) once a report is
acknowledged, the same command is given again; then each record of each report must be in the topic, with the file's
streams in all. ``--megabytes`` for another size. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition
from ingest import ASSETS, write_trends

from cuepoint.schemas.codec import decoder
from cuepoint.schemas.topics import TREND_RECORDS
from cuepoint.schemas.trends import ReportCompleted, TrendMessage, TrendRecord
from cuepoint.streams.embedded_parts import start_broker
from cuepoint.streams.topics_admin import create_topics

ROWS_A_MEGABYTE, PARTITIONS = 3_530, 4
decode = decoder(TrendMessage).decode


def write_assets(path: Path) -> None:
    lines = [f"a{n},Track {n} (simulated),Artist (simulated),QZSIM26{n:05d}," for n in range(ASSETS)]
    path.write_text("\n".join(["asset_id,title,artist,isrc,identifiers", *lines]) + "\n")


class Child:
    """``cuepoint`` with some arguments; its memory is the kernel's own peak."""

    def __init__(self, env: dict[str, str], *arguments: str) -> None:
        self.began = time.monotonic()
        self.process = subprocess.Popen([sys.executable, "-m", "cuepoint.ops.cli", *arguments], env=env)

    def ended(self) -> tuple[int, dict[str, float]]:
        """Exit code and figures."""
        _, status, used = os.wait4(self.process.pid, 0)
        self.process.returncode = os.waitstatus_to_exitcode(status)
        figures = {
            "peak_mb": used.ru_maxrss >> 10,
            "cpu_s": round(used.ru_utime + used.ru_stime),
            "wall_s": round(time.monotonic() - self.began),
        }
        return self.process.returncode, figures


def killed_after_a_report(env: dict[str, str], file: Path) -> dict[str, float]:
    child = Child(env, "ingest", str(file), "--preset", "trends-jsonl")
    positions = Path(env["CUEPOINT_DATA_DIR"]) / "ingest"
    while not list(positions.glob("*.position")):
        if os.waitid(os.P_PID, child.process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            raise SystemExit("it ended before it could be killed: take a larger file")
        time.sleep(0.05)
    child.process.kill()
    return child.ended()[1]


def told(broker: str) -> tuple[dict[tuple[dt.date, str, str], int], int]:
    """Count by (day, territory, asset), the last told, and completed reports, from the topic's log."""
    consumer = Consumer({"bootstrap.servers": broker, "group.id": "bench", "enable.partition.eof": True})
    consumer.assign([TopicPartition(TREND_RECORDS.name, p, OFFSET_BEGINNING) for p in range(PARTITIONS)])
    counts: dict[tuple[dt.date, str, str], int] = {}
    completed, open_partitions = set[tuple[int, dt.date, str]](), PARTITIONS
    while open_partitions:
        for message in consumer.consume(10_000, 1.0):
            if message.error():
                open_partitions -= 1
                continue
            match decode(message.value()):
                case TrendRecord() as record:
                    counts[record.day, record.territory, record.asset_id] = record.count
                case ReportCompleted() as report:
                    completed.add((message.partition(), report.day, report.territory))
    consumer.close()
    return counts, len(completed)


def main(megabytes: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        file, rows = folder / "simulated.jsonl", megabytes * ROWS_A_MEGABYTE
        write_trends(file, rows)
        write_assets(folder / "assets.csv")
        broker = start_broker(folder / "broker")
        try:
            create_topics(broker.address, PARTITIONS)
            env = os.environ | {
                "CUEPOINT_BROKER": broker.address,
                "CUEPOINT_PARTITIONS": str(PARTITIONS),
                "CUEPOINT_DATA_DIR": str(folder / "data"),
            }
            assert Child(env, "ingest-assets", str(folder / "assets.csv")).ended()[0] == 0
            killed = killed_after_a_report(env, file)
            code, resumed = Child(env, "ingest", str(file), "--preset", "trends-jsonl").ended()
            counts, completed = told(broker.address)
        finally:
            broker.stop()
        size_mb = file.stat().st_size >> 20
    whole = code == 0 and sum(counts.values()) == rows and completed == 9 * PARTITIONS
    print(json.dumps({"megabytes": size_mb, "rows": rows, "killed": killed, "resumed": resumed, "whole": whole}))
    if not whole:
        raise SystemExit("what was sent is not what is in the file")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="20 MB")
    parser.add_argument("--megabytes", type=int, default=1024)
    given = parser.parse_args()
    main(20 if given.quick else given.megabytes)

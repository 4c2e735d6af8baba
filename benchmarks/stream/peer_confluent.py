"""A bare confluent-kafka loop: consume(10,000), and the vectorised filter for all assets of a completed day.

No framework, no recovery, no late reports: what hand-written code may reach with the usual client.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from confluent_kafka import Consumer
from meter import Meter, read_task
from scalar_filter import Completed, Record, advance, decode, states, workspace

ASSETS = 1 << 20


class Partition:
    """State of a partition's assets, and the records of the day that is not complete."""

    def __init__(self, assets: int) -> None:
        self.rows: dict[str, int] = {}
        self.day_rows: list[int] = []
        self.day_counts: list[int] = []
        self.states = states(assets)

    def take(self, record: Any) -> int:
        """One message; the regions it opened."""
        if type(record) is Record:
            self.day_rows.append(self.rows.setdefault(record.asset_id, len(self.rows)))
            self.day_counts.append(record.count)
        elif type(record) is Completed:
            return self._step(record.day.toordinal())
        return 0

    def _step(self, day: int) -> int:
        rows, counts = np.array(self.day_rows), np.array(self.day_counts, dtype=float)
        self.day_rows, self.day_counts = [], []
        return int(advance(*self.states, rows, counts, day, workspace(len(rows))))


def main() -> None:
    task = read_task()
    first = Partition(1)  # compiles the kernels
    first.take(decode(b'{"type":"trend-record.v1","asset_id":"a","day":"2024-01-01","dsp":"d","count":1}'))
    first.take(decode(b'{"type":"report-completed.v1","day":"2024-01-01"}'))
    partitions = [Partition(ASSETS // task.partitions) for _ in range(task.partitions)]
    consumer = Consumer(
        {
            "bootstrap.servers": task.broker,
            "group.id": task.group,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "queued.min.messages": 1_000_000,  # by default librdkafka stops reading for a second at 100,000
            "fetch.queue.backoff.ms": 5,
        }
    )
    consumer.subscribe([task.topic])
    meter = Meter(task)
    while True:
        messages = consumer.consume(10_000, timeout=0.1)
        if not messages:
            continue
        meter.count(0, 0)
        meter.count(sum(partitions[m.partition()].take(decode(m.value())) for m in messages), len(messages))


if __name__ == "__main__":
    main()

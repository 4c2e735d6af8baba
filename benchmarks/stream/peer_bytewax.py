"""bytewax: a dataflow of one worker, its Kafka source in batches of 10,000, one call of the map step a message."""

from __future__ import annotations

from typing import Any

import bytewax.operators as op
from bytewax.connectors.kafka import KafkaSource
from bytewax.dataflow import Dataflow
from bytewax.outputs import DynamicSink, StatelessSinkPartition
from bytewax.testing import run_main
from meter import Meter, read_task
from scalar_filter import ScalarFilter

task = read_task()
scalar = ScalarFilter()
meter = Meter(task)


class Nowhere(DynamicSink[int], StatelessSinkPartition[int]):
    """A dataflow must end somewhere; nothing comes here."""

    def build(self, step_id: str, worker_index: int, worker_count: int) -> Nowhere:
        return self

    def write_batch(self, items: list[int]) -> None:
        pass


def watch(message: Any) -> bool:
    opened = scalar.value(message.value)
    meter.count(opened)
    return opened > 0


flow = Dataflow("trends")
messages = op.input("read", flow, KafkaSource([task.broker], [task.topic], batch_size=10_000))
op.output("end", op.filter("watch", messages, watch), Nowhere())

if __name__ == "__main__":
    run_main(flow)

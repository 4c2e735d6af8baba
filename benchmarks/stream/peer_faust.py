"""Plain Faust: one event at a time through an agent."""

from __future__ import annotations

from typing import Any

import faust
from meter import Meter, read_task
from scalar_filter import ScalarFilter

task = read_task()
scalar = ScalarFilter()
app = faust.App(
    task.group,
    broker=f"kafka://{task.broker}",
    store="memory://",
    autodiscover=False,
    web_enabled=False,
    topic_disable_leader=True,
    topic_allow_declare=False,
    consumer_auto_offset_reset="earliest",
    stream_wait_empty=False,
    stream_recovery_delay=0.0,
    datadir=task.group,
)
source = app.topic(task.topic, value_serializer="raw", key_serializer="raw", internal=False)
meter = Meter(task)


@app.agent(source)
async def watch(stream: Any) -> None:
    async for value in stream:
        meter.count(scalar.value(value))


if __name__ == "__main__":
    worker = faust.Worker(app, loglevel="WARNING")
    worker.execute_from_commandline()

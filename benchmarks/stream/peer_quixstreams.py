"""quixstreams: one message at a time through a StreamingDataFrame of one function."""

from __future__ import annotations

from meter import Meter, read_task
from quixstreams import Application
from scalar_filter import ScalarFilter

task = read_task()
scalar = ScalarFilter()
app = Application(
    broker_address=task.broker,
    consumer_group=task.group,
    auto_offset_reset="earliest",
    auto_create_topics=False,
    use_changelog_topics=False,
    state_dir=task.group,
    loglevel="WARNING",
)
frame = app.dataframe(app.topic(task.topic, key_deserializer="bytes", value_deserializer="bytes"))
meter = Meter(task)


def watch(value: bytes) -> None:
    meter.count(scalar.value(value))


frame.update(watch)

if __name__ == "__main__":
    app.run()

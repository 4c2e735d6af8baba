"""`cuepoint ingest` against the embedded broker: what stands on the topics afterwards."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path

import pytest
from confluent_kafka import Consumer, TopicPartition

from cuepoint.ops.ingest_command import IngestOptions, ingest_files
from cuepoint.ops.settings import Settings
from cuepoint.schemas.codec import decoder
from cuepoint.schemas.errors import Unavailable
from cuepoint.schemas.faults import DeadLetter
from cuepoint.schemas.topics import ASSETS, DEAD_TREND_RECORDS, REPORTS, TREND_RECORDS, Topic
from cuepoint.schemas.trends import Asset, ReportCompleted, ReportOpened, TrendMessage, TrendRecord
from cuepoint.streams.embedded_parts import free_port
from cuepoint.streams.producer import partition_of
from cuepoint.streams.topics_admin import create_topics

pytestmark = pytest.mark.integration


@pytest.fixture
def ready(settings: Settings) -> Settings:
    create_topics(settings.broker, settings.partitions, prefix=settings.topic_prefix)
    return settings


def read(settings: Settings, topic: Topic, expected: int) -> dict[int, list[tuple[bytes, bytes]]]:
    """(key, value) by partition, once ``expected`` messages are there and no more come."""
    consumer = Consumer({"bootstrap.servers": settings.broker, "group.id": "reader", "auto.offset.reset": "earliest"})
    partitions = range(topic.partitions or settings.partitions)
    consumer.assign([TopicPartition(settings.topic_prefix + topic.name, number, 0) for number in partitions])
    found: dict[int, list[tuple[bytes, bytes]]] = {number: [] for number in partitions}
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        batch = consumer.consume(10_000, 0.5)
        for message in batch:
            assert message.error() is None
            found[message.partition() or 0].append((message.key() or b"", message.value() or b""))
        if not batch and sum(map(len, found.values())) >= expected:
            break
    consumer.close()
    assert sum(map(len, found.values())) == expected
    return found


def chart(path: Path, days: int, songs: int) -> Path:
    lines = [
        f"2019-03-{day + 1:02d},id{song},Song {song},Band,{song + 1},{1000 * (song + 1) + day}"
        for song in range(songs)
        for day in range(days)
    ]
    path.write_text("date,track_id,track,artist,position,streams\n" + "\n".join(lines) + "\n")
    return path


def test_records_markers_assets_and_dead_letters_arrive(ready: Settings, tmp_path: Path) -> None:
    file = chart(tmp_path / "chart.csv", days=5, songs=40)
    with file.open("a") as more:
        more.write("2019-03-01,id1,Song 1,Band,2,-7\nnot a row\n")
    assert ingest_files(ready, [file], IngestOptions(preset="spotify-charts")) == 0

    log = read(ready, TREND_RECORDS, 200 + 2 * 5 * ready.partitions)
    decode = decoder(TrendMessage).decode
    for partition, messages in log.items():
        counted: Counter[str] = Counter()
        for key, value in messages:
            message = decode(value)
            if isinstance(message, TrendRecord):
                assert partition_of(key, ready.partitions) == partition
                assert key.decode() == message.asset_id
                counted["records"] += 1
            elif isinstance(message, ReportOpened):
                counted["records"] = 0
            elif isinstance(message, ReportCompleted):
                assert (message.partition_records, message.records) == (counted["records"], 40)
                counted["completed"] += 1
        assert counted["completed"] == 5
    assert len(read(ready, REPORTS, 10)[0]) == 10
    assets = [decoder(Asset).decode(value) for _, value in read(ready, ASSETS, 40)[0]]
    assert {asset.title for asset in assets} == {f"Song {number}" for number in range(40)}
    letters = [decoder(DeadLetter).decode(value) for _, value in read(ready, DEAD_TREND_RECORDS, 2)[0]]
    assert [(x.source, x.line, x.field) for x in letters] == [("chart.csv", 202, "$.count"), ("chart.csv", 203, "$")]
    assert letters[1].original == b"not a row"


def test_strict_fails_and_sends_no_record(ready: Settings, tmp_path: Path) -> None:
    file = chart(tmp_path / "chart.csv", days=2, songs=3)
    with file.open("a") as more:
        more.write("never,id1,Song 1,Band,2,7\n")
    assert ingest_files(ready, [file], IngestOptions(preset="spotify-charts", strict=True)) == 1
    read(ready, DEAD_TREND_RECORDS, 1)
    read(ready, TREND_RECORDS, 0)


def test_version_two_is_another_report(ready: Settings, tmp_path: Path) -> None:
    file = chart(tmp_path / "chart.csv", days=1, songs=1)
    ingest_files(ready, [file], IngestOptions(preset="spotify-charts"))
    ingest_files(ready, [file], IngestOptions(preset="spotify-charts", version=2))
    reports = [decoder(ReportOpened | ReportCompleted).decode(value) for _, value in read(ready, REPORTS, 4)[0]]
    assert [report.version for report in reports] == [1, 1, 2, 2]


def test_a_broker_that_does_not_answer(settings: Settings, tmp_path: Path) -> None:
    nobody = settings.model_copy(update={"broker": f"127.0.0.1:{free_port()}", "broker_request_timeout_s": 1.0})
    with pytest.raises(Unavailable, match="does not answer"):
        ingest_files(nobody, [chart(tmp_path / "chart.csv", 1, 1)], IngestOptions(preset="spotify-charts"))

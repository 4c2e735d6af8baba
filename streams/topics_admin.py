"""Making the topics and asking about them."""

from __future__ import annotations

from time import monotonic, sleep
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from cuepoint.schemas.errors import Unavailable
from cuepoint.schemas.topics import TOPICS, TREND_RECORDS, Topic

_SPREAD_S = 0.05


def create_topics(
    broker: str,
    partitions: int,
    replication: int = 1,
    prefix: str = "",
    *,
    timeout_s: float = 30.0,
    trend_partitions: int | None = None,
) -> list[str]:
    """Create the topics that are missing; those that exist stay as they are. ``trend_partitions``: of the trend
    records, where they are to have other than ``partitions``.

    Returns the names created. Raises Unavailable when the broker does not answer or refuses.
    """
    own = {TREND_RECORDS.name: trend_partitions}
    wanted = [_new_topic(topic, own.get(topic.name) or partitions, replication, prefix) for topic in TOPICS]
    client = _client(broker)  # must outlive its futures
    futures = client.create_topics(wanted, request_timeout=timeout_s, operation_timeout=timeout_s)
    created = []
    for name, future in futures.items():
        try:
            future.result()
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise Unavailable(f"broker {broker} did not create the topic {name}: {error.args[0].str()}") from error
        else:
            created.append(name)
    deadline = monotonic() + timeout_s
    while missing_topics(broker, prefix) and monotonic() < deadline:
        sleep(_SPREAD_S)  # Kafka's brokers hear of a topic a moment after its creation is confirmed
    return sorted(created)


def partition_count(broker: str, topic: Topic, prefix: str = "", timeout_s: float = 10.0) -> int:
    """How many partitions the topic has. Raises Unavailable if the broker does not answer or has no such topic."""
    name = prefix + topic.name
    found = _metadata(broker, timeout_s).topics.get(name)
    if found is None or found.error is not None or not found.partitions:
        raise Unavailable(f"broker {broker} has no topic {name}: run `cuepoint topics create`")
    return len(found.partitions)


def missing_topics(broker: str, prefix: str = "", timeout_s: float = 10.0) -> list[str]:
    """Names of topics the broker does not have. Raises Unavailable if it does not answer."""
    there = _metadata(broker, timeout_s).topics
    return [topic.name for topic in TOPICS if prefix + topic.name not in there]


def broker_answers(broker: str, timeout_s: float = 2.0) -> bool:
    """Whether a request for metadata is answered in time."""
    try:
        _metadata(broker, timeout_s)
    except Unavailable:
        return False
    return True


def _metadata(broker: str, timeout_s: float) -> Any:
    client = _client(broker)
    try:
        return client.list_topics(
            timeout=timeout_s
        )  # of all: asking for one by name makes it, where brokers allow that
    except KafkaException as error:
        raise Unavailable(f"broker {broker} does not answer: {error.args[0].str()}") from error


def _client(broker: str) -> AdminClient:
    return AdminClient({"bootstrap.servers": broker, "log_level": 2})


def _new_topic(topic: Topic, partitions: int, replication: int, prefix: str) -> NewTopic:
    config = {}  # the broker's retention
    if topic.compacted:
        lag_ms = topic.compaction_lag_days * 86_400_000
        config = {"cleanup.policy": "compact", "min.compaction.lag.ms": str(lag_ms)}
    return NewTopic(
        prefix + topic.name,
        num_partitions=topic.partitions or partitions,
        replication_factor=replication,
        config=config,
    )

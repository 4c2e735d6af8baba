"""Real parts for tests: a broker and a Redis per session; names, numbers and folders of its own per test."""

from __future__ import annotations

import itertools
import os
import secrets
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import hypothesis
import pytest
import redis
from pydantic import SecretStr

from cuepoint.ops.settings import Settings
from cuepoint.streams.embedded_parts import start_broker, start_redis
from cuepoint.streams.topics_admin import create_topics

hypothesis.settings.register_profile("cuepoint", deadline=None)  # no test is timed
hypothesis.settings.load_profile("cuepoint")
_DATABASES = itertools.cycle(range(1, 16))


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a broker: the embedded one, or Apache Kafka with CUEPOINT_TEST_BROKER=kafka."""
    folder = tmp_path_factory.mktemp("broker")
    with ExitStack() as stack:
        if os.environ.get("CUEPOINT_TEST_BROKER", "embedded") == "kafka":
            from real_kafka import KafkaCluster

            yield stack.enter_context(KafkaCluster(folder)).bootstrap
        else:
            part = start_broker(folder)
            stack.callback(part.stop)
            yield part.address


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a Redis server without the database's number: $REDIS_URL, else one of our own."""
    given = os.environ.get("REDIS_URL")
    if given:
        yield given.rsplit("/", 1)[0] if given.count("/") > 2 else given
        return
    part = start_redis(tmp_path_factory.mktemp("redis"))
    yield part.address.rsplit("/", 1)[0]
    part.stop()


@pytest.fixture
def redis_url(redis_server: str) -> Iterator[str]:
    """URL of an empty database of the server. Channels are shared by all databases: use session ids of your own."""
    url = f"{redis_server}/{next(_DATABASES)}"
    with redis.Redis.from_url(url) as client:
        client.flushdb()
        yield url
        client.flushdb()


@pytest.fixture
def topic_prefix() -> str:
    """Put before every topic and group of this test."""
    return f"t{secrets.token_hex(4)}-"


@pytest.fixture
def settings(broker: str, redis_url: str, topic_prefix: str, tmp_path: Path) -> Settings:
    """Settings of a system of this test's own; its topics exist, with two partitions."""
    create_topics(broker, 2, prefix=topic_prefix)
    return Settings(
        broker=broker,
        redis_url=SecretStr(redis_url),
        topic_prefix=topic_prefix,
        partitions=2,
        data_dir=tmp_path / "data",
        database_url=SecretStr(f"sqlite:///{tmp_path}/data/cuepoint.db"),
        snapshot_interval_s=0.5,
        commit_interval_s=0.3,
        heartbeat_interval_s=0.2,
        broker_session_timeout_s=6.0 if os.environ.get("CUEPOINT_TEST_BROKER") == "kafka" else 3.0,
    )

"""A worker that is told to stop ends in time, with code 0, whatever is away."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from playback_log import Player
from stream_helpers import child, environment, produce, wait_until

from cuepoint.ops.settings import Settings
from cuepoint.schemas.codec import encode
from cuepoint.schemas.topics import PLAYER_EVENTS
from cuepoint.streams.embedded_parts import Part, free_port, start_broker
from cuepoint.streams.heartbeats import read_all_sync
from cuepoint.streams.topics_admin import create_topics

RUN_ROLE = str(Path(__file__).parents[1] / "support" / "run_role.py")
STOP_S = 2.0


@pytest.fixture
def own_broker(settings: Settings, tmp_path: Path) -> Iterator[tuple[Settings, Part]]:
    """One that may go."""
    broker = start_broker(tmp_path / "broker")
    create_topics(broker.address, 2, prefix=settings.topic_prefix)
    yield settings.model_copy(update={"broker": broker.address}), broker
    broker.stop()


def states(settings: Settings) -> set[str]:
    with redis.Redis.from_url(settings.redis_url.get_secret_value()) as client:
        return {beat.state for beat in read_all_sync(client)}


def stopped_in_time(worker: subprocess.Popen[bytes], log: Path) -> None:
    began = time.monotonic()
    worker.terminate()
    assert worker.wait(STOP_S + 30) == 0, log.read_text()[-3000:]
    assert time.monotonic() - began < STOP_S + 20  # a busy machine's; without a bound it is for ever


def test_a_worker_stops_while_the_broker_is_away(own_broker: tuple[Settings, Part], tmp_path: Path) -> None:
    settings, broker = own_broker
    log = tmp_path / "worker.log"
    env = environment(settings, CUEPOINT_STOP_TIMEOUT_S=str(STOP_S))
    with child([RUN_ROLE, "sessions"], env, log) as worker:
        wait_until(lambda: states(settings) == {"ready"}, "ready")
        events = Player().begin().video().play(60.0).events
        produce(settings, PLAYER_EVENTS, [(0, encode(event)) for event in events])
        broker.stop()
        wait_until(lambda: "ERROR" in log.read_text() or "WARNING" in log.read_text(), "the worker misses its broker")
        stopped_in_time(worker, log)


def test_a_worker_stops_that_never_found_its_broker(settings: Settings, tmp_path: Path) -> None:
    log, gone = tmp_path / "worker.log", settings.model_copy(update={"broker": f"127.0.0.1:{free_port()}"})
    with child([RUN_ROLE, "sessions"], environment(gone, CUEPOINT_STOP_TIMEOUT_S=str(STOP_S)), log) as worker:
        wait_until(lambda: states(settings) == {"starting"}, "it waits for the rules")
        stopped_in_time(worker, log)

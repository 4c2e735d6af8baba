"""``cuepoint api`` as its own process: it starts, stops with open streams, and says what is wrong with a taken port."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time

import httpx
import pytest

from cuepoint.streams.embedded_parts import free_port
from cuepoint.streams.topics_admin import create_topics

pytestmark = pytest.mark.integration
COMMAND = [sys.executable, "-m", "cuepoint.ops.cli", "api"]
PLAYER = {"authorization": "Bearer player-key"}


def environment(settings, port):
    return os.environ | {
        "CUEPOINT_BROKER": settings.broker,
        "CUEPOINT_REDIS_URL": settings.redis_url.get_secret_value(),
        "CUEPOINT_DATABASE_URL": settings.database_url.get_secret_value(),
        "CUEPOINT_TOPIC_PREFIX": settings.topic_prefix,
        "CUEPOINT_API_PORT": str(port),
        "CUEPOINT_API_KEYS": "player-key",
        "CUEPOINT_ADMIN_KEY": "admin-key",
    }


def wait_ready(url, process):
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        assert process.poll() is None, "the API ended"
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(f"{url}/readyz").status_code == 200:
                return
        time.sleep(0.1)
    raise AssertionError("the API did not become ready")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_on_a_signal_though_a_stream_is_open(settings, tmp_path, number):
    create_topics(settings.broker, settings.partitions, prefix=settings.topic_prefix)
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with (tmp_path / "api.log").open("wb") as log:
        process = subprocess.Popen(COMMAND, env=environment(settings, port), stderr=log, stdout=log)
    try:
        wait_ready(url, process)
        with httpx.stream("GET", f"{url}/v1/sessions/s/decisions/stream", headers=PLAYER, timeout=30) as stream:
            lines = stream.iter_lines()
            assert next(lines).startswith("retry:")
            process.send_signal(number)
            assert all(not line or line.startswith(":") for line in lines)  # and the stream ends in order
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait(60)
    text = (tmp_path / "api.log").read_text()
    assert "Traceback" not in text
    assert "player-key" not in text
    assert "admin-key" not in text


def test_a_taken_port_is_named_with_what_to_do(settings):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = subprocess.run(
            COMMAND, env=environment(settings, port), capture_output=True, text=True, timeout=180, check=False
        )
    assert done.returncode != 0
    message = done.stderr + done.stdout
    assert f"127.0.0.1:{port}" in message
    assert "CUEPOINT_API_PORT" in message
    assert "Traceback" not in message

"""Requests a second of ``POST /v1/events``: one API process, embedded broker, all on this machine.

``make bench-collector``; prints medians of three, the last line is one JSON object. Each answer counted is a 202: the
broker has acknowledged the events.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

from cuepoint.streams.embedded_parts import free_port, start_broker, start_redis
from cuepoint.streams.topics_admin import create_topics

CONNECTIONS = 64
KEY = "bench-key"


def body_of(events: int) -> bytes:
    event = {
        "type": "player-event.v1",
        "kind": "progressed",
        "at": 1_700_000_000_000,
        "video_id": "v1",
        "position_s": 9.0,
    }
    each = [event | {"event_id": f"e{n}", "session_id": f"s{n % 20}", "seq": n} for n in range(events)]
    return json.dumps({"events": each}).encode()


def request_of(body: bytes) -> bytes:
    lines = (
        "POST /v1/events HTTP/1.1",
        "Host: bench",
        f"Authorization: Bearer {KEY}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
    )
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


async def connection(port: int, request: bytes, until_s: float, latencies_s: list[float]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while (began := time.perf_counter()) < until_s:
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 202"):
            raise SystemExit(head.decode())
        await reader.readexactly(int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]))
        latencies_s.append(time.perf_counter() - began)
    writer.close()


async def measure(port: int, events: int, seconds: float) -> dict[str, float]:
    request, latencies_s = request_of(body_of(events)), list[float]()
    began = time.perf_counter()
    tasks = (connection(port, request, began + seconds, latencies_s) for _ in range(CONNECTIONS))
    await asyncio.gather(*tasks)
    per_s = len(latencies_s) / (time.perf_counter() - began)
    p50, p99 = (statistics.quantiles(latencies_s, n=100)[at] * 1000 for at in (49, 98))
    return {"requests_per_s": per_s, "events_per_s": per_s * events, "latency_ms_p50": p50, "latency_ms_p99": p99}


def start_api(broker: str, redis: str, folder: Path) -> tuple[subprocess.Popen[bytes], int]:
    port = free_port()
    settings = {
        "CUEPOINT_BROKER": broker,
        "CUEPOINT_REDIS_URL": redis,
        "CUEPOINT_DATABASE_URL": f"sqlite:///{folder}/bench.db",
        "CUEPOINT_API_PORT": str(port),
        "CUEPOINT_API_KEYS": KEY,
        "CUEPOINT_ADMIN_KEY": "bench-admin",
        "CUEPOINT_ACCESS_LOG": "false",
        "CUEPOINT_COLLECTOR_EVENTS_PER_S": "1e9",
        "CUEPOINT_COLLECTOR_BURST_EVENTS": "1000000000",
    }
    process = subprocess.Popen([sys.executable, "-m", "cuepoint.ops.cli", "api"], env=os.environ | settings)
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5):
                return process, port
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)


def main(seconds: float) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        broker, redis = start_broker(folder / "broker"), start_redis(folder / "redis")
        create_topics(broker.address, 4)
        process, port = start_api(broker.address, redis.address, folder)
        try:
            result = {}
            for events in (1, 100):
                runs = [asyncio.run(measure(port, events, seconds)) for _ in range(3)]
                median = {name: round(statistics.median(run[name] for run in runs), 1) for name in runs[0]}
                print(f"{events} events a body, {CONNECTIONS} connections: {median}")
                result[f"events_{events}"] = median
            print(json.dumps(result))
        finally:
            process.terminate()
            process.wait(20)
            redis.stop()
            broker.stop()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="2 s a run in place of 8")
    main(2.0 if parser.parse_args().quick else 8.0)

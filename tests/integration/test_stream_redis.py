"""Counters and decisions in a real Redis."""

from __future__ import annotations

import asyncio
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from stream_helpers import wait_until

from cuepoint.schemas.errors import ConfigurationError, Unavailable
from cuepoint.schemas.playback import AdDecision
from cuepoint.schemas.rules import AdFormat
from cuepoint.streams import heartbeats
from cuepoint.streams.decision_feed import DecisionFeed
from cuepoint.streams.embedded_parts import free_port, start_redis
from cuepoint.streams.heartbeats import Heartbeat
from cuepoint.streams.processor import StateLost
from cuepoint.streams.redis_counters import RedisCounters


@pytest.fixture
async def client(redis_url: str) -> AsyncIterator[Redis]:
    client = Redis.from_url(redis_url)
    yield client
    await client.aclose()


def decision(session: str, number: int, reason: str = "because") -> AdDecision:
    return AdDecision(
        decision_id=f"{session}/{number}",
        session_id=session,
        video_id="v",
        rule_id="r",
        rule_version=1,
        event_id="e",
        decided_at=1,
        number=number,
        position_s=0.0,
        format=AdFormat(),
        duration_s=15.0,
        spot_load=1.0,
        reason=reason,
    )


async def test_a_replay_counts_nothing_twice(client: Redis) -> None:
    counters = RedisCounters(client, ttl_s=lambda key: 60 if key == "hour" else None)
    assert await counters.position("g", "t", 0) == -1
    assert await counters.apply("g", "t", 0, 0, 9, {"hour": {"plays": 3, "watch_s": 1.25}, "total": {"plays": 3}})
    assert not await counters.apply("g", "t", 0, 0, 9, {"hour": {"plays": 3}})
    assert not await counters.apply("g", "t", 0, 5, 12, {"hour": {"plays": 3}}), "a part of it is in"
    assert await counters.apply("g", "t", 0, 10, 12, {"hour": {"plays": 1, "watch_s": 0.5}})
    assert await counters.apply("other", "t", 0, 0, 1, {"total": {"plays": 1}})
    assert await counters.read_many(["hour", "total", "none"]) == {
        "hour": {"plays": 4, "watch_s": 1.75},
        "total": {"plays": 4},
        "none": {},
    }
    assert await counters.position("g", "t", 0) == 12
    assert await counters.names("h*") == ["hour"]
    assert 0 < await client.ttl("cuepoint:counts:hour") <= 60
    assert await client.ttl("cuepoint:counts:total") == -1
    assert await RedisCounters(client, "another log").position("g", "t", 0) == -1


async def test_lost_counts_are_noticed(client: Redis) -> None:
    counters = RedisCounters(client)
    assert await counters.apply("g", "t", 0, 0, 9, {"total": {"plays": 3}})
    await client.flushdb()
    with pytest.raises(StateLost):
        await counters.apply("g", "t", 0, 10, 19, {"total": {"plays": 3}})
    assert await counters.read("total") == {}


async def test_a_decision_is_told_once_and_in_order(client: Redis) -> None:
    session, feed = secrets.token_hex(4), DecisionFeed(client)
    assert await feed.write([decision(session, 1), decision(session, 2), decision("other", 1)]) == 3
    assert await feed.write([decision(session, 2, "another reason"), decision(session, 3)]) == 1
    assert [(each.number, each.reason) for each in await feed.read(session)] == [
        (1, "because"),
        (2, "because"),
        (3, "because"),
    ]
    assert [each.number for each in await feed.read(session, after=2)] == [3]
    assert await feed.write([]) == 0
    short = DecisionFeed(client, ttl_s=60, keep=2)
    await short.write([decision(session, 4)])
    assert [each.number for each in await short.read(session)] == [3, 4]
    await feed.close()


async def test_a_feed_that_lost_its_decisions_says_so(client: Redis) -> None:
    session, feed = secrets.token_hex(4), DecisionFeed(client, ttl_s=60, log_id="a")
    assert await feed.position("t", 0) == -1
    await feed.write([decision(session, 1)])
    await feed.advance("t", 0, 9)
    await feed.advance("t", 0, 9)
    await feed.advance("t", 1, 3)
    assert [await feed.position("t", partition) for partition in (0, 1, 2)] == [9, 3, -1]
    assert await DecisionFeed(client, log_id="b").position("t", 0) == -1, "another log"
    await client.flushdb()
    with pytest.raises(StateLost, match="stand at 9"):
        await feed.advance("t", 0, 12)
    assert await feed.position("t", 0) == -1
    await feed.advance("t", 0, 12)
    assert await feed.position("t", 0) == 12


async def test_what_is_too_old_is_not_filled_in_again(client: Redis) -> None:
    session, feed = secrets.token_hex(4), DecisionFeed(client, ttl_s=60)
    now_ms = int(time.time() * 1000)
    stamps = [now_ms - 120_000, now_ms - 1000, -1]
    assert await feed.write([decision(session, number) for number in (1, 2, 3)], stamps) == 2
    assert [each.number for each in await feed.read(session)] == [2, 3]


async def test_followers_hear_of_new_ones(client: Redis, redis_url: str) -> None:
    session = secrets.token_hex(4)
    writer, reader = DecisionFeed(client), DecisionFeed(Redis.from_url(redis_url))
    await writer.write([decision(session, 1)])
    first, second = reader.follow(session, keepalive_s=5), reader.follow(session, after=1, keepalive_s=5)
    assert (await anext(first)).number == 1
    waiting = asyncio.create_task(anext(second))
    channel = f"cuepoint:decided:{session}"
    while await client.pubsub_numsub(channel) != [(channel.encode(), 1)]:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    await writer.write([decision(session, 2), decision(session, 3)])
    assert [(await anext(first)).number, (await anext(first)).number] == [2, 3]
    assert (await waiting).number == 2
    assert (await anext(second)).number == 3
    silent = reader.follow(secrets.token_hex(4), keepalive_s=0.05)
    assert await anext(silent) is None
    for each in (first, second, silent):
        await each.aclose()
    await reader.close()
    await writer.close()


async def test_what_pubsub_dropped_is_found_again(client: Redis) -> None:
    session, feed = secrets.token_hex(4), DecisionFeed(client)
    following = feed.follow(session, keepalive_s=0.2)
    waiting = asyncio.create_task(anext(following))
    await asyncio.sleep(0)
    await client.zadd(f"cuepoint:decisions:{session}", {_encoded(session): 1})  # stored, but never told
    found = await waiting
    while found is None:
        found = await anext(following)
    assert found.number == 1
    await following.aclose()
    await feed.close()


def _encoded(session: str) -> bytes:
    from cuepoint.schemas.codec import encode

    return encode(decision(session, 1))


async def test_no_redis_is_unavailable() -> None:
    async with Redis(port=free_port(), retry=Retry(NoBackoff(), 0)) as nobody:
        with pytest.raises(Unavailable):
            await RedisCounters(nobody).apply("g", "t", 0, 0, 1, {"total": {"plays": 1}})
        with pytest.raises(Unavailable):
            await DecisionFeed(nobody).write([decision("s", 1)])
        with pytest.raises(Unavailable):
            await DecisionFeed(nobody).read("s")


async def test_a_silent_worker_disappears(client: Redis, tmp_path: Path) -> None:
    beat = Heartbeat(role="trends", worker="w", state="ready", at=1, started_at=1, pid=1, lag={"t/0": 4})
    await heartbeats.write(client, beat, 60)
    await heartbeats.write(client, Heartbeat(role="a", worker="w", state="ready", at=1, started_at=1, pid=1), 0.05)
    while len(await heartbeats.read_all(client)) == 2:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    assert await heartbeats.read_all(client) == [beat]


def test_a_part_does_not_outlive_its_parent(tmp_path: Path) -> None:
    script = "import sys, time, pathlib; from cuepoint.streams.embedded_parts import start_redis as s;"
    script += "print(s(pathlib.Path(sys.argv[1])).pid, flush=True); time.sleep(60)"
    parent = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    assert psutil.pid_exists(pid)
    parent.kill()
    parent.wait()
    wait_until(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == "zombie", "the part ends")


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError, match=f"port {port} for the redis is taken"):
            start_redis(tmp_path, port)

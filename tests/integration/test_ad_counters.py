"""Line items across workers: processes that fill breaks at once give no impression too many, nor one too few."""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from pathlib import Path

import pytest
from ad_worker import FREQUENCY, GOALS, VIEWERS, items
from redis.asyncio import Redis

from cuepoint.models.line_item_select import Slot, eligible
from cuepoint.streams.ad_store import AdStore, Delivery

pytestmark = pytest.mark.integration
WORKER = str(Path(__file__).parents[1] / "support" / "ad_worker.py")
SLOT = Slot("spot", 45.0, most_ads=3)


async def test_workers_at_once_deliver_what_was_bought_and_no_more(redis_url: str) -> None:
    started = [
        await asyncio.create_subprocess_exec(
            sys.executable, WORKER, redis_url, f"w{n}", "400", stdout=asyncio.subprocess.PIPE
        )
        for n in range(3)
    ]
    taken = Counter[str]()
    for process in started:
        out, _ = await process.communicate()
        assert process.returncode == 0
        taken.update(json.loads(out))
    assert taken["small"] == GOALS["small"]
    assert taken["large"] == GOALS["large"]
    assert taken["capped"] == FREQUENCY * VIEWERS


async def test_what_was_not_shown_in_time_is_given_back(redis_url: str) -> None:
    redis = Redis.from_url(redis_url)
    store = AdStore(redis, ttl_s=600, reserve_ms=1000)
    small = [each for each in eligible(items(), SLOT, {}, 0) if each.item.line_item_id == "small"]
    goal = GOALS["small"]
    for n in range(goal):
        assert len(await store.take(small, SLOT, f"v{n}", f"s:{n}", 5000)) == 1
    assert await store.take(small, SLOT, "w", "s:x", 5000) == []
    (won,) = await store._reserved(small, "w", "1970-01-01", "s:0", 5000)  # the other replica that fills this break
    assert won
    for n in range(100):
        await store.confirm("small", f"s:{n}")
    assert await store.delivery("small") == Delivery(100, goal)
    assert await store.take(small, SLOT, "w", "s:y", 5999) == []
    await store.take([], SLOT, "w", "s:z", 6001)  # nothing wanted: nothing given back yet
    other = [each for each in eligible(items(), SLOT, {}, 0) if each.item.line_item_id == "large"]
    assert len(await store.take(other, SLOT, "w", "s:large", 6001)) == 1
    again = [len(await store.take(small, SLOT, f"u{n}", f"t:{n}", 6001)) for n in range(goal)]
    assert sum(again) == goal - 100
    await store.confirm("small", "s:120")  # shown after all, too late: told, and one over
    assert await store.delivery("small") == Delivery(101, goal + 1)
    await redis.aclose()

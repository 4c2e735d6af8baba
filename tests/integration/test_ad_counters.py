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

from cuepoint.models.line_item_select import Chosen, Slot, eligible
from cuepoint.schemas.ads import LineItem
from cuepoint.streams.ad_counters import AdCounters, Delivery, Recount

pytestmark = pytest.mark.integration
WORKER = str(Path(__file__).parents[1] / "support" / "ad_worker.py")
SLOT = Slot("spot", 45.0, most_ads=3)


async def complete(counters: AdCounters) -> None:
    name = await counters.begin_recount()
    assert name and await counters.restore(name, Recount())


async def test_workers_at_once_deliver_what_was_bought_and_no_more(redis_url: str) -> None:
    redis = Redis.from_url(redis_url)
    await complete(AdCounters(redis, reserve_ms=1000))
    await redis.aclose()
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
    store = AdCounters(redis, reserve_ms=1000)

    async def take(wanted: list[Chosen], viewer: str, reservation: str, now_ms: int) -> int:
        return len((await store.take(wanted, SLOT, viewer, reservation, now_ms)).ads)

    await complete(store)
    small = [each for each in eligible(items(), SLOT, {}, 0) if each.item.line_item_id == "small"]
    goal = GOALS["small"]
    for n in range(goal):
        assert await take(small, f"v{n}", f"s:{n}", 5000) == 1
    assert await take(small, "w", "s:x", 5000) == 0
    _, (won,) = await store._reserved(small, "w", "1970-01-01", "s:0", 5000)  # the other replica that fills this break
    assert won
    for n in range(100):
        await store.confirm("small", f"s:{n}", 0, n)
    assert await store.delivery("small") == Delivery(100, goal)
    assert await take(small, "w", "s:y", 5999) == 0
    await take([], "w", "s:z", 6001)  # nothing wanted: nothing given back yet
    other = [each for each in eligible(items(), SLOT, {}, 0) if each.item.line_item_id == "large"]
    assert await take(other, "w", "s:large", 6001) == 1
    again = [await take(small, f"u{n}", f"t:{n}", 6001) for n in range(goal)]
    assert sum(again) == goal - 100
    await store.confirm("small", "s:120", 0, 100)  # shown after all, too late: told, and one over
    assert await store.delivery("small") == Delivery(101, goal + 1)
    await redis.aclose()


async def test_until_counts_are_complete_only_what_has_neither_goal_nor_cap_is_given(redis_url: str) -> None:
    redis = Redis.from_url(redis_url)
    store = AdCounters(redis, reserve_ms=1000)
    free = LineItem(line_item_id="zz-free", creatives=items()[0].creatives, priority=900)
    candidates = eligible([*items(), free], SLOT, {}, 0)

    async def taken(reservation: str, viewer: str = "v") -> list[str]:
        ads = (await store.take(candidates, SLOT, viewer, reservation, 5000)).ads
        return [each.item.line_item_id for each in ads]

    assert await taken("s:0") == ["zz-free"]
    await store.confirm("large", "s:old", 0, 41)  # counted from the log below, up to 42
    await store.confirm("large", "s:old", 0, 42)
    recount = Recount(
        ends={0: 42, 1: 7},
        made={"small": 100, "large": 10},
        reserved={("small", f"t:{n}"): 9000 for n in range(49)},
        viewers={("1970-01-01", "v"): {"capped": FREQUENCY - 1}},
    )
    name, slower = await store.begin_recount(), await store.begin_recount()
    assert name and slower and await store.restore(name, recount)
    assert not await store.restore(slower, Recount(made={"small": 1}))
    assert await store.delivery("small") == Delivery(100, 149)
    assert await store.delivery("large") == Delivery(11, 11)
    assert await taken("s:1") == ["large", "small", "capped"]
    assert await taken("s:2") == ["large", "zz-free"]  # small is full, and the viewer has seen enough of capped
    assert await taken("s:3", "w") == ["large", "capped", "zz-free"]
    await store.confirm("large", "s:1", 0, 41)
    await store.confirm("large", "s:1", 1, 6)
    assert (await store.delivery("large")).impressions == 11  # both stand in front of where it was counted to
    await store.confirm("small", "t:0", 0, 43)
    assert await store.delivery("small") == Delivery(101, 150)
    assert await AdCounters(redis, 1000, "another log").epoch() == ""
    await redis.hset("cuepoint:line-items:complete", "of", "another-server|")  # a replica that was behind took over
    assert await taken("s:4", "x") == ["zz-free"]
    await redis.aclose()


async def test_a_recount_is_of_no_use_once_redis_was_emptied_again(redis_url: str) -> None:
    redis = Redis.from_url(redis_url)
    store = AdCounters(redis, reserve_ms=1000)
    first = await store.begin_recount()
    await redis.flushdb()
    assert first and not await store.restore(first, Recount())
    second, third = await store.begin_recount(), await store.begin_recount()
    assert third and await store.restore(third, Recount(viewers={("1970-01-01", "v"): {"capped": 1}}))
    assert await store.begin_recount() is None
    await redis.flushdb()  # what was given since the third is not in the second
    assert second and not await store.restore(second, Recount())
    assert await store.epoch() == ""
    await redis.aclose()

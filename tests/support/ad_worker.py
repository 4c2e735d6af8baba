"""A worker that fills breaks as fast as it can: ``ad_worker.py REDIS_URL NAME REQUESTS``. Prints what it took."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import Counter

from redis.asyncio import Redis

from cuepoint.models.line_item_select import Slot, eligible
from cuepoint.schemas.ads import Creative, LineItem, MediaFile
from cuepoint.streams.ad_counters import AdCounters

GOALS = {"small": 150, "large": 700}
FREQUENCY, VIEWERS = 3, 20


def items() -> list[LineItem]:
    media = [MediaFile(url="https://m.example.org/a.mp4")]
    spot = [Creative(creative_id="c", length_s=15.0, media=media)]
    goals = [LineItem(line_item_id=name, creatives=spot, impressions=goal) for name, goal in GOALS.items()]
    return [*goals, LineItem(line_item_id="capped", creatives=spot, frequency_day=FREQUENCY)]


async def main(url: str, name: str, requests: int) -> None:
    redis = Redis.from_url(url)
    store = AdCounters(redis, reserve_ms=600_000)
    slot, taken = Slot("spot", 45.0, most_ads=3), Counter[str]()
    now_ms = time.time_ns() // 1_000_000

    async def ask(number: int) -> None:
        viewer = f"v{number % VIEWERS}"
        candidates = eligible(items(), slot, {}, now_ms)
        for each in (await store.take(candidates, slot, viewer, f"{name}:{number}", now_ms)).ads:
            taken[each.item.line_item_id] += 1

    for first in range(0, requests, 20):
        await asyncio.gather(*(ask(number) for number in range(first, first + 20)))
    await redis.aclose()
    print(json.dumps(taken))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))

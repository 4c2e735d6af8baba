"""What became of ads: in the history by line item and day, agreeing with Redis, which gets its counts back from it."""

from __future__ import annotations

import datetime as dt
import re
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from api_server import ADMIN, PLAYER, READ, serving, until, with_keys
from redis.asyncio import Redis
from stream_helpers import child, environment

from cuepoint.schemas.ads import AdEvent
from cuepoint.schemas.topics import AD_EVENTS
from cuepoint.streams.ad_history import deliveries_of
from cuepoint.streams.database import open_engine, upgrade
from cuepoint.streams.history import HistoryWriter
from cuepoint.streams.history_rows import Recorded

pytestmark = pytest.mark.integration
RUN_ROLE = str(Path(__file__).parent.parent / "support" / "run_role.py")
NOON = int(dt.datetime(2026, 11, 20, 12, tzinfo=dt.UTC).timestamp() * 1000)
DAY = dt.date(2026, 11, 20)
SPOT = {"creative_id": "c", "length_s": 15, "media": [{"url": "https://m.example.org/a.mp4"}]}
ITEM = {"line_item_id": "a", "creatives": [SPOT], "impressions": 100, "pacing": "asap"}
RULE = {"rule_id": "r", "name": "r", "insertion": {"at": "start"}, "format": {"type": "spot", "length_s": 15}}


def told(n: int, kind: str = "impression", at: int = NOON, line_item_id: str | None = "a") -> AdEvent:
    return AdEvent(event_id=f"e{n}", session_id="s", kind=kind, at=at, break_id="b", line_item_id=line_item_id)  # type: ignore[arg-type]


def test_an_event_counts_once_however_often_the_topic_has_it(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path}/h.db")
    upgrade(engine)
    writer = HistoryWriter(engine)
    first = [told(0), told(1, "click"), told(0), told(2, at=NOON + 86_400_000), told(3, line_item_id=None)]
    batches = [first, [told(1, "click"), told(4)]]  # told again: the broker had it before its answer was lost
    offset = 0
    for events in (*batches, *batches):  # and the log is read again
        recorded = [Recorded(offset + n, 1, event) for n, event in enumerate(events)]
        writer.write(AD_EVENTS.name, 0, offset + len(events) - 1, recorded)
        offset += len(events)
    found = deliveries_of(engine, "a")
    assert found == {DAY: {"click": 1, "impression": 2}, DAY + dt.timedelta(days=1): {"impression": 1}}
    assert writer.prune(NOON + 60 * 86_400_000, 30, 3650) >= 5  # the events go; the sums stay
    assert deliveries_of(engine, "a") == found
    engine.dispose()


async def shown(api: Any, session: str) -> None:
    """A player that follows a VMAP and tells that it showed what it was given, from impression to completion."""
    asked = {"video_id": "v", "duration_s": 60}
    vmap = (await api.get(f"/v1/sessions/{session}/vmap", params=asked, headers=PLAYER)).text
    (tag,) = re.findall(r"https?://[^\s<\]]+/vast\?[^\s<\]]+", unescape(vmap))
    vast = unescape((await api.get(tag)).text)
    for event in ("impression", "start", "midpoint", "complete"):
        (url, *_) = re.findall(rf"https?://[^\s<\]]+/v1/ads/track/{event}\?[^\s<\]]+", vast)
        assert (await api.get(url)).status_code == 200, event


async def ready(api: Any) -> bool:
    return bool((await api.get("/v1/rules", headers=READ)).status_code == 200)


async def test_reports_agree_with_redis_which_gets_its_counts_back(settings: Any, tmp_path: Path) -> None:
    served = with_keys(settings, rule_lead_ms=0, ad_refresh_s=0)
    redis = Redis.from_url(settings.redis_url.get_secret_value())

    async def delivery() -> dict[str, Any]:
        return dict((await api.get("/v1/line-items/a/delivery", headers=READ)).json())

    async def impressions(of: int) -> bool:
        return bool((await delivery())["impressions"] == of)

    async with serving(served) as api:
        await until(lambda: ready(api))
        assert (await api.post("/v1/rules", json=RULE, headers=ADMIN)).status_code == 201
        assert (await api.post("/v1/line-items", json=ITEM, headers=ADMIN)).status_code == 201
        await until(lambda: redis.exists("cuepoint:line-items:complete"))
        for n in range(3):
            await shown(api, f"before-{n}")
        assert (await delivery())["impressions"] == 3
        await redis.flushdb()
        await until(lambda: impressions(3))  # from the topic alone: nobody has written a history yet
        assert (await delivery())["days"] == {}
        with child([RUN_ROLE, "views"], environment(settings), tmp_path / "v.log"):

            async def recorded(events: int) -> bool:
                days = (await delivery())["days"].values()
                return sum(sum(kinds.values()) for kinds in days) >= events

            await until(lambda: recorded(15))
            days = (await delivery())["days"]
            assert {kind: sum(day.get(kind, 0) for day in days.values()) for day in days.values() for kind in day} == {
                "handed_out": 3, "impression": 3, "start": 3, "midpoint": 3, "complete": 3,
            }  # fmt: skip
        await shown(api, "after")  # the topic has it, the history has not
        await redis.flushdb()
        await until(lambda: impressions(4))
        assert (await delivery())["served"] == 4
    await redis.aclose()

"""Redis emptied while breaks are filled: goals and caps hold, and the counts come back exact."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter, deque
from collections.abc import AsyncIterator
from typing import Any

import pytest
from api_server import until, with_keys
from confluent_kafka import Consumer, TopicPartition
from redis.asyncio import Redis
from topic_records import records_of

from cuepoint.models.line_item_select import Slot, eligible
from cuepoint.ops.ad_breaks import AdBreaks, Filled, Watching
from cuepoint.ops.ad_handout import HandOut, Taker
from cuepoint.ops.ad_recount import recount
from cuepoint.ops.ad_tokens import AdClaim, AdTokens
from cuepoint.ops.ad_tracking import AdTracking
from cuepoint.ops.api_parts import ApiParts, make_parts
from cuepoint.ops.settings import Settings
from cuepoint.schemas.ads import AdEvent, Creative, LineItem, MediaFile
from cuepoint.schemas.codec import decoder
from cuepoint.schemas.rules import AdFormat, AdRule, AtStart
from cuepoint.schemas.topics import AD_EVENTS
from cuepoint.streams.ad_history import deliveries_of
from cuepoint.streams.database import upgrade
from cuepoint.streams.document_store import ORDERS
from cuepoint.streams.history import HistoryWriter
from cuepoint.streams.history_rows import Recorded
from cuepoint.streams.producer import AsyncProducer
from cuepoint.streams.tasks import end

pytestmark = pytest.mark.integration
GOAL, CAP, VIEWERS, AT_ONCE, OPEN = 160, 3, 15, 12, 20


def items() -> list[LineItem]:
    spot = [Creative(creative_id="c", length_s=15.0, media=[MediaFile(url="https://m.example.org/a.mp4")])]
    return [
        LineItem(line_item_id="goal", creatives=spot, impressions=GOAL, pacing="asap", priority=1),
        LineItem(line_item_id="capped", creatives=spot, frequency_day=CAP, priority=2),
        LineItem(line_item_id="free", creatives=spot, priority=3),
    ]


class Crowd:
    """Players of two replicas, as many at once as there are calls of ``watch``. Every third shows only at the end what
    it was given, the others when ``OPEN`` of them have been given something since."""

    def __init__(self, replicas: list[ApiParts]) -> None:
        self._sessions, self.over = 0, False
        self._open: deque[tuple[AdTracking, AdTokens, str, Filled]] = deque()
        self._slow: deque[tuple[AdTracking, AdTokens, str, Filled]] = deque()
        self.given, self.shown, self.by_viewer = Counter[str](), Counter[str](), Counter[str]()
        self._doors = []
        for parts in replicas:
            handout = HandOut(parts.ad_counters, parts.producer)
            breaks = AdBreaks(parts.settings, parts.documents, parts.rules, parts.ads, handout, parts.decisions)
            tokens = AdTokens(parts.access.signer, 3600)
            tracking = AdTracking(parts.ads, parts.ad_counters, parts.producer, tokens, parts.stamps)
            self._doors.append((breaks, tracking, tokens))

    async def watch(self) -> None:
        while not self.over:
            self._sessions += 1
            number, session = self._sessions, f"s{self._sessions}"
            breaks, tracking, tokens = self._doors[number % len(self._doors)]
            viewer = f"viewer-{number % VIEWERS}"
            (planned,) = await breaks.plan(session, Watching("v", 60.0, {}, viewer, "player"))
            filled = await breaks.fill(session, planned.break_id, hls=False)
            if filled is None:
                continue  # Redis was emptied since the promise
            for ad in filled.ads:
                self.given[ad.line_item_id] += 1
                self.by_viewer[viewer] += ad.line_item_id == "capped"
            (self._open if number % 3 else self._slow).append((tracking, tokens, session, filled))
            if len(self._open) > OPEN:
                await self.show(*self._open.popleft())

    async def show(self, tracking: AdTracking, tokens: AdTokens, session: str, filled: Filled) -> None:
        for slot, ad in enumerate(filled.ads, 1):
            claim = AdClaim(session, filled.break_id, slot, "r", line_item_id=ad.line_item_id)
            token = tokens.tracking("http://x", claim).url("impression").partition("?t=")[2]
            assert (await tracking.hear("impression", token, "")).status_code == 200
            self.shown[ad.line_item_id] += 1

    async def show_all(self) -> None:
        for each in [*self._open, *self._slow]:
            await self.show(*each)


class History:
    """What record_history does, with the topic of ad events, behind it by as much as the machine makes it."""

    def __init__(self, settings: Settings, parts: ApiParts) -> None:
        self._writer = HistoryWriter(parts.engine, settings.log_id)
        places = {"bootstrap.servers": settings.broker, "group.id": "not-joined", "enable.auto.commit": False}
        self._consumer = Consumer(places)
        name = settings.topic_prefix + AD_EVENTS.name
        self._consumer.assign([TopicPartition(name, n, 0) for n in range(settings.partitions)])

    async def follow(self) -> None:
        while True:
            await asyncio.to_thread(self._write)

    def _write(self) -> None:
        batches: dict[int, list[Recorded]] = {}
        for record in self._consumer.consume(200, 0.05):
            partition, offset, value = record.partition(), record.offset(), record.value()
            assert partition is not None and offset is not None and value is not None
            batches.setdefault(partition, []).append(Recorded(offset, 1, decoder(AdEvent).decode(value)))
        for partition, recorded in batches.items():
            self._writer.write(AD_EVENTS.name, partition, recorded[-1].offset, recorded)

    def close(self) -> None:
        self._consumer.close()


async def keep_counted(parts: ApiParts) -> None:
    """The API's upkeep, less patient."""
    while True:
        await recount(parts.settings, parts.engine, parts.ad_counters)
        await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def in_background(*work: Any) -> AsyncIterator[list[asyncio.Task[None]]]:
    tasks = [asyncio.create_task(each) for each in work]
    try:
        yield tasks
    finally:
        for task in tasks:
            await end(task)


async def test_nothing_is_over_delivered_though_redis_is_emptied_under_load(settings: Settings) -> None:
    served = with_keys(settings, log_id="log-1", ad_refresh_s=60)
    replicas = [make_parts(served), make_parts(served)]
    redis = Redis.from_url(settings.redis_url.get_secret_value())
    upgrade(replicas[0].engine)
    stored = replicas[0].rules.put(
        AdRule(rule_id="r", name="r", insertion=AtStart(), format=AdFormat(type="spot", length_s=60, pod_ads=3)), 0
    )
    replicas[0].rules.mark_published(stored)
    for item in items():
        replicas[0].documents.put(ORDERS, item, None, 1)
    crowd, history = Crowd(replicas), History(served, replicas[0])
    try:
        async with in_background(*map(keep_counted, replicas), history.follow()):
            async with in_background(*(crowd.watch() for _ in range(AT_ONCE))) as players:

                async def given(of: int) -> bool:
                    assert not [player.result() for player in players if player.done()]
                    return crowd.given["goal"] >= of

                for emptied_at in (30, 90, 150):
                    await until(lambda emptied_at=emptied_at: given(emptied_at))
                    await redis.flushdb()

                async def used_up() -> bool:
                    await given(0)
                    return (await replicas[0].ad_counters.delivery("goal")).served >= GOAL

                await until(used_up)
                crowd.over = True
                await asyncio.gather(*players)
            await crowd.show_all()
            await until(replicas[0].ad_counters.epoch)
            assert GOAL - 3 * AT_ONCE <= crowd.given["goal"] <= GOAL
            assert max(crowd.by_viewer.values()) <= CAP
            assert crowd.given["capped"] > VIEWERS
            assert crowd.given["free"] > crowd.given["goal"]
            for line_item_id, shown in crowd.shown.items():
                assert (await replicas[1].ad_counters.delivery(line_item_id)).impressions == shown

                async def recorded(line_item_id: str = line_item_id, shown: int = shown) -> bool:
                    days = deliveries_of(replicas[0].engine, line_item_id).values()
                    return sum(day.get("impression", 0) for day in days) == shown

                await until(recorded)
    finally:
        history.close()
        for parts in replicas:
            await parts.close()
        await redis.aclose()


class Forgetful(AsyncProducer):
    """Whose broker is asked just when Redis is emptied."""

    redis: Redis

    async def deliver(self, messages: Any, *, wait: bool = True, placed: Any = None) -> None:
        await self.redis.flushdb()
        await super().deliver(messages, wait=wait, placed=placed)


async def test_what_redis_forgot_before_it_was_written_down_is_not_given(settings: Settings) -> None:
    parts = make_parts(with_keys(settings))
    producer = Forgetful(settings.broker, prefix=settings.topic_prefix)
    producer.redis = parts.redis
    upgrade(parts.engine)
    slot, taker = Slot("spot", 60.0, most_ads=3), Taker("s", "b", "r", "", "viewer-1")
    try:
        await until(lambda: recount(parts.settings, parts.engine, parts.ad_counters))
        ads = await HandOut(parts.ad_counters, producer).take(eligible(items(), slot, {}, 0), slot, taker, 1000)
        assert [each.item.line_item_id for each in ads] == ["free"]
        events = [decoder(AdEvent).decode(each.value()) for each in records_of(settings, AD_EVENTS, 3)]
        assert {each.line_item_id: each.viewer_id for each in events} == {
            "goal": None, "capped": "viewer-1", "free": None,
        }  # fmt: skip
    finally:
        await producer.close()
        await parts.close()

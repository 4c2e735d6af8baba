"""Rows of a history for the console's tests, written as the workers write them."""

from __future__ import annotations

import asyncio
import datetime as dt
import math
import threading
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from consumption_feed import batch_of, cell, report
from redis.asyncio import Redis

from cuepoint.agents.store_consumption import StoreConsumption
from cuepoint.ops.consumption_parts import consumption_writer
from cuepoint.ops.settings import Settings
from cuepoint.schemas.ads import AdEvent, AdEventKind, Creative, LineItem
from cuepoint.schemas.base import Contract
from cuepoint.schemas.faults import DeadLetter
from cuepoint.schemas.opportunities import (
    Dimension,
    Driver,
    Explanation,
    Interval,
    Opportunity,
    PartOfChange,
    ProximalCause,
)
from cuepoint.schemas.playback import AdDecision, PlayerEvent
from cuepoint.schemas.quarantine import Quarantined
from cuepoint.schemas.rules import AdFormat, AdRule, AtStart, Compare, SessionPaced
from cuepoint.schemas.topics import (
    AD_DECISIONS,
    AD_EVENTS,
    ASSET_DAYS,
    ASSETS,
    CHANGES,
    DEAD_TREND_RECORDS,
    EXPLANATIONS,
    OPPORTUNITIES,
    PLAYER_EVENTS,
    QUARANTINE,
    REPORTS,
    Topic,
)
from cuepoint.schemas.trends import Asset, AssetDay, Change, ReportCompleted, ReportOpened, ReportWithdrawn
from cuepoint.streams.ad_counters import AdCounters, Recount
from cuepoint.streams.database import open_engine
from cuepoint.streams.document_store import ORDERS, DocumentStore
from cuepoint.streams.heartbeats import Heartbeat, write
from cuepoint.streams.history import HistoryWriter
from cuepoint.streams.history_rows import Recorded
from cuepoint.streams.producer import partition_of
from cuepoint.streams.rule_store import RuleStore

FIRST_DAY = dt.date(2019, 1, 1)
EVIL = "<script>window.harmed=1</script><img src=x onerror=window.harmed=1>\"'"


def in_thread(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a coroutine to its end; Playwright keeps a loop running in the test's own thread."""
    thread = threading.Thread(target=lambda: asyncio.run(work()))
    thread.start()
    thread.join()


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def asset_days(asset_id: str, days: int) -> list[AssetDay]:
    """A weekly rhythm with a rise from day 60 to 90, and one day without data."""
    rows = []
    for number in range(days):
        level = 10_000.0 * (3 if 60 <= number < 90 else 1)
        count = None if number == 40 else float(round(level * (1 + 0.2 * math.sin(number * 0.9))))
        spread = level * 0.1
        rows.append(
            AssetDay(
                asset_id=asset_id,
                day=FIRST_DAY + dt.timedelta(days=number),
                count=count,
                mean=level,
                lower_80=level - 1.28 * spread,
                upper_80=level + 1.28 * spread,
                lower_95=level - 1.96 * spread,
                upper_95=level + 1.96 * spread,
                level=level * 1.01,
                trend=0.001,
                p_same=0.5,
                p_trend=0.6,
            )
        )
    return rows


def change(number: int, asset_id: str, **other: object) -> Change:
    """A change; ``number`` tells the names apart and orders the days."""
    start = FIRST_DAY + dt.timedelta(days=60 + number)
    values: dict[str, object] = {
        "change_id": f"change-{number}",
        "revision": 2,
        "status": "updated",
        "asset_id": asset_id,
        "kind": "rapid" if number % 2 else "gradual",
        "direction": "down" if number % 3 == 0 else "up",
        "start": start,
        "day": start + dt.timedelta(days=10),
        "probability": 0.9991,
        "size_per_day": 20_000.0,
        "size_percent": 200.0,
        "count": 30_000.0,
        "expected": 10_000.0,
        "lower_80": 8_720.0,
        "upper_80": 11_280.0,
        "lower_95": 8_040.0,
        "upper_95": 11_960.0,
    }
    return Change(**(values | other))  # type: ignore[arg-type]


@dataclass
class Console:
    """The running console, and ways to make things happen behind it."""

    url: str
    settings: Settings
    offsets: dict[str, int] = field(default_factory=dict)

    def record(self, topic: Topic, *messages: Contract) -> None:
        """Write messages to the history as record_history does."""
        first = self.offsets.get(topic.name, -1) + 1
        rows = [Recorded(first + at, now_ms(), message) for at, message in enumerate(messages)]
        self.offsets[topic.name] = first + len(messages) - 1
        engine = open_engine(self.settings.database_url.get_secret_value())
        assert HistoryWriter(engine).write(topic.name, 0, self.offsets[topic.name], rows)
        engine.dispose()

    def beat(self, received: int, at: int, **other: object) -> None:
        """A heartbeat of the session worker."""

        async def send() -> None:
            redis = Redis.from_url(self.settings.redis_url.get_secret_value())
            beat = Heartbeat(
                role="sessions",
                worker="w1",
                state="ready",
                at=at,
                started_at=1,
                pid=1,
                received={PLAYER_EVENTS.name: received},
                sent={AD_DECISIONS.name: received // 10},
                lag={f"{PLAYER_EVENTS.name}/0": 7},
                **other,  # type: ignore[arg-type]
            )
            await write(redis, beat, 60)
            await redis.aclose()

        in_thread(send)

    def play(self, session_id: str, *kinds: str, start: int = 0, decisions: int = 1) -> None:
        """Player events of ``kinds`` from ``start`` on, two seconds apart, and decisions with them."""
        begin = now_ms() - 60_000
        events = [
            PlayerEvent(
                event_id=f"{session_id}-{start + at}",
                session_id=session_id,
                seq=start + at,
                kind=kind,  # type: ignore[arg-type]
                at=begin + 2000 * (start + at),
                received_at=begin + 2000 * (start + at),
                video_id="video-1",
                position_s=2.0 * (start + at),
                from_position_s=1.0 if kind == "seeked" else None,
                device="phone",
            )
            for at, kind in enumerate(kinds)
        ]
        self.record(PLAYER_EVENTS, *events)
        made = [decision(session_id, start + at + 1, events[0]) for at in range(decisions)]
        if made:
            self.record(AD_DECISIONS, *made)


def decision(session_id: str, number: int, event: PlayerEvent) -> AdDecision:
    """A decision made at an event."""
    return AdDecision(
        decision_id=f"{session_id}-d{number}",
        session_id=session_id,
        video_id="video-1",
        rule_id="paced",
        rule_version=1,
        event_id=event.event_id,
        decided_at=event.received_at,
        number=number,
        position_s=event.position_s,
        format=AdFormat(type="spot", length_s=15),
        duration_s=15.0,
        spot_load=1.5,
        reason=f"60 s of the session passed {EVIL}",
        criteria={"session_length_s": 61.5, "registered": True},
    )


def around(mean: float, half: float = 600.0) -> Interval:
    return Interval(mean, mean - half, mean + half)


def explanation(change_id: str, asset_id: str, playlist: str) -> Explanation:
    """20,000 streams a day more: 15,000 by a playlist, 2,000 by the market."""

    def split(dimension: str, *parts: tuple[str, str, float]) -> Dimension:
        told = [
            PartOfChange(value=value, name=name, effect=around(effect), share=effect / 20_000, expected=1, likely=0.97)
            for value, name, effect in parts
        ]
        rest = 18_000 - sum(effect for _, _, effect in parts)
        return Dimension(dimension=dimension, parts=told, unexplained=around(rest))  # type: ignore[arg-type]

    return Explanation(
        change_id=change_id,
        revision=2,
        asset_id=asset_id,
        start=FIRST_DAY + dt.timedelta(days=61),
        day=FIRST_DAY + dt.timedelta(days=89),
        observed=30_000.0,
        expected=10_000.0,
        change=around(20_000, 900),
        market=around(2_000),
        dimensions=[
            split("dsp", ("aurora", "", 18_500.0), ("brook", "", -1_000.0)),
            split("container", ("p-1", playlist, 15_000.0), ("p-2", "Rainy days", -600.0)),
        ],
        causes=[
            ProximalCause(dimension="container", value="p-1", name=playlist, probability=0.93),
            ProximalCause(dimension="market", probability=0.04),
        ],
    )


def opportunity(change_id: str, asset_id: str, **other: object) -> Opportunity:
    values: dict[str, object] = {
        "change_id": change_id,
        "revision": 2,
        "asset_id": asset_id,
        "day": FIRST_DAY + dt.timedelta(days=89),
        "opportunity": True,
        "probability": 0.81,
        "goal": "expand",
        "drivers": [
            Driver(name="potential", value=0.7, contribution=1.12),
            Driver(name="base", value=1.0, contribution=-1.1),
            Driver(name="drop_off", value=0.5, contribution=-0.25),
        ],
        "conversion": Interval(0.061, 0.032, 0.101),
        "drop_off": Interval(0.05, 0.02, 0.09),
        "potential": Interval(1.62, 0.8, 2.9),
        "learnt": 0.64,
    }
    return Opportunity(**(values | other))  # type: ignore[arg-type]


def fill_reports(console: Console, last: dt.date) -> None:
    """Two services up to ``last``: a day is missing, one revised, one taken back; and what waits in quarantine."""
    messages: list[Contract] = []
    for back in reversed(range(1, 10)):
        for dsp, territory in (("aurora", "US"), ("brook", "WW")):
            if (dsp, back) == ("aurora", 3):
                continue
            for version in (1, 2) if (dsp, back) == ("aurora", 5) else (1,):
                about = {"dsp": dsp, "territory": territory, "day": last - dt.timedelta(days=back), "version": version}
                messages += [ReportOpened(**about), ReportCompleted(**about, records=1200, source="week.csv")]  # type: ignore[arg-type]
    console.record(REPORTS, *messages)
    waiting = [
        Quarantined(identifiers=["isrc:USUM71900764", "aurora:7"], day=last, dsp="aurora", territory="US", count=4000),
        Quarantined(
            identifiers=["isrc:USUM71900764", "aurora:7"], day=last - dt.timedelta(days=1), dsp="aurora", count=90
        ),
        Quarantined(identifiers=["brook:" + EVIL[:90]], day=last, dsp="brook", count=3),
    ]
    taken_back = ReportWithdrawn(dsp="brook", territory="WW", day=last - dt.timedelta(days=4))
    console.record(QUARANTINE, taken_back, *waiting)


def fill_consumption(settings: Settings) -> None:
    """40 days of a song of two services, stored as the role ``store`` does."""
    engine = open_engine(settings.database_url.get_secret_value())
    agent = StoreConsumption(consumption_writer(settings, engine))
    messages: list[Contract] = []
    for number in range(40):
        for dsp in ("aurora", "brook"):
            playlist = {"context": "playlist", "container_name": EVIL}
            counted = ((700 + 10 * number, playlist), (300, {"context": "library"}))
            cells = [cell("song-1", count, played_seconds=180 * count, **way) for count, way in counted]
            messages += report(cells, day=FIRST_DAY + dt.timedelta(days=number), dsp=dsp)
    batch = batch_of(messages, partition=partition_of(b"song-1", settings.partitions))

    async def store() -> None:
        await agent.position(batch.topic, batch.partition)
        await agent.process(batch)
        await agent.flush(only_due=False)

    in_thread(store)
    engine.dispose()


def fill(console: Console) -> None:
    """What every page needs to show something."""
    console.record(
        ASSETS,
        Asset(asset_id="song-1", title="All I Want", artist="Singer", released=FIRST_DAY, owner="Blue Label"),
        Asset(asset_id="evil", title=EVIL, artist=EVIL, owner="=1+1"),
        Asset(asset_id="sim-7", title="Track 7 (simulated)"),
    )
    day = FIRST_DAY + dt.timedelta(days=119)
    console.record(
        REPORTS, ReportOpened(dsp="dsp", day=day), ReportCompleted(dsp="dsp", day=day, records=2, source="day.csv")
    )
    fill_reports(console, day)
    console.record(ASSET_DAYS, *asset_days("song-1", 120), *asset_days("evil", 30))
    region = {"end": FIRST_DAY + dt.timedelta(days=89), "status": "closed"}
    changes = [change(number, f"other-{number}") for number in range(2, 62)]
    console.record(CHANGES, change(1, "song-1", **region), change(0, "evil", size_percent=-35.0), *changes)
    console.record(CHANGES, change(62, "sim-7", size_percent=500.0, size_per_day=90_000.0))
    console.record(EXPLANATIONS, explanation("change-1", "song-1", "Hot Hits"), explanation("change-0", "evil", EVIL))
    console.record(OPPORTUNITIES, opportunity("change-1", "song-1"))
    fill_consumption(console.settings)
    console.play("ended-1", "session_started", "video_started", "paused", "resumed", "seeked", "session_ended")
    letter = DeadLetter(
        topic="cuepoint.trend-records.v1",
        source="day.csv",
        line=7,
        code="invalid",
        field="$.count",
        reason=f"not a count {EVIL}",
        original=b"2019-01-01,\xff\x00" + EVIL.encode(),
        at=now_ms(),
    )
    console.record(DEAD_TREND_RECORDS, letter)
    engine = open_engine(console.settings.database_url.get_secret_value())
    criteria = Compare(field="session_length_s", is_=">", value=30.0)
    rules = RuleStore(engine)
    for rule in (
        AdRule(rule_id="paced", name="Paced", insertion=SessionPaced(seconds=60, growth=0.2), criteria=criteria),
        AdRule(rule_id="evil-rule", name=EVIL, insertion=AtStart(), status="draft"),
    ):
        rules.mark_published(rules.put(rule, 0))
    fill_line_items(console, DocumentStore(engine))
    engine.dispose()


def fill_line_items(console: Console, documents: DocumentStore) -> None:
    """One with a goal and ads that were shown, skipped and seen whole."""
    creative = Creative(creative_id="toys-15", length_s=15, title=EVIL, image_url="http://site/toys.png")
    toys = LineItem(line_item_id="toys", name="Toys in December", advertiser=EVIL, creatives=[creative], impressions=8)
    stored, _ = documents.put(ORDERS, toys, None, now_ms())
    documents.mark_published([(ORDERS, stored)])
    day_ms = int(dt.datetime(2026, 11, 20, 12, tzinfo=dt.UTC).timestamp() * 1000)
    told: list[tuple[int, AdEventKind]] = [(0, "impression"), (0, "complete"), (1, "impression"), (1, "skip")]
    console.record(
        AD_EVENTS,
        *(
            AdEvent(
                event_id=f"{number}:{kind}",
                session_id="ended-1",
                kind=kind,
                at=day_ms + number * 86_400_000,
                break_id="b",
                line_item_id="toys",
            )
            for number, kind in told
        ),
    )

    async def delivered() -> None:
        redis = Redis.from_url(console.settings.redis_url.get_secret_value())
        counters = AdCounters(redis, reserve_ms=1000)
        await counters.restore(await counters.begin_recount() or "", Recount(made={"toys": 2}))
        await redis.aclose()

    in_thread(delivered)

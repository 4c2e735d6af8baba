"""What is measured with: a log of daily reports, one of player events, twenty rules. Seeded."""

from __future__ import annotations

import datetime as dt
import random
import string
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from cuepoint import ops
from cuepoint.models.rule_yaml import load_rules
from cuepoint.models.session_simulator import ViewerSimulator
from cuepoint.schemas.playback import PlayerEvent
from cuepoint.schemas.rules import AdRule
from cuepoint.schemas.topics import AD_RULES, PLAYER_EVENTS, TREND_RECORDS
from cuepoint.schemas.trends import ReportCompleted, ReportOpened, TrendRecord
from cuepoint.streams.producer import SyncProducer, partition_of
from cuepoint.streams.topics_admin import create_topics

PARTITIONS = 4
FIRST_DAY = dt.date(2024, 1, 1)
START_MS = 1_735_000_000_000
RULES = 20
MIN_GAP_S = 300.0
DSP, TERRITORY = "spotify", "US"


class Catalogue:
    """``assets`` assets with random 22-letter ids: level, weekly season, noise, and now and then a jump."""

    def __init__(self, assets: int, seed: int = 1) -> None:
        names, self._rng = random.Random(seed), np.random.default_rng(seed)
        letters = string.ascii_letters + string.digits
        self.ids = ["".join(names.choices(letters, k=22)) for _ in range(assets)]
        self.partitions = [partition_of(name.encode(), PARTITIONS) for name in self.ids]
        self._level = self._rng.normal(8.0, 1.5, assets)

    def day(self, number: int) -> NDArray[np.int64]:
        """Counts of all assets on the next day."""
        rng, assets = self._rng, len(self.ids)
        jumps = np.where(rng.random(assets) < 0.0005, rng.choice([-1.2, 1.2], assets), 0.0)
        self._level += rng.normal(0.0, 0.02, assets) + jumps
        season = 0.08 * np.sin(2 * np.pi * number / 7)
        return np.expm1(np.clip(self._level + season + rng.normal(0.0, 0.05, assets), 0.0, 20.0)).astype(np.int64)


def load_days(producer: SyncProducer, catalogue: Catalogue, first: int, days: int) -> int:
    """Write ``days`` reports as ``cuepoint ingest`` does, markers in band; how many messages that is."""
    sent = 0
    held = np.bincount(catalogue.partitions, minlength=PARTITIONS).tolist()
    for number in range(first, first + days):
        day, counts = FIRST_DAY + dt.timedelta(number), catalogue.day(number).tolist()
        opened = ReportOpened(dsp=DSP, territory=TERRITORY, day=day)
        for partition in range(PARTITIONS):
            producer.send(TREND_RECORDS, DSP, opened, partition=partition)
        for asset_id, partition, count in zip(catalogue.ids, catalogue.partitions, counts, strict=True):
            record = TrendRecord(asset_id=asset_id, day=day, dsp=DSP, territory=TERRITORY, count=count)
            producer.send(TREND_RECORDS, asset_id, record, partition=partition)
        for partition, records in enumerate(held):
            completed = ReportCompleted(
                dsp=DSP, territory=TERRITORY, day=day, records=len(counts), partition_records=records
            )
            producer.send(TREND_RECORDS, DSP, completed, partition=partition)
        sent += len(counts) + 2 * PARTITIONS
    producer.flush(120.0)
    return sent


class TrendLog(NamedTuple):
    """Topics with ``prefix`` hold ``messages`` trend messages."""

    prefix: str
    messages: int
    assets: int
    days: int


def make_trend_log(broker: str, prefix: str, assets: int, days: int) -> TrendLog:
    """All topics with this prefix, and the trend log in them."""
    create_topics(broker, PARTITIONS, prefix=prefix)
    producer = SyncProducer(broker, prefix=prefix)
    messages = load_days(producer, Catalogue(assets), 0, days)
    producer.close()
    return TrendLog(prefix, messages, assets, days)


def player_events(count: int, sessions: int, seed: int = 1) -> list[PlayerEvent]:
    """The first ``count`` events of so many simulated viewers at once, in the order of time."""
    simulator = ViewerSimulator(seed=seed, start_ms=START_MS, sessions=sessions, videos=200, day_shape=False)
    events: list[PlayerEvent] = []
    while len(events) < count:
        events += simulator.advance(simulator.now_ms + 5_000)
    return events[:count]


def twenty_rules() -> list[AdRule]:
    """Cuepoint's predefined rules, the active ones and as many of the drafts as make twenty, all active, with five
    minutes of play between ads (some drafts would else put one at every other event)."""
    text = Path(next(iter(ops.__path__)), "predefined_rules.yaml").read_text(encoding="utf-8")
    rules = sorted(load_rules(text), key=lambda rule: rule.status != "active")[:RULES]
    return [
        msgspec.structs.replace(
            rule,
            status="active",
            limits=msgspec.structs.replace(rule.limits, min_gap_s=max(rule.limits.min_gap_s, MIN_GAP_S)),
        )
        for rule in rules
    ]


def make_player_log(broker: str, prefix: str, events: Sequence[PlayerEvent]) -> None:
    """All topics with this prefix, the twenty rules, and the events."""
    create_topics(broker, PARTITIONS, prefix=prefix)
    producer = SyncProducer(broker, prefix=prefix)
    for rule in twenty_rules():
        producer.send(AD_RULES, rule.rule_id, rule)
    for event in events:
        producer.send(PLAYER_EVENTS, event.session_id, event, id=event.event_id)
    producer.flush(120.0)
    producer.close()

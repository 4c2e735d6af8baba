"""The checks of the chaos run find what they are there for: a run's logs and stores, each damaged in one way."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import redis
from chaos_check import Checks
from chaos_consumption import ConsumptionPlan
from chaos_findings import Findings
from chaos_logs import Place, Record, batch_of
from chaos_plan import Send
from chaos_play import PlayPlan
from chaos_reports import ReportPlan
from chaos_shadow import ROLE_OF, make_agents
from chaos_stores import Stores
from consumption_feed import Feed
from redis.asyncio import Redis
from sqlalchemy import text

from cuepoint.agents.count import CountDecisions, CountEvents
from cuepoint.agents.record_history import RecordHistory
from cuepoint.agents.serve_decisions import ServeDecisions
from cuepoint.models.rule_yaml import load_rules
from cuepoint.schemas.codec import encode
from cuepoint.schemas.topics import AD_DECISIONS, CHANGES, CONSUMPTION, DEAD_TREND_RECORDS, PLAYER_EVENTS, TREND_RECORDS
from cuepoint.streams.decision_feed import DecisionFeed
from cuepoint.streams.history import HistoryWriter
from cuepoint.streams.producer import partition_of
from cuepoint.streams.redis_counters import RedisCounters
from cuepoint.streams.snapshot_store import SnapshotStore

SEED, PARTITIONS, STEPS, STAMP = 5, 2, 40, 1_790_000_000_000
RULES = Path(__file__).parents[2] / "ops" / "predefined_rules.yaml"
DAMAGED: Place = (PLAYER_EVENTS.name, 1)


@dataclass
class System:
    """What a run without faults leaves behind: what was sent, the logs, the snapshots; its counters are in Redis."""

    stores: dict[str, SnapshotStore]
    client: redis.Redis
    feed: Feed  # SQL and the consumption store
    worked_to: dict[Place, int] = field(default_factory=dict)  # the ends when the workers had done their part
    sent: dict[Place, list[Send]] = field(default_factory=lambda: defaultdict(list))
    logs: dict[Place, list[Record]] = field(default_factory=lambda: defaultdict(list))

    def append(self, place: Place, key: bytes, value: bytes | None, id: str = "") -> None:
        offset = len(self.logs[place])
        self.logs[place].append(Record(offset, STAMP + offset, key, value, id))

    def findings(self) -> dict[str, int]:
        """What the checks find, by kind."""
        found = Findings()
        checks = Checks(SEED, found)
        if asyncio.run(checks.take(self.sent, self.logs)):
            checks.states(self.stores, lambda place, offset: self.logs[place][offset:])
            checks.counters(self.client, {place: len(records) for place, records in self.logs.items()})
            written = Stores(f"sqlite:///{self.feed.root.parent}/catalogue.db", self.feed.root)
            for wrong in written.stand_elsewhere(self.worked_to):
                found.add("state_mismatches", wrong)
            checks.stores(written)
            written.close()
        return dict(found.counts)


class Written:
    """History over its writer, in this thread."""

    def __init__(self, writer: HistoryWriter) -> None:
        self._writer = writer

    async def write(self, *given: Any) -> bool:
        return self._writer.write(*given)

    async def position(self, topic: str, partition: int) -> int | None:
        return self._writer.position(topic, partition)


async def work(system: System, url: str) -> None:
    """The workers' part: all agents over the whole input, snapshots at the end, counters in Redis."""
    store = Redis.from_url(url)
    counters = RedisCounters(store)
    agents: Any = [*make_agents()[:2], CountEvents(counters), CountDecisions(counters)]
    for agent in agents:
        for place in sorted(place for place in system.logs if place[0] == agent.topics[0].name):
            for outgoing in await agent.process(batch_of(*place, system.logs[place])):
                partition = partition_of(outgoing.key.encode(), outgoing.topic.partitions or PARTITIONS)
                value = outgoing.value
                system.append((outgoing.topic.name, partition), outgoing.key.encode(), value, outgoing.id)
            folder = system.stores[ROLE_OF[agent.name]]
            folder.save(agent.name, *place, len(system.logs[place]) - 1, agent.snapshot(place[1]))
    serving = ServeDecisions(DecisionFeed(store, ttl_s=1_000_000_000))  # the log's time is long past
    for place in [place for place in system.logs if place[0] == AD_DECISIONS.name]:
        await serving.process(batch_of(*place, system.logs[place]))
    for place in sorted(place for place in system.logs if place[0] == CONSUMPTION.name):
        await system.feed.agent.position(*place)
        for outgoing in await system.feed.agent.process(batch_of(*place, system.logs[place])):
            system.append((outgoing.topic.name, 0), outgoing.key.encode(), outgoing.value, outgoing.id)
        system.feed.agent.told(place[1])
    await system.feed.agent.flush(only_due=False)
    history = RecordHistory(Written(HistoryWriter(system.feed.engine)))
    for topic in history.topics:
        for place in [place for place in system.logs if place[0] == topic.name]:
            await history.process(batch_of(*place, system.logs[place]))
    await store.aclose()


@pytest.fixture
def system(redis_url: str, tmp_path: Path) -> Iterator[System]:
    rules = [rule for rule in load_rules(RULES.read_text()) if rule.status == "active"]
    stores = {role: SnapshotStore(tmp_path / role) for role in set(ROLE_OF.values())}
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        made = System(stores, client, Feed(tmp_path))
        for partition in range(PARTITIONS):
            for rule in rules:
                made.append((PLAYER_EVENTS.name, partition), rule.rule_id.encode(), encode(rule))
        plans = ReportPlan(SEED, PARTITIONS), PlayPlan(SEED, PARTITIONS), ConsumptionPlan(SEED, PARTITIONS)
        for send in (send for _ in range(STEPS) for plan in plans for send in plan.step()):
            place = (send.topic.name, send.partition)
            made.sent[place].append(send)
            made.append(place, send.key.encode(), send.value)
        asyncio.run(work(made, redis_url))
        made.worked_to = {place: len(records) for place, records in made.logs.items()}
        yield made
        made.feed.engine.dispose()


def some(system: System, topic: str) -> list[Record]:
    """The fullest partition of a topic."""
    return max((records for place, records in system.logs.items() if place[0] == topic), key=len)


def test_nothing_is_found_in_what_is_right(system: System) -> None:
    assert system.findings() == {}
    assert all(some(system, topic.name) for topic in (AD_DECISIONS, CHANGES, DEAD_TREND_RECORDS))


def test_a_message_told_twice_alike_is_right(system: System) -> None:
    for topic in (CHANGES, DEAD_TREND_RECORDS):
        records = some(system, topic.name)
        records.append(records[len(records) // 2]._replace(offset=len(records)))
    assert system.findings() == {}


def lose(topic: str) -> Callable[[System], None]:
    def damage(system: System) -> None:
        records = some(system, topic)
        del records[len(records) // 2]

    return damage


def tell_twice_otherwise(system: System) -> None:
    records = some(system, CHANGES.name)
    records.append(records[0]._replace(offset=len(records), value=(records[0].value or b"").replace(b"0.9", b"0.8")))


def tell_what_is_not_due(system: System) -> None:
    records = some(system, CHANGES.name)
    records.append(records[0]._replace(offset=len(records), id="nobody:1"))


def send_unseen(system: System) -> None:
    """The log has the record a second time; what the workers made of it is not looked at."""
    records = system.logs[DAMAGED]
    first = next(record for record in records if b"player-event" in (record.value or b""))
    records.append(first._replace(offset=len(records)))


def forget_an_event(name: str, topic: str) -> Callable[[System], None]:
    """A snapshot that says it stands for the whole log, and lacks one good record."""

    def damage(system: System) -> None:
        place, store = (topic, 1), system.stores[ROLE_OF[name]]
        agent = next(agent for agent in make_agents() if agent.name == name)
        records = system.logs[place]
        good = [at for at, send in enumerate(system.sent[place]) if not send.code]
        without = records[: good[-30]] + records[good[-30] + 1 :]
        asyncio.run(agent.process(batch_of(*place, without)))  # type: ignore[arg-type]
        store.save(name, *place, len(records) - 1, agent.snapshot(1))

    return damage


def count(by: int) -> Callable[[System], None]:
    def damage(system: System) -> None:
        key = next(iter(sorted(system.client.scan_iter(match="cuepoint:counts:total:*"))))
        system.client.hincrby(key, "plays", by)

    return damage


def stand_elsewhere(system: System) -> None:
    system.client.hincrby("cuepoint:offsets", f"|count_events|{PLAYER_EVENTS.name}|0", -1)


def in_sql(statement: str) -> Callable[[System], None]:
    def damage(system: System) -> None:
        with system.feed.engine.begin() as connection:
            assert connection.execute(text(statement)).rowcount > 0

    return damage


def serve_one_less(system: System) -> None:
    system.client.delete(next(iter(system.client.scan_iter(match="cuepoint:decisions:*"))))


@pytest.mark.parametrize(
    ("damage", "kind"),
    [
        (serve_one_less, "lost"),
        (lose(AD_DECISIONS.name), "lost"),
        (lose(CHANGES.name), "lost"),
        (lose(DEAD_TREND_RECORDS.name), "lost"),
        (lose(PLAYER_EVENTS.name), "lost"),
        (lose(TREND_RECORDS.name), "lost"),
        (send_unseen, "duplicated"),
        (tell_twice_otherwise, "duplicated"),
        (tell_what_is_not_due, "duplicated"),
        (forget_an_event("watch_trends", TREND_RECORDS.name), "state_mismatches"),
        (forget_an_event("compose_sessions", PLAYER_EVENTS.name), "state_mismatches"),
        (forget_an_event("compose_sessions", PLAYER_EVENTS.name), "lost"),
        (forget_an_event("count_events", PLAYER_EVENTS.name), "state_mismatches"),
        (count(-1), "lost"),
        (count(1), "duplicated"),
        (stand_elsewhere, "state_mismatches"),
        (in_sql("UPDATE positions SET last = last - 1 WHERE topic = 'cuepoint.consumption.v1'"), "state_mismatches"),
        (in_sql("DELETE FROM changes WHERE revision > 1"), "lost"),
        (in_sql("UPDATE changes SET body = 'x'"), "state_mismatches"),
        (in_sql("DELETE FROM session_events WHERE seq = 3"), "lost"),
        (in_sql("UPDATE decisions SET decision_id = 'other' WHERE number = 1 LIMIT 1"), "duplicated"),
        (in_sql("DELETE FROM dead_letters WHERE code = 'malformed'"), "lost"),
        (in_sql("DELETE FROM consumption_files WHERE file_id = 1"), "lost"),
        (in_sql("UPDATE consumption_reports SET status = 'complete' WHERE status = 'replaced'"), "state_mismatches"),
    ],
    ids=lambda value: value if isinstance(value, str) else value.__qualname__.split(".")[0],
)
def test_each_damage_is_found(system: System, damage: Callable[[System], None], kind: str) -> None:
    damage(system)
    assert system.findings().get(kind, 0) > 0


def test_the_plan_is_a_function_of_its_seed() -> None:
    for plan in (ReportPlan, PlayPlan):
        first, again, other = plan(1, 4), plan(1, 4), plan(2, 4)
        steps = [first.step() for _ in range(30)]
        assert steps == [again.step() for _ in range(30)]
        assert steps != [other.step() for _ in range(30)]

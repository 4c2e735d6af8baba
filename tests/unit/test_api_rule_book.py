"""The rule publisher while the broker is away."""

from __future__ import annotations

from cuepoint.ops.api_rule_book import RulePublisher
from cuepoint.schemas.rules import AdRule, AtStart
from cuepoint.streams.database import open_engine, upgrade
from cuepoint.streams.producer import AsyncProducer
from cuepoint.streams.rule_store import RuleStore


async def test_a_waiting_rule_gains_no_versions_while_the_broker_is_away(tmp_path):
    engine = open_engine(f"sqlite:///{tmp_path}/rules.db")
    upgrade(engine)
    store = RuleStore(engine)
    producer = AsyncProducer("127.0.0.1:1", timeout_s=0.2)
    publisher = RulePublisher(store, producer, lead_ms=0)
    try:
        store.put(AdRule(rule_id="r1", name="a rule", insertion=AtStart(), effective_at=1), 0)
        for _ in range(3):
            await publisher.publish_waiting()
        assert [rule.version for rule in store.history("r1")] == [1]
        assert [rule.version for rule in store.unpublished()] == [1]
    finally:
        await producer.close()
        engine.dispose()

"""Topics, producing and the rules feed on a real broker."""

from __future__ import annotations

import asyncio
import datetime as dt

import pytest
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType
from stream_helpers import header, produce, read_topic

from cuepoint.models.rule_book import RuleBook
from cuepoint.ops.settings import Settings
from cuepoint.schemas.codec import encode
from cuepoint.schemas.errors import Unavailable
from cuepoint.schemas.rules import AdRule, AtStart
from cuepoint.schemas.topics import AD_RULES, ASSETS, DEAD_AD_RULES, TOPICS, TREND_RECORDS
from cuepoint.schemas.trends import Asset, TrendRecord
from cuepoint.streams.embedded_parts import free_port
from cuepoint.streams.outgoing import Outgoing
from cuepoint.streams.producer import AsyncProducer, Busy, SyncProducer, partition_of
from cuepoint.streams.rules_feed import RulesFeed
from cuepoint.streams.topics_admin import broker_answers, create_topics, missing_topics, partition_count


def record(asset_id: str) -> TrendRecord:
    return TrendRecord(asset_id=asset_id, dsp="dsp", day=dt.date(2020, 1, 1), count=1)


def test_topics_are_made_once(settings: Settings) -> None:
    assert missing_topics(settings.broker, settings.topic_prefix) == []
    assert create_topics(settings.broker, 7, prefix=settings.topic_prefix) == []
    assert partition_count(settings.broker, TREND_RECORDS, settings.topic_prefix) == 2
    assert partition_count(settings.broker, ASSETS, settings.topic_prefix) == 1
    client = AdminClient({"bootstrap.servers": settings.broker})
    names = [settings.topic_prefix + topic.name for topic in TOPICS]
    asked = client.describe_configs([ConfigResource(ResourceType.TOPIC, name) for name in names])
    for topic, answer in zip(TOPICS, asked.values(), strict=True):
        policy = answer.result(10).get("cleanup.policy")
        assert (policy is not None and policy.value == "compact") == topic.compacted, topic.name


def test_a_missing_topic_or_broker_is_unavailable(settings: Settings) -> None:
    with pytest.raises(Unavailable, match="cuepoint topics create"):
        partition_count(settings.broker, TREND_RECORDS, "no-such-")
    nobody = f"127.0.0.1:{free_port()}"
    assert not broker_answers(nobody, 0.3)
    producer = SyncProducer(nobody, timeout_s=0.5)
    producer.send(TREND_RECORDS, "a", record("a"))
    with pytest.raises(Unavailable):
        producer.flush()
    producer.close()


def test_keys_go_where_kafka_puts_them(settings: Settings) -> None:
    producer = SyncProducer(settings.broker, source="test", prefix=settings.topic_prefix)
    for n in range(40):
        producer.send(TREND_RECORDS, f"asset-{n}", record(f"asset-{n}"))
    producer.send(TREND_RECORDS, "asset-0", record("asset-0"), partition=1 - partition_of(b"asset-0", 2))
    producer.flush()
    found = read_topic(settings, TREND_RECORDS)
    misplaced = [message for message in found if message.partition() != partition_of(message.key(), 2)]
    assert [message.key() for message in misplaced] == [b"asset-0"]
    assert not any(message.headers() for message in found)


def test_results_carry_cloudevents_headers(settings: Settings) -> None:
    producer = SyncProducer(settings.broker, source="test", prefix=settings.topic_prefix)
    producer.send(ASSETS, "a-7", Asset(asset_id="a-7", title="t"), id="id-7")
    producer.flush()
    (tagged,) = read_topic(settings, ASSETS)
    names = ("ce_specversion", "ce_id", "ce_source", "ce_type", "content-type")
    assert tuple(header(tagged, name) for name in names) == ("1.0", "id-7", "test", "asset.v1", "application/json")


async def test_delivery_is_awaited(settings: Settings) -> None:
    producer = AsyncProducer(settings.broker, prefix=settings.topic_prefix)
    sent = [Outgoing(ASSETS, f"a{n}", Asset(asset_id=f"a{n}", title="t"), f"a{n}") for n in range(500)]
    await asyncio.gather(producer.deliver(sent[:250]), producer.deliver(sent[250:]), producer.deliver([]))
    found = await asyncio.to_thread(read_topic, settings, ASSETS)
    assert sorted(header(message, "ce_id") for message in found) == sorted(outgoing.id for outgoing in sent)
    assert await producer.answers()
    await producer.close()


async def test_a_broker_that_is_gone_is_told_and_bounded() -> None:
    producer = AsyncProducer(f"127.0.0.1:{free_port()}", queue_records=100, timeout_s=0.5)
    sent = [Outgoing(ASSETS, "a", Asset(asset_id="a", title="t"), str(n)) for n in range(300)]
    with pytest.raises(Busy):
        await producer.deliver(sent, wait=False)
    assert producer.waiting <= 100
    with pytest.raises(Unavailable):
        await producer.deliver(sent)
    assert not await producer.answers(0.2)
    await producer.close()


async def test_rules_are_caught_up_with_and_followed(settings: Settings) -> None:
    rules = [AdRule(rule_id="r", version=n, name="rule", insertion=AtStart(), effective_at=n) for n in (1, 2, 3)]
    await asyncio.to_thread(produce, settings, AD_RULES, [(0, encode(rules[0])), (0, b"{no"), (0, encode(rules[1]))])
    book, producer = RuleBook(), AsyncProducer(settings.broker, prefix=settings.topic_prefix)
    feed = RulesFeed(settings.broker, book, producer, settings.topic_prefix)
    await feed.start(20)
    assert [rule.version for rule in book.rules()] == [1, 2]
    await asyncio.to_thread(produce, settings, AD_RULES, [(0, encode(rules[2]))])
    async with asyncio.timeout(90):
        while len(book.rules()) < 3:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    await feed.stop()
    await producer.close()
    dead = await asyncio.to_thread(read_topic, settings, DEAD_AD_RULES)
    assert [header(message, "ce_id") for message in dead] == ["cuepoint.ad-rules.v1/0/1"]
    assert b'"code":"malformed"' in dead[0].value()


async def test_rules_that_cannot_be_read_are_told() -> None:
    producer = AsyncProducer(f"127.0.0.1:{free_port()}", timeout_s=0.5)
    with pytest.raises(Unavailable, match="the rules could not be read"):
        await RulesFeed(f"127.0.0.1:{free_port()}", RuleBook(), producer).start(0.5)
    await producer.close()

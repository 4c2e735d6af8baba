"""The rules of ad-rules.v1, for partitions begun anew: all before a session worker starts, then each as it comes."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from typing import Any, Protocol

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, TopicPartition

from cuepoint.schemas.codec import UNREADABLE, decoder, explain
from cuepoint.schemas.errors import ContractError, Unavailable
from cuepoint.schemas.faults import DeadLetter
from cuepoint.schemas.rules import AdRule
from cuepoint.schemas.topics import AD_RULES, DEAD_AD_RULES
from cuepoint.streams.outgoing import Outgoing
from cuepoint.streams.producer import AsyncProducer

_LOG = logging.getLogger(__name__)
_POLL_S = 0.05
_ANSWER_S = 5.0


class RuleSink(Protocol):
    """Takes rules in any order, a repeat without effect. Raises ContractError (RuleError) for one it cannot use."""

    def add(self, rule: AdRule) -> object: ...


class RulesFeed:
    """Reads the whole topic (it is small) into ``sink`` and stays on it. No consumer group: every worker
    needs every rule."""

    def __init__(self, broker: str, sink: RuleSink, producer: AsyncProducer, prefix: str = "") -> None:
        self._sink, self._producer, self._topic = sink, producer, prefix + AD_RULES.name
        self._broker, self._decode = broker, decoder(AdRule)
        self._stopping = threading.Event()
        self._task: asyncio.Task[None] | None = None
        self.read = 0

    async def start(self, timeout_s: float) -> None:
        """Returns when every rule that was there at the call is in the sink. Raises Unavailable after ``timeout_s``."""
        caught_up: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._follow(caught_up), name="rules")
        done, _ = await asyncio.wait((caught_up, self._task), timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        if self._task in done:
            self._task.result()
        if not caught_up.done():
            await self.stop()
            raise Unavailable(f"the rules could not be read from broker {self._broker} within {timeout_s:.0f} s")

    async def stop(self) -> None:
        self._stopping.set()
        if self._task is not None:
            await asyncio.wait((self._task,), timeout=2.0)

    async def _follow(self, caught_up: asyncio.Future[None]) -> None:
        consumer = Consumer(
            {
                "bootstrap.servers": self._broker,
                "group.id": f"cuepoint-rules-{id(self)}",  # demanded by librdkafka, not used: nothing is committed
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "fetch.wait.max.ms": 50,
                "enable.partition.eof": True,
                "log_level": 2,
            }
        )
        try:
            consumer.assign([TopicPartition(self._topic, 0, OFFSET_BEGINNING)])
            while not self._stopping.is_set():
                messages = await asyncio.to_thread(_poll, consumer)
                for message in messages:
                    if message.error() is None:
                        await self._take(message)
                    elif _is_end(message) and not caught_up.done():
                        caught_up.set_result(None)
        finally:
            await asyncio.to_thread(consumer.close)

    async def _take(self, message: Any) -> None:
        value = message.value()
        if value is None:
            return  # compaction's mark of a key that is gone; rules are retired, never deleted
        self.read += 1
        try:
            self._sink.add(self._decode.decode(value))
        except UNREADABLE as error:
            await self._refuse(message, explain(error))
        except ContractError as error:
            await self._refuse(message, error)

    async def _refuse(self, message: Any, error: ContractError) -> None:
        """A broken rule stops nothing: it is written down, and sessions go on without it."""
        letter = DeadLetter.of(
            error,
            message.value(),
            message.timestamp()[1],
            topic=AD_RULES.name,
            partition=message.partition(),
            offset=message.offset(),
            key=message.key(),
        )
        id = f"{AD_RULES.name}/{message.partition()}/{message.offset()}"
        _LOG.warning("rule %s is refused: %s", letter.key, error)
        while not self._stopping.is_set():
            try:
                await self._producer.deliver([Outgoing(DEAD_AD_RULES, AD_RULES.name, letter, id)])
                return
            except Unavailable as unavailable:
                _LOG.warning("%s; trying again", unavailable)
                await asyncio.sleep(1.0)


def _poll(consumer: Consumer) -> list[Any]:
    try:
        return list(consumer.consume(500, _POLL_S))
    except KafkaException as error:
        _LOG.warning("rules: %s", error)
        time.sleep(_POLL_S)
        return []


def _is_end(message: Any) -> bool:
    from confluent_kafka import KafkaError

    return bool(message.error().code() == KafkaError._PARTITION_EOF)

"""Rules that change while everything breaks: published with the library's own publisher, until the broker has them."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from random import Random

from chaos_play import STEP_MS
from msgspec.structs import replace

from cuepoint.schemas.errors import Unavailable
from cuepoint.schemas.rules import AdRule, Limits
from cuepoint.schemas.topics import PLAYER_EVENTS
from cuepoint.streams.producer import AsyncProducer, SyncProducer
from cuepoint.streams.rules_publisher import publish_rule

TIMEOUT_S = 1.5  # of one try


class RuleTeller:
    """``begin`` changes a rule in the course of the next ``seconds``, in a thread; ``now_ms`` is the players' time."""

    def __init__(self, broker: str, partitions: int, rules: list[AdRule], seed: int, now_ms: Callable[[], int]) -> None:
        self._broker, self._partitions, self._seed, self._now_ms = broker, partitions, seed, now_ms
        self._rules = rules
        self._thread: threading.Thread | None = None
        self.failure: Exception | None = None

    def publish_all(self) -> None:
        for rule in self._rules:
            self._publish(rule)

    def begin(self, number: int, seconds: float) -> None:
        """The rule takes effect at once, or in a while of the players' time, and in the meantime the broker may go."""
        rng = Random(f"rules {self._seed} {number}")
        at = rng.randrange(len(self._rules))
        limits = Limits(per_session=rng.randint(1, 8), min_gap_s=rng.choice((0.0, 20.0, 60.0)))
        rule = self._rules[at] = replace(self._rules[at], version=self._rules[at].version + 1, limits=limits)
        lead_ms = rng.choice((0, 2 * STEP_MS, 20 * STEP_MS))
        self._thread = threading.Thread(target=self._run, args=(rng, rule, seconds, lead_ms), name="rules", daemon=True)
        self._thread.start()

    def finish(self, timeout_s: float) -> None:
        """Wait until all partitions have it. Raises what went wrong."""
        if self._thread is not None:
            self._thread.join(timeout_s)
            if self._thread.is_alive():
                raise TimeoutError(f"a rule could not be published within {timeout_s:.0f} s")
        if self.failure is not None:
            raise self.failure

    def _run(self, rng: Random, rule: AdRule, seconds: float, lead_ms: int) -> None:
        try:
            time.sleep(rng.uniform(0.0, 0.8) * seconds)
            rule = replace(rule, effective_at=self._now_ms() + lead_ms)
            if rng.random() < 0.3:
                self._publish_half(rng, rule)
                time.sleep(rng.uniform(0.0, 0.3) * seconds)
            self._publish(rule)
        except Exception as error:
            self.failure = error

    def _publish_half(self, rng: Random, rule: AdRule) -> None:
        """What an API leaves that dies while it publishes."""
        producer = SyncProducer(self._broker, timeout_s=TIMEOUT_S)
        try:
            for partition in rng.sample(range(self._partitions), self._partitions // 2):
                producer.send(PLAYER_EVENTS, rule.rule_id, rule, partition=partition)
            producer.flush()
        except Unavailable:
            pass
        finally:
            producer.close()

    def _publish(self, rule: AdRule) -> None:
        asyncio.run(_until_published(self._broker, rule))


async def _until_published(broker: str, rule: AdRule) -> None:
    producer = AsyncProducer(broker, timeout_s=TIMEOUT_S)
    try:
        while True:
            try:
                return await publish_rule(producer, rule)
            except Unavailable:
                await asyncio.sleep(0.1)
    finally:
        await producer.close()

"""What becomes of an agent's messages, and the totals a worker tells of itself."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence

from cuepoint.schemas.faults import DeadLetter
from cuepoint.streams import metrics
from cuepoint.streams.batch import Batch
from cuepoint.streams.outgoing import Encoded, Outgoing
from cuepoint.streams.producer import AsyncProducer


class Delivery:
    """Produces what a batch yielded and counts it once the broker has it."""

    def __init__(self, producer: AsyncProducer) -> None:
        self._producer = producer
        self.received: Counter[str] = Counter()
        self.sent: Counter[str] = Counter()
        self.dead: Counter[str] = Counter()

    async def __call__(self, agent: str, batch: Batch, produced: Sequence[Outgoing | Encoded]) -> None:
        """Raises Unavailable when the broker did not acknowledge; then nothing is counted."""
        await self._producer.deliver(produced)
        self.received[batch.topic] += len(batch)
        metrics.EVENTS_IN.labels(batch.topic).inc(len(batch))
        for topic, count in Counter(outgoing.topic.name for outgoing in produced).items():
            self.sent[topic] += count
            metrics.EVENTS_OUT.labels(topic).inc(count)
        now_ms = time.time() * 1000
        for outgoing in produced:
            if isinstance(outgoing, Encoded):
                if outgoing.at_ms >= 0:
                    metrics.DECISION_LATENCY.observe(max(0.0, now_ms - outgoing.at_ms) / 1000)
            elif isinstance(message := outgoing.message, DeadLetter):
                self.dead[message.topic] += 1
                metrics.EVENTS_DEAD.labels(message.topic, message.code).inc()

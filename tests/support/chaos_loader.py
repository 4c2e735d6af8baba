"""Sends the plan, all the time, with the library's own producer; remembers what stands in which partition."""

from __future__ import annotations

import threading
import time
from collections import defaultdict

from chaos_consumption import ConsumptionPlan
from chaos_logs import Place
from chaos_plan import Send
from chaos_play import PlayPlan
from chaos_reports import ReportPlan

from cuepoint.schemas.errors import Unavailable
from cuepoint.schemas.topics import CONSUMPTION, TREND_RECORDS
from cuepoint.streams.producer import SyncProducer

FLUSH_S = 120.0


class Loader:
    """``begin(steps, seconds)`` sends so many steps of the plans in about that time, in a thread of its own."""

    def __init__(self, producer: SyncProducer, prefix: str, *plans: ReportPlan | ConsumptionPlan | PlayPlan) -> None:
        self._producer, self._prefix = producer, prefix
        self._plans = plans
        self._thread: threading.Thread | None = None
        self.sent: dict[Place, list[Send]] = defaultdict(list)  # since `taken`, in order
        self.failure: Exception | None = None

    def begin(self, steps: int, seconds: float) -> None:
        self._thread = threading.Thread(target=self._run, args=(steps, seconds), name="loader", daemon=True)
        self._thread.start()

    @property
    def busy(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def finish(self, timeout_s: float) -> None:
        """Wait until all is acknowledged. Raises what went wrong."""
        if self._thread is not None:
            self._thread.join(timeout_s)
        if self.busy:
            raise TimeoutError(f"the broker did not acknowledge the input within {timeout_s:.0f} s")
        if self.failure is not None:
            raise self.failure

    def taken(self) -> dict[Place, list[Send]]:
        """What was sent since the last call, by place."""
        sent, self.sent = self.sent, defaultdict(list)
        return sent

    def _run(self, steps: int, seconds: float) -> None:
        began = time.monotonic()
        try:
            for number in range(steps):
                for plan in self._plans:
                    for send in plan.step():
                        self._send(send)
                time.sleep(max(0.0, began + (number + 1) * seconds / steps - time.monotonic()))
            self._producer.flush(FLUSH_S)
        except (Unavailable, AssertionError) as error:
            self.failure = error

    def _send(self, send: Send) -> None:
        self.sent[send.topic.name, send.partition].append(send)
        if send.message is not None:
            # Reports choose their partitions, as `cuepoint ingest` does; of events the producer does, as in the API.
            chosen = send.partition if send.topic in {TREND_RECORDS, CONSUMPTION} else None
            self._producer.send(send.topic, send.key, send.message, partition=chosen)
            return
        # Contracts cannot say what is broken: the bytes go out as they are, through the same client.
        self._producer._client.produce(
            self._prefix + send.topic.name,
            send.value,
            send.key.encode(),
            send.partition,
            on_delivery=self._producer._delivered,
        )

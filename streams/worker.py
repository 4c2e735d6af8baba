"""A worker's runtime: a Faust app per role whose agents hand batches to ours."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import faust
from aiokafka.errors import IllegalStateError, KafkaConnectionError, KafkaError
from faust.types import TP

from cuepoint.schemas.errors import CuepointError, Unavailable
from cuepoint.streams.batch_transport import DEFAULT_FETCH_WAIT_MS, BatchConsumer, BatchSchema, Ledger
from cuepoint.streams.delivery import Delivery
from cuepoint.streams.internals import check_internals
from cuepoint.streams.lane import LaneParts
from cuepoint.streams.ledger import LaneLedger
from cuepoint.streams.processor import Processor
from cuepoint.streams.producer import AsyncProducer
from cuepoint.streams.snapshot_store import SnapshotStore
from cuepoint.streams.tasks import end

_LOG = logging.getLogger(__name__)
_BUFFERED_BATCHES = 2


@dataclass(frozen=True, kw_only=True)
class WorkerOptions:
    """How a worker reads, keeps and sends; units in the names."""

    broker: str
    data_dir: Path
    prefix: str = ""
    log_id: str = ""
    session_timeout_s: float = 6.0
    request_timeout_s: float = 30.0
    metadata_age_s: float = 5.0
    fetch_wait_ms: int = DEFAULT_FETCH_WAIT_MS
    fetch_partition_bytes: int = 4 << 20
    commit_interval_s: float = 1.0
    snapshot_interval_s: float = 10.0
    retry_max_s: float = 5.0
    close_timeout_s: float = 2.0
    producer: dict[str, Any] = field(default_factory=dict)


class BatchApp(faust.App):
    """A Faust app that tells the batch:// transport where offsets are kept account of."""

    ledger: Ledger | None = None
    fetch_wait_ms: int = DEFAULT_FETCH_WAIT_MS


class ConsumerLog:
    """lane.Log over the app's consumer."""

    def __init__(self, app: faust.App, prefix: str) -> None:
        self._app, self._prefix = app, prefix

    def _tp(self, topic: str, partition: int) -> TP:
        return TP(self._prefix + topic, partition)

    @property
    def _consumer(self) -> BatchConsumer:
        consumer = self._app.consumer
        assert isinstance(consumer, BatchConsumer)
        return consumer

    async def seek(self, topic: str, partition: int, offset: int) -> None:
        try:
            await self._consumer.seek(self._tp(topic, partition), offset)
        except IllegalStateError:
            pass  # the partition is going away, and so is the lane that asks
        except (KafkaError, TimeoutError) as error:
            raise Unavailable(f"the broker did not answer ({error!r})") from error

    async def earliest(self, topic: str, partition: int) -> int:
        tp = self._tp(topic, partition)
        try:
            offsets = await self._consumer.earliest_offsets(tp)
        except (KafkaError, TimeoutError) as error:
            raise Unavailable(f"the broker did not say where {tp} begins ({error!r})") from error
        return max(0, next(iter(offsets.values()), 0) or 0)

    async def committed(self, topic: str, partition: int) -> int | None:
        tp = self._tp(topic, partition)
        try:
            return await self._consumer.committed(tp)
        except (KafkaError, TimeoutError) as error:
            raise Unavailable(f"the broker did not say what is committed of {tp} ({error!r})") from error

    def end(self, topic: str, partition: int) -> int | None:
        """The end offset as of the last fetch."""
        try:
            return self._consumer.highwater(self._tp(topic, partition))
        except Exception:
            return None  # not assigned or not fetched yet


class Worker:
    """Runs the agents of a role until ``stop`` or a failure."""

    def __init__(self, role: str, agents: Sequence[Processor], options: WorkerOptions) -> None:
        check_internals()
        self.role, self.agents, self.options = role, tuple(agents), options
        self.app = build_app(role, options)
        self.log = ConsumerLog(self.app, options.prefix)
        self.failure: BaseException | None = None
        self._ending = asyncio.Event()
        self.producer = AsyncProducer(
            options.broker,
            source=f"cuepoint/{role}",
            prefix=options.prefix,
            timeout_s=options.request_timeout_s,
            **options.producer,
        )
        self.delivery = Delivery(self.producer)
        parts = LaneParts(
            self.log,
            self.delivery,
            SnapshotStore(options.data_dir / "snapshots" / role, options.log_id),
            options.snapshot_interval_s,
            options.retry_max_s,
        )
        self.ledger = LaneLedger(
            self.agents, parts, self.fail, prefix=options.prefix, close_timeout_s=options.close_timeout_s
        )
        self.app.ledger = self.ledger
        for topic in self.ledger.topics:
            _subscribe(self.app, options.prefix + topic, self.ledger)

    @property
    def ready(self) -> bool:
        """Whether it has joined its group and reads its partitions; one without any is ready if it knows its topics, so
        that the group was shared out among too many, and not in ignorance of them."""
        return bool(self.app.started) and self.ledger.loaded and (bool(self.ledger.lanes) or self._knows_topics())

    def _knows_topics(self) -> bool:
        known = self.app.consumer.topic_partitions
        return all(known(self.options.prefix + topic) for topic in self.ledger.topics)

    def lag(self) -> dict[tuple[str, int], int]:
        """Records not yet processed by (topic, partition), by the slowest agent."""
        found: dict[tuple[str, int], int] = {}
        for lane in self.ledger.lanes:
            end = self.log.end(lane.topic, lane.partition)
            if lane.done is not None:
                key = (lane.topic, lane.partition)
                found[key] = max(found.get(key, 0), max(end or 0, lane.end) - lane.done)
        return found

    def fail(self, error: BaseException) -> None:
        """End the worker because of ``error``."""
        self.failure = self.failure or error
        self._ending.set()

    def stop(self) -> None:
        """End the worker; ``run`` saves and commits before it returns."""
        self._ending.set()

    async def unless_stopped(self, job: Awaitable[None]) -> None:
        """Await ``job``, which is given up when the worker is told to stop. Raises what it raises."""
        ended, doing = asyncio.ensure_future(self._ending.wait()), asyncio.ensure_future(job)
        await asyncio.wait((ended, doing), return_when=asyncio.FIRST_COMPLETED)
        ended.cancel()
        if doing.done():
            doing.result()
        await end(doing)

    async def run(self) -> None:
        """Start, process, stop. Raises Unavailable where no broker answers at the start, else what broke it; what
        breaks when it is being stopped already is only told."""
        if self._ending.is_set() and self.failure is None:
            await self.producer.close()
            return
        Path(self.app.conf.datadir).parent.mkdir(parents=True, exist_ok=True)
        ended = asyncio.ensure_future(self._ending.wait())
        starting = asyncio.ensure_future(self.app.start())
        try:
            await asyncio.wait((ended, starting), return_when=asyncio.FIRST_COMPLETED)
            if starting.done():
                self._started(starting)
            crash = asyncio.ensure_future(self.app.wait_until_stopped())
            await asyncio.wait((ended, crash), return_when=asyncio.FIRST_COMPLETED)
            crash.cancel()
        finally:
            asked = self._ending.is_set() and not self.app.crashed
            ended.cancel()
            await self._shut_down(starting)
        crashed = getattr(self.app, "crash_reason", None) if self.app.crashed else None
        if asked and crashed is not None:
            _LOG.warning("Faust broke as it was stopped (%r): all is saved, nothing is lost", crashed)
        elif self.failure is None and crashed is not None:
            self.failure = crashed
        if self.failure is not None:
            raise self.failure

    def _started(self, starting: asyncio.Future[Any]) -> None:
        try:
            starting.result()
        except KafkaConnectionError as error:
            raise Unavailable(f"broker {self.options.broker} does not answer: {error}") from error

    async def _shut_down(self, starting: asyncio.Future[Any]) -> None:
        """Finish the batches in hand, save, commit, leave the group."""
        consumer = self.app.consumer if starting.done() else None
        partitions = {TP(self.options.prefix + lane.topic, lane.partition) for lane in self.ledger.lanes}
        offsets = await self.ledger.revoked(partitions)
        if isinstance(consumer, BatchConsumer) and offsets and not self.app.crashed:
            try:
                await asyncio.wait_for(consumer._commit(offsets), self.options.close_timeout_s)
            except (KafkaError, TimeoutError, CuepointError) as error:
                _LOG.warning("could not commit at the end (%r): a restart reads from the snapshots anyway", error)
        if not starting.done():
            starting.cancel()
        stopping = asyncio.ensure_future(self.app.stop())
        done, _ = await asyncio.wait((stopping,), timeout=2 * self.options.close_timeout_s)
        if not done:  # it may wait for a broker that is away for as long as that is away
            _LOG.warning("Faust did not stop in time: all is saved, nothing is lost")
        await self.producer.close()


def build_app(role: str, options: WorkerOptions) -> BatchApp:
    """The Faust app of a role, without agents."""
    app = BatchApp(
        f"{options.prefix}cuepoint-{role}",
        broker=[f"batch://{server}" for server in options.broker.split(",")],
        store="memory://",
        datadir=str(options.data_dir / "faust" / role),
        autodiscover=False,
        web_enabled=False,
        topic_disable_leader=True,
        topic_allow_declare=False,
        consumer_auto_offset_reset="earliest",
        consumer_metadata_max_age_ms=round(options.metadata_age_s * 1000),
        consumer_max_fetch_size=options.fetch_partition_bytes,
        broker_session_timeout=options.session_timeout_s,
        broker_heartbeat_interval=options.session_timeout_s / 6,
        broker_request_timeout=max(options.request_timeout_s, options.session_timeout_s),
        broker_commit_interval=options.commit_interval_s,
        broker_max_poll_interval=3600.0,
        stream_buffer_maxsize=_BUFFERED_BATCHES,
        stream_wait_empty=False,
        stream_recovery_delay=0.0,
    )
    app.fetch_wait_ms = options.fetch_wait_ms
    return app


def _subscribe(app: BatchApp, topic: str, ledger: LaneLedger) -> None:
    channel = app.topic(topic, schema=BatchSchema(), internal=False)

    async def hand_on(stream: Any) -> None:
        async for batch in stream:
            await ledger.accept(batch)

    app.agent(channel, name=f"read {topic}")(hand_on)

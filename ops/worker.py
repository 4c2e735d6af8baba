"""``cuepoint worker ROLE``: wires the role's agents to the runtime and runs them until a signal comes."""

from __future__ import annotations

import asyncio
import gc
import logging
import secrets
import signal
import socket
import time
from collections.abc import Sequence
from typing import Any

from prometheus_client import start_http_server
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from sqlalchemy import Engine

from cuepoint.agents.compose_sessions import ComposeSessions
from cuepoint.agents.count import CountDecisions, CountEvents
from cuepoint.agents.record_history import RecordHistory
from cuepoint.agents.serve_decisions import ServeDecisions
from cuepoint.agents.watch_trends import WatchTrends
from cuepoint.models import count_keys, trend_kernel
from cuepoint.models.rule_book import RuleBook
from cuepoint.ops.settings import Settings
from cuepoint.ops.worker_pulse import Pulse
from cuepoint.schemas.errors import ConfigurationError
from cuepoint.schemas.rules import AdRule
from cuepoint.streams.database import open_engine, upgrade
from cuepoint.streams.decision_feed import DecisionFeed
from cuepoint.streams.history import HistoryWriter
from cuepoint.streams.history_rows import Recorded
from cuepoint.streams.metrics import REGISTRY
from cuepoint.streams.processor import Processor
from cuepoint.streams.redis_counters import RedisCounters
from cuepoint.streams.rules_feed import RulesFeed
from cuepoint.streams.worker import Worker, WorkerOptions

ROLES = ("trends", "sessions", "counts", "views")
_LOG = logging.getLogger(__name__)


class Shelf:
    """Holds the rule book the feed fills and the session agent reads; both in the event loop's thread."""

    def __init__(self) -> None:
        self._book = RuleBook()

    def book(self) -> RuleBook:
        return self._book

    def add(self, rule: AdRule) -> bool:
        return self._book.add(rule)


class ThreadedHistory:
    """record_history.History over the synchronous writer, one write at a time: SQLite has a single writer anyway."""

    def __init__(self, writer: HistoryWriter) -> None:
        self._writer, self._turn = writer, asyncio.Lock()

    async def write(self, topic: str, partition: int, last: int, recorded: Sequence[Recorded]) -> bool:
        async with self._turn:
            return await asyncio.to_thread(self._writer.write, topic, partition, last, recorded)

    async def position(self, topic: str, partition: int) -> int | None:
        return await asyncio.to_thread(self._writer.position, topic, partition)


def run_worker(role: str, settings: Settings) -> None:
    """Run the role until SIGTERM or SIGINT; returns after everything is saved and committed.

    Raises ConfigurationError for an unknown role or a broken setting, SnapshotError for a state that must not be used,
    Unavailable when the parts did not answer at start, and whatever a broken agent raised.
    """
    if role not in ROLES:
        raise ConfigurationError(f"{role} is no role of a worker: choose one of {', '.join(ROLES)}")
    logging.basicConfig(level=settings.log_level, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    for chatty in ("faust", "aiokafka", "mode"):
        logging.getLogger(chatty).setLevel(max(logging.WARNING, logging.getLevelName(settings.log_level)))
    asyncio.run(_Role(role, settings).run())


def worker_options(settings: Settings) -> WorkerOptions:
    """What of the settings the runtime asks for."""
    return WorkerOptions(
        broker=settings.broker,
        data_dir=settings.data_dir.absolute(),
        prefix=settings.topic_prefix,
        log_id=settings.log_id,
        session_timeout_s=settings.broker_session_timeout_s,
        request_timeout_s=settings.broker_request_timeout_s,
        fetch_wait_ms=settings.fetch_wait_ms,
        fetch_partition_bytes=settings.fetch_partition_bytes,
        commit_interval_s=settings.commit_interval_s,
        snapshot_interval_s=settings.snapshot_interval_s,
        retry_max_s=settings.retry_max_s,
        close_timeout_s=settings.stop_timeout_s / 4,
        producer={
            "queue_records": settings.producer_queue_records,
            "queue_bytes": settings.producer_queue_bytes,
            "linger_ms": settings.producer_linger_ms,
        },
    )


def connect_redis(settings: Settings) -> Redis:
    """A client that gives up on an answer after ``redis_timeout_s``; nothing is sent yet."""
    url, timeout_s = settings.redis_url.get_secret_value(), settings.redis_timeout_s
    once_more = Retry(NoBackoff(), 1)  # a fresh connection at once; with pauses it is the lane that tries again
    return Redis.from_url(url, socket_timeout=timeout_s, socket_connect_timeout=timeout_s, retry=once_more)


class _Role:
    """The parts of one worker process, made and closed in order."""

    def __init__(self, role: str, settings: Settings) -> None:
        self._role, self._settings = role, settings
        self._engine: Engine | None = None
        self._shelf = Shelf()
        self._background: list[asyncio.Task[Any]] = []

    async def run(self) -> None:
        settings = self._settings
        redis = connect_redis(settings)
        server = self._serve_metrics()
        worker = Worker(self._role, self._agents(redis), worker_options(settings))
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, worker.stop)
        name = f"{socket.gethostname()}-{secrets.token_hex(4)}"
        pulse = Pulse(name, worker, redis, settings, metrics_port=server.server_port, engine=self._engine)
        beating = asyncio.create_task(pulse.run(), name="pulse")
        feed = None
        try:
            if self._role == "sessions":
                feed = RulesFeed(settings.broker, self._shelf, worker.producer, settings.topic_prefix)
                await feed.start(settings.rules_wait_s)
            if self._role == "views":
                self._background.append(asyncio.create_task(self._prune(), name="prune"))
            self._settle_memory()
            await worker.run()
        finally:
            if feed is not None:
                await feed.stop()
            await _cancel(beating, *self._background)
            await pulse.last()
            await redis.aclose()
            server.shutdown()
            server.server_close()
            if self._engine is not None:
                self._engine.dispose()

    def _agents(self, redis: Redis) -> list[Processor]:
        settings = self._settings
        if self._role == "trends":
            trend_kernel.warm_up()
            return [WatchTrends()]
        if self._role == "sessions":
            return [ComposeSessions(self._shelf)]
        if self._role == "counts":
            counters = RedisCounters(redis, settings.log_id, count_keys.ttl_s)
            return [CountEvents(counters), CountDecisions(counters)]
        self._engine = open_engine(settings.database_url.get_secret_value(), settings.sqlite_busy_s)
        upgrade(self._engine)
        history = ThreadedHistory(HistoryWriter(self._engine, settings.log_id))
        feed = DecisionFeed(redis, settings.decision_ttl_s, settings.decisions_per_session)
        return [RecordHistory(history), ServeDecisions(feed)]

    def _serve_metrics(self) -> Any:
        host, port = self._settings.metrics_host, self._settings.metrics_port
        try:
            server, _ = start_http_server(port, host, registry=REGISTRY)
        except OSError as error:
            raise ConfigurationError(
                f"/metrics cannot listen on {host}:{port} ({error.strerror}): set CUEPOINT_METRICS_PORT to a free port"
            ) from error
        return server

    def _settle_memory(self) -> None:
        """Batches make garbage that reference counts free at once; cycles are rare, and looking for them is dear."""
        gc.collect()
        if self._settings.gc_freeze:
            gc.freeze()
        gc.set_threshold(self._settings.gc_threshold, 20, 50)

    async def _prune(self) -> None:
        settings = self._settings
        assert self._engine is not None
        writer = HistoryWriter(self._engine, settings.log_id)
        while True:
            now_ms = int(time.time() * 1000)
            try:
                removed = await asyncio.to_thread(
                    writer.prune, now_ms, settings.history_days, settings.trend_history_days
                )
                _LOG.info("history: %s rows were too old and are removed", removed)
            except Exception:
                _LOG.exception("history could not be pruned; trying again later")
            await asyncio.sleep(settings.prune_interval_s)


async def _cancel(*tasks: asyncio.Task[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)

"""What each role of a worker is made of. Imports are inside: a role does not load what only another one needs."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from redis.asyncio import Redis

from cuepoint.ops.compile_turn import compile_turn
from cuepoint.ops.settings import Settings
from cuepoint.schemas.errors import Unavailable
from cuepoint.streams.processor import Processor
from cuepoint.streams.producer import AsyncProducer

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from cuepoint.models.session_settings import SessionSettings
    from cuepoint.streams.history import HistoryWriter
    from cuepoint.streams.history_rows import Recorded

_LOG = logging.getLogger(__name__)


async def _nothing(*_: Any) -> None:
    return None


@dataclass(frozen=True, kw_only=True)
class Role:
    """``prepare`` is awaited before the worker reads, ``jobs`` run beside it, ``close`` comes last."""

    agents: Sequence[Processor]
    prepare: Callable[[AsyncProducer], Awaitable[None]] = _nothing
    jobs: Sequence[Callable[[], Coroutine[Any, Any, None]]] = ()
    close: Callable[[], Awaitable[None]] = _nothing
    engine: Engine | None = field(default=None)


def make_role(name: str, settings: Settings, redis: Redis) -> Role:
    """The role's agents and what they stand on. Raises ConfigurationError, Unavailable (database)."""
    return _MAKERS[name](settings, redis)


def _trends(settings: Settings, _redis: Redis) -> Role:
    from cuepoint.agents.watch_trends import WatchTrends, warm_up
    from cuepoint.models.market_map import MarketMap
    from cuepoint.ops.analyse_fit import read_params
    from cuepoint.schemas.topics import TREND_RECORDS
    from cuepoint.streams.state_archive import FileArchive

    params = read_params(settings.trend_params) if settings.trend_params else None
    with compile_turn("trends"):
        warm_up()
    folder = (
        settings.data_dir.absolute() / "archive" / WatchTrends.name / f"{settings.topic_prefix}{TREND_RECORDS.name}"
    )
    agent = WatchTrends(
        params=params,
        asset_days=settings.asset_days,
        archive=lambda partition: FileArchive(folder / str(partition)),
        markets=MarketMap(settings.markets),
    )
    return Role(agents=[agent])


def _session_settings(settings: Settings) -> SessionSettings:
    """The same for composing and counting, which must agree on when a session is over."""
    from cuepoint.models.session_settings import SessionSettings

    return SessionSettings(
        timeout_s=settings.session_timeout_s,
        grace_s=settings.session_grace_s,
        memory_s=settings.session_memory_s,
        clock_skew_s=settings.session_clock_skew_s,
        max_sessions=settings.sessions_max,
    )


def _sessions(settings: Settings, _redis: Redis) -> Role:
    from cuepoint.agents.compose_sessions import ComposeSessions
    from cuepoint.models.rule_shelf import RuleShelf
    from cuepoint.streams.rules_feed import RulesFeed

    shelf = RuleShelf()
    feeds: list[RulesFeed] = []

    async def prepare(producer: AsyncProducer) -> None:
        feed = RulesFeed(settings.broker, shelf, producer, settings.topic_prefix)
        feeds.append(feed)
        await feed.start(settings.rules_wait_s)

    async def close() -> None:
        for feed in feeds:
            await feed.stop()

    with compile_turn("sessions"):
        agent = ComposeSessions(shelf, _session_settings(settings))
    return Role(agents=[agent], prepare=prepare, close=close)


def _counts(settings: Settings, redis: Redis) -> Role:
    """All that goes to Redis: beside SQL's single writer a decision would wait for it."""
    from cuepoint.agents.count import CountDecisions, CountEvents
    from cuepoint.agents.serve_decisions import ServeDecisions
    from cuepoint.models import count_keys
    from cuepoint.streams.decision_feed import DecisionFeed
    from cuepoint.streams.redis_counters import RedisCounters

    kept = partial(count_keys.ttl_s, viewer_days=settings.viewer_days)
    counters = RedisCounters(redis, settings.log_id, kept)
    feed = DecisionFeed(redis, settings.decision_ttl_s, settings.decisions_per_session, settings.log_id)
    with compile_turn("sessions"):  # the engine counts, too
        events = CountEvents(counters, _session_settings(settings))
    return Role(agents=[events, CountDecisions(counters), ServeDecisions(feed)])


class _ThreadedHistory:
    """record_history.History over the synchronous writer, one write at a time: SQLite has a single writer anyway."""

    def __init__(self, writer: HistoryWriter) -> None:
        self._writer, self._turn = writer, asyncio.Lock()

    async def write(self, topic: str, partition: int, last: int, recorded: Sequence[Recorded]) -> bool:
        async with self._turn:
            return await asyncio.to_thread(self._writer.write, topic, partition, last, recorded)

    async def position(self, topic: str, partition: int) -> int | None:
        return await asyncio.to_thread(self._writer.position, topic, partition)


def _views(settings: Settings, _redis: Redis) -> Role:
    from cuepoint.agents.record_history import RecordHistory
    from cuepoint.streams.database import open_engine, upgrade
    from cuepoint.streams.history import HistoryWriter

    engine = open_engine(settings.database_url.get_secret_value(), settings.sqlite_busy_s)
    upgrade(engine)
    writer = HistoryWriter(engine, settings.log_id, settings.quarantine_rows_max)

    async def prune() -> None:
        days, trend_days = settings.history_days, settings.trend_history_days
        while True:
            try:
                removed = await asyncio.to_thread(writer.prune, int(time.time() * 1000), days, trend_days)
                _LOG.info("history: %s rows were too old and are removed", removed)
            except Exception:
                _LOG.exception("history could not be pruned; trying again later")
            await asyncio.sleep(settings.prune_interval_s)

    async def close() -> None:
        engine.dispose()

    return Role(agents=[RecordHistory(_ThreadedHistory(writer))], jobs=[prune], close=close, engine=engine)


def _store(settings: Settings, _redis: Redis) -> Role:
    from cuepoint.agents.store_consumption import StoreConsumption
    from cuepoint.ops.consumption_parts import consumption_upkeep, consumption_writer
    from cuepoint.streams.database import open_engine, upgrade

    engine = open_engine(settings.database_url.get_secret_value(), settings.sqlite_busy_s)
    upgrade(engine)
    agent = StoreConsumption(
        consumption_writer(settings, engine),
        settings.log_id,
        flush_rows=settings.consumption_flush_rows,
        flush_interval_s=settings.consumption_flush_s,
    )
    upkeep = consumption_upkeep(settings, engine)

    async def flush() -> None:
        while True:
            await asyncio.sleep(settings.consumption_flush_s / 2)
            try:
                await agent.flush()
            except Unavailable as error:
                _LOG.warning("consumption waits to be stored: %s", error)

    async def tidy() -> None:
        while True:
            try:
                await asyncio.to_thread(upkeep.run, int(time.time() * 1000))
            except Exception:
                _LOG.exception("the consumption store could not be tidied; trying again later")
            await asyncio.sleep(settings.consumption_upkeep_s)

    async def close() -> None:
        try:
            await agent.flush(only_due=False)
        except Unavailable as error:
            _LOG.warning("consumption gathered at the end will be read again: %s", error)
        engine.dispose()

    return Role(agents=[agent], jobs=[flush, tidy], close=close, engine=engine)


def _catalogue(settings: Settings, _redis: Redis) -> Role:
    from cuepoint.agents.explain_changes import ExplainChanges
    from cuepoint.agents.release_quarantine import RelayAssets, ReleaseQuarantine
    from cuepoint.ops.consumption_parts import StoredConsumption, consumption_store
    from cuepoint.ops.fit_cadence import fit_when_due
    from cuepoint.ops.learn_outcomes import LearnOutcomes
    from cuepoint.streams.database import open_engine, upgrade
    from cuepoint.streams.outcome_store import OutcomeStore

    engine = open_engine(settings.database_url.get_secret_value(), settings.sqlite_busy_s)
    upgrade(engine)
    stored = StoredConsumption(consumption_store(settings, engine))
    learning = LearnOutcomes(OutcomeStore(engine), stored, after_days=settings.outcome_days)
    explaining = ExplainChanges(stored, wait_s=settings.explain_wait_s, weights=learning.weights)

    async def learn() -> None:
        while True:
            try:
                found = await asyncio.to_thread(learning.run)
                _LOG.info("verdicts: %s new outcomes, weights %s", found, learning.weights().version)
            except Exception:
                _LOG.exception("outcomes could not be learnt from; trying again later")
            await asyncio.sleep(settings.outcome_interval_s)

    async def close() -> None:
        engine.dispose()

    async def fit() -> None:
        if settings.fit_interval_days > 0:
            await fit_when_due(settings)

    agents: list[Processor] = [RelayAssets(), ReleaseQuarantine(settings.quarantine_rows_max), explaining]
    return Role(agents=agents, jobs=[fit, learn], close=close, engine=engine)


def _alerts(settings: Settings, _redis: Redis) -> Role:
    """Apart from all others: the one role that speaks to addresses that users chose."""
    from cuepoint.agents.deliver_webhooks import DeliverWebhooks
    from cuepoint.ops.webhook_parts import ThreadedOutbox, webhook_sender
    from cuepoint.streams.database import open_engine, upgrade
    from cuepoint.streams.webhook_store import WebhookStore

    engine = open_engine(settings.database_url.get_secret_value(), settings.sqlite_busy_s)
    upgrade(engine)
    store, sender = WebhookStore(engine, settings.log_id), webhook_sender(settings, engine)

    async def send() -> None:
        while True:
            try:
                await sender.run(settings.webhook_interval_s)
            except Exception:
                _LOG.exception("sending webhooks failed; going on")
                await asyncio.sleep(settings.webhook_interval_s)

    async def prune() -> None:
        while True:
            before_ms = int((time.time() - settings.webhook_history_days * 86_400) * 1000)
            try:
                await asyncio.to_thread(store.prune, before_ms)
            except Exception:
                _LOG.exception("deliveries could not be pruned; trying again later")
            await asyncio.sleep(settings.prune_interval_s)

    async def close() -> None:
        engine.dispose()

    agent = DeliverWebhooks(ThreadedOutbox(store))
    return Role(agents=[agent], jobs=[send, prune], close=close, engine=engine)


_MAKERS: dict[str, Callable[[Settings, Redis], Role]] = {
    "trends": _trends,
    "sessions": _sessions,
    "counts": _counts,
    "views": _views,
    "store": _store,
    "catalogue": _catalogue,
    "alerts": _alerts,
}
ROLES = tuple(_MAKERS)

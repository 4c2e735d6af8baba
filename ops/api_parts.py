"""What the HTTP API works with: made once a process, opened and closed with the app."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field

import sqlalchemy
from redis.asyncio import Redis
from starlette.requests import Request

from cuepoint.ops.ad_recount import recount
from cuepoint.ops.api_auth import Access
from cuepoint.ops.api_rule_book import RulePublisher
from cuepoint.ops.asset_forecast import AssetForecasts
from cuepoint.ops.consumption_parts import consumption_store
from cuepoint.ops.document_publisher import DocumentPublisher
from cuepoint.ops.event_stamps import EventStamps
from cuepoint.ops.settings import Settings
from cuepoint.ops.viewer_names import Pseudonyms
from cuepoint.ops.viewer_stamps import ViewerStamps
from cuepoint.schemas.errors import CuepointError
from cuepoint.streams.ad_counters import AdCounters
from cuepoint.streams.ad_store import AdStore
from cuepoint.streams.consumption_store import ConsumptionStore
from cuepoint.streams.database import open_engine, upgrade
from cuepoint.streams.decision_feed import DecisionFeed
from cuepoint.streams.document_store import DocumentStore
from cuepoint.streams.history_reads import HistoryReader
from cuepoint.streams.producer import AsyncProducer
from cuepoint.streams.redis_counters import RedisCounters
from cuepoint.streams.rule_store import RuleStore
from cuepoint.streams.tasks import end

_RETRY_S = 2.0
_log = logging.getLogger("cuepoint.api")


@dataclass(slots=True)
class ApiParts:
    """The dependencies of API and console. No state that another replica would miss is kept in them."""

    settings: Settings
    redis: Redis
    engine: sqlalchemy.Engine
    producer: AsyncProducer
    history: HistoryReader
    rules: RuleStore
    publisher: RulePublisher
    decisions: DecisionFeed
    counters: RedisCounters
    access: Access
    consumption: ConsumptionStore
    forecasts: AssetForecasts
    documents: DocumentStore
    ads: AdStore
    ad_counters: AdCounters
    document_publisher: DocumentPublisher
    stamps: EventStamps
    pseudonyms: Pseudonyms
    _upkeep: asyncio.Task[None] | None = field(default=None, repr=False)

    @property
    def console_user(self) -> Callable[[Request], str]:
        """FastAPI dependency of the console's pages."""
        return self.access.console_user

    async def open(self) -> None:
        """Begin the upkeep: migrate the database as soon as it answers, then publish rules left unpublished."""
        self._upkeep = asyncio.create_task(self._keep_up())

    async def close(self) -> None:
        if self._upkeep is not None:
            await end(self._upkeep)
        await self.decisions.close()
        await self.producer.close()
        await self.redis.aclose()
        await asyncio.to_thread(self.engine.dispose)

    async def _keep_up(self) -> None:
        """The API starts, and says 503, while its database is away; what waits is done when it is back."""
        migrated = False
        while True:
            try:
                if not migrated:
                    await asyncio.to_thread(upgrade, self.engine)
                    migrated = True
                await self.publisher.publish_waiting()
                await self.document_publisher.publish_waiting()
                await recount(self.settings, self.engine, self.ad_counters)
            except CuepointError as error:
                _log.warning("upkeep: %s; trying again", error)
            except Exception:
                _log.exception("upkeep failed; trying again")
            await asyncio.sleep(_RETRY_S)


def make_parts(settings: Settings) -> ApiParts:
    """Make the parts; nothing waits for a server here. Close them with ``ApiParts.close``."""
    engine = open_engine(settings.database_url.get_secret_value(), settings.sqlite_busy_s)
    redis = Redis.from_url(
        settings.redis_url.get_secret_value(),
        socket_timeout=settings.redis_timeout_s,
        socket_connect_timeout=settings.redis_timeout_s,
    )
    producer = AsyncProducer(
        settings.broker,
        source="cuepoint/api",
        prefix=settings.topic_prefix,
        queue_records=settings.producer_queue_records,
        queue_bytes=settings.producer_queue_bytes,
        linger_ms=settings.producer_linger_ms,
        timeout_s=settings.collector_ack_s,
    )
    rules, documents = RuleStore(engine), DocumentStore(engine)
    history, counters = HistoryReader(engine), RedisCounters(redis, settings.log_id)
    ads = AdStore(redis, settings.decision_ttl_s)
    return ApiParts(
        settings=settings,
        redis=redis,
        engine=engine,
        producer=producer,
        history=history,
        forecasts=AssetForecasts(history, settings.forecast_assets, wait_s=settings.forecast_wait_s),
        rules=rules,
        publisher=RulePublisher(rules, producer, settings.rule_lead_ms),
        decisions=DecisionFeed(redis, settings.decision_ttl_s, settings.decisions_per_session),
        counters=counters,
        access=Access(settings),
        consumption=consumption_store(settings, engine),
        documents=documents,
        ads=ads,
        ad_counters=AdCounters(redis, int(settings.ad_reservation_s * 1000), settings.log_id),
        pseudonyms=Pseudonyms(settings),
        document_publisher=DocumentPublisher(documents, producer),
        stamps=EventStamps(settings, documents, engine, counters, ViewerStamps(settings, counters, ads)),
    )

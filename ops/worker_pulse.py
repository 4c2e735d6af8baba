"""A worker's pulse: every second its totals go to Redis and its gauges to /metrics."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from typing import TYPE_CHECKING, Literal

from redis.asyncio import Redis
from redis.exceptions import RedisError

from cuepoint.ops.settings import Settings
from cuepoint.streams import heartbeats, metrics
from cuepoint.streams.worker import Worker

if TYPE_CHECKING:
    from sqlalchemy import Engine

_LOG = logging.getLogger(__name__)
_PROBE_S = 5.0


class Pulse:
    """``engine`` is the database of roles that have one."""

    def __init__(
        self, name: str, worker: Worker, redis: Redis, settings: Settings, *, metrics_port: int, engine: Engine | None
    ) -> None:
        self._name, self._worker, self._redis, self._settings = name, worker, redis, settings
        self._metrics_port, self._engine = metrics_port, engine
        self._started_at = int(time.time() * 1000)
        self._probed = 0.0
        self._redis_up = True

    async def run(self) -> None:
        """Beat until cancelled. Nothing that fails here stops the worker."""
        while True:
            started = time.monotonic()
            try:
                await self._beat("ready" if self._worker.ready else "starting")
                if started - self._probed >= _PROBE_S:
                    self._probed = started
                    await self._probe()
            except Exception:
                _LOG.exception("the pulse failed; the worker goes on")
            await asyncio.sleep(max(0.05, self._settings.heartbeat_interval_s - (time.monotonic() - started)))

    async def last(self) -> None:
        """Say that the worker is going."""
        await self._beat("stopping")

    async def _beat(self, state: Literal["starting", "ready", "stopping"]) -> None:
        worker, delivery = self._worker, self._worker.delivery
        lag = worker.lag()
        open_regions = sum(getattr(agent, "open_regions", 0) for agent in worker.agents)
        live_sessions = sum(getattr(agent, "live_sessions", 0) for agent in worker.agents)
        quarantined = sum(getattr(agent, "quarantined", 0) for agent in worker.agents)
        age_s = worker.ledger.snapshot_age_s()
        metrics.LAG.clear()
        for (topic, partition), records in lag.items():
            metrics.LAG.labels(topic, str(partition)).set(records)
        metrics.OPEN_REGIONS.set(open_regions)
        metrics.PARAMS_VERSION.set(max((getattr(agent, "params_version", 0) for agent in worker.agents), default=0))
        metrics.LIVE_SESSIONS.set(live_sessions)
        metrics.QUARANTINED.set(quarantined)
        metrics.SNAPSHOT_AGE.set(age_s)
        beat = heartbeats.Heartbeat(
            role=worker.role,
            worker=self._name,
            state=state,
            at=int(time.time() * 1000),
            started_at=self._started_at,
            pid=os.getpid(),
            metrics_port=self._metrics_port,
            received=dict(delivery.received),
            sent=dict(delivery.sent),
            dead=dict(delivery.dead),
            lag={f"{topic}/{partition}": records for (topic, partition), records in lag.items()},
            open_regions=open_regions,
            live_sessions=live_sessions,
            quarantined=quarantined,
            cpu_s=time.process_time(),
            snapshot_age_s=age_s,
        )
        try:
            await heartbeats.write(self._redis, beat, self._settings.heartbeat_ttl_s)
        except (RedisError, OSError, TimeoutError) as error:
            if self._redis_up:
                _LOG.warning("the heartbeat could not be written: %s", error)
            self._redis_up = False
        else:
            self._redis_up = True
        metrics.DEPENDENCY_UP.labels("redis").set(self._redis_up)

    async def _probe(self) -> None:
        metrics.DEPENDENCY_UP.labels("broker").set(await self._worker.producer.answers())
        if self._engine is not None:
            from cuepoint.streams.database import database_answers  # SQLAlchemy only where it is used

            metrics.DEPENDENCY_UP.labels("database").set(await asyncio.to_thread(database_answers, self._engine))

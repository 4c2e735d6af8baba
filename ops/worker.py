"""``cuepoint worker ROLE``: wires the role's agents to the runtime and runs them until a signal comes."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import secrets
import signal
import socket
import threading
from typing import Any

from prometheus_client import start_http_server
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from cuepoint.ops.settings import Settings
from cuepoint.ops.worker_pulse import Pulse
from cuepoint.ops.worker_roles import ROLES, make_role
from cuepoint.schemas.errors import ConfigurationError
from cuepoint.streams.metrics import REGISTRY
from cuepoint.streams.tasks import end
from cuepoint.streams.worker import Worker, WorkerOptions

_LOG = logging.getLogger(__name__)


def run_worker(role: str, settings: Settings) -> None:
    """Run the role until SIGTERM or SIGINT; returns after everything is saved and committed, and ends the process
    itself (code 0) where that takes longer than ``stop_timeout_s``.

    Raises ConfigurationError for an unknown role or a broken setting, SnapshotError for a state that must not be used,
    Unavailable when the parts did not answer at start, and whatever a broken agent raised.
    """
    if role not in ROLES:
        raise ConfigurationError(f"{role} is no role of a worker: choose one of {', '.join(ROLES)}")
    logging.basicConfig(level=settings.log_level, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    for chatty in ("faust", "aiokafka", "mode"):
        logging.getLogger(chatty).setLevel(max(logging.WARNING, logging.getLevelName(settings.log_level)))
    asyncio.run(_run(role, settings))


def worker_options(settings: Settings) -> WorkerOptions:
    """What of the settings the runtime asks for."""
    return WorkerOptions(
        broker=settings.broker,
        data_dir=settings.data_dir.absolute(),
        prefix=settings.topic_prefix,
        log_id=settings.log_id,
        session_timeout_s=settings.broker_session_timeout_s,
        request_timeout_s=settings.broker_request_timeout_s,
        metadata_age_s=settings.metadata_age_s,
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


async def _run(name: str, settings: Settings) -> None:
    redis = connect_redis(settings)
    server = _serve_metrics(settings)
    role = make_role(name, settings, redis)
    worker = Worker(name, role.agents, worker_options(settings))
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, _stop, worker, settings.stop_timeout_s)
    id = f"{socket.gethostname()}-{secrets.token_hex(4)}"
    pulse = Pulse(id, worker, redis, settings, metrics_port=server.server_port, engine=role.engine)
    background = [asyncio.create_task(pulse.run(), name="pulse")]
    try:
        await worker.unless_stopped(role.prepare(worker.producer))
        background += [asyncio.create_task(job(), name=job.__name__) for job in role.jobs]
        _settle_memory(settings)
        await worker.run()
    finally:
        await end(*background)
        await role.close()
        await pulse.last()
        await redis.aclose()
        server.shutdown()
        server.server_close()


def _stop(worker: Worker, timeout_s: float) -> None:
    """Tell it to end, and see to it that it does: with the broker away, a thread of Faust may wait for it for ever.
    What is not saved by then is as after a crash: read again."""
    worker.stop()
    last = threading.Timer(timeout_s, _end_process, (timeout_s,))
    last.daemon = True
    last.start()


def _end_process(timeout_s: float) -> None:
    _LOG.warning("not stopped within %g s: ending; a restart goes on from the snapshots", timeout_s)
    logging.shutdown()
    os._exit(0)


def _serve_metrics(settings: Settings) -> Any:
    host, port = settings.metrics_host, settings.metrics_port
    try:
        server, _ = start_http_server(port, host, registry=REGISTRY)
    except OSError as error:
        raise ConfigurationError(
            f"/metrics cannot listen on {host}:{port} ({error.strerror}): set CUEPOINT_METRICS_PORT to a free port"
        ) from error
    return server


def _settle_memory(settings: Settings) -> None:
    """Batches make garbage that reference counts free at once; cycles are rare, and looking for them is dear."""
    gc.collect()
    if settings.gc_freeze:
        gc.freeze()
    gc.set_threshold(settings.gc_threshold, 20, 50)

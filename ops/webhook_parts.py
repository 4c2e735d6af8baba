"""Webhooks' parts as the settings have them."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Sequence

from sqlalchemy import Engine

from cuepoint.models.webhook_filter import Alert
from cuepoint.ops.settings import Settings
from cuepoint.schemas.errors import ConfigurationError
from cuepoint.streams.webhook_sender import SenderOptions, WebhookSender
from cuepoint.streams.webhook_store import WebhookStore


class ThreadedOutbox:
    """deliver_webhooks.Outbox over the synchronous store."""

    def __init__(self, store: WebhookStore) -> None:
        self._store = store

    async def add(self, topic: str, partition: int, last: int, alerts: Sequence[tuple[int, int, Alert]]) -> int:
        return await asyncio.to_thread(self._store.add, topic, partition, last, alerts)

    async def position(self, topic: str, partition: int) -> int | None:
        return await asyncio.to_thread(self._store.position, topic, partition)


def webhook_master(settings: Settings) -> bytes:
    """What subscribers' secrets derive from: the same in every process. Raises ConfigurationError without any."""
    for secret in (settings.webhook_secret, settings.token_secret, settings.admin_key):
        if value := secret.get_secret_value():
            return hmac.digest(value.encode(), b"cuepoint webhooks v1", "sha256")
    raise ConfigurationError("webhooks are signed: set CUEPOINT_WEBHOOK_SECRET (or CUEPOINT_ADMIN_KEY)")


def webhook_sender(settings: Settings, engine: Engine) -> WebhookSender:
    """Raises ConfigurationError without a secret."""
    options = SenderOptions(
        attempts=settings.webhook_attempts,
        first_pause_s=settings.webhook_first_pause_s,
        most_pause_s=settings.webhook_most_pause_s,
        timeout_s=settings.webhook_timeout_s,
        private=settings.webhook_private,
    )
    return WebhookSender(WebhookStore(engine, settings.log_id), webhook_master(settings), options)

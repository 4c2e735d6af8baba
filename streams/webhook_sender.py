"""Sending webhooks: signed, to public addresses only, tried again with growing pauses, given up in the end."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import random
import socket
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from cuepoint.models.webhook_signature import pause_s, secret_of, signature
from cuepoint.schemas.errors import CuepointError, Unavailable
from cuepoint.streams import metrics
from cuepoint.streams.webhook_store import Delivery, Webhook, WebhookStore

_LOG = logging.getLogger(__name__)
_GONE = 410
_EACH = 5  # of one subscriber's before all others had their turn
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


class Refused(CuepointError):
    """An address that webhooks are not sent to."""


class SenderOptions(NamedTuple):
    """``private``: private addresses and plain HTTP are allowed, for a receiver beside us."""

    attempts: int = 12
    first_pause_s: float = 5.0
    most_pause_s: float = 6 * 3600.0
    timeout_s: float = 15.0
    at_once: int = 16
    private: bool = False


def check_url(url: str, *, private: bool) -> None:
    """Raises Refused, with the reason, for a URL that cannot be one of a webhook."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise Refused(f"not a URL: {error}") from None
    if parts.scheme != "https" and not (private and parts.scheme == "http"):
        raise Refused("it must begin with https://")
    if not host:
        raise Refused("it has no host")
    if parts.username is not None or parts.password is not None:
        raise Refused("it must not carry a user or password")
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        if not private and (host == "localhost" or host.endswith((".localhost", ".local", ".internal"))):
            raise Refused(f"{host} is not a public address") from None
    else:
        if not private and not is_public(address):
            raise Refused(f"{host} is not a public address")


def is_public(address: _Address) -> bool:
    """Whether it is out in the internet, also when written as an IPv6 form of an IPv4 address.

    >>> [is_public(ipaddress.ip_address(a)) for a in ("8.8.8.8", "10.0.0.1", "::ffff:127.0.0.1", "169.254.169.254")]
    [True, False, False, False]
    """
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(inner)
    return address.is_global and not address.is_multicast


class GuardedResolver(AbstractResolver):
    """Gives public addresses only; the connection is made to just what was checked, so a name that answers
    differently the next moment gains nothing. (An address in place of a name is checked by ``check_url``.)"""

    def __init__(self, *, private: bool) -> None:
        self._private, self._inner = private, aiohttp.ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._inner.resolve(host, port, family)
        allowed = [each for each in found if self._private or is_public(ipaddress.ip_address(each["host"]))]
        if not allowed:
            raise OSError(None, f"{host} has no public address")
        return allowed

    async def close(self) -> None:
        await self._inner.close()


class WebhookSender:
    """``run`` until cancelled. ``master`` is what the subscribers' secrets derive from."""

    def __init__(
        self,
        store: WebhookStore,
        master: bytes,
        options: SenderOptions,
        *,
        chance: Callable[[], float] = random.random,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store, self._master, self._options = store, master, options
        self._chance, self._clock = chance, clock

    async def run(self, interval_s: float) -> None:
        async with self.session() as session:
            while True:
                try:
                    sent = await self.send_due(session)
                except Unavailable as error:
                    _LOG.warning("webhooks wait: %s", error)
                    sent = 0
                if not sent:
                    await asyncio.sleep(interval_s)

    def session(self) -> aiohttp.ClientSession:
        """A client that follows no redirect, uses no proxy and keeps no cookie."""
        connector = aiohttp.TCPConnector(
            resolver=GuardedResolver(private=self._options.private), use_dns_cache=False, limit=self._options.at_once
        )
        timeout = aiohttp.ClientTimeout(total=self._options.timeout_s)
        return aiohttp.ClientSession(connector=connector, timeout=timeout, cookie_jar=aiohttp.DummyCookieJar())

    async def send_due(self, session: aiohttp.ClientSession) -> int:
        """Send what is due; returns how many deliveries were tried. Subscribers do not wait for each other, and each
        is sent its events in order, until one fails."""
        now_ms = int(self._clock() * 1000)
        # longer than all of one subscriber's may take, or another worker would send them too
        lease_ms = int(1000 * self._options.timeout_s * (_EACH + 1))
        due = await asyncio.to_thread(self._store.claim, now_ms, lease_ms, _EACH)
        by_hook: dict[str, list[Delivery]] = {}
        for delivery in due:
            by_hook.setdefault(delivery.webhook_id, []).append(delivery)
        await asyncio.gather(*(self._send_all(session, id, each) for id, each in by_hook.items()))
        metrics.WEBHOOKS_WAITING.set(await asyncio.to_thread(self._store.waiting))
        return len(due)

    async def _send_all(self, session: aiohttp.ClientSession, webhook_id: str, due: Sequence[Delivery]) -> None:
        failed_at: int | None = None
        for delivery in due:
            hook = await asyncio.to_thread(self._store.get, webhook_id, int(self._clock() * 1000))
            if hook is None or hook.status != "active":
                await self._fail(delivery, "the webhook is not active", None)
            elif failed_at is not None:  # its turn comes behind the one that failed, and is no attempt
                await asyncio.to_thread(self._store.postpone, delivery.number, failed_at)
            else:
                failed_at = await self._send(session, hook, delivery)

    async def _send(self, session: aiohttp.ClientSession, hook: Webhook, delivery: Delivery) -> int | None:
        """None once it is delivered or given up; else when it is tried again."""
        at_s = int(self._clock())
        secrets = [secret_of(self._master, hook.webhook_id, salt) for salt in hook.salts]
        headers = {
            "content-type": "application/json",
            "user-agent": "Cuepoint-Webhooks/1",
            "webhook-id": delivery.event_id,
            "webhook-timestamp": str(at_s),
            "webhook-signature": signature(secrets, delivery.event_id, at_s, delivery.body),
        }
        try:
            check_url(hook.url, private=self._options.private)
            async with session.post(hook.url, data=delivery.body, headers=headers, allow_redirects=False) as answer:
                status, after = answer.status, answer.headers.get("retry-after", "")
        except Refused as error:
            return await self._fail(delivery, f"refused: {error}", None)
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            return await self._retry(delivery, f"{type(error).__name__}: {error}", 0.0)
        if 200 <= status < 300:
            await asyncio.to_thread(self._store.delivered, delivery.number, int(self._clock() * 1000))
            metrics.WEBHOOKS.labels("delivered").inc()
            return None
        if status == _GONE:
            reason = "the receiver answered 410 Gone"
            await self._fail(delivery, reason, None)
            await asyncio.to_thread(self._store.disable, hook.webhook_id, reason, int(self._clock() * 1000))
            return None
        asked_s = float(after) if after.isdecimal() else 0.0
        return await self._retry(delivery, f"the receiver answered {status}", asked_s)

    async def _retry(self, delivery: Delivery, reason: str, asked_s: float) -> int | None:
        options, attempts = self._options, delivery.attempts + 1
        if attempts >= options.attempts:
            return await self._fail(delivery, reason, None)
        wait_s = pause_s(attempts, options.first_pause_s, options.most_pause_s, self._chance())
        next_at = int((self._clock() + max(wait_s, min(asked_s, options.most_pause_s))) * 1000)
        return await self._fail(delivery, reason, next_at)

    async def _fail(self, delivery: Delivery, reason: str, next_at: int | None) -> int | None:
        await asyncio.to_thread(self._store.failed, delivery.number, reason, next_at, int(self._clock() * 1000))
        metrics.WEBHOOKS.labels("dead" if next_at is None else "failed").inc()
        return next_at

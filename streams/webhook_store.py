"""Webhooks in SQL: subscriptions, and the outbox of what is to be delivered to them."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import NamedTuple

import msgspec
from sqlalchemy import Connection, Engine, Row, delete, func, select, update

from cuepoint.models.webhook_filter import Alert, AlertFilter, Event, alert_event, ping_event
from cuepoint.streams.database import insert, reading, writing
from cuepoint.streams.tables import ASSETS, POSITIONS
from cuepoint.streams.webhook_tables import DELIVERIES, WEBHOOKS

_filter = msgspec.json.Decoder(AlertFilter).decode
_POSITION = "deliver_webhooks/{}"  # the history keeps positions of the same topics in the same table
_SALT_BYTES = 16


class Webhook(NamedTuple):
    """A subscription. ``salts``: of the secret, and of the one before while that still counts."""

    webhook_id: str
    url: str
    description: str
    wanted: AlertFilter
    status: str
    created_at: int
    salts: list[bytes]


class Delivery(NamedTuple):
    """An event on its way to a subscriber, or what became of it."""

    number: int
    webhook_id: str
    event_id: str
    status: str
    attempts: int
    next_at: int
    created_at: int
    ended_at: int | None
    reason: str
    body: bytes


class WebhookStore:
    """Synchronous; every call is one transaction. ``log_id`` is the log's incarnation. All raise Unavailable."""

    def __init__(self, engine: Engine, log_id: str = "") -> None:
        self._engine, self._log_id = engine, log_id

    # -- subscriptions

    def create(self, url: str, description: str, wanted: AlertFilter, status: str, now_ms: int) -> Webhook:
        values = {
            "webhook_id": f"wh_{secrets.token_hex(12)}",
            "url": url,
            "description": description,
            "wanted": msgspec.json.encode(wanted),
            "status": status,
            "salt": secrets.token_bytes(_SALT_BYTES),
            "old_salt": None,
            "old_until": 0,
            "created_at": now_ms,
        }
        with writing(self._engine) as connection:
            connection.execute(insert(connection, WEBHOOKS).values(values))
        found = self.get(str(values["webhook_id"]), now_ms)
        assert found is not None
        return found

    def get(self, webhook_id: str, now_ms: int) -> Webhook | None:
        with reading(self._engine) as connection:
            row = connection.execute(select(WEBHOOKS).where(WEBHOOKS.c.webhook_id == webhook_id)).one_or_none()
        return None if row is None else _webhook(row, now_ms)

    def all(self, now_ms: int) -> list[Webhook]:
        with reading(self._engine) as connection:
            rows = connection.execute(select(WEBHOOKS).order_by(WEBHOOKS.c.created_at, WEBHOOKS.c.webhook_id))
            return [_webhook(row, now_ms) for row in rows]

    def change(self, webhook_id: str, url: str, description: str, wanted: AlertFilter, status: str) -> bool:
        """False where there is no such webhook."""
        values = {"url": url, "description": description, "wanted": msgspec.json.encode(wanted), "status": status}
        with writing(self._engine) as connection:
            here = update(WEBHOOKS).where(WEBHOOKS.c.webhook_id == webhook_id).values(values)
            return connection.execute(here).rowcount == 1

    def renew_secret(self, webhook_id: str, old_until_ms: int) -> bool:
        """A new secret; the old one signs too until then. False where there is no such webhook."""
        values = {"old_salt": WEBHOOKS.c.salt, "old_until": old_until_ms, "salt": secrets.token_bytes(_SALT_BYTES)}
        with writing(self._engine) as connection:
            here = update(WEBHOOKS).where(WEBHOOKS.c.webhook_id == webhook_id).values(values)
            return connection.execute(here).rowcount == 1

    def remove(self, webhook_id: str) -> bool:
        """With its deliveries. False where there is no such webhook."""
        with writing(self._engine) as connection:
            connection.execute(delete(DELIVERIES).where(DELIVERIES.c.webhook_id == webhook_id))
            return connection.execute(delete(WEBHOOKS).where(WEBHOOKS.c.webhook_id == webhook_id)).rowcount == 1

    # -- what comes in

    def position(self, topic: str, partition: int) -> int | None:
        with reading(self._engine) as connection:
            return self._position(connection, topic, partition)

    def add(self, topic: str, partition: int, last: int, alerts: Sequence[tuple[int, int, Alert]]) -> int:
        """Queue (offset, time, alert) for whoever wants it; all up to ``last`` is in. Returns how many were queued."""
        with writing(self._engine) as connection:
            known = self._position(connection, topic, partition)
            if known is not None and known >= last:
                return 0
            active = select(WEBHOOKS).where(WEBHOOKS.c.status == "active")
            hooks = [_webhook(row, 0) for row in connection.execute(active)]
            queued = 0
            for offset, at_ms, alert in alerts if hooks else ():
                if known is None or offset > known:
                    queued += _offer(connection, hooks, alert, at_ms)
            place = {"log_id": self._log_id, "topic": _POSITION.format(topic), "partition": partition, "last": last}
            upsert = insert(connection, POSITIONS).values(place)
            connection.execute(upsert.on_conflict_do_update(index_elements=POSITIONS.primary_key, set_={"last": last}))
        return queued

    def ping(self, webhook_id: str, now_ms: int) -> str:
        """Queue a test; the event's id."""
        event = ping_event(webhook_id, now_ms, secrets.token_hex(8))
        with writing(self._engine) as connection:
            _queue(connection, webhook_id, event, now_ms)
        return event.id

    # -- what goes out

    def claim(self, now_ms: int, lease_ms: int, most_each: int) -> list[Delivery]:
        """What is due, oldest first, so many a subscriber; for ``lease_ms`` nobody else is given them."""
        due = (DELIVERIES.c.status == "waiting", DELIVERIES.c.next_at <= now_ms)
        claimed = []
        with writing(self._engine) as connection:
            for webhook_id in connection.scalars(select(DELIVERIES.c.webhook_id).where(*due).distinct()).all():
                rows = select(DELIVERIES).where(*due, DELIVERIES.c.webhook_id == webhook_id)
                for row in connection.execute(rows.order_by(DELIVERIES.c.number).limit(most_each)).all():
                    mine = (DELIVERIES.c.number == row.number, DELIVERIES.c.next_at == row.next_at)
                    taken = update(DELIVERIES).where(*mine).values(next_at=now_ms + lease_ms)
                    if connection.execute(taken).rowcount:
                        claimed.append(_delivery(row))
        return claimed

    def delivered(self, number: int, now_ms: int) -> None:
        self._end(number, "delivered", "", now_ms, 1)

    def failed(self, number: int, reason: str, next_at: int | None, now_ms: int) -> None:
        """To be tried again at ``next_at``; None: never again."""
        if next_at is None:
            self._end(number, "dead", reason, now_ms, 1)
            return
        attempts = {"attempts": DELIVERIES.c.attempts + 1, "next_at": next_at, "reason": reason[:512]}
        with writing(self._engine) as connection:
            here = update(DELIVERIES).where(DELIVERIES.c.number == number, DELIVERIES.c.status == "waiting")
            connection.execute(here.values(attempts))

    def postpone(self, number: int, next_at: int) -> None:
        """Not tried yet; not before ``next_at``."""
        with writing(self._engine) as connection:
            here = update(DELIVERIES).where(DELIVERIES.c.number == number, DELIVERIES.c.status == "waiting")
            connection.execute(here.values(next_at=next_at))

    def disable(self, webhook_id: str, reason: str, now_ms: int) -> None:
        """The subscriber is gone: nothing more is sent to it; what waits is dead, and may be sent again later."""
        dead = {"status": "dead", "reason": reason[:512], "ended_at": now_ms}
        waiting = (DELIVERIES.c.webhook_id == webhook_id, DELIVERIES.c.status == "waiting")
        with writing(self._engine) as connection:
            here = WEBHOOKS.c.webhook_id == webhook_id
            connection.execute(update(WEBHOOKS).where(here).values(status="disabled"))
            connection.execute(update(DELIVERIES).where(*waiting).values(dead))

    def deliveries(self, webhook_id: str, status: str | None, limit: int, offset: int) -> tuple[list[Delivery], int]:
        """Newest first, and how many there are."""
        wanted = [DELIVERIES.c.webhook_id == webhook_id]
        wanted += [DELIVERIES.c.status == status] if status else []
        rows = select(DELIVERIES).where(*wanted).order_by(DELIVERIES.c.number.desc()).limit(limit).offset(offset)
        with reading(self._engine) as connection:
            found = [_delivery(row) for row in connection.execute(rows)]
            total = connection.scalar(select(func.count()).select_from(DELIVERIES).where(*wanted)) or 0
        return found, total

    def replay(self, webhook_id: str, now_ms: int, event_id: str | None = None, since_ms: int = 0) -> int:
        """Send again: one event whatever became of it, or all dead ones since then. Returns how many."""
        wanted = [DELIVERIES.c.webhook_id == webhook_id]
        if event_id is None:
            wanted += [DELIVERIES.c.status == "dead", DELIVERIES.c.created_at >= since_ms]
        else:
            wanted += [DELIVERIES.c.event_id == event_id]
        anew = {"status": "waiting", "attempts": 0, "next_at": now_ms, "ended_at": None, "reason": ""}
        with writing(self._engine) as connection:
            return connection.execute(update(DELIVERIES).where(*wanted).values(anew)).rowcount

    def waiting(self) -> int:
        with reading(self._engine) as connection:
            waits = select(func.count()).select_from(DELIVERIES).where(DELIVERIES.c.status == "waiting")
            return connection.scalar(waits) or 0

    def prune(self, before_ms: int) -> int:
        """Remove what ended before then."""
        with writing(self._engine) as connection:
            return connection.execute(delete(DELIVERIES).where(DELIVERIES.c.ended_at < before_ms)).rowcount

    def _end(self, number: int, status: str, reason: str, now_ms: int, attempts: int) -> None:
        ended = {"status": status, "reason": reason[:512], "ended_at": now_ms}
        with writing(self._engine) as connection:
            here = update(DELIVERIES).where(DELIVERIES.c.number == number)
            connection.execute(here.values(ended | {"attempts": DELIVERIES.c.attempts + attempts}))

    def _position(self, connection: Connection, topic: str, partition: int) -> int | None:
        place = (POSITIONS.c.log_id == self._log_id, POSITIONS.c.topic == _POSITION.format(topic))
        found: int | None = connection.scalar(
            select(POSITIONS.c.last).where(*place, POSITIONS.c.partition == partition)
        )
        return found


def _offer(connection: Connection, hooks: Sequence[Webhook], alert: Alert, at_ms: int) -> int:
    asset = connection.execute(select(ASSETS).where(ASSETS.c.asset_id == alert.asset_id)).one_or_none()
    title, artist, owner = (asset.title, asset.artist, asset.owner) if asset else ("", "", "")
    event = alert_event(alert, at_ms, title, artist, owner)
    queued = 0
    for hook in hooks:
        about = (DELIVERIES.c.webhook_id == hook.webhook_id, DELIVERIES.c.subject == event.subject)
        told = connection.execute(select(DELIVERIES.c.number).where(*about).limit(1)).first() is not None
        if hook.wanted.wants(alert, owner, told=told):
            older = update(DELIVERIES).where(
                *about, DELIVERIES.c.status == "waiting", DELIVERIES.c.revision < event.revision
            )
            connection.execute(older.values(status="superseded", ended_at=at_ms))
            queued += _queue(connection, hook.webhook_id, event, at_ms)
    return queued


def _queue(connection: Connection, webhook_id: str, event: Event, at_ms: int) -> int:
    values = {
        "webhook_id": webhook_id,
        "event_id": event.id,
        "subject": event.subject[:255],
        "revision": event.revision,
        "status": "waiting",
        "attempts": 0,
        "next_at": 0,
        "created_at": at_ms,
        "reason": "",
        "body": event.body,
    }
    return int(connection.execute(insert(connection, DELIVERIES).values(values).on_conflict_do_nothing()).rowcount)


def _webhook(row: Row[tuple[object, ...]], now_ms: int) -> Webhook:
    salts = [row.salt] + ([row.old_salt] if row.old_salt is not None and now_ms < row.old_until else [])
    return Webhook(row.webhook_id, row.url, row.description, _filter(row.wanted), row.status, row.created_at, salts)


def _delivery(row: Row[tuple[object, ...]]) -> Delivery:
    return Delivery(*(getattr(row, name) for name in Delivery._fields))

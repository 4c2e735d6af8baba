"""The tables of webhooks, as queries name them."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, String, Table, UniqueConstraint

from cuepoint.streams.tables import METADATA

WEBHOOKS = Table(
    "webhooks",
    METADATA,
    Column("webhook_id", String(64), primary_key=True),
    Column("url", String(2048), nullable=False),
    Column("description", String(512), nullable=False),
    Column("wanted", LargeBinary, nullable=False),
    Column("status", String(16), nullable=False),
    Column("salt", LargeBinary, nullable=False),
    Column("old_salt", LargeBinary),  # of the secret before, which still signs until then
    Column("old_until", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
)
DELIVERIES = Table(
    "webhook_deliveries",
    METADATA,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("webhook_id", String(64), nullable=False),
    Column("event_id", String(64), nullable=False),
    Column("subject", String(255), nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("status", String(16), nullable=False),  # waiting, delivered, dead, superseded
    Column("attempts", Integer, nullable=False),
    Column("next_at", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger),
    Column("reason", String(512), nullable=False),
    Column("body", LargeBinary, nullable=False),
    UniqueConstraint("webhook_id", "event_id"),
    Index("ix_webhook_deliveries_due", "status", "next_at"),
    Index("ix_webhook_deliveries_subject", "webhook_id", "subject"),
)

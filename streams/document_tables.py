"""The table of what people keep by hand: media, playlists, line items."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, LargeBinary, String, Table

from cuepoint.streams.tables import METADATA

DOCUMENTS = Table(
    "documents",
    METADATA,
    Column("kind", String(32), primary_key=True),
    Column("document_id", String(128), primary_key=True),
    Column("version", Integer, nullable=False),
    Column("status", String(16), nullable=False),
    Column("published", Boolean, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Index("ix_documents_published", "published", "kind"),
    Index("ix_documents_updated", "kind", "updated_at"),
)

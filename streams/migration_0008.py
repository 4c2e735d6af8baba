"""What became of ads: each event once, and its sums by line item and day, which outlive it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "ad_events",
        sa.Column("event_id", sa.String(128), primary_key=True),
        sa.Column("session_id", sa.String(128), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
    )
    op.create_index("ix_ad_events_session_id", "ad_events", ["session_id"])
    op.create_index("ix_ad_events_at", "ad_events", ["at"])
    op.create_table(
        "ad_deliveries",
        sa.Column("line_item_id", sa.String(128), primary_key=True),
        sa.Column("day", sa.Date(), primary_key=True),
        sa.Column("kind", sa.String(32), primary_key=True),
        sa.Column("events", sa.BigInteger(), nullable=False),
    )

"""What was handed out to whom: caps and reservations can be counted anew."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name, length in (("kind", 32), ("line_item_id", 128), ("viewer", 128)):
        op.add_column("ad_events", sa.Column(name, sa.String(length)))
    op.create_index("ix_ad_events_kind_at", "ad_events", ["kind", "at"])


def downgrade() -> None:
    op.drop_index("ix_ad_events_kind_at", "ad_events")
    for name in ("viewer", "line_item_id", "kind"):
        op.drop_column("ad_events", name)

"""What came of verdicts on changes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "opportunity_outcomes",
        sa.Column("change_id", sa.String(128), primary_key=True),
        sa.Column("due", sa.Date(), nullable=False),
        sa.Column("worked", sa.Boolean()),
        sa.Column("drivers", sa.LargeBinary(), nullable=False),
    )
    op.create_index("ix_opportunity_outcomes_due", "opportunity_outcomes", ["due", "change_id"])

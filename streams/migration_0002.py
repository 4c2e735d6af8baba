"""The catalogue of the consumption store: its files, and how each report in them stands."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "consumption_files",
        sa.Column("file_id", sa.Integer(), primary_key=True, autoincrement=True),
        sa.Column("partition", sa.Integer(), nullable=False),
        sa.Column("week", sa.Date(), nullable=False),
        sa.Column("path", sa.String(255), nullable=False, unique=True),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("first_asset", sa.String(128), nullable=False),
        sa.Column("last_asset", sa.String(128), nullable=False),
        sa.Column("removed_at", sa.BigInteger()),
    )
    op.create_index("ix_consumption_files_week", "consumption_files", ["week"])
    op.create_index("ix_consumption_files_removed_at", "consumption_files", ["removed_at"])
    op.create_table(
        "consumption_reports",
        sa.Column("number", sa.Integer(), primary_key=True, autoincrement=True),
        sa.Column("report_id", sa.BigInteger(), nullable=False, unique=True),
        sa.Column("partition", sa.Integer(), nullable=False),
        sa.Column("dsp", sa.String(128), nullable=False),
        sa.Column("territory", sa.String(2), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("records", sa.BigInteger(), nullable=False),
        sa.Column("asset_id", sa.String(128), nullable=False),
        sa.Column("part", sa.String(512), nullable=False),
    )
    op.create_index("ix_consumption_reports_key", "consumption_reports", ["partition", "day", "dsp", "territory"])
    op.create_index("ix_consumption_reports_day", "consumption_reports", ["day"])

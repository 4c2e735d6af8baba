"""The first tables: history, rules, and how far each partition has been recorded."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    _trend_tables()
    _session_tables()
    _other_tables()


def _trend_tables() -> None:
    op.create_table(
        "changes",
        sa.Column("change_id", sa.String(128), primary_key=True),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("asset_id", sa.String(128), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("direction", sa.String(8), nullable=False),
        sa.Column("start", sa.Date(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("opened_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
    )
    op.create_index("ix_changes_asset_id", "changes", ["asset_id"])
    op.create_index("ix_changes_day", "changes", ["day"])
    op.create_table(
        "asset_days",
        sa.Column("asset_id", sa.String(128), primary_key=True),
        sa.Column("day", sa.Date(), primary_key=True),
        sa.Column("body", sa.LargeBinary(), nullable=False),
    )
    op.create_index("ix_asset_days_day", "asset_days", ["day"])
    op.create_table(
        "assets",
        sa.Column("asset_id", sa.String(128), primary_key=True),
        sa.Column("title", sa.String(512), nullable=False),
        sa.Column("artist", sa.String(512), nullable=False),
        sa.Column("isrc", sa.String(512), nullable=False),
        sa.Column("upc", sa.String(512), nullable=False),
        sa.Column("released", sa.Date()),
        sa.Column("owner", sa.String(512), nullable=False),
        sa.Column("search", sa.String(2048), nullable=False),
    )
    op.create_table(
        "reports",
        sa.Column("dsp", sa.String(128), primary_key=True),
        sa.Column("territory", sa.String(2), primary_key=True),
        sa.Column("day", sa.Date(), primary_key=True),
        sa.Column("version", sa.BigInteger(), primary_key=True),
        sa.Column("opened_at", sa.BigInteger()),
        sa.Column("completed_at", sa.BigInteger()),
        sa.Column("records", sa.BigInteger()),
        sa.Column("source", sa.String(512), nullable=False),
    )


def _session_tables() -> None:
    op.create_table(
        "sessions",
        sa.Column("session_id", sa.String(128), primary_key=True),
        sa.Column("first_at", sa.BigInteger(), nullable=False),
        sa.Column("last_at", sa.BigInteger(), nullable=False),
        sa.Column("ended", sa.Boolean(), nullable=False),
        sa.Column("viewer_id", sa.String(128)),
        sa.Column("device", sa.String(512), nullable=False),
        sa.Column("country", sa.String(512), nullable=False),
        sa.Column("video_id", sa.String(128)),
    )
    op.create_index("ix_sessions_last_at", "sessions", ["last_at"])
    op.create_table(
        "session_events",
        sa.Column("session_id", sa.String(128), primary_key=True),
        sa.Column("event_id", sa.String(128), primary_key=True),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("video_id", sa.String(128)),
        sa.Column("body", sa.LargeBinary(), nullable=False),
    )
    op.create_index("ix_session_events_at", "session_events", ["at"])
    op.create_table(
        "decisions",
        sa.Column("decision_id", sa.String(128), primary_key=True),
        sa.Column("session_id", sa.String(128), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
    )
    op.create_index("ix_decisions_at", "decisions", ["at"])
    op.create_index("ix_decisions_session_id", "decisions", ["session_id"])


def _other_tables() -> None:
    op.create_table(
        "positions",
        sa.Column("log_id", sa.String(64), primary_key=True),
        sa.Column("topic", sa.String(255), primary_key=True),
        sa.Column("partition", sa.Integer(), primary_key=True),
        sa.Column("last", sa.BigInteger(), nullable=False),
    )
    op.create_table(
        "dead_letters",
        sa.Column("id", sa.Integer(), primary_key=True, autoincrement=True),
        sa.Column("digest", sa.String(64), nullable=False, unique=True),
        sa.Column("topic", sa.String(255), nullable=False),
        sa.Column("code", sa.String(512), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
    )
    op.create_index("ix_dead_letters_at", "dead_letters", ["at"])
    op.create_index("ix_dead_letters_code", "dead_letters", ["code"])
    op.create_table(
        "rules",
        sa.Column("rule_id", sa.String(128), primary_key=True),
        sa.Column("version", sa.BigInteger(), primary_key=True),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("published", sa.Boolean(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
    )


def downgrade() -> None:
    op.drop_table("rules")
    op.drop_table("dead_letters")
    op.drop_table("positions")
    op.drop_table("decisions")
    op.drop_table("session_events")
    op.drop_table("sessions")
    op.drop_table("reports")
    op.drop_table("assets")
    op.drop_table("asset_days")
    op.drop_table("changes")

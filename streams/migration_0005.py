"""What people keep by hand: media, playlists, external assets, line items."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "documents",
        sa.Column("kind", sa.String(32), primary_key=True),
        sa.Column("document_id", sa.String(128), primary_key=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("published", sa.Boolean(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
    )
    op.create_index("ix_documents_published", "documents", ["published", "kind"])
    op.create_index("ix_documents_updated", "documents", ["kind", "updated_at"])


def downgrade() -> None:
    op.drop_table("documents")

"""Lists that stay quick: sizes and verdicts as columns, an index that covers the list of changes; reports taken back,
and what waits in quarantine."""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None
_LIST = ("day", "updated_at", "change_id", "status", "kind", "direction", "asset_id", "size_percent", "size_per_day")


def upgrade() -> None:
    for name in ("size_percent", "size_per_day"):
        op.add_column("changes", sa.Column(name, sa.Double(), nullable=False, server_default="0"))
    op.add_column("reasons", sa.Column("verdict", sa.String(16), nullable=False, server_default=""))
    op.add_column("reports", sa.Column("withdrawn_at", sa.BigInteger()))
    _fill()
    op.drop_index("ix_changes_day", "changes")
    op.create_index("ix_changes_list", "changes", list(_LIST))
    op.create_index("ix_reasons_verdict", "reasons", ["verdict", "change_id"])
    op.create_index("ix_assets_owner", "assets", ["owner"])
    op.create_index("ix_reports_day", "reports", ["day"])
    op.create_table(
        "quarantined",
        sa.Column("offset", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("part", sa.String(128), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("dsp", sa.String(128), nullable=False),
        sa.Column("territory", sa.String(2), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
    )
    op.create_index("ix_quarantined_key", "quarantined", ["part", "dsp", "day", "territory"], unique=True)
    op.create_index("ix_quarantined_report", "quarantined", ["dsp", "day", "territory"])
    op.create_table(
        "quarantined_names",
        sa.Column("name", sa.String(128), primary_key=True),
        sa.Column("offset", sa.BigInteger(), primary_key=True),
    )
    op.create_index("ix_quarantined_names_offset", "quarantined_names", ["offset"])


def _fill() -> None:
    """The new columns of what is there already."""
    connection = op.get_bind()
    changes = sa.table("changes", *map(sa.column, ("change_id", "body", "size_percent", "size_per_day")))
    rows = [
        {"id": id, **{name: json.loads(body)[name] for name in ("size_percent", "size_per_day")}}
        for id, body in connection.execute(sa.select(changes.c.change_id, changes.c.body))
    ]
    if rows:
        connection.execute(sa.update(changes).where(changes.c.change_id == sa.bindparam("id")), rows)
    reasons = sa.table("reasons", *map(sa.column, ("change_id", "kind", "body", "verdict")))
    found = connection.execute(
        sa.select(reasons.c.change_id, reasons.c.body).where(reasons.c.kind == "opportunity")
    ).all()
    for change_id, body in found:
        here = sa.and_(reasons.c.change_id == change_id, reasons.c.kind == "opportunity")
        connection.execute(sa.update(reasons).where(here).values(verdict=_verdict(json.loads(body))))


def _verdict(said: dict[str, object]) -> str:
    if said.get("status", "current") != "current":
        return ""
    return str(said.get("goal") or "other") if said.get("opportunity") else "none"

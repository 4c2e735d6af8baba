"""The tables of history and rules. Their making and changing is in the migrations; this is how queries name them."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Date, Double, Index, Integer, LargeBinary, MetaData, String, Table

METADATA = MetaData()

POSITIONS = Table(
    "positions",
    METADATA,
    Column("log_id", String(64), primary_key=True),
    Column("topic", String(255), primary_key=True),
    Column("partition", Integer, primary_key=True),
    Column("last", BigInteger, nullable=False),
)
CHANGES = Table(
    "changes",
    METADATA,
    Column("change_id", String(128), primary_key=True),
    Column("revision", Integer, nullable=False),
    Column("status", String(16), nullable=False),
    Column("asset_id", String(128), nullable=False, index=True),
    Column("kind", String(16), nullable=False),
    Column("direction", String(8), nullable=False),
    Column("start", Date, nullable=False),
    Column("day", Date, nullable=False),
    Column("opened_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("size_percent", Double, nullable=False),
    Column("size_per_day", Double, nullable=False),
    Column("body", LargeBinary, nullable=False),
    # holds all that lists filter and order by
    Index(
        "ix_changes_list",
        *("day", "updated_at", "change_id", "status", "kind", "direction", "asset_id", "size_percent", "size_per_day"),
    ),
)
REASONS = Table(
    "reasons",
    METADATA,
    Column("change_id", String(128), primary_key=True),
    Column("kind", String(16), primary_key=True),  # explanation, opportunity
    Column("revision", Integer, nullable=False),
    Column("day", Date, nullable=False, index=True),
    Column("verdict", String(16), nullable=False),  # of an opportunity: its goal, other, or none; empty: withdrawn
    Column("body", LargeBinary, nullable=False),
    Index("ix_reasons_verdict", "verdict", "change_id"),
)
OUTCOMES = Table(
    "opportunity_outcomes",
    METADATA,
    Column("change_id", String(128), primary_key=True),
    Column("due", Date, nullable=False),
    Column("worked", Boolean),  # null: it could not be told
    Column("drivers", LargeBinary, nullable=False),  # their values when it was judged
    Index("ix_opportunity_outcomes_due", "due", "change_id"),
)
ASSET_DAYS = Table(
    "asset_days",
    METADATA,
    Column("asset_id", String(128), primary_key=True),
    Column("day", Date, primary_key=True, index=True),
    Column("body", LargeBinary, nullable=False),
)
ASSETS = Table(
    "assets",
    METADATA,
    Column("asset_id", String(128), primary_key=True),
    Column("title", String(512), nullable=False),
    Column("artist", String(512), nullable=False),
    Column("isrc", String(512), nullable=False),
    Column("upc", String(512), nullable=False),
    Column("released", Date),
    Column("owner", String(512), nullable=False, index=True),
    Column("search", String(2048), nullable=False),  # lower case: id, title, artist
)
SESSIONS = Table(
    "sessions",
    METADATA,
    Column("session_id", String(128), primary_key=True),
    Column("first_at", BigInteger, nullable=False),
    Column("last_at", BigInteger, nullable=False, index=True),
    Column("ended", Boolean, nullable=False),
    Column("viewer_id", String(128)),
    Column("device", String(512), nullable=False),
    Column("country", String(512), nullable=False),
    Column("video_id", String(128)),
)
SESSION_EVENTS = Table(
    "session_events",
    METADATA,
    Column("session_id", String(128), primary_key=True),
    Column("event_id", String(128), primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("at", BigInteger, nullable=False, index=True),
    Column("kind", String(32), nullable=False),
    Column("video_id", String(128)),
    Column("body", LargeBinary, nullable=False),
)
DECISIONS = Table(
    "decisions",
    METADATA,
    Column("decision_id", String(128), primary_key=True),
    Column("session_id", String(128), nullable=False, index=True),
    Column("number", Integer, nullable=False),
    Column("at", BigInteger, nullable=False, index=True),
    Column("body", LargeBinary, nullable=False),
)
AD_EVENT_ROWS = Table(
    "ad_events",
    METADATA,
    Column("event_id", String(128), primary_key=True),
    Column("session_id", String(128), nullable=False, index=True),
    Column("at", BigInteger, nullable=False, index=True),
    Column("body", LargeBinary, nullable=False),
    Column("kind", String(32)),  # NULL: written before there was the column
    Column("line_item_id", String(128)),
    Column("viewer", String(128)),  # of what was handed out, for two days
    Index("ix_ad_events_kind_at", "kind", "at"),
)
AD_DELIVERIES = Table(
    "ad_deliveries",
    METADATA,
    Column("line_item_id", String(128), primary_key=True),
    Column("day", Date, primary_key=True),
    Column("kind", String(32), primary_key=True),
    Column("events", BigInteger, nullable=False),
)
DEAD_LETTERS = Table(
    "dead_letters",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("digest", String(64), nullable=False, unique=True),
    Column("topic", String(255), nullable=False),
    Column("code", String(512), nullable=False, index=True),
    Column("at", BigInteger, nullable=False, index=True),
    Column("body", LargeBinary, nullable=False),
)
REPORTS = Table(
    "reports",
    METADATA,
    Column("dsp", String(128), primary_key=True),
    Column("territory", String(2), primary_key=True),
    Column("day", Date, primary_key=True, index=True),
    Column("version", BigInteger, primary_key=True),
    Column("opened_at", BigInteger),
    Column("completed_at", BigInteger),
    Column("withdrawn_at", BigInteger),
    Column("records", BigInteger),
    Column("source", String(512), nullable=False),
)
QUARANTINED = Table(
    "quarantined",
    METADATA,
    Column("offset", BigInteger, primary_key=True, autoincrement=False),  # in the log
    Column("part", String(128), nullable=False),  # the asset's first identifier
    Column("day", Date, nullable=False),
    Column("dsp", String(128), nullable=False),
    Column("territory", String(2), nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("count", BigInteger, nullable=False),
    Column("at", BigInteger, nullable=False),
    Index("ix_quarantined_key", "part", "dsp", "day", "territory", unique=True),
    Index("ix_quarantined_report", "dsp", "day", "territory"),
)
QUARANTINED_NAMES = Table(
    "quarantined_names",
    METADATA,
    Column("name", String(128), primary_key=True),
    Column("offset", BigInteger, primary_key=True, index=True),
)
RULES = Table(
    "rules",
    METADATA,
    Column("rule_id", String(128), primary_key=True),
    Column("version", BigInteger, primary_key=True),
    Column("status", String(16), nullable=False),
    Column("published", Boolean, nullable=False),
    Column("body", LargeBinary, nullable=False),
)
CONSUMPTION_FILES = Table(
    "consumption_files",
    METADATA,
    Column("file_id", Integer, primary_key=True, autoincrement=True),
    Column("partition", Integer, nullable=False),
    Column("week", Date, nullable=False, index=True),  # its Monday
    Column("path", String(255), nullable=False, unique=True),  # below the store's folder
    Column("rows", BigInteger, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("first_asset", String(128), nullable=False),
    Column("last_asset", String(128), nullable=False),
    Column("removed_at", BigInteger, index=True),  # null: live; else replaced, and deleted a while later
)
CONSUMPTION_REPORTS = Table(
    "consumption_reports",
    METADATA,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("report_id", BigInteger, nullable=False, unique=True),
    Column("partition", Integer, nullable=False),
    Column("dsp", String(128), nullable=False),
    Column("territory", String(2), nullable=False),
    Column("day", Date, nullable=False, index=True),
    Column("version", BigInteger, nullable=False),
    Column("status", String(16), nullable=False),
    Column("rows", BigInteger, nullable=False),
    Column("records", BigInteger, nullable=False),
    Column("asset_id", String(128), nullable=False),  # of an amendment; else empty
    Column("part", String(512), nullable=False),
    Index("ix_consumption_reports_key", "partition", "day", "dsp", "territory"),
)

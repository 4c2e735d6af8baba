"""Who writes a topic and who reads it: what the AsyncAPI document and the docs say of the flow."""

from __future__ import annotations

from typing import NamedTuple

from cuepoint.schemas import topics
from cuepoint.schemas.topics import Topic


class Ends(NamedTuple):
    """Names of commands (``ingest``, ``api``, ``simulate``) and agents at both ends of a topic; ``subscribers`` are
    systems outside."""

    writers: tuple[str, ...]
    readers: tuple[str, ...]


FLOW: dict[Topic, Ends] = {
    topics.TREND_RECORDS: Ends(("fit", "ingest", "release_quarantine"), ("watch_trends",)),
    topics.TREND_PARAMS: Ends(("fit",), ("fit",)),
    topics.REPORTS: Ends(("ingest",), ("record_history",)),
    topics.CONSUMPTION: Ends(("ingest", "release_quarantine"), ("store_consumption",)),
    topics.QUARANTINE: Ends(("ingest", "release_quarantine"), ("record_history", "release_quarantine")),
    topics.ASSETS: Ends(("ingest",), ("record_history", "release_quarantine")),
    topics.PLAYER_EVENTS: Ends(("api", "simulate"), ("compose_sessions", "count", "record_history")),
    topics.AD_RULES: Ends(("api",), ("compose_sessions",)),
    topics.AD_DECISIONS: Ends(("compose_sessions",), ("count", "record_history", "serve_decisions")),
    topics.MEDIA: Ends(("api",), ("subscribers",)),
    topics.LINE_ITEMS: Ends(("api",), ("subscribers",)),
    topics.AD_EVENTS: Ends(("api",), ("api", "record_history")),
    topics.CHANGES: Ends(("watch_trends",), ("explain_changes", "record_history", "deliver_webhooks")),
    topics.EXPLANATIONS: Ends(("explain_changes",), ("record_history",)),
    topics.OPPORTUNITIES: Ends(("explain_changes",), ("record_history", "deliver_webhooks")),
    topics.ASSET_DAYS: Ends(("watch_trends",), ("record_history",)),
    topics.DEAD_TREND_RECORDS: Ends(("ingest", "watch_trends"), ("record_history",)),
    topics.DEAD_CONSUMPTION: Ends(("store_consumption",), ("record_history",)),
    topics.DEAD_QUARANTINE: Ends(("release_quarantine",), ("record_history",)),
    topics.DEAD_PLAYER_EVENTS: Ends(("compose_sessions", "count"), ("record_history",)),
    topics.DEAD_AD_DECISIONS: Ends(("count", "serve_decisions"), ("record_history",)),
    topics.DEAD_AD_RULES: Ends(("compose_sessions",), ("record_history",)),
    topics.DEAD_ASSETS: Ends(("ingest", "record_history"), ("record_history",)),
    topics.DEAD_HISTORY: Ends(("record_history",), ("record_history",)),
}

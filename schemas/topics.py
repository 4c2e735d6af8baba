"""The topics: name, what is in them, how they are kept."""

from __future__ import annotations

from typing import NamedTuple

from cuepoint.schemas.ads import AdEvent, LineItem
from cuepoint.schemas.base import Contract
from cuepoint.schemas.consumption import Consumption, ConsumptionAmendment
from cuepoint.schemas.faults import DeadLetter
from cuepoint.schemas.media import ExternalAsset, Playlist, Video
from cuepoint.schemas.opportunities import Explanation, Opportunity
from cuepoint.schemas.playback import AdDecision, PlayerEvent
from cuepoint.schemas.quarantine import Quarantined
from cuepoint.schemas.rules import AdRule
from cuepoint.schemas.trends import (
    Asset,
    AssetDay,
    Change,
    ReportCompleted,
    ReportOpened,
    ReportWithdrawn,
    TrendAmendment,
    TrendHyperparameters,
    TrendRecord,
)


class Topic(NamedTuple):
    """``partitions`` None: the setting; ``compacted``: the last value of a key is kept for ever, earlier ones at least
    ``compaction_lag_days``."""

    name: str
    messages: tuple[type[Contract], ...]
    key: str
    compacted: bool = False
    compaction_lag_days: int = 0
    partitions: int | None = None


TREND_RECORDS = Topic(
    "cuepoint.trend-records.v1",
    (TrendRecord, ReportOpened, ReportCompleted, ReportWithdrawn, TrendAmendment, TrendHyperparameters),
    "asset_id",
)
# All versions, as they stand in every partition of the trend records: what the next fit begins with.
TREND_PARAMS = Topic("cuepoint.trend-params.v1", (TrendHyperparameters,), "version", compacted=True, partitions=1)
REPORTS = Topic("cuepoint.reports.v1", (ReportOpened, ReportCompleted), "dsp", partitions=1)
CONSUMPTION = Topic(
    "cuepoint.consumption.v1",
    (Consumption, ConsumptionAmendment, ReportOpened, ReportCompleted, ReportWithdrawn),
    "asset_id",
)
# All that releases a row stands in one log, assets included, so that what is released is a function of it.
QUARANTINE = Topic(
    "cuepoint.quarantine.v1", (Quarantined, Asset, ReportCompleted, ReportWithdrawn), "identifier", partitions=1
)
ASSETS = Topic("cuepoint.assets.v1", (Asset,), "asset_id", compacted=True, partitions=1)
# Each rule stands in every partition, too: from there on it holds. Its key there is the rule_id.
PLAYER_EVENTS = Topic("cuepoint.player-events.v1", (PlayerEvent, AdRule), "session_id")
# A replay decides by the rules of then: earlier versions must outlive the player events.
AD_RULES = Topic("cuepoint.ad-rules.v1", (AdRule,), "rule_id", compacted=True, compaction_lag_days=30, partitions=1)
AD_DECISIONS = Topic("cuepoint.ad-decisions.v1", (AdDecision,), "session_id")
MEDIA = Topic("cuepoint.media.v1", (Video, Playlist, ExternalAsset), "kind/id", compacted=True, partitions=1)
LINE_ITEMS = Topic("cuepoint.line-items.v1", (LineItem,), "line_item_id", compacted=True, partitions=1)
AD_EVENTS = Topic("cuepoint.ad-events.v1", (AdEvent,), "session_id")
CHANGES = Topic("cuepoint.changes.v1", (Change,), "asset_id")
ASSET_DAYS = Topic("cuepoint.asset-days.v1", (AssetDay,), "asset_id")
EXPLANATIONS = Topic("cuepoint.explanations.v1", (Explanation,), "asset_id")
OPPORTUNITIES = Topic("cuepoint.opportunities.v1", (Opportunity,), "asset_id")

DEAD_TREND_RECORDS = Topic("cuepoint.trend-records-dead.v1", (DeadLetter,), "topic", partitions=1)
DEAD_CONSUMPTION = Topic("cuepoint.consumption-dead.v1", (DeadLetter,), "topic", partitions=1)
DEAD_QUARANTINE = Topic("cuepoint.quarantine-dead.v1", (DeadLetter,), "topic", partitions=1)
DEAD_PLAYER_EVENTS = Topic("cuepoint.player-events-dead.v1", (DeadLetter,), "topic", partitions=1)
DEAD_AD_DECISIONS = Topic("cuepoint.ad-decisions-dead.v1", (DeadLetter,), "topic", partitions=1)
DEAD_AD_RULES = Topic("cuepoint.ad-rules-dead.v1", (DeadLetter,), "topic", partitions=1)
DEAD_ASSETS = Topic("cuepoint.assets-dead.v1", (DeadLetter,), "topic", partitions=1)
DEAD_HISTORY = Topic(
    "cuepoint.history-dead.v1", (DeadLetter,), "topic", partitions=1
)  # changes, asset days, explanations, opportunities

TOPICS = (
    TREND_RECORDS,
    TREND_PARAMS,
    REPORTS,
    CONSUMPTION,
    QUARANTINE,
    ASSETS,
    PLAYER_EVENTS,
    AD_RULES,
    AD_DECISIONS,
    MEDIA,
    LINE_ITEMS,
    AD_EVENTS,
    CHANGES,
    ASSET_DAYS,
    EXPLANATIONS,
    OPPORTUNITIES,
    DEAD_TREND_RECORDS,
    DEAD_CONSUMPTION,
    DEAD_QUARANTINE,
    DEAD_PLAYER_EVENTS,
    DEAD_AD_DECISIONS,
    DEAD_AD_RULES,
    DEAD_ASSETS,
    DEAD_HISTORY,
)
DEAD_LETTERS = {
    TREND_RECORDS.name: DEAD_TREND_RECORDS,
    CONSUMPTION.name: DEAD_CONSUMPTION,
    QUARANTINE.name: DEAD_QUARANTINE,
    PLAYER_EVENTS.name: DEAD_PLAYER_EVENTS,
    AD_DECISIONS.name: DEAD_AD_DECISIONS,
    AD_RULES.name: DEAD_AD_RULES,
    ASSETS.name: DEAD_ASSETS,
    CHANGES.name: DEAD_HISTORY,
    ASSET_DAYS.name: DEAD_HISTORY,
    EXPLANATIONS.name: DEAD_HISTORY,
    OPPORTUNITIES.name: DEAD_HISTORY,
    AD_EVENTS.name: DEAD_HISTORY,
}

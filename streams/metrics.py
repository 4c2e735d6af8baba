"""The metrics of a process: one registry, every family declared here."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

REGISTRY = CollectorRegistry(auto_describe=True)

_LATENCY_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.08, 0.1, 0.15, 0.2, 0.35, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
_BATCH_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

EVENTS_IN = Counter("cuepoint_events_in_total", "Records read", ["topic"], registry=REGISTRY)
EVENTS_OUT = Counter("cuepoint_events_out_total", "Messages produced and acknowledged", ["topic"], registry=REGISTRY)
EVENTS_DEAD = Counter("cuepoint_events_dead_total", "Records refused", ["topic", "code"], registry=REGISTRY)
BATCH_SECONDS = Histogram(
    "cuepoint_batch_seconds",
    "Time from a batch's arrival at the agent to its messages' acknowledgement",
    ["agent"],
    buckets=_BATCH_S,
    registry=REGISTRY,
)
DECISION_LATENCY = Histogram(
    "cuepoint_decision_latency_seconds",
    "Time from the player event's receipt to the decision's acknowledgement",
    buckets=_LATENCY_S,
    registry=REGISTRY,
)
LAG = Gauge(
    "cuepoint_lag_records", "Records of a partition not yet processed", ["topic", "partition"], registry=REGISTRY
)
OPEN_REGIONS = Gauge("cuepoint_open_regions", "Regions of change now open", registry=REGISTRY)
PARAMS_VERSION = Gauge(
    "cuepoint_trend_params_version", "Version of the trend filter's hyperparameters in force", registry=REGISTRY
)
LIVE_SESSIONS = Gauge("cuepoint_live_sessions", "Playback sessions with a state", registry=REGISTRY)
QUARANTINED = Gauge("cuepoint_quarantined_counts", "Counts of unknown assets that wait for metadata", registry=REGISTRY)
REDIS_FLUSHES = Counter("cuepoint_redis_flushes_total", "Batches of counts applied in Redis", registry=REGISTRY)
SNAPSHOT_SECONDS = Histogram("cuepoint_snapshot_seconds", "Time to save one partition's state", registry=REGISTRY)
SNAPSHOT_AGE = Gauge(
    "cuepoint_snapshot_age_seconds",
    "Age of the oldest of the newest snapshots of the partitions owned",
    registry=REGISTRY,
)
SNAPSHOTS_FAILED = Counter("cuepoint_snapshots_failed_total", "Snapshots that could not be written", registry=REGISTRY)
DEPENDENCY_UP = Gauge("cuepoint_dependency_up", "1 if it answers", ["dependency"], registry=REGISTRY)
REWINDS = Counter("cuepoint_rewinds_total", "Partitions read again from an earlier offset", registry=REGISTRY)
HTTP_REQUESTS = Counter("cuepoint_http_requests_total", "Requests answered", ["route", "status"], registry=REGISTRY)
HTTP_SECONDS = Histogram("cuepoint_http_request_seconds", "Time to answer a request", ["route"], registry=REGISTRY)
CONSUMPTION_ROWS = Counter("cuepoint_consumption_rows_total", "Rows added to the consumption store", registry=REGISTRY)
CONSUMPTION_SECONDS = Histogram(
    "cuepoint_consumption_write_seconds", "Time to store what was gathered of a partition", registry=REGISTRY
)
CONSUMPTION_FILES = Gauge("cuepoint_consumption_files", "Live files of the consumption store", registry=REGISTRY)
CONSUMPTION_BYTES = Gauge("cuepoint_consumption_bytes", "Their bytes", registry=REGISTRY)
CONSUMPTION_MERGES = Counter("cuepoint_consumption_merges_total", "Files merged into one, times", registry=REGISTRY)
CONSUMPTION_EXPIRED = Counter(
    "cuepoint_consumption_expired_rows_total", "Rows removed for their age or for want of room", registry=REGISTRY
)
OUTSIDE_ADS = Counter(
    "cuepoint_outside_ads_total",
    "Breaks asked of an outside ad server, by VAST error",
    ["code"],
    registry=REGISTRY,
)
for _code in ("0", "301", "302", "303"):
    OUTSIDE_ADS.labels(_code)
LINE_ITEMS_HELD = Gauge(
    "cuepoint_line_items_held",
    "1 while line items with a goal or cap are held back: their counts were lost and are not complete yet",
    registry=REGISTRY,
)
UNKNOWN_VIDEOS = Counter("cuepoint_unknown_videos_total", "Videos begun that have no metadata", registry=REGISTRY)
UNSTAMPED = Counter(
    "cuepoint_unstamped_total",
    "Starts that went on without what a store knows, which did not answer",
    registry=REGISTRY,
)
WEBHOOKS = Counter("cuepoint_webhooks_total", "Webhook deliveries tried", ["outcome"], registry=REGISTRY)
WEBHOOKS_WAITING = Gauge("cuepoint_webhooks_waiting", "Webhook deliveries not made yet", registry=REGISTRY)
for _outcome in ("delivered", "failed", "dead"):
    WEBHOOKS.labels(_outcome)  # told from the start, as zero

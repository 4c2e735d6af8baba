"""Every setting of Cuepoint, read from the environment (``CUEPOINT_...``) and, for secrets, from files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

MEBIBYTE = 1 << 20


class ConnectionSettings(BaseSettings):
    """Where the parts are found."""

    broker: str = Field("127.0.0.1:9092", description="Kafka bootstrap servers, HOST:PORT[,HOST:PORT...]")
    broker_session_timeout_s: float = Field(
        6.0,
        ge=1,
        le=300,
        description="a worker not heard of for so long loses its partitions; the embedded broker wants 6",
    )
    broker_request_timeout_s: float = Field(
        30.0, gt=0, le=600, description="how long an answer or acknowledgement of the broker is waited for"
    )
    metadata_age_s: float = Field(
        5.0,
        gt=0,
        le=3600,
        description="how often workers ask which topics there are: a broker that comes back may at first not know ours,"
        " and a group shared out then owns nothing until somebody looks again",
    )
    topic_prefix: str = Field("", pattern=r"^[A-Za-z0-9._-]*$", description="put before every topic and group name")
    log_id: str = Field(
        "",
        description="incarnation of the log; `cuepoint run` makes one up at each start: its broker forgets all",
    )
    partitions: int = Field(4, ge=1, le=4096, description="partitions of topics that do not fix their own number")
    trend_partitions: int | None = Field(
        None,
        ge=1,
        le=4096,
        description="partitions of the trend records, if other than of the rest: the assets of each estimate their"
        " market by themselves, which wants 50 of them or more; `cuepoint run` takes 1",
    )
    replication: int = Field(1, ge=1, le=9, description="replicas of each topic")
    redis_url: SecretStr = Field(SecretStr("redis://127.0.0.1:6379/0"), description="counters, decisions, heartbeats")
    redis_timeout_s: float = Field(5.0, gt=0, le=60, description="how long one answer of Redis is waited for")
    database_url: SecretStr = Field(
        SecretStr("sqlite:///.cuepoint/cuepoint.db"), description="SQLAlchemy URL of history and rules"
    )
    data_dir: Path = Field(Path(".cuepoint"), description="folder of snapshots and embedded parts")


class HttpSettings(BaseSettings):
    """The API, the console and /metrics."""

    api_host: str = Field("127.0.0.1", description="address the API and console listen on")
    api_port: int = Field(8700, ge=0, le=65535, description="port of the API and console")
    api_keys: SecretStr = Field(SecretStr(""), description="keys of players, separated by commas; empty: all refused")
    admin_key: SecretStr = Field(SecretStr(""), description="key for rules and the console; empty: changes are refused")
    console_open: bool = Field(False, description="the console may be read without a key")
    metrics_host: str = Field("127.0.0.1", description="address a worker's /metrics listens on")
    metrics_port: int = Field(0, ge=0, le=65535, description="port of a worker's /metrics; 0: any free one")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="least severe message logged")


class WorkerSettings(BaseSettings):
    """Workers: intake, snapshots, memory."""

    fetch_wait_ms: int = Field(5, ge=1, le=5000, description="how long an empty fetch is held (of all partitions: 50)")
    fetch_partition_bytes: int = Field(4 * MEBIBYTE, ge=4096, description="largest fetch of one partition: the batch")
    commit_interval_s: float = Field(1.0, gt=0, le=300, description="how often offsets are committed")
    snapshot_interval_s: float = Field(10.0, gt=0, le=3600, description="how often the state of a partition is saved")
    heartbeat_interval_s: float = Field(1.0, gt=0, le=60, description="how often a worker reports its totals")
    heartbeat_ttl_s: float = Field(
        5.0, gt=0, le=600, description="after how long without report a worker counts as gone"
    )
    retry_max_s: float = Field(
        5.0, gt=0, le=300, description="longest pause between tries of a store that does not answer"
    )
    stop_timeout_s: float = Field(8.0, gt=0, le=300, description="how long a worker may take to stop")
    producer_queue_records: int = Field(200_000, ge=100, description="records waiting to be sent, at most")
    producer_queue_bytes: int = Field(128 * MEBIBYTE, ge=MEBIBYTE, description="bytes waiting to be sent, at most")
    producer_linger_ms: float = Field(1.0, ge=0, le=1000, description="how long a record may wait for company")
    trend_params: Path | None = Field(None, description="hyperparameters of cuepoint fit; read when a worker starts")
    markets: dict[str, str] = Field(
        {},
        description='which sources ("DSP/TERRITORY", * and ? stand for anything) are a market of their own, as JSON:'
        ' {"*/US": "us", "sim-*/*": "simulated"}; the first that fits; all others are one market',
    )
    asset_days: Literal["all", "open"] = Field(
        "all", description="scored days told of: those of all assets with data, or only of those with an open region"
    )
    fit_interval_days: float = Field(
        7.0,
        ge=0,
        le=3660,
        description="how often role catalogue fits the trend filter's hyperparameters anew; 0: never",
    )
    fit_look_s: float = Field(
        3600.0, gt=0, description="how long after its start, and how often then, it looks whether a fit is due"
    )
    fit_days: int = Field(400, ge=14, le=36_500, description="days of counts it fits to, the last")
    fit_least_days: int = Field(60, ge=14, description="whole days of counts without which it does not fit")
    fit_least_assets: int = Field(200, ge=2, description="assets without which it does not fit")
    gc_freeze: bool = Field(True, description="exempt what is loaded at start from garbage collection")
    gc_threshold: int = Field(
        200_000, ge=700, description="allocations between two collections of the youngest generation"
    )
    rules_wait_s: float = Field(60.0, gt=0, le=3600, description="how long session workers wait for the rules at start")

    @field_validator("markets")
    @classmethod
    def _fits(cls, markets: dict[str, str]) -> dict[str, str]:
        if markets:
            from cuepoint.models.market_map import MarketMap  # numpy takes its time, and most commands need none

            MarketMap(markets)
        return markets


class LimitSettings(BaseSettings):
    """What is kept, and how long."""

    consumers_min: int = Field(
        10, ge=1, description="cells of consumption with fewer persons are merged, then left out"
    )
    quarantine_cells_max: int = Field(2000, ge=1, description="most cells of one unknown asset in one report")
    explain_wait_s: float = Field(
        3.0,
        ge=0,
        le=300,
        description="how long an explanation waits for the consumption of a change's day to be stored",
    )
    outcome_days: int = Field(28, ge=1, le=365, description="days after a verdict until its outcome is looked at")
    outcome_interval_s: float = Field(3600.0, gt=0, description="how often outcomes are looked for and learnt from")
    quarantine_rows_max: int = Field(
        200_000,
        ge=1,
        description="counts of unknown assets that wait for metadata; beyond, the oldest are dead letters",
    )
    ingest_memory_bytes: int = Field(
        256 * MEBIBYTE, ge=32 * MEBIBYTE, description="memory to sort a file's rows in; the rest is done on disk"
    )

    decision_ttl_s: int = Field(6 * 3600, ge=60, description="how long a session's decisions can be read from Redis")
    decisions_per_session: int = Field(10_000, ge=1, description="decisions kept of one session in Redis, the newest")
    history_days: int = Field(
        30, ge=1, le=36_500, description="days sessions, decisions and dead letters are kept in SQL"
    )
    trend_history_days: int = Field(3650, ge=1, le=36_500, description="days asset days and changes are kept in SQL")
    prune_interval_s: float = Field(3600.0, ge=1, description="how often what is too old is removed from SQL")
    sqlite_busy_s: float = Field(
        10.0, gt=0, le=600, description="how long a writer waits for another of the same SQLite file"
    )


class Settings(ConnectionSettings, HttpSettings, WorkerSettings, LimitSettings):
    """All of them. ``Settings()`` reads the environment; ``Settings(broker=...)`` overrides it.

    Secrets may stand in files of the folder ``CUEPOINT_SECRETS_DIR`` named like the variable, lower case
    (``cuepoint_admin_key``).
    """

    model_config = SettingsConfigDict(
        env_prefix="CUEPOINT_", extra="ignore", secrets_dir=os.environ.get("CUEPOINT_SECRETS_DIR") or None
    )

    # ---- E: API (append here) ----
    read_keys: SecretStr = Field(SecretStr(""), description="keys that may read the API, separated by commas")
    token_secret: SecretStr = Field(
        SecretStr(""), description="signs session tokens and logins; empty: derived from the admin key"
    )
    session_token_s: int = Field(6 * 3600, ge=60, description="how long a session's token is good")
    login_s: int = Field(12 * 3600, ge=60, description="how long a console login is good")
    cors_origins: str = Field("", description="origins of player pages, separated by commas; *: any")
    access_log: bool = Field(True, description="log each request (never its query string or headers)")
    collector_body_bytes: int = Field(256 << 10, ge=1024, description="largest body of POST /v1/events")
    collector_events: int = Field(500, ge=1, le=100_000, description="most events in one body")
    collector_events_per_s: float = Field(20_000, gt=0, description="events a second of one API key, per API process")
    collector_burst_events: int = Field(40_000, ge=1, description="events one API key may send at once")
    session_events_per_s: float = Field(20, gt=0, description="events a second of one session token")
    session_burst_events: int = Field(500, ge=1, description="events one session token may send at once")
    collector_ack_s: float = Field(5.0, gt=0, le=300, description="how long the collector waits for the broker")
    viewer_secret: SecretStr = Field(
        SecretStr(""),
        description="makes pseudonyms of viewers' ids; empty: from token secret or admin key; a new one, new names",
    )
    viewer_days: int = Field(90, ge=1, le=3650, description="days a viewer's history is kept after its last session")
    consent_required: bool = Field(
        False, description="events that begin a session or video must carry `consent`: true; else they are dead letters"
    )
    stamp_wait_s: float = Field(
        0.5, gt=0, le=30, description="how long starts wait for what is known of video and viewer; then they go without"
    )
    stamp_refresh_s: float = Field(5.0, ge=0, le=3600, description="how old what is put into a start may be")
    stamp_videos: int = Field(10_000, ge=1, description="videos of which an API process remembers what is known")
    popularity_days: int = Field(7, ge=1, le=35, description="days (UTC, today included) whose views are a popularity")
    unknown_videos: Literal["accept", "refuse"] = Field(
        "accept", description="events that begin a video without metadata: go on with what they say, or dead letters"
    )
    dead_original_bytes: int = Field(16 << 10, ge=256, description="how much of a refused event is kept")
    sse_streams: int = Field(1000, ge=1, description="decision streams open at once, per API process")
    sse_stream_s: float = Field(600.0, gt=0, description="how long one decision stream lasts; players reconnect")
    sse_keepalive_s: float = Field(15.0, gt=0, description="pause between comments on a silent stream")
    rule_lead_ms: int = Field(500, ge=0, le=3_600_000, description="from a rule's acceptance until it is in effect")
    rule_body_bytes: int = Field(64 << 10, ge=1024, description="largest rule")
    document_body_bytes: int = Field(256 << 10, ge=1024, description="largest video, playlist, asset or line item")
    import_body_bytes: int = Field(16 << 20, ge=1024, description="largest bulk import, cue log or manifest sent in")
    public_url: str = Field("", description="where players reach the API, for links in VMAP and VAST; empty: as asked")
    ad_refresh_s: float = Field(1.0, ge=0, description="how old rules and line items may be when a break is filled")
    ad_decision_wait_s: float = Field(
        0.3, ge=0, le=10, description="how long a break that depends on the session waits for its decision"
    )
    ad_length_slack_s: float = Field(0.5, ge=0, le=60, description="how much longer than its break an ad may be")
    ads_per_break: int = Field(10, ge=1, le=20, description="most ads of one break, whatever its rule says")
    ad_server_url: str = Field(
        "",
        description="VAST tag of an outside ad server, with macros ([CACHEBUSTING], [TIMESTAMP], [CONTENTID],"
        " [BREAKMAXDURATION]); empty: none",
    )
    ad_server_first: bool = Field(False, description="it is asked before our line items; else where they have nothing")
    ad_server_timeout_s: float = Field(1.0, gt=0, le=30, description="how long it may take, wrappers included")
    ad_server_bytes: int = Field(512 << 10, ge=64, description="largest VAST answer of it or a wrapper")
    ad_server_wrappers: int = Field(5, ge=0, le=20, description="most wrappers before an ad")
    ad_server_private: bool = Field(False, description="it and its wrappers may have private addresses, and plain HTTP")
    ad_reservation_s: float = Field(900.0, gt=0, description="an ad handed out and not seen by then is given back")
    manifest_hosts: str = Field(
        "", description="hosts (HOST or HOST:PORT, separated by commas) whose HLS playlists are proxied; empty: none"
    )
    manifest_private: bool = Field(False, description="those hosts may have private addresses, and speak plain HTTP")
    manifest_bytes: int = Field(4 << 20, ge=1024, description="largest playlist that is proxied")
    manifest_timeout_s: float = Field(5.0, gt=0, le=60, description="how long a playlist's server may take")
    trial_body_bytes: int = Field(8 << 20, ge=1024, description="largest session or set of rules to be tried")
    page_rows: int = Field(500, ge=1, le=10_000, description="most rows of one page of the read API")
    ready_timeout_s: float = Field(2.0, gt=0, le=30, description="how long /readyz waits for each part")
    # ---- F: console (append here) ----
    console_refresh_ms: int = Field(2000, ge=250, le=60_000, description="how often live parts of the console refresh")
    forecast_assets: int = Field(
        200, ge=0, le=5000, description="assets of the catalogue that a forecast in API and console learns from"
    )
    forecast_wait_s: float = Field(
        5.0, gt=0, le=600, description="how long a chart waits for its forecast, and a forecast for another's end"
    )
    export_rows: int = Field(100_000, ge=1, le=10_000_000, description="most rows of a CSV export of the console")
    console_live_s: float = Field(
        120.0, gt=0, le=86_400, description="a session not heard of for so long is not shown as live"
    )
    player_media: str = Field(
        "", description="origins whose media, images and manifests the player page may load, separated by commas"
    )
    # ---- A, B, D (append here) ----
    # B: playback sessions
    session_timeout_s: int = Field(1800, ge=1, description="silence after which a playback session ends")
    session_grace_s: int = Field(300, ge=0, description="how long after its end an event re-opens a playback session")
    session_memory_s: int = Field(86_400, ge=0, description="how long events of an ended session are refused as late")
    session_clock_skew_s: int = Field(300, ge=0, description="how far received_at may run ahead of the broker's time")
    sessions_max: int = Field(1_000_000, ge=1, description="most playback sessions held of one partition")
    # consumption store
    consumption_dir: Path | None = Field(
        None,
        description="folder of the consumption store, shared by its readers; empty: `consumption` in the data folder",
    )
    consumption_flush_rows: int = Field(
        100_000, ge=1, description="rows of a partition gathered before they are stored"
    )
    consumption_flush_s: float = Field(2.0, gt=0, le=300, description="how long a row waits to be stored, about")
    consumption_retention_days: int = Field(
        1100, ge=7, le=36_500, description="days of consumption kept, back from the newest stored, in whole weeks"
    )
    consumption_most_bytes: int = Field(
        50 << 30, ge=0, description="most bytes of the consumption store; beyond, its oldest weeks go; 0: no bound"
    )
    consumption_merge_files: int = Field(8, ge=2, le=1000, description="small files of a week before they are merged")
    consumption_upkeep_s: float = Field(30.0, gt=0, description="how often the store is merged and tidied")
    consumption_grace_s: float = Field(300.0, ge=0, description="how long replaced files stay for those reading them")
    consumption_threads: int = Field(
        1, ge=1, le=256, description="threads that write, and that answer, of each process"
    )
    consumption_memory_bytes: int = Field(
        512 * MEBIBYTE, ge=64 * MEBIBYTE, description="memory DuckDB may take, to write, to merge or to answer"
    )
    query_timeout_s: float = Field(
        30.0, gt=0, le=3600, description="longest a question to the consumption store may take"
    )
    # webhooks
    webhook_secret: SecretStr = Field(
        SecretStr(""), description="subscribers' secrets derive from it; empty: from token secret or admin key"
    )
    webhook_private: bool = Field(False, description="webhooks may go to private addresses, and by plain HTTP")
    webhook_attempts: int = Field(12, ge=1, le=100, description="attempts before a delivery is given up")
    webhook_first_pause_s: float = Field(5.0, gt=0, description="pause after the first failure, then thrice as long")
    webhook_most_pause_s: float = Field(6 * 3600.0, gt=0, description="longest pause between two attempts")
    webhook_timeout_s: float = Field(15.0, gt=0, le=60, description="how long a subscriber may take to answer")
    webhook_interval_s: float = Field(1.0, gt=0, description="how often is looked for what is due")
    webhook_history_days: int = Field(30, ge=1, description="days deliveries that ended are kept")
    webhooks_most: int = Field(1000, ge=1, description="most subscriptions")
    queries_at_once: int = Field(4, ge=1, le=64, description="questions to the consumption store answered at once")
    query_rows: int = Field(100_000, ge=1, description="most rows of one answer of `cuepoint query`")

    def consumption_root(self) -> Path:
        """The folder of the consumption store."""
        return (self.consumption_dir or self.data_dir / "consumption").absolute()

    def player_keys(self) -> tuple[str, ...]:
        """The keys a player may use; without any, players are refused.

        >>> Settings(api_keys="one, two").player_keys()
        ('one', 'two')
        """
        return tuple(key.strip() for key in self.api_keys.get_secret_value().split(",") if key.strip())

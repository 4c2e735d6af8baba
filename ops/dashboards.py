"""The Grafana dashboard as code: ``python -m cuepoint.ops.dashboards ops/deploy/grafana/dashboards`` writes it.

Plain JSON: Grafana's own SDK would bring hundreds of generated classes for the dozen fields a panel needs.
The tests parse every query and run it against a real Prometheus that scrapes a running Cuepoint.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, Literal, NamedTuple

WIDTH = 24  # of Grafana's grid
RATE_WINDOW = "$__rate_interval"  # Grafana puts a few scrape intervals here


class Query(NamedTuple):
    """A PromQL expression and how its series are named (``{{label}}``)."""

    expr: str
    legend: str


class Panel(NamedTuple):
    """One panel; ``unit`` is Grafana's (``reqps``, ``s``, ``short``)."""

    title: str
    description: str
    queries: tuple[Query, ...]
    unit: str = "short"
    kind: Literal["timeseries", "stat"] = "timeseries"
    width: int = 8
    height: int = 8


def _rate(metric: str, by: str) -> str:
    return f"sum by ({by}) (rate({metric}[{RATE_WINDOW}]))"


def _quantiles(metric: str, by: str = "", *, of: tuple[float, ...] = (0.5, 0.99)) -> tuple[Query, ...]:
    labels = f"le, {by}" if by else "le"
    return tuple(
        Query(
            f"histogram_quantile({quantile}, {_rate(f'{metric}_bucket', labels)})",
            f"p{quantile * 100:g}" + (f" {{{{{by}}}}}" if by else ""),
        )
        for quantile in of
    )


def _stat(title: str, description: str, expr: str, unit: str = "short") -> Panel:
    return Panel(title, description, (Query(expr, title),), unit, "stat", width=4, height=4)


ROWS: dict[str, tuple[Panel, ...]] = {
    "Now": (
        _stat(
            "Events a second",
            "Records read, all topics",
            f"sum(rate(cuepoint_events_in_total[{RATE_WINDOW}]))",
            "reqps",
        ),
        _stat("Open regions", "Significant changes that have not ended", "sum(cuepoint_open_regions)"),
        _stat("Live sessions", "Playback sessions with a state", "sum(cuepoint_live_sessions)"),
        _stat("Lag", "Records not yet processed", "sum(cuepoint_lag_records)"),
        _stat(
            "Dead letters in an hour",
            "Records refused; their originals are in the dead-letter topics",
            "sum(increase(cuepoint_events_dead_total[1h])) or vector(0)",
        ),
        _stat("Processes", "Workers and API replicas that answer", 'sum(up{job="cuepoint"})'),
    ),
    "Flow": (
        Panel(
            "Events in",
            "Records read a second",
            (Query(_rate("cuepoint_events_in_total", "topic"), "{{topic}}"),),
            "reqps",
        ),
        Panel(
            "Events out",
            "Messages produced and acknowledged a second",
            (Query(_rate("cuepoint_events_out_total", "topic"), "{{topic}}"),),
            "reqps",
        ),
        Panel(
            "Dead letters",
            "Records refused a second, by reason",
            (Query(_rate("cuepoint_events_dead_total", "topic, code"), "{{topic}} {{code}}"),),
            "reqps",
        ),
        Panel("Lag", "Records not yet processed", (Query("sum by (topic) (cuepoint_lag_records)", "{{topic}}"),)),
        Panel(
            "Processing time of a batch",
            "From its arrival at the agent to the acknowledgement of what it said",
            _quantiles("cuepoint_batch_seconds", "agent"),
            "s",
        ),
        Panel(
            "Decision latency",
            "From the receipt of the player event to the acknowledged ad decision",
            _quantiles("cuepoint_decision_latency_seconds", of=(0.5, 0.95, 0.99)),
            "s",
        ),
    ),
    "State": (
        Panel("Open regions", "By worker", (Query("sum by (instance) (cuepoint_open_regions > 0)", "{{instance}}"),)),
        Panel(
            "Hyperparameters",
            "Version in force of the trend filter's, by worker; 0: those of its file, or the program's",
            (Query('max by (instance) (cuepoint_trend_params_version{role="trends"})', "{{instance}}"),),
        ),
        Panel("Live sessions", "By worker", (Query("sum by (instance) (cuepoint_live_sessions > 0)", "{{instance}}"),)),
        Panel(
            "Quarantine",
            "Counts of unknown assets that wait for metadata",
            (Query("sum(cuepoint_quarantined_counts)", "counts"),),
        ),
        Panel(
            "Redis flushes",
            "Batches of counts applied",
            (Query(_rate("cuepoint_redis_flushes_total", "role"), "{{role}}"),),
            "reqps",
        ),
        Panel(
            "Age of snapshots",
            "A restart replays the log from here",
            (Query("max by (role) (cuepoint_snapshot_age_seconds)", "{{role}}"),),
            "s",
        ),
        Panel("Time to save a snapshot", "One partition's state", _quantiles("cuepoint_snapshot_seconds", "role"), "s"),
        Panel(
            "Dependencies",
            "1 if it answers every process",
            (Query("min by (dependency) (cuepoint_dependency_up)", "{{dependency}}"),),
        ),
    ),
    "Consumption store": (
        Panel(
            "Rows",
            "Stored, and removed for age or room, a second",
            (
                Query(_rate("cuepoint_consumption_rows_total", "role"), "stored by {{role}}"),
                Query(_rate("cuepoint_consumption_expired_rows_total", "role"), "removed by {{role}}"),
            ),
        ),
        Panel(
            "Files",
            "Live files, and merges an hour",
            (
                Query("max by (role) (cuepoint_consumption_files)", "files"),
                Query("sum by (role) (increase(cuepoint_consumption_merges_total[1h]))", "merges"),
            ),
        ),
        Panel(
            "Size",
            "Bytes of the live files",
            (Query("max by (role) (cuepoint_consumption_bytes)", "bytes"),),
            "bytes",
        ),
        Panel(
            "Time spent storing",
            "Share of a second, all workers",
            (Query(_rate("cuepoint_consumption_write_seconds_sum", "role"), "{{role}}"),),
        ),
    ),
    "Webhooks": (
        Panel(
            "Deliveries",
            "Tried a second, by what became of them",
            (Query(_rate("cuepoint_webhooks_total", "outcome"), "{{outcome}}"),),
            "reqps",
            width=12,
        ),
        Panel(
            "Waiting",
            "Deliveries not made yet",
            (Query("max by (role) (cuepoint_webhooks_waiting)", "{{role}}"),),
            width=12,
        ),
    ),
    "Ads": (
        Panel(
            "Outside ad servers",
            "Breaks asked of them a second, by VAST error; 0: they had an ad",
            (Query(_rate("cuepoint_outside_ads_total", "code"), "{{code}}"),),
            "reqps",
        ),
        Panel(
            "Videos begun without facts",
            "A second: nothing is stored of them, or it could not be read in time",
            (
                Query(f"sum(rate(cuepoint_unknown_videos_total[{RATE_WINDOW}]))", "without metadata"),
                Query(f"sum(rate(cuepoint_unstamped_total[{RATE_WINDOW}]))", "without what is known"),
            ),
            "ops",
        ),
        Panel(
            "Line items held back",
            "1 while those with a goal or cap are not given: Redis lost their counts, which are being made anew",
            (Query("max(cuepoint_line_items_held)", "held back"),),
        ),
    ),
    "HTTP": (
        Panel(
            "Requests",
            "Answered a second",
            (Query(_rate("cuepoint_http_requests_total", "route, status"), "{{route}} {{status}}"),),
            "reqps",
            width=12,
        ),
        Panel("Time to answer", "By route", _quantiles("cuepoint_http_request_seconds", "route"), "s", width=12),
    ),
}


def panels() -> list[Panel]:
    """Every panel, in order."""
    return [panel for row in ROWS.values() for panel in row]


def _panel(panel: Panel, number: int, x: int, y: int) -> dict[str, Any]:
    source = {"type": "prometheus", "uid": "prometheus"}
    options: dict[str, Any] = (
        {"reduceOptions": {"calcs": ["lastNotNull"]}, "graphMode": "area", "colorMode": "none"}
        if panel.kind == "stat"
        else {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi", "sort": "desc"}}
    )
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.description,
        "datasource": source,
        "gridPos": {"x": x, "y": y, "w": panel.width, "h": panel.height},
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "options": options,
        "targets": [
            {"refId": chr(ord("A") + index), "datasource": source, "expr": query.expr, "legendFormat": query.legend}
            for index, query in enumerate(panel.queries)
        ],
    }


def dashboard() -> dict[str, Any]:
    """The dashboard in Grafana's JSON model: rows one under the other, panels from left to right."""
    placed: list[dict[str, Any]] = []
    y = 0
    for title, row in ROWS.items():
        place = {"x": 0, "y": y, "w": WIDTH, "h": 1}
        placed.append(
            {"id": len(placed) + 1, "type": "row", "title": title, "collapsed": False, "gridPos": place, "panels": []}
        )
        x, y = 0, y + 1
        for panel in row:
            if x + panel.width > WIDTH:
                x, y = 0, y + panel.height
            placed.append(_panel(panel, len(placed) + 1, x, y))
            x += panel.width
        y += row[-1].height
    return {
        "uid": "cuepoint",
        "title": "Cuepoint",
        "description": "Trend records and player events in, alerts and ad decisions out",
        "tags": ["cuepoint"],
        "timezone": "browser",
        "editable": False,
        "graphTooltip": 1,
        "refresh": "5s",
        "time": {"from": "now-30m", "to": "now"},
        "schemaVersion": 39,
        "templating": {"list": []},
        "annotations": {"list": []},
        "panels": placed,
    }


def text() -> str:
    """The dashboard as JSON text."""
    return f"{json.dumps(dashboard(), indent=2)}\n"


if __name__ == "__main__":
    (Path(sys.argv[1]) / "cuepoint.json").write_text(text(), encoding="utf-8")

"""The dashboard and the alerts speak of metrics that exist, in PromQL that parses; what is committed is current."""

from __future__ import annotations

import re
from itertools import combinations
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml

from cuepoint.ops import dashboards
from cuepoint.streams.metrics import REGISTRY

DEPLOY = Path(__file__).parents[2] / "ops" / "deploy"
ALERTS = [rule for group in yaml.safe_load((DEPLOY / "alerts.yml").read_text())["groups"] for rule in group["rules"]]
QUERIES = {
    f"{row}, {panel.title}, {query.legend}": query.expr
    for row, panels in dashboards.ROWS.items()
    for panel in panels
    for query in panel.queries
}
assert len(QUERIES) == sum(len(panel.queries) for panel in dashboards.panels())
EXPRESSIONS = QUERIES | {rule["alert"]: rule["expr"] for rule in ALERTS}
WINDOW = "15s"  # Grafana's $__rate_interval, for the parser
SCRAPED = {"job", "instance", "role"}  # labels a scrape adds


def series() -> dict[str, set[str]]:
    """Every series name that can be scraped, with its labels."""
    found = {"up": SCRAPED}
    for metric in REGISTRY._collector_to_names:
        labels = set(metric._labelnames) | SCRAPED  # type: ignore[attr-defined]
        for name in REGISTRY._collector_to_names[metric]:
            found[name] = labels | ({"le"} if name.endswith("_bucket") else set())
    return found


def selectors(expression: str) -> list[tuple[str, set[str]]]:
    """Metric names of an expression with the labels it asks for."""
    return [
        (name, set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", inside or "")))
        for name, inside in re.findall(r"\b(up|cuepoint_\w+)(?:\{([^}]*)\})?", expression)
    ]


def test_the_committed_dashboard_is_current() -> None:
    committed = DEPLOY / "grafana" / "dashboards" / "cuepoint.json"
    assert committed.read_text(encoding="utf-8") == dashboards.text(), "run: make documents"


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_an_expression_parses_and_names_metrics_and_labels_that_exist(name: str) -> None:
    expression = EXPRESSIONS[name].replace(dashboards.RATE_WINDOW, WINDOW)
    promql_parser.parse(expression)
    known, asked = series(), selectors(expression)
    assert asked
    for metric, labels in asked:
        assert metric in known, metric
        assert labels <= known[metric], (metric, labels)
    grouped = {label.strip() for group in re.findall(r"\bby \(([^)]*)\)", expression) for label in group.split(",")}
    assert grouped <= set.union(*(known[metric] for metric, _ in asked)), grouped


def test_the_parser_would_notice() -> None:
    with pytest.raises(ValueError, match="unclosed"):
        promql_parser.parse("sum by (topic (rate(cuepoint_events_in_total[5m]))")


def test_a_legend_names_only_labels_its_query_keeps() -> None:
    for panel in dashboards.panels():
        for query in panel.queries:
            kept = {
                label.strip() for group in re.findall(r"\bby \(([^)]*)\)", query.expr) for label in group.split(",")
            }
            assert set(re.findall(r"\{\{(\w+)\}\}", query.legend)) <= kept, panel.title


def test_the_panels_show_what_the_operator_asks_for() -> None:
    shown = {metric for expression in QUERIES.values() for metric, _ in selectors(expression)}
    for family in REGISTRY.collect():
        rarely = {"cuepoint_snapshots_failed", "cuepoint_rewinds"}  # alerts and the log speak of these
        if family.name not in rarely and not family.name.endswith("_created"):
            assert any(metric.startswith(family.name) for metric in shown), family.name


def test_panels_do_not_overlap_and_stay_on_the_grid() -> None:
    placed: list[dict[str, Any]] = dashboards.dashboard()["panels"]
    cells: dict[int, set[tuple[int, int]]] = {}
    for panel in placed:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= dashboards.WIDTH
        cells[panel["id"]] = {(at["x"] + i, at["y"] + j) for i in range(at["w"]) for j in range(at["h"])}
    assert len(cells) == len(placed), "panel ids are unique"
    for one, other in combinations(cells, 2):
        assert not cells[one] & cells[other], (one, other)


def test_the_dashboard_asks_the_provisioned_data_source() -> None:
    sources = yaml.safe_load((DEPLOY / "grafana/provisioning/datasources/prometheus.yml").read_text())["datasources"]
    asked = {t["datasource"]["uid"] for p in dashboards.dashboard()["panels"] for t in p.get("targets", [])}
    assert asked == {source["uid"] for source in sources}
    provider = yaml.safe_load((DEPLOY / "grafana/provisioning/dashboards/cuepoint.yml").read_text())["providers"][0]
    assert provider["options"]["path"] == "/var/lib/grafana/dashboards"


def test_every_alert_says_how_bad_it_is_and_what_happened() -> None:
    assert len({rule["alert"] for rule in ALERTS}) == len(ALERTS)
    for rule in ALERTS:
        assert rule["labels"]["severity"] in {"warning", "critical"}
        assert rule["annotations"]["summary"]


def test_prometheus_scrapes_every_role() -> None:
    [job] = yaml.safe_load((DEPLOY / "prometheus.yml").read_text())["scrape_configs"]
    assert job["job_name"] == "cuepoint"
    ports = {name: found["port"] for found in job["dns_sd_configs"] for name in found["names"]}
    workers = ("trends", "sessions", "counts", "views", "store", "catalogue", "alerts")
    assert ports == {**dict.fromkeys(workers, 9100), "api": 8700}

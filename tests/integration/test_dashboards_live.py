"""Every panel's query and every alert rule, asked of a real Prometheus that scrapes a running Cuepoint."""

from __future__ import annotations

import json
import math
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import psutil
import pytest
import yaml
from confluent_kafka import Producer

from cuepoint.ops import dashboards
from cuepoint.schemas.topics import PLAYER_EVENTS

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

DEPLOY = Path(__file__).parents[2] / "ops" / "deploy"
HERE = Path(__file__).parent
RUN_S = 300  # `cuepoint run` ends by itself, should the tests not
READY_S = 330.0
DATA_S = 150.0
WINDOW = "5s"  # for Grafana's $__rate_interval at a scrape a second
QUERIES = {
    f"{row}, {panel.title}, {query.legend}": query.expr
    for row, panels in dashboards.ROWS.items()
    for panel in panels
    for query in panel.queries
}


def binary(name: str) -> str:
    """The path of a program of Debian's package prometheus; CI must have it."""
    found = shutil.which(name)
    if found is None and os.environ.get("CI"):
        pytest.fail(f"{name} is missing: apt-get install prometheus")
    if found is None:
        pytest.skip(f"{name} is missing: apt-get install prometheus")
    return found


def poll(what: str, timeout_s: float, ask: Callable[[], Any]) -> Any:
    """What ``ask`` gives as soon as it is true; fails with ``what`` when the time is over."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        found = ask()
        if found:
            return found
        time.sleep(0.2)
    pytest.fail(f"not within {timeout_s:g} s: {what}")


def stop(process: subprocess.Popen[bytes]) -> None:
    """Ask a program that we started to end, and make it."""
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(60)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


class Run(NamedTuple):
    """A running `cuepoint run`: its process, and the file in which it names its /metrics to Prometheus."""

    pid: int
    targets: Path

    def refuse_one_record(self) -> None:
        """A broken record for a session worker, in whose environment the broker stands."""
        [worker] = [c for c in psutil.Process(self.pid).children(recursive=True) if c.cmdline()[-1:] == ["sessions"]]
        producer = Producer({"bootstrap.servers": worker.environ()["CUEPOINT_BROKER"]})
        producer.produce(PLAYER_EVENTS.name, key=b"s-broken", value=b'{"type":"player-event.v9"}')
        assert producer.flush(20) == 0


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """Everything that `cuepoint run` starts, and one dead letter."""
    binary("prometheus")
    folder = tmp_path_factory.mktemp("run")
    command = [sys.executable, "-m", "cuepoint.ops.cli", "run", "--for", str(RUN_S), "--port", "0", "--no-open"]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CUEPOINT_")}
    log = folder / "log"
    with log.open("wb") as out:
        environment = kept | {"CUEPOINT_DATA_DIR": str(folder / "data"), "CUEPOINT_SNAPSHOT_INTERVAL_S": "2"}
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=out, stderr=out)

    def ready() -> Path | None:
        if process.poll() is not None:
            pytest.fail(f"cuepoint run ended with {process.returncode}: {log.read_text()[-3000:]}")
        return next(iter(folder.glob("data/**/metrics-targets.json")), None)

    try:
        running = Run(process.pid, poll("cuepoint run is ready", READY_S, ready))
        running.refuse_one_record()
        yield running
    finally:
        stop(process)


@pytest.fixture(scope="module")
def prometheus(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """The real Prometheus with our alert rules, scraping once a second."""
    folder = tmp_path_factory.mktemp("prometheus")
    config = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(DEPLOY / "alerts.yml")],
        "scrape_configs": [{"job_name": "cuepoint", "file_sd_configs": [{"files": [str(run.targets)]}]}],
    }
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        binary("prometheus"),
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=warn",
    ]
    with (folder / "log").open("wb") as out:
        process = subprocess.Popen(command, cwd=folder, stdout=out, stderr=out)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=10) as client:

            def ready() -> bool:
                assert process.poll() is None, (folder / "log").read_text()
                try:
                    return client.get("/-/ready").status_code == 200
                except httpx.TransportError:
                    return False

            poll("prometheus is ready", 30, ready)
            yield client
    finally:
        stop(process)


def ask(prometheus: httpx.Client, expression: str) -> list[float]:
    """The finite values of an instant query; an error of PromQL fails the test."""
    answer = prometheus.get("/api/v1/query", params={"query": expression}).json()
    assert answer["status"] == "success", answer
    values = [float(sample["value"][1]) for sample in answer["data"]["result"]]
    return [value for value in values if math.isfinite(value)]


def test_prometheus_reaches_every_process(prometheus: httpx.Client) -> None:
    def roles() -> bool:
        found = prometheus.get("/api/v1/query", params={"query": 'up{job="cuepoint"} == 1'}).json()
        return {s["metric"]["role"] for s in found["data"]["result"]} == {
            "trends",
            "sessions",
            "counts",
            "views",
            "store",
            "catalogue",
            "alerts",
            "api",
        }

    assert poll("all roles are scraped", 30, roles)


@pytest.mark.parametrize("name", QUERIES)
def test_a_panel_has_data(prometheus: httpx.Client, name: str) -> None:
    expression = QUERIES[name].replace(dashboards.RATE_WINDOW, WINDOW)
    values = poll(f"data for {name}: {expression}", DATA_S, lambda: ask(prometheus, expression))
    assert all(value >= 0 for value in values)


def test_prometheus_evaluates_every_alert_rule(prometheus: httpx.Client) -> None:
    def rules() -> list[dict[str, Any]]:
        groups = prometheus.get("/api/v1/rules").json()["data"]["groups"]
        found: list[dict[str, Any]] = [rule for group in groups for rule in group["rules"]]
        return found if found and all(rule["health"] != "unknown" for rule in found) else []

    found = poll("every rule is evaluated", 30, rules)
    written = yaml.safe_load((DEPLOY / "alerts.yml").read_text())["groups"][0]["rules"]
    assert {rule["name"] for rule in found} == {rule["alert"] for rule in written}
    assert {rule["name"]: rule.get("lastError") for rule in found if rule["health"] != "ok"} == {}


def test_a_refused_record_raises_its_alert(prometheus: httpx.Client) -> None:
    def fires() -> list[dict[str, Any]]:
        alerts = prometheus.get("/api/v1/alerts").json()["data"]["alerts"]
        return [a for a in alerts if a["labels"]["alertname"] == "CuepointDeadLetters" and a["state"] == "firing"]

    firing = poll("the alert fires", 30, fires)
    assert {alert["labels"]["topic"] for alert in firing} == {PLAYER_EVENTS.name}


def test_the_alert_rules_fire_as_their_own_tests_say(tmp_path: Path) -> None:
    """promtool runs alerts_test.yml: series over hours, in no time."""
    text = (HERE / "alerts_test.yml").read_text().replace("- ALERTS", f"- {json.dumps(str(DEPLOY / 'alerts.yml'))}")
    (tmp_path / "alerts_test.yml").write_text(text)
    command = [binary("promtool"), "test", "rules", "alerts_test.yml"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_promtool_accepts_the_production_configuration() -> None:
    command = [binary("promtool"), "check", "config", str(DEPLOY / "prometheus.yml")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_is_tested() -> None:
    tested = yaml.safe_load((HERE / "alerts_test.yml").read_text())["tests"]
    firing = {case["alertname"] for test in tested for case in test["alert_rule_test"] if case["exp_alerts"]}
    calm = {case["alertname"] for test in tested for case in test["alert_rule_test"] if not case["exp_alerts"]}
    written = {rule["alert"] for rule in yaml.safe_load((DEPLOY / "alerts.yml").read_text())["groups"][0]["rules"]}
    assert firing == written
    assert calm == written

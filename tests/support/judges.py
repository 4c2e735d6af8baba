"""Parsers of players, run by node: what they make of our documents."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

_HERE = Path(__file__).parents[1] / "judges"


def judged(tasks: list[dict[str, str]]) -> list[Any]:
    """What each of the tasks ({kind, text or url}) was taken for. Skips where node is missing; in CI that fails."""
    ready = shutil.which("node") is not None and (_HERE / "node_modules").is_dir()
    if not ready:
        message = "node and the judges are missing: make test-packages judges"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    command = ["node", str(_HERE / "judge.cjs")]
    done = subprocess.run(command, input=json.dumps(tasks), capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return list(json.loads(done.stdout))

"""The peers in Java: jars from Maven Central, their few classes compiled here; both into a cache.

``shared`` holds what they have in common: the same filter as Cuepoint's, for one asset, and the clock.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from meter import COUNT_FROM

from cuepoint.models.region_params import RegionParams
from cuepoint.models.trend_params import TrendParams

MAINS = {"kafka_streams": "KafkaStreamsPeer", "flink": "FlinkPeer"}
_HERE = Path(__file__).parent
_CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "cuepoint"


def install(peer: str) -> str | None:
    """Fetch the jars and compile the classes, once; what is missing or went wrong, or None."""
    for tool in ("java", "javac", "mvn"):
        if shutil.which(tool) is None:
            return f"`{tool}` is not on PATH"
    jars, classes = _folders(peer)
    pom = str(_HERE / peer / "pom.xml")
    fetch = ["mvn", "-q", "-B", "-f", pom, "dependency:copy-dependencies", "-DincludeScope=runtime"]
    compile_ = ["javac", "-cp", f"{jars}/*", *map(str, _sources(peer))]
    for folder, command in ((jars, [*fetch, "-DoutputDirectory={}"]), (classes, [*compile_, "-d", "{}"])):
        part = folder.with_suffix(".part")
        if folder.exists():
            continue
        shutil.rmtree(part, ignore_errors=True)
        done = subprocess.run(
            [word.format(part) for word in command], capture_output=True, text=True, check=False, timeout=600
        )
        if done.returncode:
            return ((done.stdout + done.stderr).strip().splitlines() or [f"{command[0]} failed"])[-1]
        part.rename(folder)
    return None


def command(peer: str, task: dict[str, Any], folder: Path) -> list[str]:
    """What runs the task; its state folder is ``folder``. Hyperparameters are Cuepoint's."""
    jars, classes = _folders(peer)
    fixed = {"count_from": COUNT_FROM, "trend": TrendParams()._asdict(), "region": RegionParams()._asdict()}
    told = json.dumps({**task, **fixed, "folder": str(folder)})
    return ["java", "-Xmx2g", "-cp", f"{classes}:{jars}/*", MAINS[peer], told]


def _sources(peer: str) -> list[Path]:
    return sorted([*(_HERE / "shared").glob("*.java"), *(_HERE / peer).glob("*.java")])


def _folders(peer: str) -> tuple[Path, Path]:
    """Of jars and of classes, named by what they are made from."""
    pom = hashlib.sha256((_HERE / peer / "pom.xml").read_bytes())
    source = pom.copy()
    for path in _sources(peer):
        source.update(path.read_bytes())
    cache = _CACHE / f"{peer.replace('_', '-')}-peer"
    return cache / f"jars-{pom.hexdigest()[:16]}", cache / f"classes-{source.hexdigest()[:16]}"

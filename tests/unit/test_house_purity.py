"""models/ is pure: no I/O, no clock, no randomness of its own. What it needs of these is passed in."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

MODELS = sorted((Path(__file__).parents[2] / "models").glob("*.py"))
IMPURE_MODULES = {
    *(
        "time",
        "os",
        "io",
        "sys",
        "random",
        "secrets",
        "uuid",
        "socket",
        "ssl",
        "subprocess",
        "shutil",
        "tempfile",
        "pathlib",
    ),
    *("asyncio", "threading", "multiprocessing", "concurrent", "signal", "logging", "sqlite3", "urllib", "http"),
    *("requests", "httpx", "aiohttp", "redis", "sqlalchemy", "confluent_kafka", "aiokafka", "faust", "mode"),
    *("prometheus_client", "pydantic_settings", "psutil", "typer", "rich", "fastapi"),
}
PURE_NAMES = {"intern", "Random"}  # sys.intern: the same string for equal strings; Random: with a seed, see below
IMPURE_CALLS = {"open", "print", "input", "exec", "eval", "__import__", "breakpoint"}
CLOCKS = {("datetime", "now"), ("datetime", "utcnow"), ("datetime", "today"), ("date", "today")}
UNSEEDED = {"Random", "random.Random"}
SEEDED = {"Generator", "SeedSequence", "BitGenerator", "PCG64", "Philox"}  # types to pass in, not to draw from


def impurities(tree: ast.Module) -> Iterator[str]:
    """What a module does that a function of its arguments would not, with the line."""
    for node in ast.walk(tree):
        line = getattr(node, "lineno", 0)
        if isinstance(node, ast.Import):
            yield from (f"{line}: import {a.name}" for a in node.names if a.name.split(".")[0] in IMPURE_MODULES)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in IMPURE_MODULES:
            yield from (f"{line}: from {node.module} import {a.name}" for a in node.names if a.name not in PURE_NAMES)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in IMPURE_CALLS:
            yield f"{line}: {node.func.id}()"
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in UNSEEDED and not node.args + node.keywords:
            yield f"{line}: {ast.unparse(node)} without a seed"
        elif isinstance(node, ast.Attribute):
            owner = getattr(node.value, "attr", getattr(node.value, "id", ""))
            if (owner, node.attr) in CLOCKS:
                yield f"{line}: {owner}.{node.attr}"
            if owner == "random" and node.attr not in SEEDED:
                yield f"{line}: {ast.unparse(node)}"
        elif isinstance(node, ast.Global):
            yield f"{line}: global {', '.join(node.names)}"


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.stem)
def test_a_model_is_pure(path: Path) -> None:
    assert list(impurities(ast.parse(path.read_text(encoding="utf-8")))) == []


@pytest.mark.parametrize(
    "code",
    [
        "import time",
        "from os import environ",
        "import urllib.request",
        "def f(): return open('x')",
        "import datetime as dt\nx = dt.datetime.now(dt.UTC)",
        "from datetime import date\nx = date.today()",
        "import numpy as np\nx = np.random.normal()",
        "import numpy as np\nrng = np.random.default_rng()",
        "from random import Random\nrng = Random()",
        "n = 0\ndef f():\n    global n\n    n = 1",
    ],
)
def test_impurity_is_found(code: str) -> None:
    assert list(impurities(ast.parse(code)))


@pytest.mark.parametrize(
    "code",
    [
        "import numpy as np\ndef f(rng: np.random.Generator) -> float:\n    return rng.normal()",
        "from random import Random\ndef f(seed: int) -> float:\n    return Random(seed).random()",
    ],
)
def test_a_generator_or_a_seed_may_be_passed_in(code: str) -> None:
    assert list(impurities(ast.parse(code))) == []

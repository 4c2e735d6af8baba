"""The rules of the house, held by the tree itself: sizes, purity, packaging, imports, what may not be named."""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LAYERS = ("schemas", "models", "streams", "agents", "ops")
MAY_IMPORT = {  # schemas <- models <- agents <- ops, and schemas <- streams <- agents
    "schemas": {"schemas"},
    "models": {"schemas", "models"},
    "streams": {"schemas", "models", "streams"},
    "agents": {"schemas", "models", "streams", "agents"},
    "ops": set(LAYERS),
}
FILE_LINES = 400
FUNCTION_LINES = 70
FIRST_PARTY = sorted(path for layer in LAYERS for path in (ROOT / layer).rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
ALL = [*FIRST_PARTY, *TESTS, *sorted((ROOT / "benchmarks").rglob("*.py"))]
TREES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in ALL}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def place(path: Path, node: ast.AST) -> str:
    return f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 1)}"


def imports(tree: ast.Module) -> Iterator[tuple[ast.AST, str]]:
    """Every module a file imports, wherever in it, as ``a.b.c`` (for ``from a import b``: ``a.b``)."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"relative import at line {node.lineno}"
            yield from ((node, f"{node.module}.{alias.name}") for alias in node.names)


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def tracked() -> list[Path]:
    """Files of the project: what git knows or would take (not what it ignores)."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\n")
    return [ROOT / name for name in listed if name and (ROOT / name).is_file()]


def test_imports_point_in_one_direction() -> None:
    wrong = [
        f"{place(path, node)}: {layer} imports {module}"
        for path in FIRST_PARTY
        for layer in [path.relative_to(ROOT).parts[0]]
        for node, module in imports(TREES[path])
        if module.startswith("cuepoint.") and module.split(".")[1] in LAYERS
        if module.split(".")[1] not in MAY_IMPORT[layer]
    ]
    assert wrong == []


def test_no_import_is_bare() -> None:
    wrong = [
        f"{place(path, node)}: import cuepoint.{module}"
        for path in ALL
        for node, module in imports(TREES[path])
        if module.split(".")[0] in LAYERS
    ]
    assert wrong == []


def test_files_are_short() -> None:
    sizes = {path.relative_to(ROOT): len(path.read_text(encoding="utf-8").splitlines()) for path in ALL}
    assert {str(path): size for path, size in sizes.items() if size > FILE_LINES} == {}


def test_functions_fit_on_a_screen() -> None:
    wrong = [
        f"{place(path, node)} {node.name}: {(node.end_lineno or 0) - node.lineno + 1} lines"
        for path in ALL
        for node in functions(TREES[path])
        if (node.end_lineno or 0) - node.lineno + 1 > FUNCTION_LINES
    ]
    assert wrong == []


def test_there_is_no_drawer_for_everything() -> None:
    names = {path.stem for path in FIRST_PARTY}
    assert names & {"utils", "util", "helpers", "common", "misc"} == set()


def test_names_of_test_files_are_unique() -> None:
    names = [path.name for path in TESTS if path.name.startswith("test_")]
    assert sorted({name for name in names if names.count(name) > 1}) == []


def test_every_test_can_fail() -> None:
    """A test without assert, pytest.raises or a call of a checking helper proves nothing."""
    wrong = []
    for path in TESTS:
        checking = {"raises", "fail", "check", "validate"} | {
            node.name for node in functions(TREES[path]) if any(isinstance(n, ast.Assert) for n in ast.walk(node))
        }
        for node in functions(TREES[path]):
            if node.name.startswith("test_"):
                calls = {
                    getattr(call.func, "attr", getattr(call.func, "id", ""))
                    for call in ast.walk(node)
                    if isinstance(call, ast.Call)
                }
                if not any(isinstance(n, ast.Assert) for n in ast.walk(node)) and not any(
                    name in checking or name.startswith(("assert_", "check_", "expect", "wait_")) for name in calls
                ):
                    wrong.append(f"{place(path, node)} {node.name}")
    assert wrong == []


def test_public_functions_of_models_and_schemas_have_docstrings() -> None:
    wrong = [
        f"{place(path, node)} {node.name}"
        for path in FIRST_PARTY
        if path.relative_to(ROOT).parts[0] in {"models", "schemas"}
        for node in TREES[path].body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        if not node.name.startswith("_") and not ast.get_docstring(node)
    ]
    assert wrong == []


@pytest.mark.parametrize(
    "path", [p for p in FIRST_PARTY if p.name != "__init__.py"], ids=lambda p: f"{p.parent.name}.{p.stem}"
)
def test_a_module_says_what_it_is_for(path: Path) -> None:
    assert ast.get_docstring(TREES[path])


def test_no_machine_and_no_registry_is_named() -> None:
    """A path of somebody's machine or the address of a package index makes the project his."""
    home = re.compile(r"(?<![\w.~$}])/(?:home|Users|root|work|mnt|workspace)/[\w.-]+")
    index = re.compile(
        r"(?:index-url|find-links|registry\s*=\s*.?https?:|registry\.npm|\bpypi\.\w+|files\.pythonhosted|repo1?\.maven|deb\.debian)"
    )
    this = Path(__file__)
    wrong = []
    for path in tracked():
        if path == this or path.suffix in {".gz", ".parquet", ".png", ".woff2", ".ico"}:
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
            if home.search(line) or (index.search(line) and "--no-emit-index-url" not in line):
                wrong.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()[:120]}")
    assert wrong == []


def test_lock_files_pin_and_hash_every_requirement() -> None:
    for path in sorted((ROOT / "requirements").glob("*.lock")):
        text = path.read_text().replace("\\\n", " ")
        lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
        assert lines
        for line in lines:
            assert re.match(r"\S+==\S+", line), f"{path.name}: {line[:80]}"
            assert "--hash=sha256:" in line, f"{path.name}: {line[:80]}"


def test_the_lock_has_what_the_project_asks_for() -> None:
    def name(requirement: str) -> str:
        return re.split(r"[\s\[<>=!~;]", requirement, maxsplit=1)[0].lower().replace("_", "-")

    def locked(file: str) -> set[str]:
        lines = (ROOT / "requirements" / file).read_text().splitlines()
        return {name(line) for line in lines if re.match(r"[A-Za-z]", line)}

    needed = {name(requirement) for requirement in PROJECT["project"]["dependencies"]}
    assert needed - locked("run.lock") == set()
    assert {name(requirement) for requirement in PROJECT["dependency-groups"]["dev"]} - locked("dev.lock") == set()

"""README and docs name only commands, settings, topics, metrics, make targets, files and routes that exist."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml
from command_line import commands, complaint
from starlette.routing import BaseRoute, Match

from cuepoint.ops import document_tables
from cuepoint.ops.settings import Settings
from cuepoint.schemas.codec import type_name
from cuepoint.schemas.topics import TOPICS
from cuepoint.streams.metrics import REGISTRY

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FOLDERS = ("schemas", "models", "streams", "agents", "ops", "tests", "docs", "benchmarks", "requirements", "cuepoint")


class Line(NamedTuple):
    """A line of a page; ``fence`` is the language of the fence it stands in, None outside."""

    number: int
    text: str
    fence: str | None

    @property
    def code(self) -> list[str]:
        """What is set as code: the line in a fence, the spans in prose."""
        return [self.text] if self.fence is not None else re.findall(r"`([^`]+)`", self.text)


def lines(text: str) -> Iterator[Line]:
    fence: str | None = None
    for number, line in enumerate(text.splitlines(), 1):
        mark = re.match(r"\s*(?:```|~~~)\s*(\w*)", line)
        if mark:
            fence = mark[1] if fence is None else None
        else:
            yield Line(number, line, fence)


@functools.cache
def settings() -> set[str]:
    """Variables of Settings, and those that the source reads from the environment by itself."""
    read = re.compile(r"environ(?:\.get\(|\[)\s*[\"'](CUEPOINT_\w+)")
    found = {name for folder in FOLDERS for p in (ROOT / folder).rglob("*.py") for name in read.findall(p.read_text())}
    return found | {f"CUEPOINT_{name.upper()}" for name in Settings.model_fields}


@functools.cache
def metrics() -> set[str]:
    return {name for names in REGISTRY._collector_to_names.values() for name in names}


@functools.cache
def volumes() -> set[str]:
    """Volumes of docker-compose.yml, by the names the engine gives them."""
    return {f"cuepoint_{name}" for name in yaml.safe_load((ROOT / "docker-compose.yml").read_text())["volumes"]}


@functools.cache
def targets() -> set[str]:
    makefile = ROOT / "Makefile"
    return (
        set(re.findall(r"^([a-z][\w%-]*)\s*:(?!=)", makefile.read_text(), re.MULTILINE)) if makefile.exists() else set()
    )


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    heads = [line.text.lstrip("#").strip() for line in lines(page.read_text()) if re.match(r"#{1,6} ", line.text)]
    return {re.sub(r"[^\w\- ]", "", head.replace("`", "").lower()).replace(" ", "-") for head in heads}


def wrong_command(line: Line, page: Path) -> Iterator[str]:
    for code in line.code:
        for call in re.findall(r"(?:^|[\s$;&|(])cuepoint ((?:[a-z]|--)[^|&;#>`]*)", code):
            words = [word.strip("[](){}.,:\\") for word in call.split()]
            if fault := complaint([word for word in words if word]):
                yield fault


def wrong_setting(line: Line, page: Path) -> Iterator[str]:
    known = settings()
    yield from (f"no setting {name}" for name in re.findall(r"\bCUEPOINT_[A-Z]\w*", line.text) if name not in known)


def wrong_topic(line: Line, page: Path) -> Iterator[str]:
    topics = {topic.name for topic in TOPICS}
    types = {type_name(message) for topic in TOPICS for message in topic.messages}
    yield from (f"no topic {n}" for n in re.findall(r"\bcuepoint\.[a-z][a-z-]*\.v\d+\b", line.text) if n not in topics)
    yield from (
        f"no contract {n}" for n in re.findall(r"(?<![\w./-])[a-z][a-z-]*\.v\d+\b", line.text) if n not in types
    )


def wrong_metric(line: Line, page: Path) -> Iterator[str]:
    known = metrics() | {name.lower() for name in settings()} | volumes()
    found = re.findall(r"(?<![\w/.])cuepoint_[a-z][a-z0-9_]*\b(?![/.])", line.text)
    yield from (f"no metric {name}" for name in found if name not in known)


def wrong_target(line: Line, page: Path) -> Iterator[str]:
    known = targets()
    for code in line.code:
        for name in re.findall(r"(?:^|[\s$;&|])make ([a-z][\w-]*)", code):
            if name not in known and not any(k.endswith("%") and name.startswith(k[:-1]) for k in known):
                yield f"no make target {name}"


def wrong_file(line: Line, page: Path) -> Iterator[str]:
    for code in line.code:
        for name in re.findall(rf"(?<![\w./~-])((?:{'|'.join(FOLDERS)})/[\w./*-]*[\w*/])(?![\w-])", code):
            if not any(True for _ in ROOT.glob(name.rstrip("/"))):
                yield f"no file {name}"


def wrong_link(line: Line, page: Path) -> Iterator[str]:
    if line.fence is not None:
        return
    for target in re.findall(r"\]\(([^)\s]+)(?:\s+\"[^\"]*\")?\)", line.text):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        leads = (page.parent / path).resolve() if path else page
        if not leads.exists():
            yield f"the link to {target} leads nowhere"
        elif anchor and leads.suffix == ".md" and anchor not in anchors(leads):
            yield f"{leads.name} has no heading for #{anchor}"


def wrong_route(line: Line, page: Path) -> Iterator[str]:
    for method, path in re.findall(r"\b(GET|POST|PUT|PATCH|DELETE) (/[\w/{}.:-]*)", line.text):
        asked = {
            "type": "http",
            "method": method,
            "path": re.sub(r"\{\w+\}", "x", path),
            "root_path": "",
            "headers": [],
        }
        if not any(route.matches(dict(asked))[0] is Match.FULL for route in app_routes()):
            yield f"no route {method} {path}"


@functools.cache
def app_routes() -> list[BaseRoute]:
    """The routes of the API and console, as the server asks them."""
    from cuepoint.ops.api import build_app

    return list(build_app(Settings()).routes)


CHECKS: list[Callable[[Line, Path], Iterator[str]]] = [
    *(wrong_command, wrong_setting, wrong_topic, wrong_metric),
    *(wrong_target, wrong_file, wrong_link, wrong_route),
]


def faults(page: Path, check: Callable[[Line, Path], Iterator[str]], text: str | None = None) -> list[str]:
    """What a check finds on a page, each with its line."""
    name = page.relative_to(ROOT)
    body = page.read_text(encoding="utf-8") if text is None else text
    return [f"{name}:{line.number}: {fault}" for line in lines(body) for fault in check(line, page)]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_names_only_what_exists(page: Path, check: Callable[[Line, Path], Iterator[str]]) -> None:
    assert faults(page, check) == []


@pytest.mark.parametrize(
    ("check", "bad", "good"),
    [
        (wrong_command, "`cuepoint ingets FILE...`", "`cuepoint ingest FILE...`"),
        (wrong_command, "```console\n$ cuepoint run --fro 5\n```", "```console\n$ cuepoint run --for 5 | tail -1\n```"),
        (wrong_command, "`cuepoint topics destroy`", "`cuepoint topics create`"),
        (wrong_setting, "set CUEPOINT_BROKERS", "set `CUEPOINT_BROKER`, one of CUEPOINT_*"),
        (wrong_topic, "`cuepoint.change.v1`", "`cuepoint.changes.v1`"),
        (wrong_topic, "a `change.v2`", "a `change.v1`"),
        (wrong_metric, "`cuepoint_lag`", "`cuepoint_lag_records{topic}`, the file cuepoint_api_keys"),
        (wrong_target, "`make runn`", "make sure to type `make run`"),
        (wrong_file, "`ops/setings.py`", "`ops/settings.py`, `models/*.py`, `docs/`"),
        (wrong_link, "[x](nowhere.md)", "[x](contracts/asyncapi.json), [y](operations.md#backup)"),
        (wrong_route, "GET /v1/nothing", "`GET /readyz`, `POST /v1/events`"),
    ],
)
def test_a_check_finds_what_is_wrong_and_only_that(
    check: Callable[[Line, Path], Iterator[str]], bad: str, good: str
) -> None:
    page = ROOT / "docs" / "page.md"
    found = faults(page, check, f"# Title\n\n{bad}\n")
    assert len(found) == 1
    assert re.match(r"docs/page\.md:[345]: ", found[0])
    assert faults(page, check, good) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_generated_tables_are_current(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert text == document_tables.fill(text), "run: make documents"


def test_the_topics_and_operations_pages_have_their_tables() -> None:
    where = {
        "topics": "topics.md",
        "settings": "operations.md",
        "metrics": "operations.md",
        "commands": "operations.md",
    }
    assert set(where) == set(document_tables.TABLES)
    for table, page in where.items():
        assert f"<!-- table: {table} -->" in (ROOT / "docs" / page).read_text()


def test_the_operations_page_says_what_to_do_for_each_alert() -> None:
    groups = yaml.safe_load((ROOT / "ops" / "deploy" / "alerts.yml").read_text())["groups"]
    told = anchors(ROOT / "docs" / "operations.md")
    assert {rule["alert"].lower() for group in groups for rule in group["rules"]} - told == set()


def test_every_command_stands_in_some_page() -> None:
    text = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    assert {name for name in commands() if f"cuepoint {name}" not in text} == set()

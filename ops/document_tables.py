"""Tables of the docs that are made from the code: ``python -m cuepoint.ops.document_tables docs`` rewrites them.

A document marks the place of a table with ``<!-- table: NAME -->`` and ``<!-- end of table -->``.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import typer.main
from pydantic import SecretStr
from pydantic_core import PydanticUndefined

from cuepoint.ops.cli import app
from cuepoint.ops.settings import Settings
from cuepoint.ops.topic_flow import FLOW
from cuepoint.schemas.codec import type_name
from cuepoint.schemas.topics import DEAD_LETTERS, TOPICS, TREND_RECORDS, Topic
from cuepoint.streams.metrics import REGISTRY

_PLACE = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end of table -->)", re.DOTALL)


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *(tuple(cell.replace("|", "\\|") for cell in row) for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _partitions(topic: Topic) -> str:
    if topic is TREND_RECORDS:
        return "`CUEPOINT_TREND_PARTITIONS`, else `CUEPOINT_PARTITIONS`"
    return "`CUEPOINT_PARTITIONS`" if topic.partitions is None else str(topic.partitions)


def _code(names: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def topics() -> str:
    """A row a topic: what is in it, how it is kept, who writes and reads it, where its refused records go."""
    rows = []
    for topic in TOPICS:
        dead = DEAD_LETTERS.get(topic.name)
        rows.append(
            (
                f"`{topic.name}`",
                f"`{topic.key}`",
                ", ".join(f"[`{type_name(m)}`](contracts/{type_name(m)}.schema.json)" for m in topic.messages),
                _partitions(topic),
                "last of each key, for ever" if topic.compacted else "by the broker's retention",
                _code(FLOW[topic].writers),
                _code(FLOW[topic].readers),
                f"`{dead.name}`" if dead else "",
            )
        )
    return _table(("topic", "key", "messages", "partitions", "kept", "written by", "read by", "dead letters"), rows)


def _default(value: Any) -> str:
    if value is PydanticUndefined:
        return "(required)"
    plain = value.get_secret_value() if isinstance(value, SecretStr) else value
    return f"`{plain}`" if str(plain) else "(empty)"


def settings() -> str:
    """A row a setting, in the order of ops/settings.py: environment variable, default, what it does."""
    rows = [
        (f"`CUEPOINT_{name.upper()}`", _default(field.default), field.description or "")
        for name, field in Settings.model_fields.items()
    ]
    return _table(("setting", "default", "what it does"), rows)


def metrics() -> str:
    """A row a metric: its name as it is scraped, its labels, what it counts."""
    rows = []
    for collector in REGISTRY._collector_to_names:
        family = next(iter(collector.collect()))
        labels: tuple[str, ...] = getattr(collector, "_labelnames", ())
        name = f"{family.name}_total" if family.type == "counter" else family.name
        rows.append((f"`{name}`", family.type, _code(labels), family.documentation))
    return _table(("metric", "type", "labels", "what it says"), rows)


def commands() -> str:
    """A row a command, with its arguments and what it is for."""

    def rows(command: Any, typed: str) -> list[tuple[str, str]]:
        inner = getattr(command, "commands", {})
        own = []
        if not inner or command.invoke_without_command:
            wanted = (
                p.metavar or p.name.upper() for p in command.params if p.param_type_name == "argument" and p.required
            )
            own = [(f"`{' '.join([typed, *wanted])}`", (command.help or "").split("\n")[0])]
        return own + [row for name, below in inner.items() for row in rows(below, f"{typed} {name}")]

    return _table(("command", "what it is for"), rows(typer.main.get_command(app), "cuepoint"))


TABLES: dict[str, Callable[[], str]] = {
    "topics": topics,
    "settings": settings,
    "metrics": metrics,
    "commands": commands,
}


def fill(text: str) -> str:
    """A document with its tables as they should be now. Raises KeyError for a table that nobody makes.

    >>> fill("<!-- table: topics -->\\nold\\n<!-- end of table -->").splitlines()[2].split("|")[1]
    ' topic '
    """
    return _PLACE.sub(lambda place: f"{place[1]}\n{TABLES[place[2]]()}\n{place[3]}", text)


if __name__ == "__main__":
    for path in sorted(Path(sys.argv[1]).glob("*.md")):
        path.write_text(fill(path.read_text(encoding="utf-8")), encoding="utf-8")

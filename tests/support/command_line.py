"""Whether a command line of `cuepoint`, found in a document or a configuration, is one that the program has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import typer.main

from cuepoint.ops.cli import app


def commands() -> set[str]:
    """All commands as one would type them: ``ingest``, ``topics create``, ..."""

    def below(command: Any, words: tuple[str, ...]) -> set[str]:
        inner = getattr(command, "commands", None)
        if inner is None:
            return {" ".join(words)}
        return {found for name, item in inner.items() for found in below(item, (*words, name))}

    return below(typer.main.get_command(app), ())


def complaint(words: Sequence[str]) -> str | None:
    """What is wrong with ``cuepoint WORDS...``; None if its command and all its options exist."""
    command: Any = typer.main.get_command(app)
    rest, typed = list(words), ["cuepoint"]
    while getattr(command, "commands", None) is not None and rest and not rest[0].startswith("-"):
        name = rest.pop(0)
        typed.append(name)
        if name not in command.commands:
            return f"there is no command `{' '.join(typed)}`"
        command = command.commands[name]
    known = {"--help"}.union(*(set(p.opts) | set(p.secondary_opts) for p in command.params))
    for word in rest:
        option = word.split("=", 1)[0]
        if option.startswith("-") and option not in known and not option.lstrip("-").replace(".", "").isdigit():
            return f"`{' '.join(typed)}` has no option {option}"
    return None

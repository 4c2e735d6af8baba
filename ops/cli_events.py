"""The commands ``cuepoint events``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

events_app = typer.Typer(help="Player events.", no_args_is_help=True, rich_markup_mode=None)


@events_app.callback()
def events() -> None:
    """Player events."""


@events_app.command("ingest")
def events_ingest(
    file: Annotated[Path, typer.Argument(help="A player's or CDN's log: CSV, TSV or JSON lines.", metavar="FILE")],
    mapping: Annotated[Path, typer.Option(help="YAML: which column is which field.")],
    url: Annotated[str | None, typer.Option("--api", help="The API; else the address in the settings.")] = None,
) -> None:
    """Send a log file's events through the API; the last line is a JSON object."""
    from cuepoint.ops.cli import read_settings
    from cuepoint.ops.ingest_events import ingest_events

    sent = ingest_events(read_settings(), file, mapping, url)
    typer.echo(json.dumps({"events": sent.events, "refused": sent.refused}))

"""The commands ``cuepoint rules``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from cuepoint.ops.settings import Settings

rules_app = typer.Typer(help="Ad-insertion rules.", no_args_is_help=True, rich_markup_mode=None)


def _settings() -> Settings:
    from cuepoint.ops.cli import read_settings

    return read_settings()


@rules_app.command("list")
def rules_list(
    file: Annotated[Path | None, typer.Argument(help="A YAML file; else the rules in the database.")] = None,
) -> None:
    """The rules: id, version, status, and what each does in words."""
    from cuepoint.ops.rules_command import list_rules

    for line in list_rules(file, _settings()):
        typer.echo(line)


@rules_app.command("republish")
def rules_republish() -> None:
    """Have the API publish the database's rules anew: after the broker lost its log, or with a new one."""
    from cuepoint.ops.rules_command import republish_rules

    typer.echo(f"{republish_rules(_settings())} versions will be published by the API")


@rules_app.command("preview")
def rules_preview(
    file: Annotated[Path, typer.Argument(help="A YAML file of rules.", metavar="FILE")],
    viewing: Annotated[str, typer.Option(help='What is watched and by whom: "length_s=300 category=news".')] = "",
    rule: Annotated[str | None, typer.Option(help="Only the rule with this id.")] = None,
) -> None:
    """What rules insert, on a video's timeline."""
    from cuepoint.ops.rules_command import preview_rules, read_viewing

    for line in preview_rules(file, read_viewing(viewing), rule):
        typer.echo(line)


@rules_app.command("explain")
def rules_explain(
    events: Annotated[Path, typer.Argument(help="A recorded session: player events as JSON lines.", metavar="EVENTS")],
    file: Annotated[Path | None, typer.Option("--rules", help="A YAML file; else the rules in the database.")] = None,
    rule: Annotated[str | None, typer.Option(help="Only the rule with this id.")] = None,
) -> None:
    """Why rules inserted what they did into a recorded session, and why they did not."""
    from cuepoint.ops.rules_command import explain_session

    for line in explain_session(events, file, rule, _settings()):
        typer.echo(line)


@rules_app.command("check")
def rules_check(file: Annotated[Path, typer.Argument(help="A YAML file of rules.", metavar="FILE")]) -> None:
    """Check a file of rules; says each problem with its place, and what of a rule others keep out of reach."""
    from cuepoint.ops.rules_command import check_rules, warnings_in

    typer.echo(f"{file}: {check_rules(file)} rules, all can be used")
    for warning in warnings_in(file):
        typer.echo(f"warning: {warning}", err=True)

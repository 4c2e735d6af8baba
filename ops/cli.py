"""The command ``cuepoint``. Every subcommand imports what it needs when it is called, so that ``--help`` is quick."""

from __future__ import annotations

import os
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cuepoint.ops.cli_events import events_app
from cuepoint.ops.cli_rules import rules_app
from cuepoint.schemas.errors import ConfigurationError, CuepointError

if TYPE_CHECKING:
    from cuepoint.ops.settings import Settings

app = typer.Typer(
    help="Streaming event processing for media catalogues and on-demand video.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help: rich would treble the time to --help
)
topics_app = typer.Typer(help="The topics of the broker.", no_args_is_help=True, rich_markup_mode=None)
simulate_app = typer.Typer(invoke_without_command=True, rich_markup_mode=None)
for _part, _name in ((simulate_app, "simulate"), (topics_app, "topics"), (rules_app, "rules"), (events_app, "events")):
    app.add_typer(_part, name=_name)
alerts_app = typer.Typer(help="Alerts: significant changes.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(alerts_app, name="alerts")


def main() -> None:
    """Run the command line; errors of Cuepoint become one sentence and an exit code (2: configuration, 1: else)."""
    try:
        app()
    except CuepointError as error:
        sys.stderr.write(f"cuepoint: {error}\n")
        sys.exit(2 if isinstance(error, ConfigurationError) else 1)
    except BrokenPipeError:  # the reader of our output, a pager say, has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


def read_settings() -> Settings:
    """The settings of the environment. Raises ConfigurationError naming the variable."""
    from pydantic import ValidationError

    from cuepoint.ops.settings import Settings

    try:
        return Settings()
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ConfigurationError(f"CUEPOINT_{place.upper()}: {first['msg']}") from None


@app.command()
def run(
    *,
    seconds: Annotated[
        float | None, typer.Option("--for", min=1, help="End by itself after so many seconds.", metavar="SECONDS")
    ] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port of the console and API; 0: any.")] = 8700,
    speed: Annotated[
        float, typer.Option(min=0.01, help="Days of the sample replayed a second.", metavar="DAYS_PER_SECOND")
    ] = 8.0,
    sessions: Annotated[int, typer.Option(min=0, help="Simulated playback sessions at once.")] = 100,
    simulated: Annotated[int, typer.Option(min=0, help="Simulated assets beside the real tracks; 0: none.")] = 48,
    open_: Annotated[bool, typer.Option("--open/--no-open", help="Open the console in a browser.")] = True,
) -> None:
    """Everything on this machine: broker, Redis, workers, console, a replay of real counts, simulated viewers."""
    from cuepoint.ops.embedded import EmbeddedOptions, run_embedded

    options = EmbeddedOptions(
        seconds=seconds,
        port=port,
        days_per_s=speed,
        sessions=sessions,
        simulated=simulated,
        open_browser=open_ and sys.stdout.isatty(),
    )
    raise typer.Exit(run_embedded(options, read_settings()))


@app.command()
def worker(
    role: Annotated[
        str, typer.Argument(help="trends, sessions, counts, views, store, catalogue or alerts", metavar="ROLE")
    ],
) -> None:
    """One worker; start several of a role to share its partitions."""
    from cuepoint.ops.worker import run_worker

    run_worker(role, read_settings())


@app.command()
def api() -> None:
    """The HTTP API and the console."""
    from cuepoint.ops.api import serve

    serve(read_settings())


@app.command()
def ingest(
    files: Annotated[
        list[Path] | None,
        typer.Argument(help="CSV, TSV, JSON lines, Parquet or DDEX; also .gz or .zst", metavar="[FILE...]"),
    ] = None,
    *,
    preset: Annotated[
        str | None,
        typer.Option(help="cuepoint (the default), spotify-charts, trends-jsonl, apple or ddex-sr: docs/reports.md"),
    ] = None,
    mapping: Annotated[Path | None, typer.Option(help="A YAML file: which column is what.")] = None,
    dsp: Annotated[str | None, typer.Option(help="The service all rows are of.")] = None,
    territory: Annotated[
        str | None, typer.Option(help="The territory all rows are of, e.g. US; WW: the world.")
    ] = None,
    version: Annotated[int | None, typer.Option(min=1, help="2 or more: these reports replace earlier ones.")] = None,
    speed: Annotated[
        float | None, typer.Option(min=0.001, help="Days sent a second; else as fast as the broker takes them.")
    ] = None,
    strict: Annotated[bool, typer.Option(help="Send nothing and fail if any row is broken.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Send nothing; say what is in the files.")] = False,
    simulated: Annotated[
        int, typer.Option(min=0, help="Beside each day send that of a simulated catalogue of so many assets.")
    ] = 0,
    withdraw: Annotated[
        str | None,
        typer.Option(help="No files: take back the report of this day (of --dsp, --territory, up to --version)."),
    ] = None,
) -> None:
    """Read files of reports; send them as whole reports."""
    from cuepoint.ops import ingest_command
    from cuepoint.ops.ingest_rows import Report

    if withdraw is not None:
        if files or not dsp:
            raise ConfigurationError("--withdraw takes no files, and needs --dsp")
        report = Report(dsp, territory or "WW", ingest_command.a_day(withdraw), version or 1)
        ingest_command.withdraw_report(read_settings(), report)
        return
    options = ingest_command.IngestOptions(
        preset=preset,
        mapping_file=mapping,
        dsp=dsp,
        territory=territory,
        version=version,
        days_per_s=speed,
        strict=strict,
        dry_run=dry_run,
        simulated=simulated,
    )
    raise typer.Exit(ingest_command.ingest_files(read_settings(), files or [], options))


@app.command("ingest-assets")
def ingest_assets(
    files: Annotated[list[Path], typer.Argument(help="CSV, TSV, JSON lines or Parquet", metavar="FILE...")],
    *,
    strict: Annotated[bool, typer.Option(help="Fail if any row is broken; the others are sent.")] = False,
) -> None:
    """Read files of metadata: id, title, ISRC and what services call each asset."""
    from cuepoint.ops.ingest_command import ingest_assets as send

    summary = send(read_settings(), files)
    raise typer.Exit(1 if strict and summary.broken else 0)


@simulate_app.callback()
def simulate(
    context: typer.Context,
    *,
    sessions: Annotated[int, typer.Option(min=1, help="Playback sessions at once.")] = 100,
    rate: Annotated[float, typer.Option(min=0.01, help="Simulated seconds in one second.")] = 1.0,
    seconds: Annotated[float | None, typer.Option("--for", min=0.1, help="End after so many seconds.")] = None,
    seed: Annotated[int, typer.Option(help="The same seed, the same viewers.")] = 1,
    url: Annotated[str | None, typer.Option("--api", help="The API; else the address in the settings.")] = None,
    topic: Annotated[bool, typer.Option(help="Write to the topic, not through the API.")] = False,
) -> None:
    """Simulated viewers: their player events go in, the ad decisions they get change what they do."""
    if context.invoked_subcommand is not None:
        return
    from cuepoint.ops.simulate import SimulationOptions, simulate_viewers

    options = SimulationOptions(sessions=sessions, rate=rate, seconds=seconds, seed=seed, api=url, to_topic=topic)
    simulate_viewers(options, read_settings())


@simulate_app.command("catalogue")
def simulate_catalogue(
    out: Annotated[Path, typer.Option(help="A new folder for the report files and truth.jsonl.", metavar="DIR")],
    *,
    assets: Annotated[int, typer.Option(min=1, max=10_000_000, help="Assets of the catalogue.")] = 1000,
    days: Annotated[int, typer.Option(min=1, max=3660, help="Days, a report file each.")] = 90,
    seed: Annotated[int, typer.Option(min=0, help="The same seed, the same catalogue.")] = 1,
    first_day: Annotated[str, typer.Option(help="The day it begins with.", metavar="YYYY-MM-DD")] = "2024-01-01",
    median: Annotated[float, typer.Option(min=0.01, help="Streams a day of the median asset.")] = 30.0,
    event_share: Annotated[float, typer.Option(min=0, max=1, help="Assets that meet an event; 0: none does.")] = 0.3,
    groups: Annotated[bool, typer.Option(help="Split by gender, age and subscription.")] = True,
    format_: Annotated[str, typer.Option("--format", help="parquet or csv")] = "parquet",
) -> None:
    """A simulated catalogue: reports of consumption with known events and their causes."""
    from cuepoint.ops.simulate_catalogue import simulate_files

    simulate_files(
        out, format_, seed, assets=assets, days=days, first_day=first_day, median_count=median,
        event_share=event_share, groups=groups,
    )  # fmt: skip


@app.command()
def analyse(
    file: Annotated[Path, typer.Argument(help="Counts: CSV, TSV, Parquet or JSON lines; columns asset, date, count.")],
    *,
    out: Annotated[Path, typer.Option(help="Folder for days, regions and forecasts.")],
    mapping: Annotated[Path | None, typer.Option(help="YAML that says which column is what.")] = None,
    form: Annotated[str, typer.Option("--format", help="parquet or csv")] = "parquet",
    missing: Annotated[str, typer.Option(help="A day without a row: unknown, zero or absent.")] = "unknown",
    by: Annotated[list[str] | None, typer.Option(help="A column that splits an asset's counts; else summed.")] = None,
    market: Annotated[bool, typer.Option(help="Take out what the whole market did.")] = True,
    horizon: Annotated[int, typer.Option(min=0, help="Days to forecast from each --origin.")] = 0,
    origin: Annotated[
        list[datetime] | None, typer.Option(formats=["%Y-%m-%d"], help="Last day a forecast may see; may be repeated.")
    ] = None,
    params: Annotated[Path | None, typer.Option(help="Hyperparameters of cuepoint fit.")] = None,
    memory: Annotated[int, typer.Option(min=64, help="MB for sorting; more goes to disk.")] = 512,
) -> None:
    """Score every day of a file of counts as the stream would, regions and forecasts too; no broker needed."""
    from cuepoint.ops.analyse import AnalyseOptions
    from cuepoint.ops.analyse import analyse as run
    from cuepoint.ops.analyse_fit import read_params

    options = AnalyseOptions(
        mapping=mapping,
        form=form,
        missing=missing,
        split=by or [],
        with_market=market,
        params=read_params(params) if params else None,
        horizon=horizon,
        origins=[day.date() for day in origin or []],
        memory_mb=memory,
    )
    done = run(file, out, options)
    typer.echo(f"{done.series} series, {done.days} days, {done.rows} scored, {done.regions} regions")
    for path in done.paths:
        typer.echo(path)


@app.command()
def fit(
    file: Annotated[
        Path | None, typer.Argument(help="Counts, as for analyse; else the consumption store's.", metavar="[FILE]")
    ] = None,
    *,
    out: Annotated[Path | None, typer.Option(help="JSON file for analyse --params.")] = None,
    mapping: Annotated[Path | None, typer.Option(help="YAML that says which column is what.")] = None,
    assets: Annotated[int, typer.Option(min=2, help="Series to take, evenly over the catalogue.")] = 2_000,
    params: Annotated[
        Path | None, typer.Option(help="Begin with these, not with those in force; they are what is replaced.")
    ] = None,
    publish: Annotated[
        bool, typer.Option("--publish", help="Tell the running workers, where they are better than those in force.")
    ] = False,
    from_day: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="First day they hold; else that after the counts.")
    ] = None,
) -> None:
    """Learn the filter's hyperparameters from a catalogue; half of the assets are held out and decide."""
    from cuepoint.ops import fit_command
    from cuepoint.ops.analyse_fit import read_params

    if publish and params:
        raise ConfigurationError("--publish begins with the hyperparameters in force: leave --params away")
    if not publish and not out:
        raise ConfigurationError("--out FILE, or --publish: where to with what was learnt?")
    settings = read_settings()
    counts = fit_command.file_counts(file, mapping, assets) if file else fit_command.store_counts(settings, assets)
    if publish:
        first = from_day.date() if from_day else None
        outcome = fit_command.fit_and_publish(settings, counts, from_day=first, out=out)
    else:
        outcome = fit_command.fit_counts(counts, out, read_params(params) if params else None)
    for line in fit_command.described(outcome, publish=publish):
        typer.echo(line)
    if out:
        typer.echo(out)


@app.command()
def query(
    *,
    by: Annotated[str, typer.Option(help="Dimensions to group by: day,dsp,context,...")] = "day",
    asset: Annotated[list[str] | None, typer.Option(help="Only this asset; may be repeated.")] = None,
    since: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="First day.")] = None,
    until: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Last day.")] = None,
    where: Annotated[
        list[str] | None, typer.Option(help="A dimension's value; may be repeated.", metavar="NAME=VALUE")
    ] = None,
    sql: Annotated[
        str | None, typer.Option(help="One SELECT over the tables consumption and reports instead; read-only.")
    ] = None,
    form: Annotated[str, typer.Option("--format", help="table, csv or json (an object a line)")] = "table",
) -> None:
    """Ask the consumption store: sums of streams by any dimension, or your own SQL."""
    from cuepoint.ops.query_command import query_store

    query_store(
        read_settings(),
        sql=sql,
        by=by,
        assets=asset or [],
        since=since.date() if since else None,
        until=until.date() if until else None,
        where=where or [],
        form=form,
    )


@app.command()
def schema(
    out: Annotated[Path | None, typer.Option(help="Folder for the documents; else AsyncAPI to stdout.")] = None,
) -> None:
    """JSON Schema and AsyncAPI documents of the contracts."""
    from cuepoint.ops import schema_documents

    if out is None:
        typer.echo(schema_documents.asyncapi_text())
        return
    for path in schema_documents.write_documents(out):
        typer.echo(path)


@app.command()
def doctor() -> None:
    """Check the surroundings: Python, broker, Redis, ports, disk, settings."""
    from cuepoint.ops.doctor import examine

    raise typer.Exit(examine(read_settings))


@topics_app.command("create")
def topics_create() -> None:
    """Create the topics that are missing."""
    from cuepoint.streams.topics_admin import create_topics

    settings = read_settings()
    made = settings.partitions, settings.replication, settings.topic_prefix
    created = create_topics(settings.broker, *made, trend_partitions=settings.trend_partitions)
    typer.echo("\n".join(created) if created else "all topics are there already")


@alerts_app.command("follow")
def alerts_follow(
    *,
    asset: Annotated[list[str] | None, typer.Option(help="Only this asset; may be repeated.")] = None,
    event: Annotated[
        list[str] | None, typer.Option(help="change, opportunity; may be repeated (both where not given).")
    ] = None,
    kind: Annotated[str | None, typer.Option(help="rapid or gradual")] = None,
    direction: Annotated[str | None, typer.Option(help="up or down")] = None,
    least_percent: Annotated[float, typer.Option(min=0, help="Only regions at least so large.")] = 0.0,
    least_per_day: Annotated[float, typer.Option(min=0, help="The same, in streams a day.")] = 0.0,
    group: Annotated[str | None, typer.Option(help="Resume where this consumer group was; else from now.")] = None,
    beginning: Annotated[bool, typer.Option(help="From the first change the broker has.")] = False,
    idle: Annotated[float | None, typer.Option(help="End when none came for so long.", metavar="SECONDS")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The messages themselves, one a line.")] = False,
) -> None:
    """Changes and opportunities in this terminal as they come; one line a revision."""
    from cuepoint.ops.alerts_command import follow_alerts

    wanted = {
        "events": event or ["change", "opportunity"],
        "assets": asset or [],
        "kinds": [kind] if kind else [],
        "directions": [direction] if direction else [],
        "least_size_percent": least_percent,
        "least_size_per_day": least_per_day,
    }
    follow_alerts(read_settings(), wanted=wanted, group=group, beginning=beginning, idle_s=idle, as_json=as_json)


@app.command()
def version() -> None:
    """The installed version."""
    from importlib.metadata import version as installed_version

    typer.echo(installed_version("cuepoint"))


if __name__ == "__main__":
    main()

"""The composition of ``cuepoint ingest`` and ``ingest-assets``: mapping, spool, producer, progress, summary."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from cuepoint.ops.ingest import Ingest, Summary, check_files
from cuepoint.ops.ingest_assets import AssetsSummary, send_assets
from cuepoint.ops.ingest_mapping import Mapping, load_mapping, override
from cuepoint.ops.ingest_position import Position, run_of
from cuepoint.ops.ingest_presets import preset
from cuepoint.ops.ingest_progress import IngestProgress
from cuepoint.ops.ingest_reports import Nowhere, Privacy, ReportSender
from cuepoint.ops.ingest_rows import Report
from cuepoint.ops.ingest_spool import Spool
from cuepoint.ops.settings import Settings
from cuepoint.schemas.errors import ConfigurationError
from cuepoint.schemas.topics import CONSUMPTION, TREND_RECORDS
from cuepoint.schemas.trends import Asset
from cuepoint.streams.producer import SyncProducer, partition_of
from cuepoint.streams.topic_feed import read_assets
from cuepoint.streams.topics_admin import partition_count


@dataclass(frozen=True, kw_only=True)
class IngestOptions:
    """What the command line says."""

    preset: str | None = None
    mapping_file: Path | None = None
    dsp: str | None = None
    territory: str | None = None
    version: int | None = None
    days_per_s: float | None = None
    strict: bool = False
    dry_run: bool = False
    simulated: int = 0  # assets of a simulated catalogue, sent beside


def ingest_files(settings: Settings, files: Sequence[Path], options: IngestOptions | None = None) -> int:
    """Send the files' reports to the broker of the settings. Returns the exit code: 1 where ``strict`` refused them.

    Raises ConfigurationError (mapping, file, disk) and Unavailable (broker).
    """
    options = options or IngestOptions()
    chosen = choose_mapping(options.preset, options.mapping_file)
    mapping = override(chosen, options.dsp, options.territory, options.version)
    if not files:
        raise ConfigurationError("name a file to ingest")
    check_files(files, mapping)
    privacy = Privacy(settings.consumers_min, settings.quarantine_cells_max)
    if options.dry_run:
        return _dry_run(settings, files, mapping, privacy, strict=options.strict)
    partitions = _partitions(settings)
    producer = _producer(settings)
    run = run_of(files, mapping, privacy, partitions, settings.broker, settings.topic_prefix, settings.log_id)
    try:
        with IngestProgress() as progress, Spool(settings.data_dir, settings.ingest_memory_bytes) as spool:
            reports = ReportSender(producer, *partitions, partition_of, privacy)
            ingest = Ingest(
                producer,
                reports,
                progress,
                catalogue=lambda first: _catalogue(settings, first),
                position=Position(settings.data_dir, run),
                days_per_s=options.days_per_s,
                beside=_beside(producer, reports, options.simulated),
            )
            summary = ingest.run(files, mapping, spool, strict=options.strict)
            _tell(summary, progress, options.strict)
    finally:
        producer.close()
    return 1 if options.strict and summary.dead_letters else 0


def _beside(producer: SyncProducer, reports: ReportSender, assets: int) -> Callable[[dt.date], None]:
    if not assets:
        return lambda day: None
    from cuepoint.ops.simulated_reports import SimulatedReports

    return SimulatedReports(producer, reports, assets).send


def withdraw_report(settings: Settings, report: Report) -> None:
    """Take back ``report`` and every lower version of it. Raises Unavailable (broker)."""
    producer = _producer(settings)
    try:
        ReportSender(producer, *_partitions(settings), partition_of, Privacy()).withdraw(report)
        producer.flush()
    finally:
        producer.close()


def ingest_assets(settings: Settings, files: Sequence[Path]) -> AssetsSummary:
    """Send the files' metadata. Raises ConfigurationError (file) and Unavailable (broker)."""
    producer = _producer(settings)
    try:
        with IngestProgress() as progress:
            summary = send_assets(files, producer, progress, lambda: (asset for _, asset in _catalogue(settings, 0)))
            for line in summary.first_broken:
                progress.say(f"broken row: {line}")
            progress.say(f"{summary.rows} rows: {summary.sent} assets sent, {summary.broken} broken rows")
    finally:
        producer.close()
    return summary


def choose_mapping(name: str | None, mapping_file: Path | None) -> Mapping:
    """The preset or the file's mapping. Raises ConfigurationError for an unknown preset, or for both."""
    if name and mapping_file:
        raise ConfigurationError("give --preset or --mapping, not both")
    return load_mapping(mapping_file) if mapping_file else preset(name or "cuepoint")


def a_day(text: str) -> dt.date:
    """A day of the command line. Raises ConfigurationError."""
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        raise ConfigurationError(f"`{text}` is not a day of the form YYYY-MM-DD") from None


def _dry_run(settings: Settings, files: Sequence[Path], mapping: Mapping, privacy: Privacy, *, strict: bool) -> int:
    """Read everything and send nothing; no broker is asked, so that nothing is known of the catalogue either."""
    sender = Nowhere()
    with IngestProgress() as progress, Spool(settings.data_dir, settings.ingest_memory_bytes) as spool:
        ingest = Ingest(sender, ReportSender(sender, 1, 1, partition_of, privacy), progress)
        summary = ingest.run(files, mapping, spool)
        for line in summary.first_broken:
            progress.say(f"broken row: {line}")
        names = "assets by our own ids" if mapping.own_ids else "assets to be looked up in the catalogue"
        progress.say(
            f"dry run, nothing was sent: {summary.rows} rows, {summary.streams} streams in {summary.reports} "
            f"reports of {len(spool.assets)} {names}; {summary.dead_letters} broken rows"
        )
        for field, count in summary.broken_fields.most_common():
            progress.say(f"  {field}: {count} rows")
    return 1 if strict and summary.dead_letters else 0


def _catalogue(settings: Settings, first: int) -> Iterable[tuple[int, Asset]]:
    return read_assets(settings.broker, settings.topic_prefix, first, settings.broker_request_timeout_s)


def _partitions(settings: Settings) -> tuple[int, int]:
    patience_s = min(10.0, settings.broker_request_timeout_s)
    trend = partition_count(settings.broker, TREND_RECORDS, settings.topic_prefix, patience_s)
    return trend, partition_count(settings.broker, CONSUMPTION, settings.topic_prefix, patience_s)


def _producer(settings: Settings) -> SyncProducer:
    return SyncProducer(
        settings.broker,
        source="cuepoint/ingest",
        prefix=settings.topic_prefix,
        queue_records=settings.producer_queue_records,
        queue_bytes=settings.producer_queue_bytes,
        linger_ms=settings.producer_linger_ms,
        timeout_s=settings.broker_request_timeout_s,
    )


def _tell(summary: Summary, progress: IngestProgress, strict: bool) -> None:
    for line in summary.first_broken:
        progress.say(f"broken row: {line}")
    said = (
        f"{summary.rows} rows: {summary.records} records and {summary.cells} cells in {summary.reports} reports, "
        f"{summary.assets} assets"
    )
    if summary.resumed:
        said += f"; {summary.resumed} reports were sent before the last run was interrupted"
    if summary.quarantined:
        said += f"; {summary.quarantined} counts of unknown assets wait in quarantine for their metadata"
    if summary.dead_letters:
        codes = ", ".join(f"{count} {code}" for code, count in summary.broken.most_common())
        said += f"; {summary.dead_letters} broken rows are on the dead-letter topic ({codes})"
        if strict:
            said += "; no record was sent (--strict)"
    progress.say(said)

"""The composition of ``cuepoint ingest``: mapping, spool, producer, progress, summary."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cuepoint.ops.ingest import Ingest, Summary, check_files
from cuepoint.ops.ingest_mapping import PRESETS, Mapping, load_mapping, override
from cuepoint.ops.ingest_progress import IngestProgress
from cuepoint.ops.ingest_spool import Spool
from cuepoint.ops.settings import Settings
from cuepoint.schemas.errors import ConfigurationError
from cuepoint.schemas.topics import TREND_RECORDS
from cuepoint.streams.producer import SyncProducer, partition_of
from cuepoint.streams.topics_admin import partition_count


def ingest_files(
    settings: Settings,
    files: Sequence[Path],
    *,
    preset: str | None = None,
    mapping_file: Path | None = None,
    dsp: str | None = None,
    territory: str | None = None,
    version: int | None = None,
    days_per_s: float | None = None,
    strict: bool = False,
) -> int:
    """Send the files' reports to the broker of the settings. Returns the exit code: 1 where ``strict`` refused them.

    Raises ConfigurationError (mapping, file, disk) and Unavailable (broker).
    """
    mapping = override(choose_mapping(preset, mapping_file), dsp, territory, version)
    check_files(files, mapping)
    patience_s = min(10.0, settings.broker_request_timeout_s)
    partitions = partition_count(settings.broker, TREND_RECORDS, settings.topic_prefix, patience_s)
    producer = SyncProducer(
        settings.broker,
        source="cuepoint/ingest",
        prefix=settings.topic_prefix,
        queue_records=settings.producer_queue_records,
        queue_bytes=settings.producer_queue_bytes,
        linger_ms=settings.producer_linger_ms,
        timeout_s=settings.broker_request_timeout_s,
    )
    try:
        with IngestProgress() as progress, Spool(settings.data_dir) as spool:
            ingest = Ingest(producer, partitions, partition_of, progress, days_per_s)
            summary = ingest.run(files, mapping, spool, strict=strict)
            _tell(summary, progress, strict)
    finally:
        producer.close()
    return 1 if strict and summary.dead_letters else 0


def choose_mapping(preset: str | None, mapping_file: Path | None) -> Mapping:
    """The preset or the file's mapping. Raises ConfigurationError for an unknown preset, or for both."""
    if preset and mapping_file:
        raise ConfigurationError("give --preset or --mapping, not both")
    if mapping_file:
        return load_mapping(mapping_file)
    if (preset or "cuepoint") not in PRESETS:
        raise ConfigurationError(f"there is no preset `{preset}`; there are {', '.join(sorted(PRESETS))}")
    return PRESETS[preset or "cuepoint"]


def _tell(summary: Summary, progress: IngestProgress, strict: bool) -> None:
    for line in summary.first_broken:
        progress.say(f"broken row: {line}")
    said = f"{summary.rows} rows: {summary.records} records in {summary.reports} reports, {summary.assets} assets"
    if summary.dead_letters:
        codes = ", ".join(f"{count} {code}" for code, count in summary.broken.most_common())
        said += f"; {summary.dead_letters} broken rows are on the dead-letter topic ({codes})"
        if strict:
            said += "; no record was sent (--strict)"
    progress.say(said)

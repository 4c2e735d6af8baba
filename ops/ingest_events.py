"""``cuepoint events ingest``: a log file's events through the collector, which stamps, refuses and keeps them as any
player's."""

from __future__ import annotations

import asyncio
import csv
import json
import sys
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import IO, Any

import msgspec
import yaml

from cuepoint.models.event_mapping import EventMapping, map_rows, read_mapping
from cuepoint.ops.settings import Settings
from cuepoint.ops.simulate_ports import BATCH_EVENTS, ApiPort
from cuepoint.schemas.errors import ConfigurationError, ContractError


class Sent(msgspec.Struct, frozen=True):
    """``refused``: events by the field that was refused; they are dead letters."""

    events: int
    refused: dict[str, int]


def ingest_events(settings: Settings, file: Path, mapping_file: Path, url: str | None) -> Sent:
    """Send the file's events. Raises ConfigurationError (file, mapping), Unavailable (API)."""
    mapping = _mapping(mapping_file)
    keys = settings.player_keys()
    address = url or f"http://{settings.api_host}:{settings.api_port}"
    return asyncio.run(_send(file, mapping, address.rstrip("/"), keys[0] if keys else ""))


def _mapping(path: Path) -> EventMapping:
    try:
        return read_mapping(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigurationError(f"cannot read {path}: {error}") from None
    except ContractError as error:
        raise ConfigurationError(f"{path}: {error.field} {error.reason}") from None


async def _send(file: Path, mapping: EventMapping, url: str, key: str) -> Sent:
    port, events, refused = ApiPort(url, key), 0, Counter[str]()
    try:
        source = _opened(file)
        with source:
            mapped = map_rows(_rows(source, mapping.format), mapping)
            while part := list(islice(mapped, BATCH_EVENTS)):
                errors = (await port.post(part)).errors
                refused.update(str(error.get("field")) for error in errors)
                events += len(part) - len(errors)
    finally:
        await port.close()
    sys.stderr.write(f"{file}: {events} events taken, {sum(refused.values())} refused\n")
    return Sent(events, dict(refused))


def _opened(file: Path) -> IO[str]:
    try:
        return file.open(encoding="utf-8-sig", errors="replace", newline="")
    except OSError as error:
        raise ConfigurationError(f"cannot read {file}: {error.strerror}") from None


def _rows(source: IO[str], written: str) -> Iterator[dict[str, Any]]:
    if written != "jsonl":
        yield from csv.DictReader(source, delimiter="\t" if written == "tsv" else ",")
        return
    for line in source:
        if line.strip():
            try:
                row = json.loads(line)
            except ValueError:
                row = None
            yield row if isinstance(row, dict) else {"": line[:1000]}  # without a session: refused, and kept

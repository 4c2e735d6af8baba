"""``cuepoint ingest-assets``: files of metadata become assets on the compacted topic."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Sequence
from collections.abc import Mapping as MappingType
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from cuepoint.ops.ingest_identity import merged
from cuepoint.ops.ingest_letters import MAX_ORIGINAL_BYTES, id_of
from cuepoint.ops.ingest_progress import IngestProgress
from cuepoint.ops.ingest_read import Read, Source, original_of
from cuepoint.ops.ingest_reports import Sender
from cuepoint.schemas.codec import explain
from cuepoint.schemas.errors import ConfigurationError, ContractError
from cuepoint.schemas.faults import DeadLetter
from cuepoint.schemas.topics import ASSETS, DEAD_ASSETS
from cuepoint.schemas.trends import Asset

_FIELDS = ("asset_id", "title", "artist", "isrc", "upc", "released", "owner")
_BETWEEN = re.compile(r"[;|\s]+")


@dataclass
class AssetsSummary:
    """What was read and sent."""

    rows: int = 0
    sent: int = 0
    broken: int = 0
    first_broken: list[str] = field(default_factory=list)

    def refuse(self, sender: Sender, path: Path, read: Read, fault: ContractError) -> None:
        """A broken row becomes a dead letter."""
        original, now_ms = original_of(read)[:MAX_ORIGINAL_BYTES], int(time.time() * 1000)
        letter = DeadLetter.of(fault, original, now_ms, topic=ASSETS.name, source=path.name, line=read.line)
        sender.send(DEAD_ASSETS, ASSETS.name, letter, id=id_of(letter))
        self.broken += 1
        if len(self.first_broken) < 5:
            self.first_broken.append(f"{path.name}:{read.line}: {fault.field}: {fault.reason}")


def read_asset(row: MappingType[str, Any]) -> Asset:
    """Columns are named like the fields of ``asset.v1``; ``identifiers`` is a list, or text with spaces or semicolons
    between them. Raises ContractError naming the field.

    >>> read_asset({"asset_id": "a", "title": "A", "identifiers": "isrc:USUM71900764; deezer:7"}).identifiers
    ['isrc:USUM71900764', 'deezer:7']
    """
    found = {name: row[name] for name in _FIELDS if row.get(name) not in (None, "")}
    found |= {name: str(value) for name, value in found.items() if isinstance(value, int)}
    names = row.get("identifiers") or []
    found["identifiers"] = [name for name in _BETWEEN.split(names) if name] if isinstance(names, str) else names
    try:
        asset = msgspec.convert(found, Asset, strict=False)
    except msgspec.ValidationError as error:
        raise explain(error) from None
    for place, name in enumerate(asset.identifiers):
        if not all(name.partition(":")[::2]):
            raise ContractError("invalid", f"$.identifiers[{place}]", "must be `scheme:value`, e.g. isrc:USUM71900764")
    return asset


def send_assets(
    files: Sequence[Path], sender: Sender, progress: IngestProgress, known: Callable[[], Iterable[Asset]]
) -> AssetsSummary:
    """Send what says something new; of an asset in several rows the last counts, and no identifier is lost.

    Raises ConfigurationError for a file that cannot be read, Unavailable (broker).
    """
    summary, told = AssetsSummary(), dict[str, Asset]()
    for path in files:
        with Source(path) as source:
            if source.header and not {"asset_id", "title"} <= set(source.header):
                raise ConfigurationError(f"{path} needs the columns `asset_id` and `title`")
            progress.begin(f"reading {path.name}", source.size_bytes)
            for read in source.rows():
                summary.rows += 1
                try:
                    if read.row is None:
                        raise read.fault or ContractError("malformed", "$", "not a row")
                    asset = read_asset(read.row)
                    told[asset.asset_id] = merged(told.get(asset.asset_id), asset)
                except ContractError as fault:
                    summary.refuse(sender, path, read, fault)
                progress.at(source.done_bytes)
    before = {asset.asset_id: asset for asset in known() if asset.asset_id in told}
    for asset_id, asset in told.items():
        whole = merged(before.get(asset_id), asset)
        if whole != before.get(asset_id):
            sender.send(ASSETS, asset_id, whole)
            summary.sent += 1
    sender.flush()
    return summary

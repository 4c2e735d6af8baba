"""Dead letters of broken rows. Of a row that may be a person's, nothing is kept that might tell who."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import msgspec

from cuepoint.ops.ingest_mapping import PERSONAL_FIELDS, Mapping
from cuepoint.ops.ingest_read import Read, original_of
from cuepoint.schemas.errors import ContractError
from cuepoint.schemas.faults import DeadLetter
from cuepoint.schemas.topics import TREND_RECORDS

MAX_ORIGINAL_BYTES = 1 << 17
MASK = "***"
# What is shown of such a row: only what cannot be anything but what it should be.
_SHOWN = {
    "day": re.compile(r"\d{4}-\d{2}-\d{2}"),
    "territory": re.compile(r"[A-Z]{2}"),
    "isrc": re.compile(r"[A-Z]{2}-?[A-Z0-9]{3}-?\d{2}-?\d{5}"),
}
_NAMES = tuple(name.encode() for name in PERSONAL_FIELDS)


def is_personal(mapping: Mapping, header: list[str], read: Read) -> bool:
    """Whether the row may be a person's: by the mapping, the file's header, or (JSON) its own names."""
    if mapping.personal or any(name in header for name in PERSONAL_FIELDS):
        return True
    return not header and any(name in read.original for name in _NAMES)


def masked(mapping: Mapping, read: Read) -> bytes:
    """The row as JSON, with every value hidden that is not a day, a territory or an ISRC; empty if it is no row."""
    if read.row is None:
        return b""
    shown = {}
    for target in mapping.columns or ("day", "territory", "isrc"):
        column = mapping.column_of(target)
        value = str(read.row.get(column or "", ""))
        pattern = _SHOWN.get(target)
        if value and column:
            shown[column] = value if pattern and pattern.fullmatch(value) else MASK
    return msgspec.json.encode(shown)


def letter(path: Path, read: Read, fault: ContractError, mapping: Mapping, *, personal: bool, at_ms: int) -> DeadLetter:
    """What is told of a broken row: where it is, why it cannot be used, and the row, masked where it is a person's."""
    original = masked(mapping, read) if personal else original_of(read)[:MAX_ORIGINAL_BYTES]
    return DeadLetter.of(fault, original, at_ms, topic=TREND_RECORDS.name, source=path.name, line=read.line)


def id_of(letter: DeadLetter) -> str:
    """The same broken row, the same id."""
    content = f"{letter.source}\0{letter.line}\0{letter.code}\0".encode() + letter.original
    return hashlib.sha256(content).hexdigest()[:32]

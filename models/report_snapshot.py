"""A ledger as a versioned value and back."""

from __future__ import annotations

import datetime as dt

import msgspec
import numpy as np

from cuepoint.models.report_ledger import OpenReport, ReportLedger
from cuepoint.models.report_parts import SLOTS, Parts
from cuepoint.schemas.errors import SnapshotError

VERSION = 1


class _Ledger(msgspec.Struct, array_like=True):
    version: int
    scored: int | None
    repeats: int
    names: list[str]
    parts: list[tuple[str, str, str, bytes]]  # dsp, territory, dtype, counts
    versions: list[tuple[str, str, dict[int, int]]]
    open: list[tuple[str, str, dt.date, int, list[int], list[int]]]
    pending: list[tuple[int, str, str, bytes, bytes]]


def to_bytes(ledger: ReportLedger) -> bytes:
    """All that the ledger knows; the limits are not part of it."""
    known = len(ledger.names)
    value = _Ledger(
        VERSION,
        ledger.scored,
        ledger.repeats,
        ledger.names,
        [(*source, p.counts.dtype.name, p.counts[:known].tobytes()) for source, p in ledger.parts.items()],
        [(*source, days) for source, days in ledger.versions.items()],
        [(*key, report.rows, report.counts) for key, report in ledger.open.items()],
        [
            (day, *source, rows.tobytes(), counts.tobytes())
            for day, sources in ledger.pending.items()
            for source, (rows, counts) in sources.items()
        ],
    )
    return msgspec.msgpack.encode(value)


def load(ledger: ReportLedger, blob: bytes) -> None:
    """Fill an empty ledger. Raises SnapshotError for another version or broken bytes."""
    try:
        value = msgspec.msgpack.decode(blob, type=_Ledger)
        if value.version != VERSION:
            raise SnapshotError(f"report ledger: version {value.version}, this program reads {VERSION}")
        for dsp, territory, kind, counts in value.parts:
            parts = Parts()
            parts.counts = np.frombuffer(counts, dtype=np.dtype(kind)).reshape(-1, SLOTS).copy()
            ledger.parts[dsp, territory] = parts
        for day, dsp, territory, rows, counts in value.pending:
            pair = np.frombuffer(rows, dtype=np.int64), np.frombuffer(counts, dtype=np.int64)
            ledger.pending.setdefault(day, {})[dsp, territory] = pair
    except (msgspec.MsgspecError, ValueError, TypeError) as error:
        raise SnapshotError(f"report ledger: not readable ({error})") from error
    ledger.scored, ledger.repeats, ledger.names = value.scored, value.repeats, value.names
    ledger.rows = {name: row for row, name in enumerate(value.names)}
    ledger.versions = {(dsp, territory): days for dsp, territory, days in value.versions}
    for dsp, territory, date, version, rows_, counts_ in value.open:
        report = ledger.open[dsp, territory, date, version] = OpenReport()
        report.rows, report.counts = rows_, counts_

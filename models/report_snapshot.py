"""A ledger as a versioned value and back."""

from __future__ import annotations

import datetime as dt

import msgspec
import numpy as np

from cuepoint.models.report_amendments import Amendment
from cuepoint.models.report_columns import OpenReport
from cuepoint.models.report_ledger import ReportLedger
from cuepoint.models.report_names import Names
from cuepoint.models.report_parts import Column, Parts
from cuepoint.schemas.errors import SnapshotError

VERSION = 4


class _Ledger(msgspec.Struct, array_like=True):
    version: int
    scored: int | None
    repeats: int
    names: tuple[bytes, bytes]
    parts: list[tuple[str, str, list[tuple[int, str, bytes, bytes, bytes]]]]  # dsp, territory, columns by day
    versions: list[tuple[str, str, dict[int, int]]]
    withdrawn: list[tuple[str, str, dict[int, int]]]
    amendments: list[tuple[str, str, int, int, dict[int, dict[str, Amendment]]]]
    open: list[tuple[str, str, dt.date, int, bytes, bytes]]
    pending: list[tuple[int, str, str, bytes, bytes]]


def to_bytes(ledger: ReportLedger) -> bytes:
    """All that the ledger knows; the limits are not part of it."""
    value = _Ledger(
        VERSION,
        ledger.scored,
        ledger.repeats,
        ledger.names.to_bytes(),
        [
            (*source, [(day, c.cells.dtype.name, *_bytes(c)) for day, c in parts.days.items()])
            for source, parts in ledger.parts.items()
        ],
        [(*source, days) for source, days in ledger.versions.items()],
        [(*source, days) for source, days in ledger.withdrawn.items()],
        [(*report, rows) for report, rows in ledger.amendments.by_report.items()],
        [(*key, report.rows.tobytes(), report.counts.tobytes()) for key, report in ledger.open.items()],
        [
            (day, *source, rows.tobytes(), counts.tobytes())
            for day, sources in ledger.pending.items()
            for source, (rows, counts) in sources.items()
        ],
    )
    return msgspec.msgpack.encode(value)


def _bytes(column: Column) -> tuple[bytes, bytes, bytes]:
    return column.cells.tobytes(), column.other_rows.tobytes(), column.others.tobytes()


def load(ledger: ReportLedger, blob: bytes) -> None:
    """Fill an empty ledger. Raises SnapshotError for another version or broken bytes."""
    try:
        stated = msgspec.msgpack.decode(msgspec.msgpack.decode(blob, type=list[msgspec.Raw])[0])
        if stated != VERSION:
            raise SnapshotError(f"report ledger: version {stated}, this program reads {VERSION}")
        value = msgspec.msgpack.decode(blob, type=_Ledger)
        ledger.names = Names(*value.names)
        for dsp, territory, columns in value.parts:
            parts = ledger.parts[dsp, territory] = Parts()
            for day, kind, cells, rows, counts in columns:
                parts.days[day] = Column(
                    np.frombuffer(cells, dtype=np.dtype(kind)),
                    np.frombuffer(rows, dtype=np.uint32),
                    np.frombuffer(counts, dtype=np.int64),
                )
        for day, dsp, territory, rows, counts in value.pending:
            pair = np.frombuffer(rows, dtype=np.int64), np.frombuffer(counts, dtype=np.int64)
            ledger.pending.setdefault(day, {})[dsp, territory] = pair
        for dsp, territory, date, version, rows, counts in value.open:
            report = OpenReport(np.frombuffer(rows, dtype=np.int64), np.frombuffer(counts, dtype=np.int64))
            ledger.open[dsp, territory, date, version] = report
    except (msgspec.MsgspecError, ValueError, TypeError, IndexError) as error:
        raise SnapshotError(f"report ledger: not readable ({error})") from error
    ledger.scored, ledger.repeats = value.scored, value.repeats
    ledger.versions = {(dsp, territory): days for dsp, territory, days in value.versions}
    ledger.withdrawn = {(dsp, territory): days for dsp, territory, days in value.withdrawn}
    ledger.amendments.by_report = {
        (dsp, territory, day, version): rows for dsp, territory, day, version, rows in value.amendments
    }

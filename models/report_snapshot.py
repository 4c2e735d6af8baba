"""A ledger as a versioned value with arrays, and back."""

from __future__ import annotations

import datetime as dt
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from cuepoint.models.report_amendments import Amendment
from cuepoint.models.report_columns import OpenReport
from cuepoint.models.report_ledger import ReportLedger
from cuepoint.models.report_names import Names
from cuepoint.models.report_parts import Column, Parts
from cuepoint.models.snapshot_parts import Cutter
from cuepoint.schemas.errors import SnapshotError

VERSION = 5
_Column = tuple[int, str, int, int]  # day, type of its cells, how many, how many others


class _Ledger(msgspec.Struct, array_like=True):
    """What is counted here stands behind it, in this order: names, columns, pending and open reports."""

    version: int
    scored: int | None
    repeats: int
    versions: list[tuple[str, str, dict[int, int]]]
    withdrawn: list[tuple[str, str, dict[int, int]]]
    amendments: list[tuple[str, str, int, int, dict[int, dict[str, Amendment]]]]
    names: tuple[int, int]  # bytes, ids
    parts: list[tuple[str, str, list[_Column]]]  # dsp, territory
    pending: list[tuple[int, str, str, int]]
    open: list[tuple[str, str, dt.date, int, int]]


def to_parts(ledger: ReportLedger) -> tuple[bytes, list[NDArray[Any]]]:
    """All that the ledger knows; the limits are not part of it."""
    names = ledger.names.to_arrays()
    columns = [(source, list(parts.days.items())) for source, parts in ledger.parts.items()]
    waiting = [(day, *s, pair) for day, sources in ledger.pending.items() for s, pair in sources.items()]
    value = _Ledger(
        VERSION,
        ledger.scored,
        ledger.repeats,
        [(*source, days) for source, days in ledger.versions.items()],
        [(*source, days) for source, days in ledger.withdrawn.items()],
        [(*report, rows) for report, rows in ledger.amendments.by_report.items()],
        (len(names[0]), len(names[1])),
        [(*s, [(day, c.cells.dtype.name, len(c.cells), len(c.others)) for day, c in days]) for s, days in columns],
        [(day, dsp, territory, len(rows)) for day, dsp, territory, (rows, _) in waiting],
        [(*key, len(report)) for key, report in ledger.open.items()],
    )
    arrays: list[NDArray[Any]] = [*names]
    arrays += [cells for _, days in columns for _, column in days for cells in column]
    arrays += [cells for *_, pair in waiting for cells in pair]
    arrays += [cells for report in ledger.open.values() for cells in (report.rows, report.counts)]
    return msgspec.msgpack.encode(value), arrays


def load(ledger: ReportLedger, blob: bytes | memoryview, cut: Cutter) -> None:
    """Fill an empty ledger. Raises SnapshotError for another version or broken bytes."""
    try:
        stated = msgspec.msgpack.decode(msgspec.msgpack.decode(blob, type=list[msgspec.Raw])[0])
        if stated != VERSION:
            raise SnapshotError(f"report ledger: version {stated}, this program reads {VERSION}")
        value = msgspec.msgpack.decode(blob, type=_Ledger)
        ledger.names = Names(cut.take(np.uint8, value.names[0]), cut.take(np.uint16, value.names[1]))
        for dsp, territory, columns in value.parts:
            parts = ledger.parts[dsp, territory] = Parts()
            for day, kind, cells, others in columns:
                rows = cut.take(np.dtype(kind), cells), cut.take(np.uint32, others)
                parts.days[day] = Column(*rows, cut.take(np.int64, others))
        for day, dsp, territory, n in value.pending:
            ledger.pending.setdefault(day, {})[dsp, territory] = cut.take(np.int64, n), cut.take(np.int64, n)
        for dsp, territory, date, version, n in value.open:
            report = OpenReport(cut.take(np.int64, n), cut.take(np.int64, n))
            ledger.open[dsp, territory, date, version] = report
    except (msgspec.MsgspecError, ValueError, TypeError, IndexError) as error:
        raise SnapshotError(f"report ledger: not readable ({error})") from error
    ledger.scored, ledger.repeats = value.scored, value.repeats
    ledger.versions = {(dsp, territory): days for dsp, territory, days in value.versions}
    ledger.withdrawn = {(dsp, territory): days for dsp, territory, days in value.withdrawn}
    ledger.amendments.by_report = {
        (dsp, territory, day, version): rows for dsp, territory, day, version, rows in value.amendments
    }

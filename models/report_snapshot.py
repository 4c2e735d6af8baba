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
from cuepoint.models.report_parts import Column, Parts, Stored
from cuepoint.models.snapshot_parts import Cutter
from cuepoint.schemas.errors import SnapshotError

VERSION = 6
_Column = tuple[int, str, int, int, str]  # day, type of its cells, how many, how many others, name in the archive


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
    ledger.shelve()
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
        [(*source, [_described(day, column) for day, column in days]) for source, days in columns],
        [(day, dsp, territory, len(rows)) for day, dsp, territory, (rows, _) in waiting],
        [(*key, len(report)) for key, report in ledger.open.items()],
    )
    arrays: list[NDArray[Any]] = [*names]
    held = [column for _, days in columns for _, column in days if isinstance(column, Column)]
    arrays += [cells for column in held for cells in column]
    arrays += [cells for *_, pair in waiting for cells in pair]
    arrays += [cells for report in ledger.open.values() for cells in (report.rows, report.counts)]
    return msgspec.msgpack.encode(value), arrays


def _described(day: int, column: Column | Stored) -> _Column:
    if isinstance(column, Stored):
        return day, column.kind, column.cells, column.others, column.name
    return day, column.cells.dtype.name, len(column.cells), len(column.others), ""


def _column(ledger: ReportLedger, described: _Column, cut: Cutter) -> Column | Stored:
    _, kind, cells, others, name = described
    if not name:
        return Column(cut.take(np.dtype(kind), cells), cut.take(np.uint32, others), cut.take(np.int64, others))
    stored = Stored(name, kind, cells, others)
    if ledger.archive is None or ledger.archive.size(name) != stored.size:
        raise SnapshotError(f"report ledger: {name} of the archive, counts of a day, is missing or truncated")
    return stored


def load(ledger: ReportLedger, blob: bytes | memoryview, cut: Cutter) -> None:
    """Fill an empty ledger. Raises SnapshotError for another version or broken bytes."""
    try:
        stated = msgspec.msgpack.decode(msgspec.msgpack.decode(blob, type=list[msgspec.Raw])[0])
        if stated != VERSION:
            raise SnapshotError(f"report ledger: version {stated}, this program reads {VERSION}")
        value = msgspec.msgpack.decode(blob, type=_Ledger)
        ledger.names = Names(cut.take(np.uint8, value.names[0]), cut.take(np.uint16, value.names[1]))
        for dsp, territory, columns in value.parts:
            parts = ledger.parts[dsp, territory] = Parts(ledger.archive)
            for described in columns:
                parts.days[described[0]] = _column(ledger, described, cut)
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

"""What waits in quarantine, as the history shows it: the agent's rules over the agent's log."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby

from sqlalchemy import ColumnElement, Connection, and_, bindparam, delete, func, select

from cuepoint.models.ingest_identity import names_of
from cuepoint.schemas.quarantine import Quarantined
from cuepoint.schemas.trends import Asset, ReportCompleted, ReportWithdrawn
from cuepoint.streams.database import insert
from cuepoint.streams.history_rows import Recorded
from cuepoint.streams.tables import QUARANTINED as ROWS
from cuepoint.streams.tables import QUARANTINED_NAMES as NAMES
from cuepoint.streams.tables import REPORTS

_AT_ONCE = 400


def write_quarantine(connection: Connection, recorded: Sequence[Recorded], most: int) -> None:
    """Messages of the quarantine's log, in its order. ``most`` rows wait; for more, the oldest go."""
    for kind, run in groupby(recorded, key=lambda each: type(each.message)):
        if kind is Quarantined:
            _hold(connection, list(run))
        elif kind is Asset:
            _release(connection, [name for each in run for name in names_of(each.message)])  # type: ignore[arg-type]
        else:
            _forget(connection, run)
    waiting = connection.scalar(select(func.count()).select_from(ROWS)) or 0
    if waiting > most:
        first = connection.scalar(select(ROWS.c.offset).order_by(ROWS.c.offset).offset(waiting - most).limit(1))
        _drop(connection, ROWS.c.offset < first)


def empty_quarantine(connection: Connection) -> None:
    """Forget all: it was of an earlier log."""
    connection.execute(delete(NAMES))
    connection.execute(delete(ROWS))


def _hold(connection: Connection, run: Sequence[Recorded]) -> None:
    rows: dict[tuple[object, ...], dict[str, object]] = {}
    names: dict[int, list[str]] = {}
    for offset, at, held in run:
        assert isinstance(held, Quarantined)
        if not held.identifiers:
            continue  # refused by the agent, which tells of it
        key = (held.identifiers[0], held.dsp, held.day, held.territory)
        if key in rows and rows[key]["version"] > held.report_version:  # type: ignore[operator]
            continue
        names[offset] = held.identifiers
        about = dict(zip(("part", "dsp", "day", "territory"), key, strict=True))
        rows[key] = about | {"offset": offset, "at": at, "version": held.report_version, "count": held.count}
    if not rows:
        return
    values = list(rows.values())
    replaced = and_(
        *(ROWS.c[name] == bindparam(f"b_{name}") for name in ("part", "dsp", "day", "territory")),
        ROWS.c.version <= bindparam("b_version"),
    )
    bound = [{f"b_{name}": value for name, value in row.items()} for row in values]
    connection.execute(delete(NAMES).where(NAMES.c.offset.in_(select(ROWS.c.offset).where(replaced))), bound)
    connection.execute(delete(ROWS).where(replaced), bound)
    connection.execute(insert(connection, ROWS).on_conflict_do_nothing(), values)
    held_now = select(ROWS.c.offset).where(ROWS.c.offset.between(run[0].offset, run[-1].offset))
    told = [{"name": name, "offset": at} for at in connection.scalars(held_now) for name in dict.fromkeys(names[at])]
    if told:
        connection.execute(insert(connection, NAMES).on_conflict_do_nothing(), told)


def _release(connection: Connection, names: Sequence[str]) -> None:
    for at in range(0, len(names), _AT_ONCE):
        of_asset = select(NAMES.c.offset).where(NAMES.c.name.in_(names[at : at + _AT_ONCE]))
        offsets = connection.scalars(of_asset.distinct()).all()
        for start in range(0, len(offsets), _AT_ONCE):
            _drop(connection, ROWS.c.offset.in_(offsets[start : start + _AT_ONCE]))


def _forget(connection: Connection, run: Iterable[Recorded]) -> None:
    for _, at, marker in run:
        assert isinstance(marker, ReportCompleted | ReportWithdrawn)
        withdrawn = isinstance(marker, ReportWithdrawn)
        about = {name: getattr(marker, name) for name in ("dsp", "territory", "day")}
        of_report = and_(*(ROWS.c[name] == value for name, value in about.items()))
        _drop(connection, and_(of_report, ROWS.c.version < marker.version + withdrawn))
        if withdrawn:
            row = about | {"version": marker.version, "source": marker.source, "withdrawn_at": at}
            upsert = insert(connection, REPORTS).values(row)
            connection.execute(
                upsert.on_conflict_do_update(index_elements=REPORTS.primary_key, set_={"withdrawn_at": at})
            )


def _drop(connection: Connection, which: ColumnElement[bool]) -> None:
    connection.execute(delete(NAMES).where(NAMES.c.offset.in_(select(ROWS.c.offset).where(which))))
    connection.execute(delete(ROWS).where(which))

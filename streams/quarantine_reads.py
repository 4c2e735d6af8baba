"""Reading what waits in quarantine."""

from __future__ import annotations

import datetime as dt
import time

import msgspec
from sqlalchemy import Engine, func, select

from cuepoint.streams.database import reading
from cuepoint.streams.history_rows import Page
from cuepoint.streams.tables import QUARANTINED as ROWS
from cuepoint.streams.tables import QUARANTINED_NAMES as NAMES

_DAY_MS = 86_400_000
AGES_DAYS = (1, 7, 30)


class WaitingService(msgspec.Struct, frozen=True, kw_only=True):
    """What waits of a DSP's reports. ``ages``: assets whose first row has waited up to 1, 7, 30 days, and longer."""

    dsp: str
    assets: int
    counts: int
    streams: int
    ages: list[int]


class WaitingAsset(msgspec.Struct, frozen=True, kw_only=True):
    """An asset nobody told us of: rows of reports that wait, their streams, days, DSPs, since when (ms)."""

    identifiers: list[str]
    dsps: list[str]
    counts: int
    streams: int
    first_day: dt.date
    last_day: dt.date
    since: int


class QuarantineReads:
    """Mixed into HistoryReader. Raises Unavailable when the database does not answer."""

    _engine: Engine

    def waiting_services(self, now_ms: int | None = None) -> list[WaitingService]:
        """What waits, by DSP, the one with the most streams first."""
        now_ms = time.time_ns() // 1_000_000 if now_ms is None else now_ms
        each = select(
            ROWS.c.dsp,
            func.count().label("counts"),
            func.sum(ROWS.c.count).label("streams"),
            func.min(ROWS.c.at).label("since"),
        ).group_by(ROWS.c.dsp, ROWS.c.part)
        found: dict[str, list[int]] = {}
        with reading(self._engine) as connection:
            for row in connection.execute(each):
                sums = found.setdefault(row.dsp, [0] * (3 + len(AGES_DAYS) + 1))
                waited_days = (now_ms - row.since) / _DAY_MS
                age = sum(waited_days > most for most in AGES_DAYS)
                for at, more in ((0, 1), (1, row.counts), (2, int(row.streams)), (3 + age, 1)):
                    sums[at] += more
        services = [
            WaitingService(dsp=dsp, assets=sums[0], counts=sums[1], streams=sums[2], ages=sums[3:])
            for dsp, sums in found.items()
        ]
        return sorted(services, key=lambda service: (-service.streams, service.dsp))

    def waiting_assets(self, *, dsp: str = "", query: str = "", limit: int = 50, offset: int = 0) -> Page[WaitingAsset]:
        """Assets that wait, the one with the most streams first; ``query`` is a part of an identifier."""
        streams = func.sum(ROWS.c.count)
        rows = select(
            ROWS.c.part,
            func.count().label("counts"),
            streams.label("streams"),
            func.min(ROWS.c.day).label("first_day"),
            func.max(ROWS.c.day).label("last_day"),
            func.min(ROWS.c.at).label("since"),
        ).group_by(ROWS.c.part)
        rows = rows.where(ROWS.c.dsp == dsp) if dsp else rows
        if query:
            named = select(NAMES.c.offset).where(func.lower(NAMES.c.name).contains(query.lower(), autoescape=True))
            rows = rows.where(ROWS.c.offset.in_(named))
        with reading(self._engine) as connection:
            total = connection.scalar(select(func.count()).select_from(rows.subquery())) or 0
            page = connection.execute(rows.order_by(streams.desc(), ROWS.c.part).limit(limit).offset(offset)).all()
            parts = [row.part for row in page]
            about = select(ROWS.c.part, ROWS.c.dsp, NAMES.c.name).join(NAMES, NAMES.c.offset == ROWS.c.offset)
            dsps: dict[str, dict[str, None]] = {part: {} for part in parts}
            names: dict[str, dict[str, None]] = {part: {part: None} for part in parts}
            for part, service, name in connection.execute(about.where(ROWS.c.part.in_(parts)).distinct()):
                dsps[part][service] = None
                names[part][name] = None
        items = [
            WaitingAsset(
                identifiers=sorted(names[row.part], key=lambda name, part=row.part: (name != part, name)),  # type: ignore[misc]
                dsps=sorted(dsps[row.part]),
                counts=row.counts,
                streams=int(row.streams),
                first_day=row.first_day,
                last_day=row.last_day,
                since=row.since,
            )
            for row in page
        ]
        return Page(items, total)

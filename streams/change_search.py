"""Finding changes: filters, order and pages, over an index that holds all they need; bodies are read of a page only."""

from __future__ import annotations

import datetime as dt
from typing import Any, Literal

import msgspec
from sqlalchemy import ColumnElement, Connection, Select, and_, func, or_, select

from cuepoint.streams.tables import ASSETS, CHANGES, REASONS

OPEN = ("opened", "updated")
SIMULATED_PREFIX = "sim-"  # of the ids of assets of ``cuepoint simulate catalogue``
_OWNERS = 100


class ChangeFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which changes; what is None or empty does not matter. Withdrawn ones only when asked for by ``status``.

    ``query`` is looked for in id, title and artist, word by word; ``since`` and ``until`` bound the day (both
    included); sizes bound the change's absolute size; ``verdict``: a campaign goal, ``any`` for every
    opportunity, ``none`` for those judged not to be one.
    """

    kind: str | None = None
    direction: str | None = None
    status: str | None = None  # as in Change, or "open": opened or updated
    query: str = ""
    asset_id: str | None = None
    owner: str | None = None
    since: dt.date | None = None
    until: dt.date | None = None
    least_percent: float | None = None
    least_per_day: float | None = None
    verdict: str | None = None
    simulated: bool | None = None
    order: Literal["newest", "largest"] = "newest"


def change_ids(connection: Connection, wanted: ChangeFilter, limit: int, offset: int = 0) -> list[str]:
    """Ids of the changes in their order: the newest day first, or the largest in streams a day."""
    return list(connection.scalars(select_ids(wanted, limit, offset)))


def select_ids(wanted: ChangeFilter, limit: int, offset: int) -> Select[Any]:
    """The query of ``change_ids``."""
    column = CHANGES.c
    newest = (column.day.desc(), column.updated_at.desc(), column.change_id.desc())
    order = newest if wanted.order == "newest" else (func.abs(column.size_per_day).desc(), *newest)
    return select(column.change_id).where(*_conditions(wanted)).order_by(*order).limit(limit).offset(offset)


def count_changes(connection: Connection, wanted: ChangeFilter) -> int:
    """How many changes there are of these."""
    return connection.scalar(select(func.count()).select_from(CHANGES).where(*_conditions(wanted))) or 0


def owners(connection: Connection) -> list[str]:
    """The first hundred owners that metadata names, each found by one step through the index."""
    found: list[str] = []
    while len(found) < _OWNERS:
        last = found[-1] if found else ""
        following = connection.scalar(select(func.min(ASSETS.c.owner)).where(ASSETS.c.owner > last))
        if following is None:
            break
        found.append(following)
    return found


def contains(column: Any, query: str) -> ColumnElement[bool]:
    """Every word of the query is somewhere in the column (which is in lower case)."""
    return and_(True, *(column.contains(word, autoescape=True) for word in query.lower().split()))


def _conditions(wanted: ChangeFilter) -> list[ColumnElement[bool]]:
    column = CHANGES.c
    found: list[ColumnElement[bool]] = []
    if wanted.status == "open":
        found.append(column.status.in_(OPEN))
    else:
        found.append(column.status == wanted.status if wanted.status else column.status != "withdrawn")
    for name in ("kind", "direction", "asset_id"):
        if getattr(wanted, name):
            found.append(column[name] == getattr(wanted, name))
    found += [column.day >= wanted.since] if wanted.since else []
    found += [column.day <= wanted.until] if wanted.until else []
    found += [func.abs(column.size_percent) >= wanted.least_percent] if wanted.least_percent else []
    found += [func.abs(column.size_per_day) >= wanted.least_per_day] if wanted.least_per_day else []
    if wanted.simulated is not None:
        simulated = column.asset_id.startswith(SIMULATED_PREFIX, autoescape=True)
        found.append(simulated if wanted.simulated else ~simulated)
    if wanted.owner:
        found.append(column.asset_id.in_(select(ASSETS.c.asset_id).where(ASSETS.c.owner == wanted.owner)))
    if wanted.query.split():
        named = select(ASSETS.c.asset_id).where(contains(ASSETS.c.search, wanted.query))
        found.append(or_(column.asset_id.in_(named), contains(func.lower(column.asset_id), wanted.query)))
    if wanted.verdict:
        found.append(column.change_id.in_(_judged(wanted.verdict)))
    return found


def _judged(verdict: str) -> Select[Any]:
    judged = REASONS.c.verdict.not_in(("", "none")) if verdict == "any" else REASONS.c.verdict == verdict
    return select(REASONS.c.change_id).where(judged)

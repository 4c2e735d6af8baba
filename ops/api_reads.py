"""The read API: changes, assets and their series, sessions, dead letters, counters, the overview."""

from __future__ import annotations

import base64
import datetime as dt
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path, Query, Request
from starlette.responses import Response

from cuepoint.ops.api_bodies import Json
from cuepoint.ops.api_openapi import described
from cuepoint.ops.api_pages import (
    AssetPage,
    AssetSeries,
    ChangePage,
    CounterAnswer,
    CounterRow,
    DeadLetterPage,
    SessionPage,
    SessionTimeline,
)
from cuepoint.ops.api_parts import ApiParts
from cuepoint.ops.api_problems import Problem
from cuepoint.ops.asset_forecast import MOST_DAYS, AssetForecast
from cuepoint.streams.change_search import ChangeFilter
from cuepoint.streams.history_rows import ChangeRow, Overview

_MOST_SKIPPED = 1_000_000
Cursor = Annotated[str | None, Query(max_length=64, description="`next` of the page before")]
Limit = Annotated[int, Query(ge=1, description="Rows of a page")]
_NO_NUL = r"^[^\x00]*$"  # PostgreSQL takes none in a text
Search = Annotated[str, Query(max_length=200, pattern=_NO_NUL)]
Name = Annotated[str | None, Query(max_length=512, pattern=_NO_NUL)]
Id = Annotated[str, Path(max_length=128, pattern=_NO_NUL)]
Verdict = Literal["any", "accelerate", "expand", "sustain", "none"]
Least = Annotated[float | None, Query(ge=0, le=1e15)]
CounterGroup = Literal["total", "hour", "video", "category", "day_part", "rule", "format"]


def reads_router(parts: ApiParts) -> APIRouter:
    """The GET routes under /v1, for read and admin keys and console logins."""

    def reads(request: Request) -> None:
        parts.access.require(request, "read", "admin")

    router = APIRouter(prefix="/v1", tags=["reading"], dependencies=[Depends(reads)])
    _add_catalogue(router, parts)
    _add_assets(router, parts)
    _add_playback(router, parts)
    return router


def _add_catalogue(router: APIRouter, parts: ApiParts) -> None:
    history, most = parts.history, parts.settings.page_rows

    @router.get("/changes", **described(ChangePage))
    def changes(  # noqa: PLR0917 - each is a query parameter
        asset: Name = None,
        status: Literal["open", "opened", "updated", "closed", "withdrawn"] | None = None,
        direction: Literal["up", "down"] | None = None,
        kind: Literal["rapid", "gradual"] | None = None,
        since: dt.date | None = None,
        until: dt.date | None = None,
        search: Search = "",
        owner: Name = None,
        least_percent: Least = None,
        least_per_day: Least = None,
        opportunity: Annotated[Verdict | None, Query(description="A campaign goal, or any, or none")] = None,
        simulated: bool | None = None,
        order: Literal["newest", "largest"] = "newest",
        cursor: Cursor = None,
        limit: Limit = 50,
    ) -> Response:
        """Regions of significant change in their latest revision, newest day first. Sizes bound the absolute change in
        per cent and in streams a day."""
        offset, rows = offset_of(cursor), min(limit, most)
        wanted = ChangeFilter(
            kind=kind,
            direction=direction,
            status=status,
            query=search,
            asset_id=asset,
            owner=owner,
            since=since,
            until=until,
            least_percent=least_percent,
            least_per_day=least_per_day,
            verdict=opportunity,
            simulated=simulated,
            order=order,
        )
        page = history.changes(wanted, limit=rows, offset=offset)
        return Json(ChangePage(items=page.rows, total=page.total, next=next_cursor(offset, len(page.rows), page.total)))

    @router.get("/changes/{change_id}", **described(ChangeRow))
    def change(change_id: Id) -> Response:
        """One change."""
        row = history.change(change_id)
        if row is None:
            raise _missing("change", change_id)
        return Json(row)


def _add_assets(router: APIRouter, parts: ApiParts) -> None:
    history, most = parts.history, parts.settings.page_rows

    @router.get("/assets", **described(AssetPage))
    def assets(search: Search = "", cursor: Cursor = None, limit: Limit = 50) -> Response:
        """Assets, by a part of title, artist or id."""
        offset, rows = offset_of(cursor), min(limit, most)
        page = history.assets(query=search, limit=rows, offset=offset)
        return Json(AssetPage(items=page.rows, total=page.total, next=next_cursor(offset, len(page.rows), page.total)))

    @router.get("/assets/{asset_id}/series", **described(AssetSeries))
    def series(asset_id: Id, since: dt.date | None = None, until: dt.date | None = None) -> Response:
        """An asset's days: count, level, forecast band; and its changes."""
        asset, days = history.asset(asset_id), history.asset_days(asset_id, since, until)
        if asset is None and not days:
            raise _missing("asset", asset_id)
        found = [row.change for row in history.asset_changes(asset_id)]
        title, artist = (asset.title, asset.artist) if asset else ("", "")
        return Json(AssetSeries(asset_id=asset_id, title=title, artist=artist, days=days, changes=found))

    @router.get("/assets/{asset_id}/forecast", **described(AssetForecast))
    def forecast(asset_id: Id, days: Annotated[int, Query(ge=1, le=MOST_DAYS)] = 28) -> Response:
        """The asset's counts of the days after its last scored one: median, 80 % and 95 % bounds."""
        found = parts.forecasts.forecast(asset_id, days)
        if found is None:
            raise _missing("scored day of the asset", asset_id)
        return Json(found)


def _add_playback(router: APIRouter, parts: ApiParts) -> None:
    history, most = parts.history, parts.settings.page_rows

    @router.get("/sessions", **described(SessionPage))
    def sessions(cursor: Cursor = None, limit: Limit = 50) -> Response:
        """Playback sessions, newest first."""
        offset, rows = offset_of(cursor), min(limit, most)
        page = history.sessions(rows, offset)
        return Json(
            SessionPage(items=page.rows, total=page.total, next=next_cursor(offset, len(page.rows), page.total))
        )

    @router.get("/sessions/{session_id}", **described(SessionTimeline))
    def session(session_id: Id) -> Response:
        """One session's events and decisions, in order."""
        row = history.session(session_id)
        if row is None:
            raise _missing("session", session_id)
        return Json(SessionTimeline(session=row, timeline=history.timeline(session_id)))

    @router.get("/dead-letters", **described(DeadLetterPage))
    def dead_letters(topic: Name = None, code: Name = None, cursor: Cursor = None, limit: Limit = 50) -> Response:
        """Refused records with reason and original (base64), newest first."""
        offset, rows = offset_of(cursor), min(limit, most)
        page = history.dead_letters(topic=topic, code=code, limit=rows, offset=offset)
        return Json(
            DeadLetterPage(items=page.rows, total=page.total, next=next_cursor(offset, len(page.rows), page.total))
        )

    @router.get("/counters/{group}/{day}", **described(CounterAnswer))
    async def counters(
        group: CounterGroup, day: dt.date, hour: Annotated[int | None, Query(ge=0, le=23)] = None
    ) -> Response:
        """Plays, views, deliveries ... of a day (UTC) by video, category, day part, rule or format, or of an hour."""
        if (group == "hour") != (hour is not None):
            raise Problem(422, "invalid", "The group hour, and only it, takes ?hour=0..23.")
        counts = await parts.counters.read(f"{group}:{day}" if hour is None else f"{group}:{day}T{hour:02d}")
        return Json(CounterAnswer(group=group, day=day, hour=hour, rows=_counter_rows(counts)))

    @router.get("/overview", **described(Overview))
    def overview() -> Response:
        """Totals of what has been recorded."""
        return Json(history.overview())


def _counter_rows(counts: dict[str, int] | dict[str, float]) -> list[CounterRow]:
    """Fields ``metric`` or ``name|metric`` as one row a name."""
    rows: dict[str, dict[str, float]] = {}
    for label in sorted(counts):
        name, _, metric = label.rpartition("|")
        rows.setdefault(name, {})[metric] = counts[label]
    return [CounterRow(name=name, metrics=metrics) for name, metrics in rows.items()]


def offset_of(cursor: str | None) -> int:
    """The rows a cursor skips. Raises 422 for one we did not make."""
    if cursor is None:
        return 0
    try:
        offset = int(base64.urlsafe_b64decode(cursor).removeprefix(b"rows:"))
    except ValueError:
        offset = -1
    if not 0 <= offset <= _MOST_SKIPPED:
        errors = [{"field": "cursor", "reason": "not one of this API's cursors"}]
        raise Problem(422, "invalid", "The cursor cannot be read.", errors=errors)
    return offset


def next_cursor(offset: int, rows: int, total: int) -> str | None:
    after = offset + rows
    return base64.urlsafe_b64encode(b"rows:%d" % after).decode() if rows and after < total else None


def _missing(kind: str, id: str) -> Problem:
    return Problem(404, "not-found", f"There is no {kind} {id[:128]}.")

"""One asset: chart, what changed and why, regions, and the table of its days."""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
from typing import Any

import msgspec
from fastapi import APIRouter, Request
from sqlalchemy.exc import SQLAlchemyError
from starlette.responses import HTMLResponse, Response

from cuepoint.ops.api_parts import ApiParts
from cuepoint.ops.asset_forecast import AssetForecast
from cuepoint.ops.console_pages import PAGE_HEADERS, render
from cuepoint.ops.console_reads import Answer, from_history, list_from_history
from cuepoint.ops.console_reasons import DIMENSIONS, GOALS, cause_words, metrics, waterfall, weights
from cuepoint.schemas.errors import Unavailable
from cuepoint.schemas.trends import AssetDay, Change
from cuepoint.streams.history_rows import ChangeRow

FORECAST_DAYS = 28
log = logging.getLogger(__name__)
CHART_VALUES = ("lower_95", "upper_95", "lower_80", "upper_80", "mean", "level", "count")


def epoch_s(day: dt.date) -> int:
    """Midnight UTC of a day, in seconds."""
    return int(dt.datetime(day.year, day.month, day.day, tzinfo=dt.UTC).timestamp())


def chart_columns(days: list[AssetDay]) -> list[list[float | None]]:
    """Columns of the chart: day, lower 95, upper 95, lower 80, upper 80, forecast mean, level, count.

    Every day from the first to the last has a row; where none was scored all is null, so that no line bridges the gap.
    """
    if not days:
        return [[] for _ in range(1 + len(CHART_VALUES))]
    first, found = days[0].day, {one.day: one for one in days}
    every = [first + dt.timedelta(days=at) for at in range((days[-1].day - first).days + 1)]
    rows = [found.get(day) for day in every]
    columns = [[None if row is None else getattr(row, name) for row in rows] for name in CHART_VALUES]
    return [[epoch_s(day) for day in every], *columns]


def with_forecast(columns: list[list[float | None]], coming: AssetForecast | None) -> list[list[float | None]]:
    """The chart's columns, and behind them the days to come: no count and no level, the median as forecast."""
    if coming is None or not columns[0]:
        return columns
    names = ("lower_95", "upper_95", "lower_80", "upper_80", "median")
    new = [[epoch_s(one.day) for one in coming.days], *([getattr(one, name) for one in coming.days] for name in names)]
    blank: list[float | None] = [None] * len(coming.days)
    return [[*old, *more] for old, more in zip(columns, [*new, blank, blank], strict=True)]


async def forecast_soon(parts: ApiParts, asset_id: str) -> Answer[AssetForecast | None]:
    """The forecast, if it is there soon: the first one may have to wait until the model is compiled, and nobody should
    wait for the chart's days so long."""
    try:
        async with asyncio.timeout(parts.settings.forecast_wait_s):
            return Answer(await asyncio.to_thread(parts.forecasts.forecast, asset_id, FORECAST_DAYS))
    except (SQLAlchemyError, Unavailable, OSError, TimeoutError) as error:
        log.warning("console: no forecast: %s", error)
        return Answer(None, "The forecast is not ready: load the page again in a moment.")


def chart_region(change: Change, selected: str) -> dict[str, Any]:
    """A shaded region of the chart: from its first day to its last."""
    return {
        "id": change.change_id,
        "kind": change.kind,
        "direction": change.direction,
        "start": epoch_s(change.start),
        "end": epoch_s(change.end or change.day),
        "selected": change.change_id == selected,
    }


async def asset_page(request: Request, parts: ApiParts, asset_id: str) -> HTMLResponse:
    """One asset. An asset without metadata is shown under its id; one without days or changes does not exist."""
    history = parts.history
    asset, changes, days = await asyncio.gather(
        from_history(lambda: history.asset(asset_id), None),
        list_from_history(lambda: history.asset_changes(asset_id)),
        list_from_history(lambda: history.asset_days(asset_id)),
    )
    problem = asset.problem or changes.problem or days.problem
    if not problem and asset.value is None and not changes.value and not days.value:
        return render(request, "missing.html", 404, what=f"asset {asset_id}")
    selected = request.query_params.get("change", "")
    rows = sorted((row.change for row in changes.value), key=lambda change: change.start, reverse=True)
    chosen = next((one for one in rows if one.change_id == selected), rows[0] if rows else None)
    reasons = await from_history(lambda: history.change(chosen.change_id) if chosen else None, None)
    return render(
        request,
        "asset.html",
        asset_id=asset_id,
        asset=asset.value,
        changes=rows,
        chosen=chosen,
        last=days.value[-1] if days.value else None,
        day_count=len(days.value),
        problem=problem,
        **reason_context(reasons, request.query_params.get("by", "")),
    )


def reason_context(found: Answer[ChangeRow | None], by: str) -> dict[str, Any]:
    """What asset_why.html names: the explanation split ``by`` a dimension, and the verdict."""
    row = found.value
    said, verdict = (row.explanation, row.opportunity) if row else (None, None)
    return {
        "reason": said,
        "reason_problem": found.problem,
        "fall": waterfall(said, by) if said else None,
        "words": cause_words,
        "dimension_names": DIMENSIONS,
        "verdict": verdict,
        "drivers": weights(verdict.drivers) if verdict else [],
        "growth": metrics(verdict) if verdict else [],
        "goals": GOALS,
    }


def add_asset(router: APIRouter, parts: ApiParts) -> None:
    """Routes of one asset: page, data of the chart, table of the same data."""
    history = parts.history

    @router.get("/assets/{asset_id:path}")
    async def asset(request: Request, asset_id: str) -> HTMLResponse:
        return await asset_page(request, parts, asset_id)

    @router.get("/console/data/assets/{asset_id:path}")
    async def asset_data(asset_id: str, change: str = "") -> Response:
        days, changes, coming = await asyncio.gather(
            list_from_history(lambda: history.asset_days(asset_id)),
            list_from_history(lambda: history.asset_changes(asset_id)),
            forecast_soon(parts, asset_id),
        )
        status = 503 if days.problem or changes.problem else 200
        regions = [chart_region(row.change, change) for row in reversed(changes.value)]
        columns = with_forecast(chart_columns(days.value), coming.value)
        origin = epoch_s(coming.value.origin) if coming.value else None
        body = msgspec.json.encode({"columns": columns, "regions": regions, "origin": origin})
        return Response(body, status, media_type="application/json", headers=PAGE_HEADERS)

    @router.get("/console/fragments/days/{asset_id:path}")
    async def asset_table(request: Request, asset_id: str) -> HTMLResponse:
        days = await list_from_history(lambda: history.asset_days(asset_id))
        return render(request, "asset_days.html", days=days.value[::-1], problem=days.problem)

    @router.get("/console/fragments/forecast/{asset_id:path}")
    async def forecast_table(request: Request, asset_id: str) -> HTMLResponse:
        coming = await forecast_soon(parts, asset_id)
        return render(request, "asset_forecast.html", coming=coming.value, problem=coming.problem)

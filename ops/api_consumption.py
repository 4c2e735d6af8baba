"""The read API of the consumption store: sums by any dimension, and what is stored."""

from __future__ import annotations

import datetime as dt
import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from cuepoint.ops.api_bodies import Json
from cuepoint.ops.api_openapi import described
from cuepoint.ops.api_pages import ConsumptionPage, ConsumptionRow, StoredReport, StoredReportPage
from cuepoint.ops.api_parts import ApiParts
from cuepoint.ops.api_problems import RETRY_AFTER_S, Problem
from cuepoint.ops.api_reads import Cursor, Limit, next_cursor, offset_of
from cuepoint.streams.consumption_files import DIMENSIONS
from cuepoint.streams.consumption_store import Columns, TooSlow, Where

_WAIT_S = 2.0
_FILTERS = tuple(name for name in DIMENSIONS if name not in {"asset_id", "day"})
_Value = Annotated[str, Query(max_length=512)]
Values = Annotated[list[_Value] | None, Query(max_length=100)]


def consumption_router(parts: ApiParts) -> APIRouter:
    """The GET routes under /v1/consumption, for read and admin keys and console logins."""

    def reads(request: Request) -> None:
        parts.access.require(request, "read", "admin")

    router = APIRouter(prefix="/v1/consumption", tags=["reading"], dependencies=[Depends(reads)])
    store, most, turns = parts.consumption, parts.settings.page_rows, _Turns(parts.settings.queries_at_once)

    @router.get("", **described(ConsumptionPage))
    def consumption(  # noqa: PLR0917 - each is a query parameter
        by: Annotated[str, Query(max_length=200, description="Dimensions to group by, separated by commas")] = "",
        asset: Values = None,
        since: dt.date | None = None,
        until: dt.date | None = None,
        dsp: Values = None,
        territory: Values = None,
        region: Values = None,
        gender: Values = None,
        age_band: Values = None,
        subscription: Values = None,
        context: Values = None,
        activity: Values = None,
        container: Values = None,
        container_name: Values = None,
        device: Values = None,
        cursor: Cursor = None,
        limit: Limit = 50,
    ) -> Response:
        """Sums over the visible reports, grouped by the dimensions asked for and in their order. `consumers` adds up
        persons per cell: a person in two cells counts twice."""
        given = locals()
        wanted = {name: given[name] for name in _FILTERS if given[name]}
        where = Where(asset or (), since, until, wanted)
        offset, rows = offset_of(cursor), min(limit, most)
        with turns.take():
            found = store.totals(_dimensions(by), where, limit=rows + 1, offset=offset)
        items = list(_rows(found))
        return Json(ConsumptionPage(items=items[:rows], next=next_cursor(offset, rows, offset + len(items))))

    @router.get("/reports", **described(StoredReportPage))
    def reports(
        since: dt.date | None = None, until: dt.date | None = None, cursor: Cursor = None, limit: Limit = 50
    ) -> Response:
        """What is stored of each DSP's report of a day: its newest settled version, and whether it is whole."""
        offset, rows = offset_of(cursor), min(limit, most)
        marks = store.watermarks(since, until)
        items = [StoredReport(**mark._asdict()) for mark in marks[offset : offset + rows]]
        return Json(StoredReportPage(items=items, total=len(marks), next=next_cursor(offset, len(items), len(marks))))

    return router


class _Turns:
    """So many questions at once; another waits a little, then is told to come again."""

    def __init__(self, most: int) -> None:
        self._turns = threading.BoundedSemaphore(most)

    @contextmanager
    def take(self) -> Iterator[None]:
        if not self._turns.acquire(timeout=_WAIT_S):
            retry = {"Retry-After": str(RETRY_AFTER_S)}
            raise Problem(503, "busy", "Too many questions to the consumption store at once.", headers=retry)
        try:
            yield
        except TooSlow as error:
            raise Problem(422, "too-much", str(error)) from error
        finally:
            self._turns.release()


def _dimensions(by: str) -> list[str]:
    names = [name.strip() for name in by.split(",") if name.strip()]
    for name in names:
        if name not in DIMENSIONS or names.count(name) > 1:
            reason = f"{name[:64]} is twice there, or no dimension: choose of {', '.join(DIMENSIONS)}"
            errors = [{"field": "query.by", "reason": reason}]
            raise Problem(422, "invalid", "The request breaks its contract.", errors=errors)
    return names


def _rows(found: Columns) -> Iterator[ConsumptionRow]:
    lists: dict[str, list[Any]] = {name: column.tolist() for name, column in found.items()}
    for values in zip(*lists.values(), strict=True):
        row = dict(zip(lists, values, strict=True))
        for name in ("consumers", "completed"):
            row[name] = None if math.isnan(row[name]) else int(row[name])
        yield ConsumptionRow(**row)

"""Line items over HTTP: what advertisers bought, and how much of it has been given."""

from __future__ import annotations

import asyncio
import time
from typing import Literal

from fastapi import APIRouter, Depends, Request
from msgspec.structs import replace
from starlette.responses import Response

from cuepoint.models.line_item_select import quota_of
from cuepoint.models.rule_check import SCREENS, check_rule
from cuepoint.ops.api_bodies import Json
from cuepoint.ops.api_conditions import Condition
from cuepoint.ops.api_contracts import DeliveryAnswer
from cuepoint.ops.api_documents import Id, Section, add_documents, found_document, store_document
from cuepoint.ops.api_openapi import described
from cuepoint.ops.api_pages import LineItemPage
from cuepoint.ops.api_parts import ApiParts
from cuepoint.schemas.ads import LineItem
from cuepoint.schemas.errors import ContractError
from cuepoint.schemas.rules import AdFormat, AdRule, AtStart
from cuepoint.streams.ad_history import deliveries_of
from cuepoint.streams.document_store import ORDERS


def line_items_router(parts: ApiParts) -> APIRouter:
    """The routes under /v1/line-items: read keys look, the admin key changes."""
    router = APIRouter(prefix="/v1", tags=["ads"])

    def reads(request: Request) -> None:
        parts.access.require(request, "read", "admin")

    @router.get("/line-items/{line_item_id}/delivery", dependencies=[Depends(reads)], **described(DeliveryAnswer))
    async def delivery(line_item_id: Id) -> Response:
        """Impressions made; those reserved besides; how many the pacing allows by now; by day: impressions, quartiles,
        skips, clicks, errors."""
        item = await asyncio.to_thread(found_document, parts, ORDERS, line_item_id)
        made, served = await parts.ad_counters.delivery(line_item_id)
        allowed = quota_of(item, time.time_ns() // 1_000_000)
        days = await asyncio.to_thread(deliveries_of, parts.engine, line_item_id)
        told = {str(day): events for day, events in days.items()}
        return Json(DeliveryAnswer(impressions=made, served=served, allowed=allowed, goal=item.impressions, days=told))

    section = Section(ORDERS, "/line-items", LineItemPage, "ads", check_line_item)
    _add_switches(router, parts, section)
    add_documents(router, parts, section)
    return router


def _add_switches(router: APIRouter, parts: ApiParts, section: Section) -> None:
    async def switched(request: Request, line_item_id: str, status: Literal["active", "paused"]) -> Response:
        parts.access.require(request, "admin")
        condition = Condition(request)
        item = await asyncio.to_thread(found_document, parts, ORDERS, line_item_id)
        expected = condition.expected if condition.given else item.version
        return await store_document(parts, section, replace(item, status=status), expected, given=True)

    @router.post("/line-items/{line_item_id}/pause", **described(LineItem))
    async def pause(request: Request, line_item_id: Id) -> Response:
        """Gives none of it until it is resumed; what players have been handed still counts. May be repeated."""
        return await switched(request, line_item_id, "paused")

    @router.post("/line-items/{line_item_id}/resume", **described(LineItem))
    async def resume(request: Request, line_item_id: Id) -> Response:
        """Goes on; even pacing catches up with the share of the flight that has passed."""
        return await switched(request, line_item_id, "active")


def check_line_item(item: LineItem) -> None:
    """Raise ContractError for what types cannot say: nothing to show, a flight that ends before it begins, criteria
    that cannot hold."""
    for number, creative in enumerate(item.creatives):
        if not creative.media and creative.image_url is None:
            raise ContractError("invalid", f"$.creatives[{number}]", "has neither media nor an image")
    if item.starts is not None and item.ends is not None and item.ends <= item.starts:
        raise ContractError("invalid", "$.ends", "the flight ends before it begins")
    shown = AdFormat(type=item.creatives[0].type, screen=SCREENS[item.creatives[0].type][0])  # type: ignore[arg-type]
    check_rule(AdRule(rule_id="line-item", name="", format=shown, insertion=AtStart(), criteria=item.criteria))

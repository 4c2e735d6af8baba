"""Trying rules over HTTP: on a made-up viewing, or on a recorded session."""

from __future__ import annotations

import asyncio
from typing import Any, TypeVar

import msgspec
from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from cuepoint.models.rule_preview import ExplainRequest, PreviewRequest, as_tried, events_of
from cuepoint.models.rule_trial import Trial, explain
from cuepoint.ops.api_bodies import Json, read_body
from cuepoint.ops.api_openapi import described
from cuepoint.ops.api_parts import ApiParts
from cuepoint.schemas.codec import explain as explain_error
from cuepoint.schemas.rules import AdRule

T = TypeVar("T")


def trials_router(parts: ApiParts) -> APIRouter:
    """POST preview and explain, under /v1/rules."""
    router = APIRouter(prefix="/v1/rules", tags=["rules"])

    def reads(request: Request) -> None:
        parts.access.require(request, "read", "admin")

    @router.post("/preview", dependencies=[Depends(reads)], **described(Trial, body=PreviewRequest))
    async def preview(request: Request) -> Response:
        """What rules would insert into a made-up viewing, and what held them back where they did not."""
        asked = await _read(request, parts, PreviewRequest)
        rules = [as_tried(rule) for rule in asked.rules] or await asyncio.to_thread(parts.rules.list, "active")
        rules = [as_tried(rule) for rule in rules]
        return Json(await asyncio.to_thread(explain, rules, events_of(asked.viewing)))

    @router.post("/explain", dependencies=[Depends(reads)], **described(Trial, body=ExplainRequest))
    async def explained(request: Request) -> Response:
        """Every decision and every non-decision of a recorded session, with the criterion or limit that said so."""
        asked = await _read(request, parts, ExplainRequest)
        rules = asked.rules or await asyncio.to_thread(_history, parts)
        return Json(await asyncio.to_thread(explain, rules, asked.events))

    return router


def _history(parts: ApiParts) -> list[AdRule]:
    return [version for rule in parts.rules.list() for version in parts.rules.history(rule.rule_id)]


async def _read(request: Request, parts: ApiParts, kind: type[T]) -> T:
    body = await read_body(request, parts.settings.trial_body_bytes)
    try:
        value: Any = msgspec.json.decode(body or b"{}")
        _named(value, "events", "player-event.v1")
        _named(value, "rules", "ad-rule.v1")
        return msgspec.convert(value, kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise explain_error(error) from None


def _named(value: Any, name: str, kind: str) -> None:
    """``type`` may be left out of what stands in a list of one kind."""
    for one in value.get(name, ()) if isinstance(value, dict) and isinstance(value.get(name), list) else ():
        if isinstance(one, dict):
            one.setdefault("type", kind)

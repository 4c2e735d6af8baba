"""The webhooks API: subscribe, test, see what was delivered, send again."""

from __future__ import annotations

import asyncio
import time
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Depends, Path, Request
from starlette.responses import Response

from cuepoint.models.webhook_signature import secret_of
from cuepoint.ops.api_bodies import Json, read_body
from cuepoint.ops.api_contracts import (
    WebhookBody,
    WebhookDelivery,
    WebhookDeliveryPage,
    WebhookList,
    WebhookQueued,
    WebhookView,
)
from cuepoint.ops.api_openapi import described
from cuepoint.ops.api_parts import ApiParts
from cuepoint.ops.api_problems import Problem
from cuepoint.ops.api_reads import Cursor, Limit, next_cursor, offset_of
from cuepoint.ops.webhook_parts import webhook_master
from cuepoint.schemas.codec import explain
from cuepoint.streams.webhook_sender import Refused, check_url
from cuepoint.streams.webhook_store import Webhook, WebhookStore

_OLD_SECRET_MS = 24 * 3_600_000  # how long the secret before signs as well
Id = Annotated[str, Path(max_length=64, pattern=r"^[\w-]+$")]
_decode = msgspec.json.Decoder(WebhookBody).decode


def webhooks_router(parts: ApiParts) -> APIRouter:
    """The routes under /v1/webhooks: read keys look, the admin key changes."""

    def reads(request: Request) -> None:
        parts.access.require(request, "read", "admin")

    def writes(request: Request) -> None:
        parts.access.require(request, "admin")

    router = APIRouter(prefix="/v1/webhooks", tags=["webhooks"], dependencies=[Depends(reads)])
    _add_subscriptions(router, parts, Depends(writes))
    _add_deliveries(router, parts, Depends(writes))
    return router


def _add_subscriptions(router: APIRouter, parts: ApiParts, writes: Any) -> None:
    store, settings = WebhookStore(parts.engine, parts.settings.log_id), parts.settings

    @router.get("", **described(WebhookList))
    def webhooks() -> Response:
        """All subscriptions."""
        return Json(WebhookList(items=[_view(hook) for hook in store.all(_now_ms())]))

    @router.get("/{webhook_id}", **described(WebhookView))
    def webhook(webhook_id: Id) -> Response:
        """One subscription."""
        return Json(_view(_found(store, webhook_id)))

    @router.post("", dependencies=[writes], **described(WebhookView, body=WebhookBody, status=201))
    async def subscribe(request: Request) -> Response:
        """A new subscription. Its secret is in this answer, and never again."""
        body = await _read(request, parts)
        if len(await asyncio.to_thread(store.all, 0)) >= settings.webhooks_most:
            raise Problem(409, "too-many-webhooks", f"There are {settings.webhooks_most} subscriptions already.")
        wanted = (body.url, body.description, body.filter, body.status)
        hook = await asyncio.to_thread(store.create, *wanted, _now_ms())
        place = {"location": f"/v1/webhooks/{hook.webhook_id}", "cache-control": "no-store"}
        return Json(_view(hook, webhook_master(settings)), status_code=201, headers=place)

    @router.put("/{webhook_id}", dependencies=[writes], **described(WebhookView, body=WebhookBody))
    async def change(webhook_id: Id, request: Request) -> Response:
        """Another address, filter or status."""
        body = await _read(request, parts)
        await asyncio.to_thread(store.change, webhook_id, body.url, body.description, body.filter, body.status)
        return Json(_view(await asyncio.to_thread(_found, store, webhook_id)))

    @router.delete("/{webhook_id}", dependencies=[writes], status_code=204, response_class=Response)
    def unsubscribe(webhook_id: Id) -> Response:
        """Ends the subscription; what waits for it is not sent."""
        if not store.remove(webhook_id):
            raise _missing(webhook_id)
        return Response(status_code=204)

    @router.post("/{webhook_id}/secret", dependencies=[writes], **described(WebhookView))
    def renew(webhook_id: Id) -> Response:
        """A new secret, in this answer only. For a day deliveries are signed with the old one as well."""
        if not store.renew_secret(webhook_id, _now_ms() + _OLD_SECRET_MS):
            raise _missing(webhook_id)
        view = _view(_found(store, webhook_id), webhook_master(settings))
        return Json(view, headers={"cache-control": "no-store"})


def _add_deliveries(router: APIRouter, parts: ApiParts, writes: Any) -> None:
    store, most = WebhookStore(parts.engine, parts.settings.log_id), parts.settings.page_rows

    @router.post("/{webhook_id}/ping", dependencies=[writes], **described(WebhookQueued, status=202))
    def ping(webhook_id: Id) -> Response:
        """Sends a test event (`webhook.ping`)."""
        _found(store, webhook_id)
        return Json(WebhookQueued(queued=1, event_id=store.ping(webhook_id, _now_ms())), status_code=202)

    @router.get("/{webhook_id}/deliveries", **described(WebhookDeliveryPage))
    def deliveries(
        webhook_id: Id,
        status: Literal["waiting", "delivered", "dead", "superseded"] | None = None,
        cursor: Cursor = None,
        limit: Limit = 50,
    ) -> Response:
        """What was sent, waits or could not be delivered, newest first."""
        _found(store, webhook_id)
        offset, rows = offset_of(cursor), min(limit, most)
        found, total = store.deliveries(webhook_id, status, rows, offset)
        fields = [name for name in WebhookDelivery.__struct_fields__ if name != "body"]
        items = [
            WebhookDelivery(**{name: getattr(each, name) for name in fields}, body=msgspec.Raw(each.body))
            for each in found
        ]
        return Json(WebhookDeliveryPage(items=items, total=total, next=next_cursor(offset, len(items), total)))

    @router.post("/{webhook_id}/replay", dependencies=[writes], **described(WebhookQueued, status=202))
    def replay(webhook_id: Id, event: str | None = None, since_ms: int = 0) -> Response:
        """Sends again: the event named, whatever became of it, or all that were given up since then."""
        _found(store, webhook_id)
        return Json(WebhookQueued(queued=store.replay(webhook_id, _now_ms(), event, since_ms)), status_code=202)


def _now_ms() -> int:
    return int(time.time() * 1000)


def _found(store: WebhookStore, webhook_id: str) -> Webhook:
    hook = store.get(webhook_id, _now_ms())
    if hook is None:
        raise _missing(webhook_id)
    return hook


def _missing(webhook_id: str) -> Problem:
    return Problem(404, "not-found", f"There is no webhook {webhook_id}.")


async def _read(request: Request, parts: ApiParts) -> WebhookBody:
    """The body. Raises ContractError, Problem."""
    raw = await read_body(request, parts.settings.rule_body_bytes)
    try:
        body = _decode(raw)
    except msgspec.MsgspecError as error:
        raise explain(error) from None
    try:
        check_url(body.url, private=parts.settings.webhook_private)
    except Refused as error:
        errors = [{"field": "$.url", "reason": str(error)}]
        raise Problem(422, "invalid", "The address cannot be one of a webhook.", errors=errors) from None
    return body


def _view(hook: Webhook, master: bytes | None = None) -> WebhookView:
    return WebhookView(
        webhook_id=hook.webhook_id,
        url=hook.url,
        description=hook.description,
        filter=hook.wanted,
        status=hook.status,
        created_at=hook.created_at,
        secret=msgspec.UNSET if master is None else secret_of(master, hook.webhook_id, hook.salts[0]),
    )

"""What is kept of a viewer, told and erased on request."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends, Path, Request
from starlette.responses import Response

from cuepoint.models.viewer_history import PSEUDONYM, viewer_key, viewer_stamps
from cuepoint.ops.api_bodies import Json
from cuepoint.ops.api_contracts import Erasure, Remaining, ViewerHistory
from cuepoint.ops.api_openapi import described
from cuepoint.ops.api_parts import ApiParts
from cuepoint.schemas.topics import AD_EVENTS, PLAYER_EVENTS
from cuepoint.streams.viewer_erasure import erase_viewer

ViewerId = Annotated[
    str, Path(max_length=128, pattern=r"^[^\s\x00]+$", description="as the player sends it, or `p-...`")
]
_log = logging.getLogger("cuepoint.audit")


def viewers_router(parts: ApiParts) -> APIRouter:
    """The routes under /v1/viewers, for the admin key."""

    def admin(request: Request) -> None:
        parts.access.require(request, "admin")

    router = APIRouter(prefix="/v1/viewers", tags=["viewers"], dependencies=[Depends(admin)])

    def named(viewer_id: str) -> str:
        return viewer_id if PSEUDONYM.fullmatch(viewer_id) else parts.pseudonyms.of(viewer_id)

    @router.get("/{viewer_id}", name="get_viewer", **described(ViewerHistory))
    async def get(viewer_id: ViewerId) -> Response:
        """What is kept of a viewer; empty sums of one that nothing is known of."""
        viewer = named(viewer_id)
        sums = await parts.counters.read(viewer_key(viewer))
        days = parts.settings.viewer_days
        return Json(ViewerHistory(viewer=viewer, sums=sums, told=viewer_stamps(sums), kept_days=days))

    @router.delete("/{viewer_id}", name="erase_viewer", **described(Erasure))
    async def erase(viewer_id: ViewerId) -> Response:
        """Erases history, caps and breaks in Redis and takes the viewer out of recorded sessions. May be repeated."""
        viewer, held_off_s = named(viewer_id), parts.settings.session_memory_s + parts.settings.session_timeout_s
        counters = await parts.counters.erase(viewer_key(viewer), held_off_s)
        keys = await parts.ads.forget_viewer(viewer) + await parts.ad_counters.forget_viewer(viewer)
        rows = await asyncio.to_thread(erase_viewer, parts.engine, viewer)
        until = "the topic's retention, under the pseudonym"
        remains = [Remaining(place=f"topic {topic.name}", until=until) for topic in (PLAYER_EVENTS, AD_EVENTS)]
        done = Erasure(
            viewer=viewer,
            at=time.time_ns() // 1_000_000,
            counters=counters,
            keys=keys,
            sessions=rows.sessions,
            events=rows.events,
            held_off_s=held_off_s,
            remains=remains,
        )
        _log.info("viewer erased: %s", msgspec.json.encode(done).decode())
        return Json(done)

    return router

"""Media metadata over HTTP: videos with their cue points, playlists, external assets."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from msgspec.structs import replace
from starlette.responses import Response

from cuepoint.models.cue_log import read_cue_log
from cuepoint.models.hls_cues import read_manifest_cues
from cuepoint.models.media_check import check_video, with_cues
from cuepoint.ops.api_bodies import media_type, read_body
from cuepoint.ops.api_conditions import Condition
from cuepoint.ops.api_documents import Id, Section, add_documents, found_document, store_document
from cuepoint.ops.api_openapi import described
from cuepoint.ops.api_pages import ExternalAssetPage, PlaylistPage, VideoPage
from cuepoint.ops.api_parts import ApiParts
from cuepoint.ops.api_problems import Problem
from cuepoint.schemas.errors import ContractError
from cuepoint.schemas.media import CuePoint, Playlist, Video
from cuepoint.streams.document_store import EXTERNAL_ASSETS, PLAYLISTS, VIDEOS

_MANIFESTS = ("application/vnd.apple.mpegurl", "application/x-mpegurl", "audio/mpegurl")
Frames = Annotated[float | None, Query(gt=0, le=1000, description="Frames a second, for times that count frames")]


def media_router(parts: ApiParts) -> APIRouter:
    """The routes under /v1/media: read keys look, the admin key changes."""
    router = APIRouter(prefix="/v1", tags=["media"])

    def check_playlist(playlist: Playlist) -> None:
        missing = parts.documents.missing(VIDEOS, playlist.videos)
        for number, video_id in enumerate(playlist.videos):
            if video_id in missing:
                raise ContractError("unknown_video", f"$.videos[{number}]", f"there is no video {video_id}")

    videos = Section(VIDEOS, "/media/videos", VideoPage, "media", check_video)
    playlists = Section(PLAYLISTS, "/media/playlists", PlaylistPage, "media", check_playlist)
    others = Section(EXTERNAL_ASSETS, "/media/external-assets", ExternalAssetPage, "media", lambda _: None)
    for section in (videos, playlists, others):
        add_documents(router, parts, section)
    _add_cues(router, parts, videos)
    return router


def _add_cues(router: APIRouter, parts: ApiParts, videos: Section) -> None:
    def writes(request: Request) -> None:
        parts.access.require(request, "admin")

    place = videos.path + "/{video_id}/cue-points"

    @router.put(place, dependencies=[Depends(writes)], name="put_cue_points", **described(Video))
    async def put_cues(video_id: Id, request: Request, frames_per_s: Frames = None) -> Response:
        """Cue points from a log of times (`text/plain`), or from the SCTE 35 marks of an HLS media playlist
        (`application/vnd.apple.mpegurl`), in place of those the same source gave before."""
        condition = Condition(request)
        body = await read_body(request, parts.settings.import_body_bytes)
        cues = _cues_of(body, media_type(request), frames_per_s)
        video = await asyncio.to_thread(found_document, parts, VIDEOS, video_id)
        changed = replace(video, cue_points=with_cues(video, cues))
        expected = video.version if condition.expected is None else condition.expected
        return await store_document(parts, videos, changed, expected, given=True)


def _cues_of(body: bytes, kind: str, frames_per_s: float | None) -> list[CuePoint]:
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ContractError("malformed", "$", f"not UTF-8 at byte {error.start}") from None
    if kind == "text/plain":
        cues = read_cue_log(text, frames_per_s)
    elif kind in _MANIFESTS:
        cues = read_manifest_cues(text)
    else:
        raise Problem(415, "unsupported-media-type", f"Send text/plain or {_MANIFESTS[0]}.")
    if not cues:
        raise ContractError("no_cue_points", "$", "there is no cue point in it")
    return cues

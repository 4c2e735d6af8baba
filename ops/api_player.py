"""The player page: videos that have an address, watched in a session of their own, with the ads that are decided."""

from __future__ import annotations

import secrets
import time

import msgspec
from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, Response

from cuepoint.ops.api_bodies import Json
from cuepoint.ops.api_middleware import CONTENT_SECURITY_POLICY
from cuepoint.ops.api_parts import ApiParts
from cuepoint.ops.api_problems import Problem
from cuepoint.ops.console_pages import render
from cuepoint.ops.console_reads import list_from_history
from cuepoint.schemas.media import Video
from cuepoint.streams.document_store import VIDEOS

_VIDEOS = 100
_ID = "web-{}"


class Opened(msgspec.Struct, frozen=True):
    """A session of this page, and the token that the page uses in it."""

    session_id: str
    token: str


def player_policy(origins: str) -> str:
    """The console's policy, and media and images from here and from ``origins``; hls.js plays a ``blob:``, and clears
    tracks with a ``data:``."""
    others = "".join(f" {origin.strip()}" for origin in origins.split(",") if origin.strip())
    policy = CONTENT_SECURITY_POLICY.replace("img-src 'self'", f"img-src 'self'{others}")
    policy = policy.replace("connect-src 'self'", f"connect-src 'self'{others}")
    return f"{policy}; media-src 'self' blob: data:{others}"


def add_player(router: APIRouter, parts: ApiParts) -> None:
    """The page, and what opens its session."""

    @router.get("/player", response_class=HTMLResponse)
    async def player(request: Request) -> Response:
        found = await list_from_history(lambda: parts.documents.page(VIDEOS, limit=_VIDEOS)[0])
        videos = [video for video in found.value if video.url]
        answer = render(request, "player.html", videos=videos, problem=found.problem, described=_described)
        answer.headers["content-security-policy"] = player_policy(parts.settings.player_media)
        return answer

    @router.post("/player/session")
    async def session(again: str = "") -> Response:
        """A new session, or a new token of one that this page opened before."""
        if not parts.settings.player_keys():
            raise Problem(403, "forbidden", "No player may send events here: CUEPOINT_API_KEYS is empty.")
        session_id = again if again.startswith(_ID.format("")) else _ID.format(secrets.token_urlsafe(12))
        return Json(Opened(session_id, parts.access.session_token(session_id, time.time())))


def _described(video: Video) -> str:
    """What the page's script knows of a video, as JSON."""
    clip = {"video_id": video.video_id, "category": next(iter(video.categories), ""), "channel": video.channel}
    cues = [cue.at_s for cue in video.cue_points]
    return msgspec.json.encode(clip | {"cue_points_s": cues, "url": video.url, "title": video.title}).decode()

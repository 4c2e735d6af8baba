"""The player page: videos that have an address, watched in a session of their own, with the ads that are decided."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec
from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, Response

from cuepoint.ops.api_bodies import Json
from cuepoint.ops.api_middleware import CONTENT_SECURITY_POLICY
from cuepoint.ops.api_parts import ApiParts
from cuepoint.ops.api_problems import Problem
from cuepoint.ops.console_pages import render
from cuepoint.ops.console_reads import list_from_history
from cuepoint.schemas.media import Playlist, Video
from cuepoint.streams.document_store import PLAYLISTS, VIDEOS, DocumentStore

_MOST = 100  # videos, playlists, and videos of one playlist
_ID = "web-{}"


class Opened(msgspec.Struct, frozen=True):
    """A session of this page, and the token that the page uses in it."""

    session_id: str
    token: str


class Choice(NamedTuple):
    """What the page can play: a video, or a playlist's videos; ``kind`` is the group's name."""

    value: str
    title: str
    kind: str
    clips: list[dict[str, Any]]

    @property
    def described(self) -> str:
        """The clips as JSON."""
        return msgspec.json.encode(self.clips).decode()


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
        found = await list_from_history(lambda: _choices(parts.documents))
        shown = {"choices": found.value, "consent": parts.settings.consent_required}
        answer = render(request, "player.html", problem=found.problem, **shown)
        answer.headers["content-security-policy"] = player_policy(parts.settings.player_media)
        return answer

    @router.post("/player/session")
    async def session(again: str = "") -> Response:
        """A new session, or a new token of one that this page opened before."""
        if not parts.settings.player_keys():
            raise Problem(403, "forbidden", "No player may send events here: CUEPOINT_API_KEYS is empty.")
        session_id = again if again.startswith(_ID.format("")) else _ID.format(secrets.token_urlsafe(12))
        return Json(Opened(session_id, parts.access.session_token(session_id, time.time())))


def _choices(documents: DocumentStore) -> list[Choice]:
    """The videos, then the playlists, that have something to play."""
    videos = documents.page(VIDEOS, limit=_MOST)[0]
    playlists = documents.page(PLAYLISTS, limit=_MOST)[0]
    listed = documents.get_many(VIDEOS, {video_id for each in playlists for video_id in each.videos[:_MOST]})
    found = [Choice(video.video_id, video.title or video.video_id, "Videos", [_clip(video)]) for video in videos]
    found += [_of_playlist(each, listed) for each in playlists]
    return [each for each in found if any(clip["url"] for clip in each.clips)]


def _of_playlist(playlist: Playlist, videos: Mapping[str, Video]) -> Choice:
    """Its clips know their numbers among all that the playlist has."""
    name = playlist.playlist_id
    clips = [
        _clip(videos[video_id])
        | {"playlist_id": name, "playlist_number": number, "playlist_length": len(playlist.videos)}
        for number, video_id in enumerate(playlist.videos[:_MOST], 1)
        if video_id in videos and videos[video_id].url
    ]
    return Choice(f"playlist/{name}", playlist.title or name, "Playlists", clips)


def _clip(video: Video) -> dict[str, Any]:
    """What the page's script knows of a video."""
    clip = {"video_id": video.video_id, "category": next(iter(video.categories), ""), "channel": video.channel}
    cues = [cue.at_s for cue in video.cue_points]
    return clip | {"cue_points_s": cues, "url": video.url, "title": video.title}

"""What the collector adds to the events that begin sessions and videos, before they go to the topic: so they are in
the log, and a replay decides alike."""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import time
from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import sqlalchemy

from cuepoint.models.event_stamps import VideoFacts, video_stamps
from cuepoint.ops.settings import Settings
from cuepoint.ops.viewer_stamps import ViewerStamps
from cuepoint.schemas.errors import ContractError, Unavailable
from cuepoint.schemas.media import Playlist
from cuepoint.schemas.playback import PlayerEvent
from cuepoint.streams.document_store import PLAYLISTS, VIDEOS, DocumentStore
from cuepoint.streams.metrics import UNKNOWN_VIDEOS, UNSTAMPED
from cuepoint.streams.popularity_reads import read_trends
from cuepoint.streams.redis_counters import RedisCounters

_log = logging.getLogger("cuepoint.api")
_STARTS = ("session_started", "video_started")
_set = msgspec.structs.force_setattr


class _Known(NamedTuple):
    read_at: float
    facts: VideoFacts | Playlist | None


_Facts = dict[tuple[str, str], VideoFacts | Playlist | None]


class EventStamps:
    """Remembers what it read for ``stamp_refresh_s``. A store that does not answer holds nothing up: events go on
    without what it knows, and are counted."""

    def __init__(
        self,
        settings: Settings,
        documents: DocumentStore,
        engine: sqlalchemy.Engine,
        counters: RedisCounters,
        viewers: ViewerStamps,
    ) -> None:
        self._settings, self._documents, self._engine, self._counters = settings, documents, engine, counters
        self._viewers = viewers
        self._known: dict[tuple[str, str], _Known] = {}
        self._turn = asyncio.Lock()

    async def add(self, events: Sequence[PlayerEvent | ContractError]) -> dict[int, ContractError]:
        """Set what events that begin a session or video do not say. Returns those to be refused, by their place: an
        unknown video, a session without consent, where settings say so. ``events`` are ours alone until they are sent.
        Raises Unavailable where consent is required and cannot be looked up."""
        refused = await self._viewers.refused(events)
        starts = {
            place: event
            for place, event in enumerate(events)
            if isinstance(event, PlayerEvent) and event.kind in _STARTS and place not in refused
        }
        if not starts:
            return refused
        videos = {place: event for place, event in starts.items() if event.video_id and event.kind == "video_started"}
        keys = {("video", event.video_id or "") for event in videos.values()}
        keys |= {("playlist", event.playlist_id) for event in videos.values() if event.playlist_id}
        try:
            async with asyncio.timeout(self._settings.stamp_wait_s):
                known = await self._look_up(keys) if keys else {}
                for place, event in videos.items():
                    if (error := self._stamp(event, known)) is not None:
                        refused[place] = error
                await self._viewers.add([event for place, event in starts.items() if place not in refused])
        except (TimeoutError, Unavailable, OSError) as error:
            UNSTAMPED.inc(len(starts))
            _log.warning("starts go on without what is known of them: %s", error or "no answer in time")
        return refused

    def _stamp(self, event: PlayerEvent, known: _Facts) -> ContractError | None:
        facts, playlist = known["video", event.video_id or ""], known.get(("playlist", event.playlist_id or ""))
        assert isinstance(facts, VideoFacts)
        assert playlist is None or isinstance(playlist, Playlist)
        if facts.video is None:
            UNKNOWN_VIDEOS.inc()
            if self._settings.unknown_videos == "refuse":
                return ContractError("unknown_video", "$.video_id", f"there is no video {event.video_id}")
        for name, value in video_stamps(event, facts, playlist).items():
            _set(event, name, value)
        return None

    async def _look_up(self, keys: set[tuple[str, str]]) -> _Facts:
        """What is remembered, or read where it is not, or for too long; one reader at a time."""
        async with self._turn:
            oldest = time.monotonic() - self._settings.stamp_refresh_s
            missing = [key for key in keys if key not in self._known or self._known[key].read_at <= oldest]
            new = await self._read_facts(missing) if missing else {}
            found = {key: new[key] if key in new else self._known[key].facts for key in keys}
            if len(self._known) + len(new) > self._settings.stamp_videos:
                self._known.clear()
            now = time.monotonic()
            self._known.update((key, _Known(now, facts)) for key, facts in new.items())
            return found

    async def _read_facts(self, missing: list[tuple[str, str]]) -> _Facts:
        video_ids = [id for kind, id in missing if kind == "video"]
        views = await self._views(video_ids)
        playlist_ids = [id for kind, id in missing if kind == "playlist"]
        videos, playlists = await asyncio.to_thread(self._read, video_ids, playlist_ids)
        facts: _Facts = {("video", id): videos[id]._replace(views=views[id]) for id in video_ids}
        return facts | {("playlist", id): playlists.get(id) for id in playlist_ids}

    def _read(self, video_ids: list[str], playlist_ids: list[str]) -> tuple[dict[str, VideoFacts], dict[str, Playlist]]:
        found = self._documents.get_many(VIDEOS, video_ids)
        assets = {id: (found[id].asset_id or id) if id in found else id for id in video_ids}
        trends = read_trends(self._engine, list(assets.values()))
        videos = {id: VideoFacts(found.get(id), trend=trends.get(assets[id])) for id in video_ids}
        return videos, self._documents.get_many(PLAYLISTS, playlist_ids)

    async def _views(self, video_ids: list[str]) -> dict[str, float]:
        """Views here in the last days, today included."""
        today = dt.datetime.now(dt.UTC).date()
        days = [f"video:{today - dt.timedelta(days=n)}" for n in range(self._settings.popularity_days)]
        fields = [f"{id}|views" for id in video_ids]
        counted = await self._counters.read_fields(days, fields)
        return {id: float(sum(day[place] for day in counted)) for place, id in enumerate(video_ids)}

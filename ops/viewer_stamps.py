"""Viewers at the collector: their consent, and the history their sessions begin with."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec

from cuepoint.models.viewer_history import viewer_key, viewer_stamps
from cuepoint.ops.settings import Settings
from cuepoint.schemas.errors import ContractError
from cuepoint.schemas.playback import PlayerEvent
from cuepoint.streams.ad_store import AdStore
from cuepoint.streams.redis_counters import RedisCounters

_STARTS = ("session_started", "video_started")
_TOLD = ("category", "channel", "device", "country")
_set = msgspec.structs.force_setattr


class Watched(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a session's starts said, for whoever fills its breaks."""

    viewer: str = ""
    facts: dict[str, str | float | bool] = {}


_decode = msgspec.json.Decoder(Watched).decode


def read_watched(raw: bytes | None) -> Watched | None:
    """None for a session that no start was heard of."""
    return None if raw is None else _decode(raw)


class ViewerStamps:
    """Methods raise Unavailable."""

    def __init__(self, settings: Settings, counters: RedisCounters, store: AdStore) -> None:
        self._settings, self._counters, self._store = settings, counters, store

    async def refused(self, events: Sequence[PlayerEvent | ContractError]) -> dict[int, ContractError]:
        """Where consent is required: events of sessions that have not given it, by their place."""
        if not self._settings.consent_required:
            return {}
        read = {place: event for place, event in enumerate(events) if isinstance(event, PlayerEvent)}
        given = {event.session_id for event in read.values() if event.kind in _STARTS and event.consent}
        taken_back = {event.session_id for event in read.values() if event.consent is False}
        asked = sorted({event.session_id for event in read.values()} - given)
        told = await asyncio.gather(*map(self._store.watched, asked))
        given |= {session_id for session_id, known in zip(asked, told, strict=True) if known is not None}
        reason = "settings require the viewer's consent (true, at the session's start)"
        return {
            place: ContractError("no_consent", "$.consent", reason)
            for place, event in read.items()
            if event.session_id not in given - taken_back
        }

    async def add(self, events: Sequence[PlayerEvent]) -> None:
        """To each start with a viewer its history, and to the session's breaks what the start says."""
        starts = [event for event in events if event.kind in _STARTS]
        viewers = [event for event in starts if event.viewer_id is not None]
        sums = await self._counters.read_many({viewer_key(event.viewer_id or "") for event in viewers})
        for event in viewers:
            for name, value in viewer_stamps(sums[viewer_key(event.viewer_id or "")]).items():
                if getattr(event, name) is None:
                    _set(event, name, value)
        sessions: dict[str, list[PlayerEvent]] = {}
        for event in starts:
            sessions.setdefault(event.session_id, []).append(event)
        await asyncio.gather(*(self._remember(session_id, told) for session_id, told in sessions.items()))

    async def _remember(self, session_id: str, starts: list[PlayerEvent]) -> None:
        before = read_watched(await self._store.watched(session_id))
        viewer, facts = ("", {}) if before is None else (before.viewer, dict(before.facts))
        for event in starts:
            facts |= {name: value for name in _TOLD if (value := getattr(event, name))}
            facts["registered"] = event.registered or facts.get("registered", False)
            viewer = "" if event.consent is False else event.viewer_id or viewer
        after = Watched(viewer, facts)
        if after != before:
            await self._store.watch(session_id, msgspec.json.encode(after))

"""A session made up to show what rules do on a video's timeline."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec.structs import replace

from cuepoint.schemas.base import EpochMs, Identifier, Seconds, Text
from cuepoint.schemas.playback import MAX_CUE_POINTS, PlayerEvent, PlayerEventKind
from cuepoint.schemas.rules import AdRule

STEP_S = 1.0
_DEFAULT_AT = 1_704_112_200_000  # Monday 2024-01-01, 12:30 UTC
_MOST_RULES, _MOST_EVENTS = 500, 20_000
_JUMPS = ("seeked", "rewound")


class Act(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the viewer does when playback is at ``at_s`` of the ``video``-th video; a seek goes ``to_s``."""

    at_s: Seconds
    does: Literal[
        "paused", "resumed", "seeked", "rewound", "muted", "unmuted", "fullscreen_entered", "fullscreen_left",
        "hovered", "clicked", "site_action", "ad_skipped", "ad_completed", "ad_clicked",
    ]  # fmt: skip
    to_s: Seconds = 0.0
    what: Text = ""  # of a click or site action; of an ad: its rule
    video: Annotated[int, msgspec.Meta(ge=1)] = 1


class Viewing(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is watched and by whom: ``videos`` plays of one length, to the end, with what the viewer does on the way."""

    length_s: Annotated[float, msgspec.Meta(gt=0, le=14_400)] = 600.0
    videos: Annotated[int, msgspec.Meta(ge=1, le=20)] = 1
    at: EpochMs = _DEFAULT_AT
    video_id: Identifier = "video"
    category: Text = ""
    channel: Text = ""
    cue_points_s: Annotated[list[Seconds], msgspec.Meta(max_length=MAX_CUE_POINTS)] = []
    playlist_id: Identifier | None = None
    registered: bool = False
    device: Text = ""
    country: Text = ""
    region: Text = ""
    affiliate: Text = ""
    profile: Text = ""
    average_view_s: Seconds | None = None
    average_session_s: Seconds | None = None
    acts: Annotated[list[Act], msgspec.Meta(max_length=200)] = []


class PreviewRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``rules`` are taken as active and in season; without them those of the store that are active."""

    viewing: Viewing = Viewing()
    rules: Annotated[list[AdRule], msgspec.Meta(max_length=_MOST_RULES)] = []


class ExplainRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``events`` as recorded, in the order in which they came. ``rules``: with their status and schedule; without them
    every version of the store."""

    events: Annotated[list[PlayerEvent], msgspec.Meta(min_length=1, max_length=_MOST_EVENTS)]
    rules: Annotated[list[AdRule], msgspec.Meta(max_length=_MOST_RULES)] = []


def events_of(viewing: Viewing) -> list[PlayerEvent]:
    """The events a player would send, a heartbeat each second; ads take no time."""
    return _Script(viewing).events


def as_tried(rule: AdRule) -> AdRule:
    """The rule as if it were active, from the beginning and for good."""
    return replace(rule, status="active", effective_at=0, starts=None, ends=None, offsets={})


class _Script:
    def __init__(self, viewing: Viewing) -> None:
        self.events: list[PlayerEvent] = []
        self._viewing, self._at = viewing, viewing.at
        viewer: dict[str, Any] = {
            name: getattr(viewing, name)
            for name in ("registered", "device", "country", "region", "affiliate", "profile")
        }
        history = {"average_view_s": viewing.average_view_s, "average_session_s": viewing.average_session_s}
        self._say("session_started", 0.0, **viewer, **history)
        for number in range(1, viewing.videos + 1):
            self._play(number)
        self._say("session_ended", 0.0)

    def _say(self, kind: PlayerEventKind, position_s: float, **fields: Any) -> None:
        seq = len(self.events)
        event = PlayerEvent(
            event_id=f"preview-{seq}",
            session_id="preview",
            seq=seq,
            kind=kind,
            at=self._at,
            received_at=self._at,
            position_s=position_s,
            **fields,
        )
        self.events.append(event)

    def _play(self, number: int) -> None:
        viewing = self._viewing
        video_id = viewing.video_id if viewing.videos == 1 else f"{viewing.video_id}-{number}"
        listed = {"playlist_id": viewing.playlist_id, "playlist_number": number, "playlist_length": viewing.videos}
        self._say(
            "video_started",
            0.0,
            video_id=video_id,
            duration_s=viewing.length_s,
            category=viewing.category,
            channel=viewing.channel,
            cue_points_s=viewing.cue_points_s,
            **(listed if viewing.playlist_id else {}),
        )
        acts = sorted((act for act in viewing.acts if act.video == number), key=lambda act: act.at_s)
        position_s = 0.0
        while True:
            while acts and acts[0].at_s <= position_s:
                position_s = self._act(acts.pop(0), position_s, video_id)
            if position_s >= viewing.length_s:
                break
            upcoming_s = acts[0].at_s if acts else viewing.length_s
            step_s = min(STEP_S, upcoming_s - position_s, viewing.length_s - position_s)
            position_s += step_s
            self._at += max(1, round(step_s * 1000.0))
            self._say("progressed", position_s, video_id=video_id)
        self._say("video_completed", viewing.length_s, video_id=video_id)

    def _act(self, act: Act, position_s: float, video_id: str) -> float:
        of_ad = act.does.startswith("ad_")
        to_s = min(act.to_s, self._viewing.length_s) if act.does in _JUMPS else position_s
        said: dict[str, Any] = {"rule_id" if of_ad else "action": act.what} if act.what else {}
        from_s = position_s if act.does in _JUMPS else None
        self._say(act.does, to_s, video_id=video_id, from_position_s=from_s, **said)
        return to_s

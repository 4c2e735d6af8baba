"""What is known of a video or viewer, put into an event that does not say it."""

from __future__ import annotations

from typing import Any, NamedTuple

from cuepoint.schemas.media import Playlist, Video
from cuepoint.schemas.playback import MAX_CUE_POINTS, PlayerEvent
from cuepoint.schemas.trends import AssetDay, Change

_SILENT = PlayerEvent(event_id="-", session_id="-", seq=0, kind="video_started", at=0)
_SLACK_S = 1.0  # players round lengths each in their own way


class VideoFacts(NamedTuple):
    """``video`` None: no metadata. ``views`` of the last days here; ``trend``: views over those expected (1: as ever);
    None: unknown."""

    video: Video | None = None
    views: float | None = None
    trend: float | None = None


def video_stamps(event: PlayerEvent, facts: VideoFacts, playlist: Playlist | None) -> dict[str, Any]:
    """The fields to set in a ``video_started``; what it says itself stays.

    >>> event = PlayerEvent(event_id="e", session_id="s", seq=0, kind="video_started", at=0, video_id="v", rating=1.0)
    >>> video_stamps(event, VideoFacts(Video(video_id="v", duration_s=60.0, channel="news"), views=7.0), None)
    {'duration_s': 60.0, 'channel': 'news', 'views': 7.0}
    """
    known: dict[str, Any] = {"views": facts.views, "trend": facts.trend}
    if facts.video is not None:
        known = _of_video(event, facts.video) | known
    if playlist is not None and event.playlist_number == 0 and playlist.videos.count(event.video_id or "") == 1:
        known["playlist_number"] = playlist.videos.index(event.video_id or "") + 1
    if playlist is not None:
        known["playlist_length"] = len(playlist.videos)
    return {
        name: value
        for name, value in known.items()
        if getattr(event, name) == getattr(_SILENT, name) and value not in (None, getattr(_SILENT, name))
    }


def _of_video(event: PlayerEvent, video: Video) -> dict[str, Any]:
    length_s = event.duration_s if event.duration_s else video.duration_s
    if length_s is not None and event.position_s > length_s + _SLACK_S:
        length_s = None  # the player is further than our metadata say the video goes: they are of another cut
    within = [cue.at_s for cue in video.cue_points if length_s is None or cue.at_s <= length_s]
    return {
        "duration_s": length_s,
        "category": video.categories[0] if video.categories else "",
        "channel": video.channel,
        "cue_points_s": sorted(within)[:MAX_CUE_POINTS],
        "rating": mean_rating(video),
    }


def mean_rating(video: Video) -> float | None:
    """Of all votes, whoever gave them.

    >>> from cuepoint.schemas.media import Rating
    >>> mean_rating(Video(video_id="v", ratings={"a": Rating(value=5, votes=3), "b": Rating(value=1, votes=1)}))
    4.0
    """
    votes = sum(rating.votes for rating in video.ratings.values())
    if not votes:
        return None
    return sum(rating.value * rating.votes for rating in video.ratings.values()) / votes


def trend_of(day: AssetDay | None, change: Change | None) -> float | None:
    """Views over those expected: by a region of significant change that is open; else by the newest scored day."""
    if change is not None:
        return max(0.0, 1.0 + change.size_percent / 100.0)
    if day is None or day.count is None or not day.mean > 0.0:
        return None
    return day.count / day.mean

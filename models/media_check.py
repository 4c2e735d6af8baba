"""What the types of media metadata cannot say."""

from __future__ import annotations

from cuepoint.schemas.errors import ContractError
from cuepoint.schemas.media import CuePoint, Video


def check_video(video: Video) -> None:
    """Raise ContractError for a cue point beyond the video's end, or two in one place.

    >>> try:
    ...     check_video(Video(video_id="v", duration_s=60.0, cue_points=[CuePoint(at_s=61.0)]))
    ... except ContractError as error:
    ...     error.field, error.reason
    ('$.cue_points[0].at_s', '61 s lies beyond the video, which has 60 s')
    """
    seen: dict[float, int] = {}
    for number, cue in enumerate(video.cue_points):
        field = f"$.cue_points[{number}].at_s"
        if video.duration_s is not None and cue.at_s > video.duration_s:
            reason = f"{cue.at_s:g} s lies beyond the video, which has {video.duration_s:g} s"
            raise ContractError("cue_beyond_video", field, reason)
        if cue.at_s in seen:
            raise ContractError("invalid", field, f"cue point {seen[cue.at_s]} stands at {cue.at_s:g} s, too")
        seen[cue.at_s] = number


def with_cues(video: Video, cues: list[CuePoint]) -> list[CuePoint]:
    """The video's cue points, those of the sources that ``cues`` come from replaced by them; what others say of the
    same place stays.

    >>> old = Video(video_id="v", cue_points=[CuePoint(at_s=1.0, source="log"), CuePoint(at_s=2.0)])
    >>> [cue.at_s for cue in with_cues(old, [CuePoint(at_s=3.0, source="log")])]
    [2.0, 3.0]
    """
    sources = {cue.source for cue in cues}
    kept = {cue.at_s: cue for cue in video.cue_points if cue.source not in sources}
    together = {cue.at_s: cue for cue in cues} | kept
    return [together[at_s] for at_s in sorted(together)]

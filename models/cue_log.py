"""Cue points from a log of times, one a line, as editors and automation write them."""

from __future__ import annotations

import re

from cuepoint.schemas.errors import ContractError
from cuepoint.schemas.media import CuePoint

_TIME = re.compile(r"(?:(?:(\d{1,4}):)?(\d{1,4}):(\d{1,2})|(\d{1,7}))(?:[.,](\d{1,6})|[:;](\d{1,2}))?")
_LINE = re.compile(r"\s*(?P<at>[\d:;.,]*\d)(?:\s*(?:-->|-)\s*(?P<until>[\d:;.,]*\d))?(?:[\s,;|]+(?P<name>.*))?")
_NAME_CHARS = 512


def seconds_of(text: str, frames_per_s: float | None = None) -> float:
    """Seconds of ``s``, ``s.mmm``, ``mm:ss``, ``hh:mm:ss``, ``hh:mm:ss.mmm``; ``hh:mm:ss:ff`` with
    ``frames_per_s``.

    Raises ValueError with the reason.

    >>> seconds_of("90.5"), seconds_of("1:30"), seconds_of("01:00:00,250"), seconds_of("00:01:00:12", 24.0)
    (90.5, 90.0, 3600.25, 60.5)
    """
    found = _TIME.fullmatch(text)
    if found is None:
        raise ValueError(f"{text} is no time")
    hours, minutes, rest, plain, fraction, frames = found.groups()
    if rest is not None and (int(rest) > 59 or (hours is not None and int(minutes) > 59)):
        raise ValueError(f"{text}: minutes and seconds go up to 59")
    whole = int(plain) if plain is not None else int(hours or 0) * 3600 + int(minutes) * 60 + int(rest)
    if frames is not None:
        if frames_per_s is None or hours is None:
            raise ValueError(f"{text} counts frames: say how many a second (frames_per_s)")
        if int(frames) >= frames_per_s:
            raise ValueError(f"{text}: a second has {frames_per_s:g} frames")
        return whole + int(frames) / frames_per_s
    return whole + (float(f"0.{fraction}") if fraction else 0.0)


def read_cue_log(text: str, frames_per_s: float | None = None) -> list[CuePoint]:
    """The cue points of a log, in the order of time; lines that begin with # and empty ones are passed over.

    A line is a time, or two joined by ``-`` or ``-->``, then a name if there is one. Raises ContractError, naming the
    line.

    >>> [(cue.at_s, cue.duration_s, cue.name) for cue in read_cue_log("# breaks\\n1:30 - 2:00, first\\n600\\tsecond")]
    [(90.0, 30.0, 'first'), (600.0, None, 'second')]
    """
    cues = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        found = _LINE.fullmatch(line)
        if found is None:
            raise ContractError("invalid", f"line {number}", "expected a time, then a name")
        try:
            at_s = seconds_of(found["at"], frames_per_s)
            until_s = None if found["until"] is None else seconds_of(found["until"], frames_per_s)
        except ValueError as error:
            raise ContractError("invalid", f"line {number}", str(error)) from None
        if until_s is not None and until_s < at_s:
            raise ContractError("invalid", f"line {number}", "the break ends before it begins")
        name = (found["name"] or "").strip()[:_NAME_CHARS]
        cues.append(
            CuePoint(at_s=at_s, name=name, duration_s=None if until_s is None else until_s - at_s, source="log")
        )
    return sorted(cues, key=lambda cue: cue.at_s)

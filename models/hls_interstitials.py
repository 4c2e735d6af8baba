"""HLS interstitials (RFC 8216bis, appendix D): date ranges put into a media playlist, their assets asked for late."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

from cuepoint.schemas.errors import ContractError

_URI = re.compile(r'URI="([^"]*)"')
_EPOCH = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)  # of a playlist that has no date of its own


class Interstitial(NamedTuple):
    """``at_s`` from the playlist's beginning; None: after its end. ``cue``: PRE, POST or, empty, where it stands.
    ``resume_offset_s`` None: where the ads have lasted to (live); 0: where they began."""

    id: str
    at_s: float | None
    asset_list_url: str
    cue: Literal["", "PRE", "POST"] = ""
    once: bool = True
    resume_offset_s: float | None = 0.0
    playout_limit_s: float | None = None
    planned_s: float | None = None
    snap: tuple[Literal["IN", "OUT"], ...] = ()
    restrict: tuple[Literal["SKIP", "JUMP"], ...] = ()


def with_interstitials(text: str, whole_url: Callable[[str], str], ads: Sequence[Interstitial]) -> str:
    """The media playlist, its addresses made whole by ``whole_url``, with a date range for each of ``ads``.

    A live playlist whose beginning is gone has no place to count from, and gets none; one that still grows none at its
    end. Raises ContractError for what is no media playlist.
    """
    lines = _lines(text)
    if is_multivariant(text):
        raise ContractError("invalid", "$", "a multivariant playlist has no timeline")
    if not any(line.startswith("#EXTINF") for line in lines):
        raise ContractError("invalid", "$", "the playlist has no segment")
    began, total_s = _began(lines), _total_s(lines)
    ended = "#EXT-X-ENDLIST" in lines
    if not ended and _sequence(lines) > 0:
        ads = ()
    ads = [ad for ad in ads if ended or ad.at_s is not None]
    waiting = sorted(ads, key=lambda ad: total_s if ad.at_s is None else ad.at_s)
    whole: list[str] = []
    at_s, last = 0.0, max(n for n, line in enumerate(lines) if line.startswith("#EXTINF"))
    for number, line in enumerate(lines):
        if line.startswith("#EXTINF"):  # each range before the segment in which it begins, at the latest the last one
            if at_s == 0.0 and began is None:
                whole.append(f"#EXT-X-PROGRAM-DATE-TIME:{_date(_EPOCH)}")
            at_s += _number(line.partition(":")[2])
            while waiting and (number == last or (waiting[0].at_s is not None and waiting[0].at_s < at_s)):
                whole.append(_date_range(waiting.pop(0), began or _EPOCH, total_s))
        whole.append(_addressed(line, whole_url))
    return "\n".join(whole) + "\n"


def with_links(text: str, whole_url: Callable[[str], str], link: Callable[[str], str]) -> str:
    """The multivariant playlist, its media playlists' addresses replaced by ``link`` of the whole ones.

    >>> with_links("#EXTM3U\\n#EXT-X-STREAM-INF:BANDWIDTH=1\\na.m3u8", lambda url: f"https://h/{url}", str.upper)
    '#EXTM3U\\n#EXT-X-STREAM-INF:BANDWIDTH=1\\nHTTPS://H/A.M3U8\\n'
    """

    def linked(url: str) -> str:
        return link(whole_url(url))

    playlists = ("#EXT-X-MEDIA:", "#EXT-X-STREAM-INF")
    lines = _lines(text)
    own = [line.startswith(playlists) or not line.startswith("#") for line in lines]
    return "".join(
        _addressed(line, linked if mine else whole_url) + "\n" for line, mine in zip(lines, own, strict=True)
    )


def is_multivariant(text: str) -> bool:
    """Whether it lists playlists rather than segments."""
    return "#EXT-X-STREAM-INF" in text


def _lines(text: str) -> list[str]:
    lines = [line.strip() for line in text.splitlines()]
    if not lines or lines[0] != "#EXTM3U":
        raise ContractError("malformed", "line 1", "not a playlist: it does not begin with #EXTM3U")
    return [line for line in lines if line]


def _addressed(line: str, address: Callable[[str], str]) -> str:
    if not line.startswith("#"):
        return address(line)
    return _URI.sub(lambda found: f'URI="{address(found[1])}"', line)


def _sequence(lines: Sequence[str]) -> int:
    given = next((line.partition(":")[2] for line in lines if line.startswith("#EXT-X-MEDIA-SEQUENCE:")), "0")
    return int(given) if given.isascii() and given.isdecimal() else 0


def _began(lines: Sequence[str]) -> dt.datetime | None:
    """The calendar's time at which the playlist begins, if it says."""
    at_s = 0.0
    for line in lines:
        name, _, rest = line.partition(":")
        if name == "#EXTINF":
            at_s += _number(rest)
        elif name == "#EXT-X-PROGRAM-DATE-TIME":
            try:
                moment = dt.datetime.fromisoformat(rest)
            except ValueError:
                raise ContractError("invalid", "$", f"{rest[:40]} is no date") from None
            aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=dt.UTC)
            return aware - dt.timedelta(seconds=at_s)
    return None


def _total_s(lines: Sequence[str]) -> float:
    return sum(_number(line.partition(":")[2]) for line in lines if line.startswith("#EXTINF"))


def _number(text: str) -> float:
    try:
        return float(text.partition(",")[0])
    except ValueError:
        raise ContractError("invalid", "$", f"{text[:40]} is no length of a segment") from None


def _date(moment: dt.datetime) -> str:
    return moment.astimezone(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _date_range(ad: Interstitial, began: dt.datetime, total_s: float) -> str:
    start = began + dt.timedelta(seconds=total_s if ad.at_s is None else ad.at_s)
    cues = [*([ad.cue] if ad.cue else []), *(["ONCE"] if ad.once else [])]
    given = [f'ID="{ad.id}"', 'CLASS="com.apple.hls.interstitial"', f'START-DATE="{_date(start)}"']
    given += [f'CUE="{",".join(cues)}"'] if cues else []
    given += [f"PLANNED-DURATION={ad.planned_s:g}"] if ad.planned_s is not None else []
    given.append(f'X-ASSET-LIST="{ad.asset_list_url}"')
    given += [f"X-RESUME-OFFSET={ad.resume_offset_s:g}"] if ad.resume_offset_s is not None else []
    given += [f"X-PLAYOUT-LIMIT={ad.playout_limit_s:g}"] if ad.playout_limit_s is not None else []
    given += [f'X-SNAP="{",".join(ad.snap)}"'] if ad.snap else []
    given += [f'X-RESTRICT="{",".join(ad.restrict)}"'] if ad.restrict else []
    return "#EXT-X-DATERANGE:" + ",".join(given)

"""Cue points from the SCTE 35 marks of an HLS media playlist (RFC 8216; the three ways in use)."""

from __future__ import annotations

import datetime as dt
import re

from cuepoint.models.scte35_section import Splice, section_of, splices
from cuepoint.schemas.errors import ContractError
from cuepoint.schemas.media import CuePoint

_ATTRIBUTE = re.compile(r'([A-Z0-9-]+)=("[^"]*"|[^,]*)')
_CARRIED = ("SCTE35-OUT", "SCTE35-CMD", "SCTE35-IN")


def attributes_of(text: str) -> dict[str, str]:
    """An attribute list, without quotation marks.

    >>> attributes_of('ID="a,b",DURATION=30.5')
    {'ID': 'a,b', 'DURATION': '30.5'}
    """
    return {name: value.strip().strip('"') for name, value in _ATTRIBUTE.findall(text)}


def read_manifest_cues(text: str) -> list[CuePoint]:
    """Where breaks begin, in seconds from the playlist's beginning, in order of time, each place once.

    Read are EXT-X-DATERANGE with SCTE35-OUT or -CMD (its START-DATE against EXT-X-PROGRAM-DATE-TIME, else where the tag
    stands), EXT-OATCLS-SCTE35 and EXT-X-SCTE35, and EXT-X-CUE-OUT. Raises ContractError, naming the line.
    """
    lines = text.splitlines()
    if not lines or lines[0].strip() != "#EXTM3U":
        raise ContractError("malformed", "line 1", "not a playlist: it does not begin with #EXTM3U")
    if any(line.startswith("#EXT-X-STREAM-INF") for line in lines):
        raise ContractError("invalid", "$", "a multivariant playlist: send one of its media playlists")
    reader = _Reader()
    for number, line in enumerate(lines, 1):
        try:
            reader.read(line.strip())
        except ValueError as error:
            raise ContractError("invalid", f"line {number}", str(error)) from None
    return reader.cues()


class _Reader:
    def __init__(self) -> None:
        self._at_s = 0.0
        self._began: dt.datetime | None = None  # the playlist, on the calendar
        self._found: list[tuple[float | dt.datetime, float | None]] = []
        self._marked: float | None = None  # where a section was found: a CUE-OUT there is the same break

    def read(self, line: str) -> None:
        name, _, rest = line.partition(":")
        if name == "#EXTINF":
            self._at_s += float(rest.partition(",")[0])
        elif name == "#EXT-X-PROGRAM-DATE-TIME":
            if self._began is None:
                self._began = _moment(rest) - dt.timedelta(seconds=self._at_s)
        elif name == "#EXT-X-DATERANGE":
            self._date_range(attributes_of(rest))
        elif name == "#EXT-OATCLS-SCTE35":
            self._section(rest, None, None)
        elif name == "#EXT-X-SCTE35":
            self._section(attributes_of(rest).get("CUE", rest), None, None)
        elif name == "#EXT-X-CUE-OUT" and self._marked != self._at_s:
            given = attributes_of(rest).get("DURATION", rest.strip())
            self._found.append((self._at_s, float(given) if given else None))

    def _date_range(self, given: dict[str, str]) -> None:
        length = given.get("DURATION") or given.get("PLANNED-DURATION")
        at = _moment(given["START-DATE"]) if "START-DATE" in given else None
        for name in _CARRIED:
            if name in given:
                self._section(given[name], at, float(length) if length else None)

    def _section(self, text: str, at: dt.datetime | None, duration_s: float | None) -> None:
        outs: list[Splice] = [splice for splice in splices(section_of(text)) if splice.out]
        if outs:
            longest = max((splice.duration_s for splice in outs if splice.duration_s is not None), default=None)
            self._found.append((self._at_s if at is None else at, longest if duration_s is None else duration_s))
            self._marked = self._at_s

    def cues(self) -> list[CuePoint]:
        placed: dict[float, float | None] = {}
        for at, duration_s in self._found:
            if isinstance(at, dt.datetime):
                if self._began is None:
                    raise ContractError("invalid", "$", "EXT-X-DATERANGE without EXT-X-PROGRAM-DATE-TIME")
                seconds = (at - self._began).total_seconds()
            else:
                seconds = at
            where = round(seconds, 3)
            if where >= 0 and placed.get(where) is None:
                placed[where] = duration_s
        return [CuePoint(at_s=at_s, duration_s=placed[at_s], source="scte35") for at_s in sorted(placed)]


def _moment(text: str) -> dt.datetime:
    moment = dt.datetime.fromisoformat(text.strip())
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=dt.UTC)

"""Occasions that follow the time played: fixed, progressive and session-paced frequencies as one series of moments."""

from __future__ import annotations

from bisect import bisect_right
from typing import NamedTuple

from cuepoint.schemas.rules import Every, Progressive, SessionPaced

MAX_MOMENTS = 10_000  # of an interval that still changes; from there on it stays as it is


class Series(NamedTuple):
    """Moments in seconds played, counted from 1: first those listed, then one every ``interval_s``.

    >>> series = series_of(Progressive(intervals_s=[10.0, 20.0, 30.0]))
    >>> [series.moment(k) for k in range(1, 13)]
    [10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 80.0, 100.0, 120.0, 150.0, 180.0, 210.0]
    """

    moments: tuple[float, ...]
    interval_s: float

    def moment(self, number: int) -> float:
        """The played seconds of occasion ``number`` (at least 1)."""
        listed = len(self.moments)
        if number <= listed:
            return self.moments[number - 1]
        return (self.moments[-1] if listed else 0.0) + (number - listed) * self.interval_s

    def passed(self, played_s: float) -> int:
        """How many occasions lie at or before ``played_s``."""
        listed = len(self.moments)
        if listed and played_s < self.moments[-1]:
            return bisect_right(self.moments, played_s)
        since = played_s - (self.moments[-1] if listed else 0.0)
        number = listed + max(0, int(since / self.interval_s))
        while self.moment(number + 1) <= played_s:
            number += 1
        while number > listed and self.moment(number) > played_s:
            number -= 1
        return number

    def due(self, before_s: float, played_s: float) -> int:
        """The last occasion after ``before_s`` and at or before ``played_s``; 0 where there is none.

        Several passed at once (a lost heartbeat) are one occasion: an ad cannot be put into the past.
        """
        number = self.passed(played_s)
        return number if number > 0 and self.moment(number) > before_s else 0

    def following(self, played_s: float) -> float:
        """The first moment after ``played_s``."""
        return self.moment(self.passed(played_s) + 1)


def series_of(place: Every | Progressive | SessionPaced) -> Series:
    """The series an insertion point describes; for SessionPaced the seconds are the session's, else the video's."""
    if isinstance(place, Every):
        return Series((), place.seconds)
    moments: list[float] = []
    at = 0.0
    while True:
        interval, settled = _interval(place, at)
        if settled or len(moments) == MAX_MOMENTS:
            return Series(tuple(moments), interval)
        at += interval
        moments.append(at)


def _interval(place: Progressive | SessionPaced, at_s: float) -> tuple[float, bool]:
    """The interval that follows ``at_s``, and whether it stays so from then on."""
    if isinstance(place, Progressive):
        last = len(place.intervals_s) - 1
        window = min(last, int(at_s / place.window_s))
        return place.intervals_s[window], window == last
    interval = place.seconds * (1.0 + place.growth * at_s / 60.0)
    if interval >= place.max_seconds:
        return place.max_seconds, True
    return interval, place.growth == 0.0

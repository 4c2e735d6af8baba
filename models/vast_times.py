"""Times as VAST and VMAP write them."""

from __future__ import annotations

import re

_CLOCK = re.compile(r"(\d{1,3}):([0-5]\d):([0-5]\d)(?:\.(\d{1,3}))?")


def clock(seconds: float) -> str:
    """``hh:mm:ss``, with ``.mmm`` where there is a rest.

    >>> clock(90), clock(3600.25)
    ('00:01:30', '01:00:00.250')
    """
    whole, ms = divmod(round(seconds * 1000), 1000)
    text = f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02}"
    return f"{text}.{ms:03}" if ms else text


def seconds_of_clock(text: str) -> float:
    """Raises ValueError.

    >>> seconds_of_clock("00:00:15"), seconds_of_clock("00:00:15.5")
    (15.0, 15.5)
    """
    found = _CLOCK.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text[:40]} is not hh:mm:ss")
    hours, minutes, seconds, rest = found.groups()
    return int(hours) * 3600 + int(minutes) * 60 + int(seconds) + (float(f"0.{rest}") if rest else 0.0)

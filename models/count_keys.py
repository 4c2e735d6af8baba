"""Names of the counters: keys, fields, how long they are kept.

A key is one hash of a UTC day (or hour); a field is ``metric``, or ``name|metric`` where the key counts by name:

=====================  ==================================  ==========
key                    fields                              kept
=====================  ==================================  ==========
``total:DAY``          ``metric``                          400 days
``hour:DAYThh``        ``metric``                          8 days
``video:DAY``          ``video_id|metric``                 35 days
``category:DAY``       ``category|metric``                 400 days
``day_part:DAY``       ``night|morning|...|metric``        400 days
``rule:DAY``           ``rule_id|metric``                  400 days
``format:DAY``         ``ad type|metric``                  400 days
``viewer:PSEUDONYM``   see viewer_history.METRICS          a setting
=====================  ==================================  ==========

Metrics: see METRICS; all whole numbers, so that their sums are exact. An event without category counts as ``none``.
"""

from __future__ import annotations

import datetime as dt
from functools import lru_cache

_DAY_S = 86_400
_KEPT_S = {"hour": 8 * _DAY_S, "video": 35 * _DAY_S}
_KEPT_LONG_S = 400 * _DAY_S
METRICS = (
    "sessions",  # begun
    "plays",  # of a video begun
    "views",  # plays of at least VIEW_S seconds, or complete
    "completions",
    "watch_ms",  # of play
    "deliveries",  # ads decided
    "ad_starts",
    "ad_completes",
    "ad_skips",
    "ad_clicks",
    "ad_failures",
)
VIEW_S = 30.0
_PARTS = ("night", "morning", "afternoon", "evening")  # six hours each, UTC


def ttl_s(key: str, viewer_days: int = 90) -> int | None:
    """Seconds after its last increment at which the key may go (a viewer's: in days); None for a key that is not one of
    these.

    >>> ttl_s("hour:2024-01-31T07"), ttl_s("other")
    (691200, None)
    """
    kind, _, rest = key.partition(":")
    if rest and kind == "viewer":
        return viewer_days * _DAY_S
    if not rest or kind not in ("total", "hour", "video", "category", "day_part", "rule", "format"):
        return None
    return _KEPT_S.get(kind, _KEPT_LONG_S)


@lru_cache(maxsize=4096)
def of_hour(hour: int) -> tuple[str, str, str]:
    """(day, hour, day part) of an hour since 1970, UTC.

    >>> of_hour(1_700_000_000_000 // 3_600_000)
    ('2023-11-14', '2023-11-14T22', 'evening')
    """
    moment = dt.datetime.fromtimestamp(hour * 3600, dt.UTC)
    return f"{moment:%Y-%m-%d}", f"{moment:%Y-%m-%dT%H}", _PARTS[moment.hour // 6]

"""What services call things, in our words: groups and ways of listening."""

from __future__ import annotations

import re
from typing import Any

from cuepoint.schemas.consumption import Activity, Context

_WORDS: dict[str, dict[str, str]] = {
    "gender": {
        "f": "female",
        "w": "female",
        "woman": "female",
        "m": "male",
        "man": "male",
        "": "unknown",
        "u": "unknown",
    },
    "subscription": {
        **dict.fromkeys(("premium", "subscription", "subscriptionmodel", "individual", "family", "student"), "paid"),
        **dict.fromkeys(("ad", "ads", "adsupported", "advertisementsupportedmodel", "freeofchargemodel"), "free"),
        **dict.fromkeys(("trial_membership", "free_trial"), "trial"),
    },
    "context": {
        **dict.fromkeys(("collection", "my_library", "saved", "favourites", "favorites"), "library"),
        **dict.fromkeys(("discover", "for_you", "browse", "listen_now", "recommendation"), "discovery"),
        **dict.fromkeys(("others_playlist", "my_playlist", "chart", "charts", "editorial"), "playlist"),
        **dict.fromkeys(("station", "autoplay", "noninteractivestream", "webcast"), "radio"),
        **dict.fromkeys(("play_queue", "queue", "up_next"), "now_playing"),
        **dict.fromkeys(("link", "embed", "share", "social", "messages"), "external"),
        **dict.fromkeys(("siri", "assistant"), "voice"),
        **dict.fromkeys(("release",), "album"),
        **dict.fromkeys(("ondemandstream", "stream", "not_available"), "unknown"),
    },
    "device": {
        **dict.fromkeys(("mobile", "smartphone", "iphone", "android", "ios"), "phone"),
        **dict.fromkeys(("ipad",), "tablet"),
        **dict.fromkeys(("desktop", "web", "mac", "pc", "windows", "browser"), "computer"),
        **dict.fromkeys(("smart_speaker", "homepod"), "speaker"),
        **dict.fromkeys(("television", "set_top_box", "console", "apple_tv"), "tv"),
        **dict.fromkeys(("carplay", "automotive", "vehicle"), "car"),
    },
    "activity": {"lean_forward": "active", "lean_back": "passive"},
    "age_band": {"65-": "65+", "<18": "0-17", "13-17": "0-17", "under_18": "0-17"},
}
_KNOWN: dict[str, frozenset[str]] = {
    "gender": frozenset(("female", "male", "other", "unknown")),
    "subscription": frozenset(("paid", "free", "trial", "unknown")),
    "context": frozenset(Context.__args__),  # type: ignore[attr-defined]
    "device": frozenset(("phone", "tablet", "computer", "speaker", "tv", "car", "other", "unknown")),
    "activity": frozenset(("active", "passive", "unknown")),
    "age_band": frozenset(("0-17", "18-24", "25-34", "35-44", "45-54", "55-64", "65+", "unknown")),
}
_ACTIVITY: dict[str, Activity] = {
    **dict.fromkeys(("library", "search", "album", "artist", "voice"), "active"),  # sought out
    **dict.fromkeys(("discovery", "playlist", "radio"), "passive"),  # served
}
_REGION = re.compile(r"[A-Z]{2}-[A-Z0-9]{1,3}")
_REGION_PART = re.compile(r"[A-Z0-9]{1,3}")


def word(field: str, value: Any) -> str:
    """Our word for what a service says; ``other`` (where the field has it) for a word nobody has told us of.

    >>> word("context", "Others Playlist"), word("gender", "F"), word("device", "fridge"), word("subscription", "gold")
    ('playlist', 'female', 'other', 'unknown')
    """
    said = "_".join(str(value).strip().lower().replace("-", "_" if field != "age_band" else "-").split())
    known = _KNOWN[field]
    meant = _WORDS[field].get(said, said)
    if meant in known:
        return meant
    return "other" if said and "other" in known else "unknown"


def activity_of(context: str) -> Activity:
    """Whether a way of listening is sought out (``active``) or served (``passive``), where the report does not say."""
    return _ACTIVITY.get(context, "unknown")


def region(value: Any, territory: str) -> str:
    """A subdivision as ISO 3166-2; empty where it is none.

    >>> region("us-ny", "US"), region("NY", "US"), region("New York", "US"), region("DE-BY", "US")
    ('US-NY', 'US-NY', '', '')
    """
    text = str(value).strip().upper()
    if _REGION.fullmatch(text):
        return text if territory in ("WW", text[:2]) else ""
    return f"{territory}-{text}" if _REGION_PART.fullmatch(text) and territory != "WW" else ""

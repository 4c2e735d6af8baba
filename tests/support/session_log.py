"""Seeded logs of player events with everything that goes wrong, and the rule sets they are run against."""

from __future__ import annotations

import datetime as dt
from importlib import resources
from random import Random
from typing import Any

from msgspec.structs import replace
from playback_log import T0, is_, rule

from cuepoint.models.rule_yaml import load_rules
from cuepoint.models.session_simulator import ViewerSimulator
from cuepoint.schemas.codec import encode
from cuepoint.schemas.playback import PlayerEvent
from cuepoint.schemas.rules import (
    AdRule,
    All,
    AnyOf,
    AtCuePoints,
    AtEnd,
    AtPercent,
    AtSeconds,
    Every,
    Limits,
    Not,
    OnAction,
    OneOf,
    Progressive,
    Scope,
    SessionPaced,
)

_EXTRAS = (
    "ad_started",
    "ad_completed",
    "ad_skipped",
    "ad_clicked",
    "muted",
    "unmuted",
    "fullscreen_left",
    "site_action",
)
_BROKEN = (b"", b"[1]", b"{", b"\xff\xfe", b'{"type":"player-event.v9"}', b'{"type":"player-event.v1","seq":-1}')


def predefined(min_gap_s: float = 0.0) -> list[AdRule]:
    """Twenty of the predefined rules, all active."""
    text = (resources.files("cuepoint.ops") / "predefined_rules.yaml").read_text()
    first = sorted(load_rules(text), key=lambda one: one.status != "active")[:20]
    return [
        replace(one, status="active", limits=replace(one.limits, min_gap_s=max(one.limits.min_gap_s, min_gap_s)))
        for one in first
    ]


def changing() -> list[AdRule]:
    """Rules of every kind, with scopes, criteria, schedules, and versions that change in the middle of the log."""
    begin = dt.datetime.fromtimestamp(T0 / 1000, dt.UTC)
    later = T0 + 400_000
    muted_or_de = AnyOf(of=[is_("muted", "==", True), is_("country", "==", "DE")])
    return [
        rule("pre", limits=Limits(per_session=3), scope=Scope(categories=["music", "news", "sports"])),
        rule("pre", version=2, effective_at=later, criteria=is_("session_videos", ">", 2.0)),
        rule("cues", AtCuePoints(positions_s=[0.0, 20.0, 60.0, 100.0]), on_seek="all", limits=Limits(min_gap_s=15.0)),
        rule("late", AtSeconds(seconds=-12.0), criteria=Not(of=is_("device", "==", "tablet")), priority=7),
        rule("half", AtPercent(percent=50.0), on_seek="none", starts=begin + dt.timedelta(seconds=200)),
        rule("every", Every(seconds=45.0), criteria=muted_or_de, limits=Limits(per_video=3, per_session=9)),
        rule("every", Every(seconds=33.0), version=2, effective_at=later + 100_000),
        rule("series", Progressive(intervals_s=[25.0, 40.0]), limits=Limits(per_video=2), priority=3),
        rule("paced", SessionPaced(seconds=90.0, growth=0.2), ends=begin + dt.timedelta(seconds=900)),
        rule(
            "post", AtEnd(), criteria=All(of=[is_("session_ads", "<", 9.0), OneOf(field="weekday", values=[2.0, 3.0])])
        ),
        rule("pause", OnAction(action="paused"), limits=Limits(per_video=1), criteria=is_("view_played_s", ">", 8.0)),
        rule("mute", OnAction(action="muted"), scope=Scope(countries=["DE", "GB", "IN"])),
        rule(
            "back", OnAction(action="rewound"), criteria=is_("session_seeks", ">=", 2.0), limits=Limits(min_gap_s=20.0)
        ),
        rule("shop", OnAction(action="site_action", value="/offers"), priority=1),
        rule("video", Every(seconds=20.0), scope=Scope(videos=["sim-video-01", "sim-video-07", "sim-video-12"])),
    ]


RULE_SETS = {"dense": predefined, "sparse": lambda: predefined(300.0), "changing": changing, "none": list}


def rough_log(seed: int, sessions: int = 50, minutes: int = 20) -> list[tuple[bytes, int]]:
    """(value, broker timestamp): viewers whose events are lost, late, repeated, broken, impossible and mistimed."""
    rng = Random(f"rough {seed}")
    timed: list[tuple[float, int, bytes, int]] = []

    def put(event: PlayerEvent, delay_ms: float) -> None:
        value, stamp = encode(event), round(event.at + delay_ms)
        timed.append((stamp, len(timed), value, stamp))

    offsets: dict[str, int] = {}
    for told in ViewerSimulator(seed, T0, sessions, day_shape=False).advance(T0 + minutes * 60_000):
        offset = offsets.get(told.session_id, 0)
        event = replace(told, seq=told.seq + offset)
        fate = rng.random()
        if fate < 0.02:
            continue  # lost
        put(_changed(event, rng, fate), rng.expovariate(1 / 6000.0) if fate < 0.05 else 0.0)
        if fate > 0.98:
            put(event, rng.expovariate(1 / 20_000.0))  # repeated
        if 0.93 < fate < 0.96:
            offsets[event.session_id] = offset = offset + rng.choice([1, 1, 1, 2, 90])
            put(_extra(event, rng), 0.0)
        if rng.random() < 0.01:
            timed.append((event.at, len(timed), _spoilt(encode(event), rng), event.at))
    return [(value, stamp) for _, _, value, stamp in sorted(timed, key=lambda entry: entry[:2])]


def _changed(event: PlayerEvent, rng: Random, fate: float) -> PlayerEvent:
    changes: dict[str, Any] = {}
    if 0.05 < fate < 0.06:
        changes["position_s"] = event.position_s + rng.choice([0.7, 30.0, 5000.0])
    elif fate < 0.07:
        changes["position_s"] = max(0.0, event.position_s - 9.0)
    elif fate < 0.08:
        changes["received_at"] = 0
    elif fate < 0.085:
        changes["received_at"] = event.received_at + rng.choice([-4_000_000, -20_000, 200_000, 90_000_000])
    elif fate < 0.10:
        changes["video_id"] = None
    elif fate < 0.105:
        changes["kind"] = "session_ended"
    elif fate < 0.11:
        changes |= {"video_id": "sim-video-07", "duration_s": None}
    elif fate < 0.12:
        changes |= {"country": "GB", "device": "tv", "registered": True}
    elif fate < 0.13 and event.kind == "video_started":
        changes["duration_s"] = None
    return replace(event, **changes)


def _extra(event: PlayerEvent, rng: Random) -> PlayerEvent:
    kind = rng.choice(_EXTRAS)
    fields: dict[str, Any] = {"kind": kind, "seq": event.seq + 1, "event_id": f"{event.event_id}x"}
    if kind.startswith("ad_"):
        fields |= {"decision_id": "d", "rule_id": "r", "ad_type": "spot"}
    if kind == "site_action":
        fields["action"] = rng.choice(["/offers", "/help"])
    return replace(event, **fields)


def _spoilt(value: bytes, rng: Random) -> bytes:
    """One of the ways a record can be unreadable or break the contract, or be odd and still be good."""
    return rng.choice(
        [
            *_BROKEN,
            value[: rng.randrange(len(value))],
            value + b",",
            b" " + value + b"\n",
            value.replace(b'"seq":', b'"seq": '),
            value.replace(b'"event_id":"', b'"event_id":" '),
            value.replace(b'"event_id":"', b'"event_id":"\\u0041\xc3\xa4'),
            value.replace(b'"session_id":"', b'"session_id":"\\u0085'),
            value.replace(b'"session_id":"', '"session_id":"\u00a0'.encode()),
            value.replace(b'"position_s":', b'"position_s":-'),
            value.replace(b'"kind":"', b'"kind":"x'),
            value.replace(b'"at":', b'"unknown":[{}],"at":'),
            value[:-1] + b',"seq":7}',
            value[:-1] + b',"position_s":12}',
            value[:-1] + b',"position_s":1e1}',
            value + value,
            value + b"," + value,
        ]
    )

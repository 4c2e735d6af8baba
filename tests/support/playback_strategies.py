"""Hypothesis strategies: rules that pass the check, sessions as players tell them, and a naive reading of criteria."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from playback_log import T0, Player

from cuepoint.models.rule_check import SCREENS, check_rule
from cuepoint.models.rule_fields import ACTIONS, AD_ACTIONS, FIELDS
from cuepoint.schemas.errors import RuleError
from cuepoint.schemas.playback import PlayerEvent
from cuepoint.schemas.rules import (
    Adaptation,
    AdFormat,
    AdRule,
    All,
    AnyOf,
    AtCuePoints,
    AtEnd,
    AtMiddle,
    AtPercent,
    AtSeconds,
    AtStart,
    BetweenClips,
    ByLength,
    Compare,
    CriteriaTree,
    Every,
    Has,
    LengthStep,
    Limits,
    Not,
    OnAction,
    OneOf,
    Progressive,
    Scope,
    SessionPaced,
)

TEXTS = ["", "v0", "v1", "music", "DE", "tv", "paused", "spot"]
NUMBERS = [0.0, 1.0, 2.0, 3.0, 7.0, 15.0, 22.0, 30.0, 60.0, 90.0, 120.5]
seconds = st.sampled_from([1.0, 2.5, 5.0, 7.3, 10.0, 15.0, 30.0, 45.0, 60.0, 90.0])


def leaves() -> st.SearchStrategy[CriteriaTree]:
    def of(field: str) -> st.SearchStrategy[CriteriaTree]:
        if field == "profile":
            return st.builds(Has, value=st.sampled_from(["interest=cars", "interest", "age=30"]))
        kind = FIELDS[field].kind
        values: st.SearchStrategy[Any] = {
            "number": st.sampled_from(NUMBERS),
            "text": st.sampled_from(TEXTS),
            "flag": st.booleans(),
        }[kind]
        relations = ["<", "<=", "==", "!=", ">=", ">"] if kind == "number" else ["==", "!="]
        compare = st.builds(
            lambda relation, value: Compare(field=field, is_=relation, value=value),  # type: ignore[arg-type]
            st.sampled_from(relations),
            values,
        )
        if kind == "flag":
            return compare
        chosen = st.lists(values, min_size=1, max_size=3)
        return compare | st.builds(lambda some: OneOf(field=field, values=some), chosen)  # type: ignore[arg-type]

    return st.sampled_from(sorted(FIELDS)).flatmap(of)


criteria: st.SearchStrategy[CriteriaTree] = st.recursive(
    leaves(),
    lambda inner: st.one_of(
        st.builds(lambda of: All(of=of), st.lists(inner, max_size=3)),
        st.builds(lambda of: AnyOf(of=of), st.lists(inner, min_size=1, max_size=3)),
        st.builds(lambda of: Not(of=of), inner),
    ),
    max_leaves=6,
)
insertions = st.one_of(
    st.just(AtStart()),
    st.just(AtEnd()),
    st.just(AtMiddle()),
    st.builds(AtSeconds, seconds=st.sampled_from([-30.0, -5.0, 0.0, 3.0, 20.0, 45.5])),
    st.builds(AtSeconds, seconds=st.sampled_from([-7.0, 0.0, 12.0]), from_=st.sampled_from(["middle", "end"])),
    st.builds(
        AtPercent,
        percent=st.sampled_from([0.0, 10.0, 33.3, 50.0, 100.0]),
        of=st.sampled_from(["length", "length", "playback"]),
    ),
    st.builds(AtCuePoints, positions_s=st.lists(seconds, max_size=4), offset_s=st.sampled_from([0.0, 0.0, -2.0, 4.0])),
    st.builds(
        BetweenClips,
        place=st.sampled_from(["before", "between", "after", "between_playlists"]),
        every=st.sampled_from([1, 1, 2]),
    ),
    st.builds(
        lambda bound, short, long: ByLength(steps=[LengthStep(up_to_s=bound, seconds=short), LengthStep(seconds=long)]),
        st.sampled_from([40.0, 90.0, 100.0]),
        seconds,
        seconds,
    ),
    st.builds(Every, seconds=seconds),
    st.builds(Progressive, window_s=seconds, intervals_s=st.lists(seconds, min_size=1, max_size=3)),
    st.builds(SessionPaced, seconds=seconds, growth=st.sampled_from([0.0, 0.1, 1.0]), max_seconds=st.just(90.0)),
    st.builds(OnAction, action=st.sampled_from((*ACTIONS, *AD_ACTIONS))),
    st.builds(OnAction, action=st.just("ad_clicked"), value=st.sampled_from(["r0", "r1"])),
)
limits = st.builds(
    Limits,
    per_session=st.none() | st.integers(3, 6),
    per_video=st.none() | st.integers(1, 3),
    min_gap_s=st.sampled_from([0.0, 0.0, 10.0, 40.0]),
    per_hour=st.sampled_from([None, None, 2]),
    pod_ads=st.sampled_from([None, None, 1, 2]),
    pod_length_s=st.sampled_from([None, None, 30.0]),
    separation_s=st.sampled_from([0.0, 0.0, 25.0]),
)
adaptations = st.builds(
    Adaptation,
    when=st.just(All()) | criteria,
    share=st.sampled_from([1.0, 0.5, 0.34]),
    length_factor=st.sampled_from([1.0, 0.5, 2.0]),
    delay_s=st.sampled_from([0.0, 0.0, 3.0]),
    min_gap_s=st.sampled_from([None, None, 0.0, 20.0]),
    format=st.sampled_from([None, AdFormat(type="form", length_s=8.0, category="cars")]),
)
FORMATS = [
    *(AdFormat(type=kind, screen=SCREENS[kind][0]) for kind in ("spot", "bug", "ticker")),  # type: ignore[arg-type]
    AdFormat(category="cars", length_percent=10.0, percent_of="playback", min_length_s=3.0, max_length_s=9.0),
    AdFormat(category="cars", length_percent=20.0, rating=3.0),
]
scopes = st.builds(
    Scope,
    videos=st.sampled_from([[], [], ["v0"]]),
    countries=st.sampled_from([[], [], ["DE", "FR"]]),
    playlists=st.sampled_from([[], [], [], ["p"]]),
    affiliates=st.sampled_from([[], [], [], ["v1"]]),
)


def passes(rule: AdRule) -> bool:
    try:
        check_rule(rule)
    except RuleError:
        return False
    return True


def rule_sets(max_size: int = 6) -> st.SearchStrategy[list[AdRule]]:
    """Sets of valid rules with distinct ids and, now and then, a moment from which they hold."""
    one = st.builds(
        AdRule,
        rule_id=st.just("?"),
        name=st.just("n"),
        insertion=insertions,
        criteria=st.just(All()) | criteria,
        limits=limits,
        scope=scopes,
        format=st.sampled_from(FORMATS),
        adapt=st.just([]) | st.lists(adaptations, max_size=2),
        priority=st.integers(1, 3),
        on_seek=st.sampled_from(["all", "last", "none"]),
        effective_at=st.sampled_from([0, 0, 0, T0 + 30_000, T0 + 90_000]),
    ).filter(passes)
    return st.lists(one, min_size=1, max_size=max_size).map(_numbered)


def _numbered(rules: list[AdRule]) -> list[AdRule]:
    from msgspec.structs import replace

    return [replace(rule, rule_id=f"r{number}") for number, rule in enumerate(rules)]


@st.composite
def sessions(draw: st.DrawFn, session_id: str = "s", max_steps: int = 30) -> list[PlayerEvent]:
    """One session's events in the player's order, with positions that make sense."""
    player = Player(session_id, T0 + draw(st.integers(0, 5)) * 1000)
    player.begin(
        country=draw(st.sampled_from(["DE", "US"])),
        device="tv",
        registered=draw(st.booleans()),
        profile=draw(st.sampled_from(["", "age=30 interest=cars", "interest=carsharing"])),
        affiliate=draw(st.sampled_from(["", "v1"])),
        plays=draw(st.sampled_from([None, 0.0, 7.0])),
        average_view_s=draw(st.sampled_from([None, 60.0])),
    )
    length_s, at_s = 0.0, 0.0
    for _ in range(draw(st.integers(1, max_steps))):
        step = draw(st.sampled_from(["play", "play", "play", "play", "video", "seek", "act", "complete", "ad"]))
        if length_s == 0.0 or step == "video":
            length_s, at_s = draw(st.sampled_from([40.0, 95.0, 130.0])), 0.0
            known = draw(st.sampled_from([length_s, length_s, None]))
            told: dict[str, Any] = draw(
                st.sampled_from(
                    [
                        {},
                        {},
                        {"playlist_id": "p", "playlist_number": 1, "playlist_length": 2, "cue_points_s": [3.0, 22.5]},
                        {"playlist_id": "p", "playlist_number": 2, "playlist_length": 2, "views": 90.0, "trend": 2.0},
                    ]
                )
            )
            player.video(draw(st.sampled_from(["v0", "v1"])), known, category="music", after_s=0.5, **told)
        elif step == "play":
            more_s = draw(st.sampled_from([1.0, 4.9, 10.0, 10.0, 17.3]))
            at_s = min(length_s, at_s + more_s)
            player.say("progressed", at_s, after_s=more_s)
        elif step == "seek":
            to_s, from_s = draw(st.sampled_from([0.0, 5.0, 35.0])), at_s
            at_s = to_s
            player.say("rewound" if to_s < from_s else "seeked", to_s, from_position_s=from_s)
        elif step == "act":
            player.say(draw(st.sampled_from(["paused", "resumed", "muted", "unmuted", "clicked", "hovered"])), at_s)
        elif step == "complete":
            at_s = length_s
            player.say("video_completed", at_s)
        else:
            player.say(draw(st.sampled_from(["ad_started", "ad_skipped", "ad_clicked"])), decision_id="d", rule_id="r1")
    if draw(st.booleans()):
        player.say("session_ended")
    return player.events


@st.composite
def several_sessions(draw: st.DrawFn, number: int = 3) -> list[list[PlayerEvent]]:
    return [draw(sessions(f"s{k}", max_steps=15)) for k in range(number)]


def interleave(draw_index: Any, logs: list[list[PlayerEvent]]) -> list[PlayerEvent]:
    """A log in which each session keeps its order; ``draw_index(n)`` chooses whose event comes next."""
    waiting, merged = [list(log) for log in logs], []
    while any(waiting):
        filled = [log for log in waiting if log]
        merged.append(filled[draw_index(len(filled))].pop(0))
    return merged


def naive(tree: CriteriaTree, values: dict[str, Any]) -> bool:
    """Criteria read word by word: the judge of the compiled ones."""
    match tree:
        case All(of=parts):
            return not any(not naive(part, values) for part in parts)
        case AnyOf(of=parts):
            return any(naive(part, values) for part in parts)
        case Not(of=part):
            return not naive(part, values)
        case Has(value=word):
            return word in values["profile"].split(" ")
        case OneOf(field=field, values=wanted):
            return any(values[field] == one for one in wanted)
        case Compare(field=field, is_=relation, value=wanted):
            value = values[field]
            if value is None:
                return False
            order = (value > wanted) - (value < wanted) if not isinstance(value, str) else int(value != wanted)
            return {
                "<": order < 0,
                "<=": order <= 0,
                "==": order == 0,
                "!=": order != 0,
                ">=": order >= 0,
                ">": order > 0,
            }[relation]
    raise AssertionError(tree)

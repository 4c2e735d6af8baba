"""Hypothesis strategies: rules that pass the check, sessions as players tell them, and a naive reading of criteria."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from playback_log import T0, Player

from cuepoint.models.rule_check import SCREENS, check_rule
from cuepoint.models.rule_fields import ACTIONS, FIELDS
from cuepoint.schemas.errors import RuleError
from cuepoint.schemas.playback import PlayerEvent
from cuepoint.schemas.rules import (
    AdFormat,
    AdRule,
    All,
    AnyOf,
    AtCuePoints,
    AtEnd,
    AtPercent,
    AtSeconds,
    AtStart,
    Compare,
    CriteriaTree,
    Every,
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
    st.builds(AtSeconds, seconds=st.sampled_from([-30.0, -5.0, 0.0, 3.0, 20.0, 45.5])),
    st.builds(AtPercent, percent=st.sampled_from([0.0, 10.0, 33.3, 50.0, 100.0])),
    st.builds(AtCuePoints, positions_s=st.lists(seconds, min_size=1, max_size=4)),
    st.builds(Every, seconds=seconds),
    st.builds(Progressive, window_s=seconds, intervals_s=st.lists(seconds, min_size=1, max_size=3)),
    st.builds(SessionPaced, seconds=seconds, growth=st.sampled_from([0.0, 0.1, 1.0]), max_seconds=st.just(90.0)),
    st.builds(OnAction, action=st.sampled_from(ACTIONS)),
)
limits = st.builds(
    Limits,
    per_session=st.none() | st.integers(3, 6),
    per_video=st.none() | st.integers(1, 3),
    min_gap_s=st.sampled_from([0.0, 0.0, 10.0, 40.0]),
)
scopes = st.builds(Scope, videos=st.sampled_from([[], [], ["v0"]]), countries=st.sampled_from([[], [], ["DE", "FR"]]))


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
        format=st.sampled_from([AdFormat(type=kind, screen=SCREENS[kind][0]) for kind in ("spot", "bug", "ticker")]),  # type: ignore[arg-type]
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
    player.begin(country=draw(st.sampled_from(["DE", "US"])), device="tv", registered=draw(st.booleans()))
    length_s, at_s = 0.0, 0.0
    for _ in range(draw(st.integers(1, max_steps))):
        step = draw(st.sampled_from(["play", "play", "play", "play", "video", "seek", "act", "complete", "ad"]))
        if length_s == 0.0 or step == "video":
            length_s, at_s = draw(st.sampled_from([40.0, 95.0, 130.0])), 0.0
            known = draw(st.sampled_from([length_s, length_s, None]))
            player.video(draw(st.sampled_from(["v0", "v1"])), known, category="music", after_s=0.5)
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
            player.say(draw(st.sampled_from(["ad_started", "ad_skipped", "ad_clicked"])), decision_id="d")
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

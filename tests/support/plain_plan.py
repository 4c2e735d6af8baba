"""The rules of a moment, and what of them applies to one play of a video."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from functools import lru_cache
from math import inf
from typing import TYPE_CHECKING, NamedTuple, cast

from plain_criteria import Getter, Predicate, compile_criteria, getter

from cuepoint.models import rule_book
from cuepoint.models.rule_criteria import fields_of, split_criteria
from cuepoint.models.rule_series import Series, series_of
from cuepoint.models.rule_text import describe_insertion
from cuepoint.schemas.rules import (
    AdRule,
    AtCuePoints,
    AtEnd,
    AtMiddle,
    AtPercent,
    AtSeconds,
    AtStart,
    BetweenClips,
    ByLength,
    Every,
    OnAction,
    Progressive,
    SessionPaced,
)

if TYPE_CHECKING:
    from plain_state import SessionState

MAX_PLANS = 20_000
TABLE_S, GROWTH_S = 4 * 3600.0, 900.0


class CompiledRule:
    """A rule made ready once per version: criteria as a closure, frequency as a series."""

    __slots__ = (
        "adapt", "criteria", "fixed", "min_gap_s", "order", "per_session", "per_video", "readers", "rule", "rule_id",
        "series", "text",
    )  # fmt: skip

    def __init__(self, rule: AdRule, series: Series | None = None) -> None:
        self.rule, self.rule_id = rule, rule.rule_id
        self.order = (rule.priority, rule.rule_id)  # the lowest is asked first
        limits = rule.limits
        self.per_session, self.per_video = limits.per_session, limits.per_video
        self.adapt = [(compile_criteria(other.when, rule.format), other) for other in rule.adapt]
        gaps = [other.min_gap_s for other in rule.adapt if other.min_gap_s is not None]
        self.min_gap_s = min([limits.min_gap_s, *gaps])  # what is surely refused; the one in effect is asked later
        fixed, rest = split_criteria(rule.criteria)
        self.fixed: Predicate | None = compile_criteria(fixed, rule.format)  # asked once for all plays alike
        self.criteria: Predicate | None = compile_criteria(rest, rule.format)  # asked at each occasion
        self.readers: tuple[tuple[str, Getter], ...] = tuple(
            (field, getter(field, rule.format)) for field in fields_of(rule.criteria)
        )
        place = rule.insertion
        self.series: Series | None = series
        if isinstance(place, Every | Progressive | SessionPaced):
            self.series = series_of(place)
        self.text = describe_insertion(place)

    def in_video(self, duration_s: float | None) -> CompiledRule | None:
        """The rule for videos of this length, where its series depends on that; None where it has none there."""
        place = self.rule.insertion
        if isinstance(place, AtPercent) and place.of == "playback":
            return CompiledRule(self.rule, Series((duration_s * place.percent / 100.0,), inf)) if duration_s else None
        if not isinstance(place, ByLength):
            return self
        for step in place.steps if duration_s else ():
            if step.up_to_s is None or (duration_s or 0.0) <= step.up_to_s:
                return CompiledRule(self.rule, Series((), step.seconds))
        return None

    def positions(self, duration_s: float | None, cue_points_s: str) -> list[float]:
        """Where in a video of this length the rule has breaks; unknown lengths have none that depend on it."""
        place = self.rule.insertion
        found: list[float] = []
        if isinstance(place, AtSeconds):
            origin = "end" if place.from_ == "start" and place.seconds < 0 else place.from_
            if origin == "start":
                found = [place.seconds]
            elif duration_s is not None:
                found = [(duration_s if origin == "end" else duration_s / 2.0) + place.seconds]
        elif isinstance(place, AtMiddle):
            found = [] if duration_s is None else [duration_s * 50.0 / 100.0]
        elif isinstance(place, AtPercent) and place.of == "length":
            found = [] if duration_s is None else [duration_s * place.percent / 100.0]
        elif isinstance(place, AtCuePoints):
            cues = place.positions_s or [float(at_s) for at_s in cue_points_s.split(",") if at_s]
            found = sorted({at_s + place.offset_s for at_s in cues})
        return [at for at in found if at >= 0.0 and (duration_s is None or at <= duration_s)]


class Play(NamedTuple):
    """What a plan depends on; has the attributes of a session that fixed criteria ask for."""

    video_id: str | None
    duration_s: float | None
    category: str
    channel: str
    country: str
    playlist_id: str
    affiliate: str
    cue_points_s: str


class Break(NamedTuple):
    position_s: float
    rule: CompiledRule


class Timeline:
    """The occasions of several series in one order, so that asking costs the same however many rules there are.

    The table grows as far as sessions play, up to TABLE_S; beyond, each series is asked.
    """

    __slots__ = ("_entries", "_known_s", "_moments", "rules")

    def __init__(self, rules: Sequence[tuple[CompiledRule, Series]]) -> None:
        self.rules = tuple(rules)
        self._moments: list[float] = []
        self._entries: list[tuple[CompiledRule, int]] = []
        self._known_s = 0.0 if self.rules else float("inf")

    def due(self, before_s: float, played_s: float) -> Sequence[tuple[CompiledRule, int]]:
        """(rule, occasion) after ``before_s`` and at or before ``played_s``; of each rule only the last."""
        if played_s >= self._known_s and not self._grow(played_s):
            asked = [(rule, series.due(before_s, played_s)) for rule, series in self.rules]
            return [(rule, number) for rule, number in asked if number]
        moments = self._moments
        first = bisect_right(moments, before_s)
        if first == len(moments) or moments[first] > played_s:
            return ()
        found = self._entries[first : bisect_right(moments, played_s, first)]
        return found if len(found) == 1 else list(dict(found).items())

    def following(self, played_s: float) -> float:
        """The first moment after ``played_s``."""
        while True:
            index = bisect_right(self._moments, played_s)
            if index < len(self._moments) and played_s < self._known_s:
                return self._moments[index]
            if not self.rules:
                return float("inf")
            if not self._grow(max(played_s, self._known_s)):
                return min(series.following(played_s) for _, series in self.rules)

    def _grow(self, to_s: float) -> bool:
        if to_s >= TABLE_S:
            return False
        known_s = to_s + GROWTH_S
        fresh: list[tuple[float, tuple[int, str], CompiledRule, int]] = []
        for rule, series in self.rules:
            number = series.passed(self._known_s) + 1
            while series.moment(number) <= known_s:
                fresh.append((series.moment(number), rule.order, rule, number))
                number += 1
        fresh.sort(key=lambda entry: entry[:2])
        self._moments += [entry[0] for entry in fresh]
        self._entries += [(entry[2], entry[3]) for entry in fresh]
        self._known_s = known_s
        return True


class Plan:
    """The rules in scope for one video and viewer, sorted by what triggers them. Shared by all plays alike."""

    __slots__ = (
        "action_gap_s", "actions", "break_at", "breaks", "clip_ends", "clip_starts", "ends", "min_gap_s", "moment",
        "of_session", "of_view", "start_gap_s", "starts",
    )  # fmt: skip

    def __init__(self, moment: ActiveRules, rules: Sequence[CompiledRule], play: Play) -> None:
        self.moment = moment
        clips = [(r, r.rule.insertion.place) for r in rules if isinstance(r.rule.insertion, BetweenClips)]
        self.clip_starts = tuple(r for r, place in clips if place != "after")
        self.clip_ends = tuple(r for r, place in clips if place == "after")
        self.starts = tuple(r for r in rules if isinstance(r.rule.insertion, AtStart))
        self.ends = tuple(r for r in rules if isinstance(r.rule.insertion, AtEnd))
        self.of_session = moment.timeline(r for r in rules if isinstance(r.rule.insertion, SessionPaced))
        self.of_view = moment.timeline(
            r for r in rules if r.series is not None and not isinstance(r.rule.insertion, SessionPaced)
        )
        self.actions: dict[str, tuple[CompiledRule, ...]] = {}
        for rule in rules:
            if isinstance(rule.rule.insertion, OnAction):
                action = rule.rule.insertion.action
                self.actions[action] = (*self.actions.get(action, ()), rule)
        self.start_gap_s = min((rule.min_gap_s for rule in (*self.starts, *self.clip_starts)), default=float("inf"))
        self.action_gap_s = min((r.min_gap_s for asked in self.actions.values() for r in asked), default=float("inf"))
        breaks = [Break(at, rule) for rule in rules for at in rule.positions(play.duration_s, play.cue_points_s)]
        self.breaks = tuple(sorted(breaks, key=lambda b: (b.position_s, b.rule.order)))
        self.break_at = [b.position_s for b in self.breaks]
        placed = [b.rule for b in self.breaks] + [rule for rule in rules if rule.series is not None]
        self.min_gap_s = min((rule.min_gap_s for rule in placed), default=float("inf"))

    def crossed(self, after_s: float, up_to_s: float) -> tuple[Break, ...]:
        """Breaks after ``after_s`` and at or before ``up_to_s``."""
        if not self.break_at:
            return ()
        return self.breaks[bisect_right(self.break_at, after_s) : bisect_right(self.break_at, up_to_s)]

    def next_break_s(self, reached_s: float) -> float:
        """The first break after ``reached_s``."""
        following = bisect_right(self.break_at, reached_s)
        return self.break_at[following] if following < len(self.break_at) else float("inf")

    def next_moment_s(self, view_s: float, session_s: float) -> float:
        """The seconds of the session played when the next occasion of a series comes, if this video plays on."""
        due_s = float("inf")
        if self.of_view.rules:
            due_s = session_s + (self.of_view.following(view_s) - view_s)
        if self.of_session.rules:
            due_s = min(due_s, self.of_session.following(session_s))
        return due_s


class ActiveRules:
    """The rules in effect from ``begins`` up to, not including, ``until`` (ms), by priority."""

    __slots__ = ("_plans", "_timelines", "begins", "rules", "until")

    def __init__(self, begins: float, until: float, rules: Sequence[CompiledRule]) -> None:
        self.begins, self.until, self.rules = begins, until, tuple(rules)
        self._plans: dict[tuple[object, ...], Plan] = {}
        self._timelines: dict[tuple[CompiledRule, ...], Timeline] = {}

    def plan(self, session: SessionState) -> Plan:
        """What applies to the session's play; made once for all plays alike."""
        key = tuple(getattr(session, name) for name in Play._fields)
        plan = self._plans.get(key)
        if plan is None:
            if len(self._plans) >= MAX_PLANS:
                self._plans.clear()
            play = Play(*key)
            parts = [rule.in_video(play.duration_s) for rule in self.rules if _applies(rule, play)]
            plan = self._plans[key] = Plan(self, [part for part in parts if part is not None], play)
        return plan

    def timeline(self, rules: Iterable[CompiledRule]) -> Timeline:
        """The occasions of these rules; shared by all plans in which the same rules are in scope."""
        key = tuple(rules)
        if key not in self._timelines:
            self._timelines[key] = Timeline([(rule, rule.series) for rule in key if rule.series is not None])
        return self._timelines[key]


def _applies(compiled: CompiledRule, play: Play) -> bool:
    scope = compiled.rule.scope
    lists = (scope.videos, scope.categories, scope.channels, scope.countries, scope.playlists, scope.affiliates)
    looked_at = (play.video_id, play.category, play.channel, play.country, play.playlist_id, play.affiliate)
    if not all(not wanted or value in wanted for wanted, value in zip(lists, looked_at, strict=True)):
        return False
    return compiled.fixed is None or compiled.fixed(cast("SessionState", play), 0)


@lru_cache(maxsize=256)
def plain(active: rule_book.ActiveRules) -> ActiveRules:
    """The rules of a moment as the plain engine takes them."""
    return ActiveRules(active.begins, active.until, [CompiledRule(rule) for rule in active.rules])

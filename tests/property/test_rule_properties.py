"""Criteria and series against naive readings of them."""

from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from plain_criteria import compile_criteria, getter
from plain_engine import SessionEngine
from plain_plan import CompiledRule, Timeline
from playback_log import T0, book, rule, run
from playback_strategies import criteria, naive, passes, rule_sets, sessions

from cuepoint.models.rule_criteria import fields_of
from cuepoint.models.rule_fields import FIELDS
from cuepoint.models.rule_satisfy import conjunctions, holds
from cuepoint.models.rule_series import Series, series_of
from cuepoint.models.rule_text import describe_rule
from cuepoint.models.rule_yaml import load_rules
from cuepoint.models.session_settings import SessionSettings
from cuepoint.schemas.codec import decoder, encode
from cuepoint.schemas.playback import PlayerEvent
from cuepoint.schemas.rules import AdFormat, AdRule, AtStart, CriteriaTree, Every, Limits, Progressive, SessionPaced

settings.register_profile("rules", max_examples=150, deadline=None)
settings.load_profile("rules")


def values_after(log: list[PlayerEvent]) -> tuple[Any, int, dict[str, Any]]:
    engine = SessionEngine(SessionSettings())
    run(log, book(), engine)
    session, at_ms = engine.sessions["s"], log[-1].received_at
    return session, at_ms, {field: getter(field, AdFormat())(session, at_ms) for field in FIELDS}


@given(criteria, sessions(max_steps=8))
def test_compiled_criteria_equal_a_naive_reading_and_what_held_is_never_refused(
    tree: CriteriaTree, log: list[PlayerEvent]
) -> None:
    session, at_ms, values = values_after(log)
    compiled = compile_criteria(tree, AdFormat())
    held = compiled is None or compiled(session, at_ms)
    assert held == naive(tree, values)
    alternatives = conjunctions(tree)
    assert alternatives is not None
    assert held == any(all(holds(one, values[one.field]) for one in literals) for literals in alternatives)
    if held:
        assert passes(rule(criteria=tree))


@given(rule_sets(max_size=4), sessions(max_steps=12))
def test_a_pre_roll_is_decided_exactly_where_its_criteria_hold(rules: list[AdRule], log: list[PlayerEvent]) -> None:
    """What the plan of a play settles beforehand changes nothing."""
    log = log[: max(k for k, event in enumerate(log) if event.kind == "video_started") + 1]
    rules = [replace(one, insertion=AtStart(), limits=Limits(), adapt=[]) for one in rules]
    rules = [one for one in rules if passes(one)]
    results = run(log, book(*rules))
    now = {d.rule_id for d in results.decisions if d.event_id == log[-1].event_id}
    session, at_ms, values = values_after(log)
    for one in rules:
        values["session_ads"] = 0
        ad = {field: getter(field, one.format)(session, at_ms) for field in FIELDS if field.startswith("ad_")}
        asked = {**values, **ad}
        in_scope = (not one.scope.videos or session.video_id in one.scope.videos) and (
            not one.scope.countries or session.country in one.scope.countries
        )
        in_scope = in_scope and (not one.scope.playlists or session.playlist_id in one.scope.playlists)
        in_scope = in_scope and (not one.scope.affiliates or session.affiliate in one.scope.affiliates)
        if "session_ads" not in fields_of(one.criteria) and one.effective_at <= at_ms:
            assert (one.rule_id in now) == (in_scope and naive(one.criteria, asked))


seconds = st.floats(1.0, 500.0, allow_nan=False)
places = st.one_of(
    st.builds(Every, seconds=seconds),
    st.builds(Progressive, window_s=seconds, intervals_s=st.lists(seconds, min_size=1, max_size=4)),
    st.builds(SessionPaced, seconds=seconds, growth=st.floats(0, 5), max_seconds=st.just(600.0)),
)


@given(places, st.lists(st.floats(0, 20_000, allow_nan=False), min_size=2, max_size=10))
def test_a_series_is_consistent_and_each_occasion_comes_once(place: Any, played: list[float]) -> None:
    series = series_of(place)
    found: list[int] = []
    at_s = 0.0
    for to_s in sorted(played):
        number = series.due(at_s, to_s)
        if number:
            found.append(number)
        assert series.passed(to_s) == 0 or series.moment(series.passed(to_s)) <= to_s
        assert series.moment(series.passed(to_s) + 1) == series.following(to_s) > to_s
        at_s = to_s
    assert found == sorted(set(found))


@given(st.lists(places, min_size=1, max_size=5), st.lists(st.floats(0, 20_000), min_size=2, max_size=12))
def test_a_timeline_equals_its_series(some: list[Any], played: list[float]) -> None:
    rules = [CompiledRule(rule(f"r{number}", place)) for number, place in enumerate(some)]
    timeline = Timeline([(one, one.series) for one in rules if one.series is not None])
    at_s = 0.0
    for to_s in sorted(played):
        expected = {one.rule_id: one.series.due(at_s, to_s) for one in rules if isinstance(one.series, Series)}
        assert {one.rule_id: number for one, number in timeline.due(at_s, to_s)} == {
            name: number for name, number in expected.items() if number
        }
        assert timeline.following(to_s) == min(one.series.following(to_s) for one in rules if one.series is not None)
        at_s = to_s


@given(rule_sets())
def test_rules_survive_json_and_yaml_and_have_one_line(rules: list[AdRule]) -> None:
    import yaml

    decode = decoder(AdRule).decode
    assert [decode(encode(one)) for one in rules] == rules
    plain = [yaml.safe_load(encode(one)) for one in rules]
    assume(plain)
    assert load_rules(yaml.safe_dump(plain)) == rules
    for one in rules:
        line = describe_rule(one)
        assert line
        assert "\n" not in line
    assert {one.rule_id for one in book(*rules).current(T0 + 90_000)} == {one.rule_id for one in rules}

import datetime as dt

import pytest
from plain_plan import plain
from plain_state import SessionState
from playback_log import T0, book, is_, rule

from cuepoint.models.rule_book import RuleBook
from cuepoint.models.rule_series import Series, series_of
from cuepoint.models.rule_yaml import load_rules
from cuepoint.schemas.errors import ContractError, RuleError
from cuepoint.schemas.rules import All, AtSeconds, Every, Progressive, Scope, SessionPaced


def playing(*, video_id: str = "v", duration_s: float | None, **said: str) -> SessionState:
    """A session in which a video plays."""
    session = SessionState("s", 0, T0)
    session.video_id, session.duration_s = video_id, duration_s
    for name, value in said.items():
        setattr(session, name, value)
    return session


def ids(rules: RuleBook, at_ms: int) -> list[tuple[str, int]]:
    return [(one.rule_id, one.version) for one in rules.current(at_ms)]


def test_the_highest_version_in_effect_counts_whatever_order_they_came_in() -> None:
    versions = [
        rule("a", effective_at=0),
        rule("a", version=2, effective_at=100),
        rule("a", version=3, effective_at=50),
    ]
    for order in (versions, versions[::-1]):
        rules = book(*order)
        assert [ids(rules, at) for at in (0, 49, 50, 100)] == [[("a", 1)], [("a", 1)], [("a", 3)], [("a", 3)]]


def test_status_schedule_and_priority() -> None:
    begin = dt.datetime.fromtimestamp(T0 / 1000, dt.UTC)
    rules = book(
        rule("late", priority=5, starts=begin, ends=begin + dt.timedelta(seconds=10)),
        rule("b", priority=1),
        rule("a", priority=1),
        rule("draft", status="draft"),
        rule("gone"),
        rule("gone", version=2, status="retired", effective_at=T0),
    )
    assert [i for i, _ in ids(rules, T0 - 1)] == ["a", "b", "gone"]
    assert [i for i, _ in ids(rules, T0)] == ["a", "b", "late"]
    assert [i for i, _ in ids(rules, T0 + 10_000)] == ["a", "b"]
    active = rules.at(T0)
    assert active is rules.at(T0 + 9_999)
    assert active is not rules.at(T0 + 10_000)
    assert (active.begins, active.until) == (T0, T0 + 10_000)


def test_a_refused_rule_leaves_the_book_as_it_was_and_a_repeat_changes_nothing() -> None:
    rules = book(rule("a"))
    active = rules.at(T0)
    with pytest.raises(RuleError):
        rules.add(rule("a", version=2, criteria=is_("hour", "<", 0.0)))
    assert rules.add(rule("a")) is False
    assert rules.at(T0) is active
    assert rules.add(rule("a", version=2)) is True
    assert rules.at(T0) is not active


def test_scope_selects_rules_for_a_play() -> None:
    active = book(
        rule("v", scope=Scope(videos=["v1"])),
        rule("c", scope=Scope(categories=["music"], countries=["DE", "FR"])),
        rule("all"),
    ).at(T0)

    def names(video_id: str, category: str, channel: str, country: str) -> list[str]:
        play = playing(video_id=video_id, duration_s=60.0, category=category, channel=channel, country=country)
        return [one.rule_id for one in plain(active).plan(play).starts]

    assert names("v1", "news", "x", "DE") == ["all", "v"]
    assert names("v2", "music", "x", "FR") == ["all", "c"]
    assert names("v2", "music", "x", "US") == ["all"]


def test_positions_depend_on_the_length() -> None:
    active = book(rule("a", AtSeconds(seconds=-10.0)), rule("b", AtSeconds(seconds=50.0))).at(T0)
    assert plain(active).plan(playing(duration_s=None)).break_at == [50.0]
    assert plain(active).plan(playing(duration_s=40.0)).break_at == [30.0]
    assert plain(active).plan(playing(duration_s=8.0)).break_at == []


@pytest.mark.parametrize(
    ("series", "moments"),
    [
        (series_of(Every(seconds=15.0)), [15.0, 30.0, 45.0]),
        (series_of(Progressive(window_s=30.0, intervals_s=[20.0, 50.0])), [20.0, 40.0, 90.0, 140.0]),
        (series_of(SessionPaced(seconds=60.0, growth=0.5, max_seconds=100.0)), [60.0, 150.0, 250.0, 350.0]),
        (series_of(SessionPaced(seconds=60.0, growth=0.0)), [60.0, 120.0]),
    ],
)
def test_series_of_moments(series: Series, moments: list[float]) -> None:
    assert [series.moment(k + 1) for k in range(len(moments))] == moments
    for number, moment in enumerate(moments, start=1):
        before = moments[number - 2] if number > 1 else 0.0
        assert series.due(before, moment) == number
        assert series.due(moment, moment + 0.5) == 0
        assert series.passed(moment) == number
        assert series.passed(moment - 0.001) == number - 1
        assert series.following(before) == moment


def test_series_counts_exactly_where_thirds_do_not_add_up() -> None:
    series = Series((), 1.1)
    assert [number for number in range(1, 5000) if series.passed(series.moment(number)) != number] == []


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("a: [", "$"),
        ("{}", "$"),
        ("[{rule_id: x}]", "$[0].name"),
        ("[{rule_id: x, name: n, insertion: {at: start}, colour: red}]", "$[0]"),
        ("[{rule_id: x, name: n, insertion: {at: moon}}]", "$[0].insertion.at"),
        ("[{rule_id: x, name: n, insertion: {at: percent, percent: 101}}]", "$[0].insertion.percent"),
        (
            "[{rule_id: x, name: n, insertion: {at: start}}, {rule_id: x, name: n, insertion: {at: end}}]",
            "$[1].rule_id",
        ),
        ("[{rule_id: x, name: n, insertion: {at: start}, format: {screen: bottom}}]", "$[0].format.screen"),
        ("[{type: ad-rule.v9, rule_id: x, name: n, insertion: {at: start}}]", "$[0].type"),
    ],
)
def test_rules_in_yaml_are_refused_with_their_place(text: str, field: str) -> None:
    with pytest.raises(ContractError) as caught:
        load_rules(text)
    assert caught.value.field == field


def test_an_empty_tree_holds_and_names_no_field() -> None:
    compiled = plain(book(rule("a", criteria=All())).at(T0)).rules[0]
    assert compiled.criteria is None
    assert compiled.readers == ()

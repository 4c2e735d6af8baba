"""What one session's events lead to, rule by rule."""

import pytest
from plain_engine import SessionEngine
from plain_plan import plain
from playback_log import Player, book, fired, is_, rule, run

from cuepoint.models.session_results import decision_id
from cuepoint.models.session_settings import SessionSettings
from cuepoint.schemas.rules import (
    AdFormat,
    All,
    AtCuePoints,
    AtEnd,
    AtPercent,
    AtSeconds,
    AtStart,
    Every,
    Limits,
    OnAction,
    Progressive,
    SessionPaced,
)


def decided(player: Player, *rules: object) -> list[tuple[str, float]]:
    return fired(run(player.events, book(*rules)))  # type: ignore[arg-type]


def test_start_and_end_once_a_play() -> None:
    player = Player().begin().video().play(300.0)
    player.say("video_completed", 300.0)
    player.say("rewound", 250.0, from_position_s=300.0)
    player.play(300.0, from_s=250.0).say("video_completed", 300.0)
    player.video()
    assert decided(player, rule("pre", AtStart()), rule("post", AtEnd())) == [
        ("pre", 0.0),
        ("post", 300.0),
        ("pre", 0.0),
    ]


def test_positions_fire_when_playback_passes_them_and_only_once() -> None:
    player = Player().begin().video(duration_s=100.0).play(60.0)
    player.say("rewound", 20.0, from_position_s=60.0)
    player.play(100.0, from_s=20.0)
    rules = (
        rule("s", AtSeconds(seconds=35.0)),
        rule("e", AtSeconds(seconds=-15.0)),
        rule("p", AtPercent(percent=50.0)),
        rule("c", AtCuePoints(positions_s=[70.0, 30.0, 30.0, 999.0])),
        rule("zero", AtSeconds(seconds=0.0)),
    )
    assert decided(player, *rules) == [("zero", 0.0), ("c", 30.0), ("s", 35.0), ("p", 50.0), ("c", 70.0), ("e", 85.0)]


def test_what_depends_on_an_unknown_length_does_not_fire() -> None:
    player = Player().begin().video(duration_s=None).play(100.0)
    rules = (
        rule("e", AtSeconds(seconds=-15.0)),
        rule("p", AtPercent(percent=50.0)),
        rule("s", AtSeconds(seconds=50.0)),
    )
    assert decided(player, *rules) == [("s", 50.0)]


def test_a_play_that_begins_in_the_middle_has_passed_what_lies_before() -> None:
    player = Player().begin().video(position_s=40.0).play(100.0, from_s=40.0)
    rules = (rule("c", AtCuePoints(positions_s=[30.0, 40.0, 60.0])), rule("pre", AtStart()))
    assert decided(player, *rules) == [("pre", 40.0), ("c", 60.0)]


@pytest.mark.parametrize(("policy", "expected"), [("all", [90.0] * 3), ("last", [90.0]), ("none", [])])
def test_a_seek_past_several_breaks_plays_them_as_the_rule_says(policy: str, expected: list[float]) -> None:
    player = Player().begin().video().play(10.0)
    player.say("seeked", 90.0, from_position_s=15.0)
    player.play(120.0, from_s=90.0)
    cues = rule("c", AtCuePoints(positions_s=[12.0, 20.0, 40.0, 80.0, 100.0]), on_seek=policy)
    assert decided(player, cues) == [("c", 12.0), *(("c", at) for at in expected), ("c", 100.0)]


def test_a_seek_is_not_time_played() -> None:
    player = Player().begin().video().play(20.0)
    player.say("seeked", 200.0, from_position_s=20.0)
    player.play(230.0, from_s=200.0)
    assert decided(player, rule("f", Every(seconds=15.0))) == [("f", 20.0), ("f", 210.0), ("f", 230.0)]


def test_progressive_series_from_the_seed() -> None:
    player = Player().begin().video().play(200.0, step_s=5.0)
    found = decided(player, rule("f", Progressive(intervals_s=[10.0, 20.0, 30.0])))
    assert [at for _, at in found] == [10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 80.0, 100.0, 120.0, 150.0, 180.0]


def test_session_paced_goes_on_over_videos_and_thins_out() -> None:
    player = Player().begin()
    for name in "abcde":
        player.video(name).play(300.0)
    results = run(player.events, book(rule("f", SessionPaced(seconds=120.0, growth=0.5, max_seconds=600.0))))
    played = [(decision.video_id, decision.position_s) for decision in results.decisions]
    assert played == [("a", 120.0), ("b", 60.0), ("c", 240.0), ("e", 240.0)]  # 120, 360, 840, 1440 s of the session
    loads = [decision.spot_load for decision in results.decisions]
    assert loads == sorted(loads, reverse=True)


@pytest.mark.parametrize("action", ["paused", "resumed", "muted", "fullscreen_entered", "hovered", "clicked"])
def test_actions_trigger_where_the_viewer_is(action: str) -> None:
    player = Player().begin().video().play(20.0)
    player.say(action, 23.0)
    found = decided(player, rule("a", OnAction(action=action)))  # type: ignore[arg-type]
    assert [name for name, _ in found] == ["a"]


def test_a_seek_backwards_is_a_rewind_and_a_value_selects_the_site_action() -> None:
    player = Player().begin().video().play(50.0)
    player.say("seeked", 20.0, from_position_s=50.0)
    player.say("site_action", action="/offers")
    player.say("site_action", action="/help")
    rules = (
        rule("r", OnAction(action="rewound")),
        rule("s", OnAction(action="seeked")),
        rule("u", OnAction(action="site_action", value="/offers")),
    )
    assert decided(player, *rules) == [("r", 20.0), ("u", 20.0)]


def test_limits_and_priority() -> None:
    player = Player().begin().video().play(300.0).video("w").play(300.0)
    capped = rule("v", Every(seconds=30.0), limits=Limits(per_video=2, per_session=3))
    assert decided(player, capped) == [("v", 30.0), ("v", 60.0), ("v", 30.0)]
    rules = (
        rule("low", Every(seconds=50.0), priority=9, limits=Limits(min_gap_s=20.0)),
        rule("high", Every(seconds=50.0), priority=1, limits=Limits(min_gap_s=60.0)),
    )
    found = decided(Player().begin().video().play(150.0), *rules)
    assert found == [("high", 50.0), ("low", 100.0), ("low", 150.0)]


def test_criteria_see_what_was_learnt_in_the_session() -> None:
    player = Player().begin(registered=True, country="DE", device="tv").video("a", category="music").play(40.0)
    player.say("paused", 40.0)
    player.say("ad_skipped", decision_id="d")
    player.video("b").play(10.0)
    criteria = All(
        of=[
            is_("registered", "==", True),
            is_("session_videos", "==", 2.0),
            is_("session_average_view_s", "==", 40.0),
            is_("session_pauses", ">=", 1.0),
            is_("session_skips", "==", 1.0),
            is_("last_action", "==", "paused"),
            is_("country", "==", "DE"),
            is_("hour", "==", 22.0),
            is_("weekday", "==", 2.0),
        ]
    )
    results = run(player.events, book(rule("a", criteria=criteria)))
    assert fired(results) == [("a", 0.0)]
    assert results.decisions[0].criteria == {
        "registered": True,
        "session_videos": 2,
        "session_average_view_s": 40.0,
        "session_pauses": 1,
        "session_skips": 1,
        "last_action": "paused",
        "country": "DE",
        "hour": 22,
        "weekday": 2,
    }


def test_the_record_of_a_decision() -> None:
    player = Player().begin().video().play(120.0)
    quarter = AdFormat(type="spot", length_percent=10.0)
    first, second = run(player.events, book(rule("r", Every(seconds=60.0), format=quarter, version=4))).decisions
    assert (first.decision_id, second.decision_id) == (decision_id("s", "r", "1:n1"), decision_id("s", "r", "1:n2"))
    assert (first.number, second.number) == (1, 2)
    assert (first.event_id, first.decided_at) == (player.events[7].event_id, player.events[7].received_at)
    assert (first.rule_version, first.duration_s, first.video_id) == (4, 30.0, "v")
    assert (first.spot_load, second.spot_load) == (1.0, 1.0)
    assert second.reason == "after every 60 s played: 120 s played"


def test_lost_heartbeats_short_and_long() -> None:
    cues = rule("c", AtCuePoints(positions_s=[15.0, 25.0, 200.0, 250.0]), on_seek="last")
    every = rule("f", Every(seconds=30.0), priority=200)
    player = Player().begin().video().play(10.0)
    player.seq += 2
    player.play(40.0, from_s=30.0)  # 20 s unseen: taken for played
    player.seq += 1
    player.say("progressed", 280.0)  # 240 s unseen: may have been a seek; 60 s are credited
    found = decided(player, cues, every)
    assert found == [("c", 15.0), ("c", 25.0), ("f", 40.0), ("c", 280.0), ("f", 280.0)]


def test_late_events_fill_in_and_never_decide_again() -> None:
    player = Player().begin(country="DE").video(category="music", duration_s=100.0).play(60.0)
    paused = player.say("paused", 60.0)
    player.play(90.0, from_s=60.0)
    late_video = [e for e in player.events if e.kind != "video_started"]
    late_video.insert(4, player.events[1])
    results = run(late_video, book(rule("pre", AtStart()), rule("p", AtPercent(percent=50.0))))
    assert (fired(results), results.late, results.repeats) == ([("p", 50.0)], 1, 0)
    late_pause = [e for e in player.events if e is not paused] + [paused]
    engine = SessionEngine(SessionSettings())
    results = run(late_pause, book(rule("a", OnAction(action="paused"))), engine)
    assert (fired(results), results.late, engine.sessions["s"].pauses) == ([], 1, 1)


def test_repeats_change_nothing_at_all() -> None:
    player = Player().begin().video().play(120.0)
    rules = book(rule("pre"), rule("f", Every(seconds=30.0)))
    once, twice = SessionEngine(SessionSettings()), SessionEngine(SessionSettings())
    results = run(player.events, rules, once)
    doubled = run([event for event in player.events for _ in range(2)], rules, twice)
    assert doubled.decisions == results.decisions
    assert doubled.repeats == len(player.events)
    assert once.rows() == twice.rows()


def test_positions_beyond_the_video_are_refused_and_leave_the_session_as_it_was() -> None:
    player = Player().begin().video(duration_s=100.0).play(50.0)
    rules, engine = book(rule("c", AtSeconds(seconds=90.0))), SessionEngine(SessionSettings())
    run(player.events, rules, engine)
    before = engine.rows()
    refused = [player.say("progressed", 101.5), player.say("seeked", 10.0, from_position_s=102.0)]
    results = run(refused, rules, engine)
    assert [(place, e.code, e.field) for place, e in results.refused] == [
        (0, "position_beyond_video", "$.position_s"),
        (1, "position_beyond_video", "$.from_position_s"),
    ]
    assert {**engine.rows(), "clock": 0} == {**before, "clock": 0}
    assert run([player.say("progressed", 100.5)], rules, engine).refused == []  # rounding of players


def test_an_event_that_speaks_of_no_video_is_refused() -> None:
    player = Player().begin()
    player.say("progressed", 5.0)
    player.say("video_started", 0.0)
    assert [(e.code, e.field) for _, e in run(player.events, book()).refused] == [("no_video", "$.video_id")] * 2


def test_a_session_heard_of_in_the_middle_is_opened_without_a_pre_roll() -> None:
    player = Player()
    player.seq = 40
    player.say("progressed", 100.0, video_id="v")
    player.say("progressed", 130.0, video_id="v")
    found = decided(player, rule("pre", AtStart()), rule("c", AtCuePoints(positions_s=[50.0, 120.0])))
    assert found == [("c", 120.0)]


class _Broken:
    def __call__(self, *_: object) -> bool:
        raise ZeroDivisionError("no")


def test_a_rule_that_raises_is_left_out_and_reported_and_the_others_go_on() -> None:
    rules = book(rule("bad", Every(seconds=30.0), priority=1), rule("good", Every(seconds=30.0)))
    player = Player().begin().video().play(60.0)
    plain(rules.at(player.at)).rules[0].criteria = _Broken()
    results = run(player.events, rules, SessionEngine(SessionSettings()))
    assert fired(results) == [("good", 30.0), ("good", 60.0)]
    assert [(fault.rule.rule_id, fault.reason) for fault in results.faults] == [("bad", "ZeroDivisionError: no")] * 2


def test_a_new_version_does_not_repeat_what_the_old_one_decided() -> None:
    player = Player().begin().video().play(100.0)
    change = player.events[5].received_at
    rules = book(
        rule("c", AtSeconds(seconds=20.0)),
        rule("c", AtCuePoints(positions_s=[10.0, 20.0, 70.0]), version=2, effective_at=change),
    )
    results = run(player.events, rules)
    assert [(d.position_s, d.rule_version) for d in results.decisions] == [(20.0, 1), (70.0, 2)]

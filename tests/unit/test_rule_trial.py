"""Rules tried on a session: each occasion is told, with what said no."""

import pytest
from hypothesis import given, settings
from msgspec.structs import replace
from playback_log import Player, book, is_, rule, run
from playback_strategies import rule_sets, sessions

from cuepoint.models.rule_preview import Act, Viewing, events_of
from cuepoint.models.rule_trial import Trial, explain
from cuepoint.models.rule_why import criteria_why, truth
from cuepoint.schemas.playback import PlayerEvent
from cuepoint.schemas.rules import (
    Adaptation,
    AdFormat,
    AdRule,
    All,
    AnyOf,
    AtSeconds,
    AtStart,
    ByLength,
    Every,
    LengthStep,
    Limits,
    Not,
    OnAction,
    Scope,
)


def told(trial: Trial) -> list[tuple[float, str, str]]:
    return [(found.video_position_s, found.outcome, found.why) for found in trial.occasions]


def test_limits_and_criteria_that_said_no_are_told_with_their_values() -> None:
    paced = rule("r", Every(seconds=10.0), limits=Limits(min_gap_s=15.0, per_video=2))
    muted = rule("m", AtSeconds(seconds=20.0), criteria=All(of=[is_("muted", "==", True), is_("hour", ">", 3.0)]))
    trial = explain([paced, muted], events_of(Viewing(length_s=50.0)))
    assert told(trial) == [
        (10.0, "decided", "decided"),
        (20.0, "criteria", "muted == true is false: it is false"),
        (20.0, "min_gap_s", "limits.min_gap_s: 10 s played since the last ad, at least 15 are asked for"),
        (30.0, "decided", "decided"),
        (40.0, "min_gap_s", "limits.min_gap_s: 10 s played since the last ad, at least 15 are asked for"),
        (50.0, "per_video", "limits.per_video: 2 of its ads so far, at most 2 are allowed"),
    ]
    assert [found.decision_id for found in trial.occasions if found.decision_id] == [
        decision.decision_id for decision in trial.decisions
    ]
    assert trial.occasions[1].values == {"muted": False, "hour": 12}


@pytest.mark.parametrize(
    ("fields", "outcome", "why"),
    [
        ({"scope": Scope(countries=["DE"])}, "not_in_scope", "scope.countries holds only DE: this is US"),
        (
            {"criteria": is_("video_length_s", ">", 90.0)},
            "not_in_scope",
            "video_length_s > 90 is false: it is 60",
        ),
        (
            {"insertion": ByLength(steps=[LengthStep(up_to_s=30.0, seconds=5.0)])},
            "not_in_scope",
            "no step of its frequency is for a video of 60 s",
        ),
        (
            {"adapt": [Adaptation(when=is_("registered", "==", False), share=0.5)]},
            "share",
            "adapt[0].share takes 50% of the occasions, not number 1",
        ),
        (
            {"limits": Limits(pod_length_s=20.0), "adapt": [Adaptation(when=All(), length_factor=2.0)]},
            "pod_length_s",
            "limits.pod_length_s: together they would last 30 s, at most 20 are allowed",
        ),
    ],
)
def test_each_reason(fields: dict[str, object], outcome: str, why: str) -> None:
    trial = explain([rule("r", **{"insertion": AtStart(), **fields})], events_of(Viewing(length_s=60.0, country="US")))
    assert [(found.outcome, found.why) for found in trial.occasions] == [(outcome, why)]
    assert trial.decisions == []


def test_pods_and_separation() -> None:
    cars = AdFormat(category="cars")
    rules = [
        rule("a", AtStart(), format=cars, priority=1),
        rule("b", AtStart(), format=cars, priority=2, limits=Limits(separation_s=60.0)),
        rule("c", AtStart(), priority=3, limits=Limits(pod_ads=1)),
    ]
    trial = explain(rules, events_of(Viewing(length_s=60.0)))
    assert [found.outcome for found in trial.occasions] == ["decided", "separation_s", "pod_ads"]


def test_rules_that_had_no_occasion_say_why() -> None:
    rules = [
        rule("draft", AtStart(), status="draft"),
        rule("late", AtSeconds(seconds=500.0)),
        rule("paused", OnAction(action="paused")),
    ]
    assert explain(rules, events_of(Viewing(length_s=60.0))).idle == {
        "draft": "it is a draft rule",
        "late": "the session never came to one of its insertion points",
        "paused": "the session never came to one of its insertion points",
    }


def test_a_preview_plays_what_the_viewer_is_to_do() -> None:
    acts = [
        Act(at_s=20.0, does="paused"),
        Act(at_s=30.0, does="seeked", to_s=50.0),
        Act(at_s=5.0, does="muted", video=2),
    ]
    events = events_of(Viewing(length_s=60.0, videos=2, playlist_id="p", acts=acts))
    assert [(e.kind, e.position_s) for e in events if e.kind in ("paused", "seeked", "muted", "video_completed")] == [
        ("paused", 20.0),
        ("seeked", 50.0),
        ("video_completed", 60.0),
        ("muted", 5.0),
        ("video_completed", 60.0),
    ]
    assert [e.playlist_number for e in events if e.kind == "video_started"] == [1, 2]
    trial = explain([rule("r", OnAction(action="paused"))], events)
    assert [decision.position_s for decision in trial.decisions] == [20.0]


def test_events_that_cannot_be_are_named() -> None:
    player = Player().begin().video(duration_s=60.0)
    player.say("progressed", 500.0)
    refused = explain([rule("r", AtStart())], player.events).refused
    assert [(one.place, one.field) for one in refused] == [(2, "$.position_s")]


def test_why_names_each_part_that_was_false() -> None:
    values = {"hour": 7, "muted": False, "device": "tv"}
    neither = AnyOf(of=[is_("hour", ">", 18.0), Not(of=is_("device", "==", "tv"))])
    assert not truth(neither, values)
    assert criteria_why(neither, values) == ("hour > 18 is false: it is 7 and not device == tv is false: device is tv")


@settings(max_examples=40, deadline=None)
@given(rule_sets(), sessions())
def test_telling_why_changes_no_decision_and_what_is_false_is_false(
    rules: list[AdRule], log: list[PlayerEvent]
) -> None:
    rules = [replace(one, effective_at=0) for one in rules]
    trial = explain(rules, log)
    assert trial.decisions == run(log, book(*rules)).decisions
    by_id = {one.rule_id: one for one in rules}
    for found in trial.occasions:
        if found.outcome == "criteria":
            assert found.why
            assert not truth(by_id[found.rule_id].criteria, found.values)
        if found.outcome == "decided":
            assert truth(by_id[found.rule_id].criteria, found.values)
            assert found.decision_id is not None
    assert {found.rule_id for found in trial.occasions} | set(trial.idle) == set(by_id)

"""Each predefined rule does what its name says."""

from importlib import resources

import pytest
from msgspec.structs import replace
from playback_log import Player, book, fired, run

from cuepoint.models.rule_text import describe_rule
from cuepoint.models.rule_yaml import load_rules
from cuepoint.schemas.rules import AdRule

TEXT = (resources.files("cuepoint.ops") / "predefined_rules.yaml").read_text()
RULES = {rule.rule_id: rule for rule in load_rules(TEXT)}


def viewing(length_s: float, *, step_s: float = 5.0, videos: int = 1, **viewer: object) -> Player:
    player = Player().begin(**viewer)
    for number in range(videos):
        player.video(f"v{number}", length_s, category="news").play(length_s, step_s=step_s)
        player.say("video_completed", length_s)
    return player


def acting(kind: str, after_s: float = 40.0, **fields: object) -> Player:
    player = Player().begin().video().play(after_s)
    player.say(kind, 0.0 if kind == "rewound" else after_s, **fields)
    return player


def muted() -> Player:
    player = Player().begin().video("v0", 300.0).play(10.0)
    player.say("muted", 10.0)
    return player.play(100.0, from_s=10.0)


def trending(trend: float) -> Player:
    player = Player().begin()
    return player.video("v0", 200.0, trend=trend, rating=4.1, cue_points_s=[20.0, 80.0]).play(200.0)


def every(step: float, until: float) -> list[tuple[int, float]]:
    return [(0, step * k) for k in range(1, int(until / step) + 1)]


CASES: dict[str, list[tuple[Player, list[tuple[int, float]]]]] = {
    "pre-roll-bumper": [(viewing(60.0, videos=2), [(0, 0.0)])],
    "pre-roll-every-third": [
        (viewing(360.0, videos=3), [(1, 0.0), (2, 0.0)]),
        (viewing(150.0, videos=6), [(1, 0.0), (4, 0.0)]),
        (viewing(360.0, videos=3, registered=True), []),
        (viewing(100.0, videos=3), []),
    ],
    "session-reward": [(viewing(1200.0), [(0, 180.0), (0, 405.0), (0, 680.0), (0, 1025.0)])],
    "ticker-short-view": [(viewing(80.0, videos=5), [(0, 20.0), (1, 20.0), (2, 20.0)]), (viewing(100.0), [])],
    "pause-overlay": [(acting("paused"), [(0, 40.0)]), (acting("paused", 20.0), [])],
    "post-roll-documentary": [(viewing(130.0, videos=3), [(0, 130.0), (1, 130.0)])],
    "long-clips-every-30": [(viewing(100.0), every(30.0, 100.0)), (viewing(90.0), [])],
    "short-clips-every-15": [(viewing(90.0), every(15.0, 90.0)), (viewing(100.0), [])],
    "progressive-10-20-30": [
        (viewing(180.0), [*every(10.0, 60.0), (0, 80.0), (0, 100.0), (0, 120.0), (0, 150.0), (0, 180.0)])
    ],
    "average-180-s-gets-45": [(viewing(180.0, videos=2), [(1, 0.0)]), (viewing(170.0, videos=2), [])],
    "view-period-under-60": [(viewing(50.0, videos=2), [(1, 0.0)]), (viewing(60.0, videos=2), [])],
    "quarter-of-the-clip": [(viewing(120.0), [(0, 60.0)]), (viewing(50.0), [])],
    "registered-shorter": [(viewing(100.0, registered=True), [(0, 0.0)]), (viewing(50.0, videos=3), [(1, 0.0)])],
    "gateway": [(viewing(60.0, videos=2), [(0, 0.0)])],
    "roadblock-prime-time": [
        (Player(at=1_700_000_000_000 - 3_600_000).begin().video(), [(0, 0.0)]),
        (viewing(60.0), []),
    ],
    "ten-seconds-before-the-end": [(viewing(100.0), [(0, 90.0)])],
    "cue-points-all": [(viewing(200.0), [(0, 60.0), (0, 180.0)])],
    "rewind-telescoping": [(acting("rewound", from_position_s=40.0), [(0, 0.0)])],
    "fullscreen-bug": [(acting("fullscreen_entered"), [(0, 40.0)])],
    "mute-ticker": [(acting("muted"), [(0, 40.0)])],
    "hover-banner": [(acting("hovered"), [(0, 40.0)])],
    "click-through": [(acting("clicked"), [(0, 40.0)])],
    "by-length-30-15": [(viewing(100.0), every(30.0, 100.0)), (viewing(90.0), every(15.0, 90.0))],
    "history-180-s-gets-45": [
        (viewing(60.0, average_view_s=180.0), [(0, 0.0)]),
        (viewing(60.0, average_view_s=170.0), []),
        (viewing(60.0), []),
    ],
    "long-session-fewer": [(viewing(900.0), [*every(60.0, 240.0), (0, 360.0), (0, 480.0), (0, 720.0)])],
    "who-leaves-at-ads": [(viewing(120.0), every(60.0, 120.0)), (muted(), [(0, 65.0)])],
    "between-clips": [(viewing(60.0, videos=3), [(1, 0.0), (2, 0.0)])],
    "interest-cars": [(viewing(100.0, profile="age=30 interest=cars"), [(0, 50.0)]), (viewing(100.0), [])],
    "rising-video": [(trending(1.5), [(0, 30.0), (0, 90.0)]), (trending(1.4), [])],
    "call-to-action-form": [
        (acting("ad_completed", rule_id="rewind-telescoping"), [(0, 40.0)]),
        (acting("ad_completed", rule_id="gateway"), []),
    ],
    "url-chosen": [(acting("site_action", action="/offers"), [(0, 40.0)]), (acting("site_action", action="/x"), [])],
}


def test_every_predefined_rule_has_a_case() -> None:
    assert set(CASES) == set(RULES)


@pytest.mark.parametrize("rule_id", sorted(CASES))
def test_alone(rule_id: str) -> None:
    alone = book(replace(RULES[rule_id], status="active"))
    for player, expected in CASES[rule_id]:
        decisions = run(player.events, alone).decisions
        assert [(int(d.video_id[1:] or 0), d.position_s) for d in decisions] == expected


def active() -> list[AdRule]:
    return [rule for rule in RULES.values() if rule.status == "active"]


def test_the_active_ones_together_are_bearable() -> None:
    player = viewing(240.0, videos=10)
    results = run(player.events, book(*RULES.values()))
    names = {name for name, _ in fired(results)}
    assert {"pre-roll-bumper", "session-reward"} <= names <= {rule.rule_id for rule in active()}
    minutes = 10 * 240.0 / 60.0
    assert 0.1 < len(results.decisions) / minutes < 0.5
    seconds = sum(d.duration_s for d in results.decisions if d.format.screen == "full")
    assert seconds / (minutes * 60.0) < 0.08


def test_each_has_a_line_that_says_what_it_does() -> None:
    lines = {describe_rule(rule) for rule in RULES.values()}
    assert len(lines) == len(RULES)
    assert describe_rule(RULES["session-reward"]) == (
        "spot of 20 s every 180 s of the session, growing by 8 % a minute, up to 900 s; at least 90 s after any ad"
    )

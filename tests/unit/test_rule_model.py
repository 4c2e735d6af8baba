"""Each way to say where, how long, how often and to whom: the plain engine judges the compiled one in ``run``."""

import msgspec
import pytest
from playback_log import Player, book, fired, is_, rule, run

from cuepoint.models.rule_check import check_rule
from cuepoint.models.rule_kind import kind_of
from cuepoint.models.session_partition import PartitionSessions
from cuepoint.models.session_settings import SessionSettings
from cuepoint.schemas.errors import RuleError
from cuepoint.schemas.playback import AdDecision
from cuepoint.schemas.rules import (
    Adaptation,
    AdFormat,
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
    Has,
    InsertionPoint,
    LengthStep,
    Limits,
    OnAction,
    Scope,
)

CARS = AdFormat(category="cars", length_s=20.0)


def watched(length_s: float | None = 100.0, **fields: object) -> Player:
    return Player().begin().video(duration_s=length_s, **fields).play(100.0)


def decided(player: Player, *rules: AdRule) -> list[AdDecision]:
    return run(player.events, book(*rules)).decisions


def positions(player: Player, insertion: InsertionPoint, **fields: object) -> list[float]:
    return [position_s for _, position_s in fired(run(player.events, book(rule("r", insertion, **fields))))]


@pytest.mark.parametrize(
    ("insertion", "expected"),
    [
        (AtMiddle(), [50.0]),
        (AtSeconds(seconds=-10.0, from_="middle"), [40.0]),
        (AtSeconds(seconds=12.0, from_="middle"), [62.0]),
        (AtSeconds(seconds=-10.0, from_="end"), [90.0]),
        (AtSeconds(seconds=-10.0), [90.0]),
        (AtCuePoints(), [25.5, 60.0]),
        (AtCuePoints(offset_s=-10.0), [15.5, 50.0]),
        (AtCuePoints(positions_s=[5.0, 30.0], offset_s=-10.0), [20.0]),
        (AtPercent(percent=30.0, of="playback"), [30.0]),
        (ByLength(steps=[LengthStep(up_to_s=90.0, seconds=15.0), LengthStep(seconds=30.0)]), [30.0, 60.0, 90.0]),
        (ByLength(steps=[LengthStep(up_to_s=100.0, seconds=40.0), LengthStep(seconds=5.0)]), [40.0, 80.0]),
        (ByLength(steps=[LengthStep(up_to_s=90.0, seconds=15.0)]), []),
    ],
)
def test_where(insertion: InsertionPoint, expected: list[float]) -> None:
    assert positions(watched(cue_points_s=[60.0, 25.5]), insertion) == expected


@pytest.mark.parametrize("insertion", [AtMiddle(), ByLength(steps=[LengthStep(seconds=5.0)]), AtCuePoints()])
def test_what_is_not_known_of_a_video_has_no_place(insertion: InsertionPoint) -> None:
    assert positions(watched(None), insertion) == []


def test_a_share_of_the_playback_counts_what_is_watched_twice() -> None:
    player = Player().begin().video(duration_s=100.0).play(30.0)
    player.say("rewound", 0.0, from_position_s=30.0)
    assert positions(player.play(30.0), AtPercent(percent=50.0, of="playback")) == [20.0]


def test_a_cue_point_list_too_long_for_the_fast_reader_means_the_same() -> None:
    cues = [float(k) for k in range(1, 151)]
    player = Player().begin().video(duration_s=200.0, cue_points_s=cues).play(200.0, step_s=1.0)
    assert positions(player, AtCuePoints()) == cues


PLACES = {"before": [0], "between": [1, 2, 3], "after": [1], "between_playlists": [2]}


@pytest.mark.parametrize("place", sorted(PLACES))
def test_between_clips(place: str) -> None:
    player = Player().begin()
    for number, (playlist, clip) in enumerate([("p", 1), ("p", 2), ("q", 2), ("q", 3)]):
        listed = {"playlist_id": playlist, "playlist_number": clip, "playlist_length": 2 if playlist == "p" else 9}
        player.video(f"v{number}", 30.0, **listed).play(30.0)
        player.say("video_completed", 30.0)
    found = decided(player, rule("r", BetweenClips(place=place)))  # type: ignore[arg-type]
    assert [int(one.video_id[1:]) for one in found] == PLACES[place]
    assert {one.place for one in found} == {"post_roll" if place == "after" else "pre_roll"}


def test_every_second_boundary_of_a_session_without_playlists() -> None:
    player = Player().begin()
    for number in range(6):
        player.video(f"v{number}", 30.0).play(30.0)
    found = decided(player, rule("r", BetweenClips(every=2)))
    assert [one.video_id for one in found] == ["v2", "v4"]


def test_a_call_to_action_follows_the_click_on_a_bug() -> None:
    bug = rule("bug", AtSeconds(seconds=10.0), format=AdFormat(type="bug", screen="bottom"))
    long_form = rule("long-form", OnAction(action="ad_clicked", value="bug"), format=AdFormat(length_s=60.0))
    form = rule("form", OnAction(action="ad_completed", value="long-form"), format=AdFormat(type="form"))
    player = Player().begin().video().play(20.0)
    player.say("ad_clicked", rule_id="other")
    player.say("ad_clicked", rule_id="bug")
    player.say("ad_completed", rule_id="long-form")
    assert fired(run(player.events, book(bug, long_form, form))) == [("bug", 10.0), ("long-form", 20.0), ("form", 20.0)]


@pytest.mark.parametrize(
    ("criteria", "holds"),
    [
        (Has(value="interest=cars"), True),
        (Has(value="interest=car"), False),
        (Has(value="cars"), False),
        (is_("ad_category", "==", "cars"), True),
        (is_("ad_rating", ">=", 4.0), True),
        (is_("affiliate", "==", "north"), True),
        (is_("region", "==", "BY"), True),
        (is_("viewer_average_view_s", ">=", 180.0), True),
        (is_("viewer_average_session_s", "<", 900.0), False),
        (is_("viewer_plays", "==", 0.0), True),
        (is_("session_site_actions", "==", 1.0), True),
        (is_("last_site_action", "==", "/offers"), True),
        (is_("video_views", ">", 2e6), True),
        (is_("video_trend", ">=", 1.5), True),
        (is_("video_rating", "<", 4.5), True),
        (is_("playlist_number", "==", 3.0), True),
        (is_("day_part", "==", "evening"), True),
    ],
)
def test_to_whom(criteria: object, holds: bool) -> None:
    player = Player().begin(
        profile="age=30 interest=cars", affiliate="north", region="BY", average_view_s=180.0,
        average_session_s=900.0, plays=0.0,
    )  # fmt: skip
    player.video("first", 60.0)
    player.say("site_action", action="/offers")
    player.video("v", 60.0, playlist_id="p", playlist_number=3, views=3e6, trend=1.5, rating=4.2)
    format = AdFormat(category="cars", rating=4.0)
    found = decided(player, rule("r", AtStart(), criteria=criteria, format=format))
    assert [one.video_id for one in found if one.video_id == "v"] == ["v"] * holds


def test_an_unknown_history_satisfies_no_comparison() -> None:
    for relation in ("<", ">=", "!="):
        assert decided(watched(), rule("r", AtStart(), criteria=is_("viewer_plays", relation, 5.0))) == []


def test_leaving_near_an_ad_is_abandonment_and_leaving_later_is_not() -> None:
    once = rule("ad", AtSeconds(seconds=10.0), scope=Scope(videos=["a", "b"]))
    told = rule("told", AtStart(), criteria=is_("session_abandons", "==", 1.0), scope=Scope(videos=["c"]))
    player = Player().begin().video("a", 100.0).play(20.0).video("b", 100.0).play(90.0).video("c", 100.0)
    assert [name for name, _ in fired(run(player.events, book(once, told)))] == ["ad", "ad", "told"]


def test_scopes_of_playlists_and_affiliates() -> None:
    player = Player().begin(affiliate="north").video(playlist_id="p")
    for scope, expected in ((Scope(playlists=["p"], affiliates=["north"]), 1), (Scope(playlists=["q"]), 0)):
        assert len(decided(player, rule("r", AtStart(), scope=scope))) == expected


def test_the_hourly_limit_is_one_of_the_last_sixty_minutes() -> None:
    hourly = rule("r", OnAction(action="paused"), limits=Limits(per_hour=2))
    player = Player().begin().video(duration_s=None)
    for minutes in (0, 10, 10, 20, 20, 1, 19):  # at 0, 10, 20, 40, 60, 61, 80 minutes
        player.say("paused", after_s=minutes * 60.0 or 1.0)
    assert [one.event_id for one in decided(player, hourly)] == ["s-2", "s-3", "s-6", "s-8"]


def test_a_pod_ends_where_a_limit_says_so() -> None:
    rules = [rule(f"r{k}", AtStart(), format=CARS, priority=k, limits=Limits(pod_ads=3)) for k in range(1, 6)]
    found = decided(watched(), *rules)
    assert [(one.rule_id, one.number, one.pod_number) for one in found] == [("r1", 1, 1), ("r2", 2, 2), ("r3", 3, 3)]
    short = [rule(f"r{k}", AtStart(), format=CARS, priority=k, limits=Limits(pod_length_s=45.0)) for k in range(1, 6)]
    assert len(decided(watched(), *short)) == 2


def test_ads_of_one_category_keep_their_distance() -> None:
    limits = Limits(separation_s=50.0)
    cars = rule("cars", Every(seconds=20.0), format=CARS, limits=limits)
    beer = rule("beer", AtSeconds(seconds=30.0), format=AdFormat(category="beer"), limits=limits)
    assert fired(run(watched().events, book(cars, beer))) == [("cars", 20.0), ("beer", 30.0), ("cars", 80.0)]


def test_lengths_follow_video_and_playback_within_their_bounds() -> None:
    part = {"length_percent": 10.0, "min_length_s": 4.0, "max_length_s": 8.0}
    of_video = rule("video", AtMiddle(), format=AdFormat(**part))  # type: ignore[arg-type]
    of_play = rule("played", Every(seconds=20.0), format=AdFormat(percent_of="playback", **part))  # type: ignore[arg-type]
    found = [(one.rule_id, one.duration_s) for one in decided(watched(), of_video, of_play)]
    assert found == [
        ("played", 4.0),
        ("played", 4.0),
        ("video", 8.0),
        ("played", 6.0),
        ("played", 8.0),
        ("played", 8.0),
    ]


def test_what_the_viewer_does_changes_length_format_frequency_place_and_gap() -> None:
    ticker = AdFormat(type="ticker", screen="bottom", length_s=10.0)
    paced = rule(
        "r",
        Every(seconds=10.0),
        adapt=[
            Adaptation(when=is_("muted", "==", True), format=ticker, length_factor=0.5, delay_s=3.0),
            Adaptation(when=is_("session_pauses", ">=", 1.0), share=0.5),
            Adaptation(when=is_("session_length_s", ">", 25.0), min_gap_s=15.0),
        ],
    )
    player = Player().begin().video().play(40.0)
    player.say("paused", 40.0)
    player.say("resumed", 40.0)
    player.play(70.0, from_s=40.0)
    player.say("muted", 70.0)
    player.play(80.0, from_s=70.0)
    found = [(one.position_s, one.adapted, one.format.type, one.duration_s) for one in decided(player, paced)]
    assert found == [
        (10.0, 0, "spot", 15.0),
        (20.0, 0, "spot", 15.0),
        (40.0, 3, "spot", 15.0),
        (60.0, 2, "spot", 15.0),
        (83.0, 1, "ticker", 5.0),
    ]


def test_who_the_viewer_is_changes_the_length() -> None:
    spot = AdFormat(length_s=20.0, min_length_s=8.0, max_length_s=30.0)
    adapt = [
        Adaptation(when=Has(value="interest=cars"), length_factor=2.0),
        Adaptation(when=is_("viewer_average_session_s", "<", 60.0), length_factor=0.25),
    ]
    at_middle = rule("r", AtMiddle(), format=spot, adapt=adapt)

    def length_s(**viewer: object) -> float:
        (only,) = decided(Player().begin(**viewer).video(duration_s=100.0).play(100.0), at_middle)
        return only.duration_s

    assert length_s() == 20.0
    assert length_s(profile="age=30 interest=cars") == 30.0
    assert length_s(average_session_s=59.0) == 8.0
    assert length_s(average_session_s=60.0) == 20.0


def test_a_session_stored_before_the_new_fields_is_read() -> None:
    events = watched(profile="x").events
    old, new = (PartitionSessions(SessionSettings()) for _ in range(2))
    import numpy as np

    from cuepoint.models.report_columns import locate
    from cuepoint.models.session_results import Results
    from cuepoint.schemas.codec import encode

    stamps = np.array([event.received_at for event in events], dtype=np.int64)
    old.run(locate([encode(event) for event in events]), 0, stamps, book(), Results())
    rows = old.rows()
    rows["sessions"] = [row[:34] for row in rows["sessions"]]
    new.load(msgspec.msgpack.decode(msgspec.msgpack.encode(rows)))
    assert new.rows()["sessions"][0][:34] == old.rows()["sessions"][0][:34]
    assert new.rows()["sessions"][0][-1] is None


@pytest.mark.parametrize(
    ("one", "kind"),
    [
        (rule("r", AtCuePoints(positions_s=[5.0]), criteria=is_("hour", ">", 6.0)), "static"),
        (rule("r", AtStart(), criteria=is_("viewer_average_view_s", ">", 6.0)), "dynamic"),
        (rule("r", Every(seconds=30.0)), "dynamic"),
        (
            rule("r", AtEnd(), adapt=[Adaptation(when=is_("session_skips", ">", 1.0), share=0.5)]),
            "progressively_dynamic",
        ),
        (rule("r", OnAction(action="paused")), "progressively_dynamic"),
    ],
)
def test_kinds(one: AdRule, kind: str) -> None:
    assert kind_of(one) == kind
    check_rule(msgspec.structs.replace(one, kind=kind))
    if kind != "static":
        with pytest.raises(RuleError, match="kind"):
            check_rule(msgspec.structs.replace(one, kind="static"))


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"insertion": AtSeconds(seconds=5.0, from_="end")}, "$.insertion.seconds"),
        ({"insertion": AtPercent(percent=0.0, of="playback")}, "$.insertion.percent"),
        ({"insertion": AtCuePoints(positions_s=[5.0], offset_s=-9.0)}, "$.insertion.offset_s"),
        ({"insertion": BetweenClips(place="after", every=2)}, "$.insertion.every"),
        ({"insertion": ByLength(steps=[LengthStep(seconds=9.0), LengthStep(seconds=5.0)])}, "$.insertion.steps"),
        ({"insertion": ByLength(steps=[LengthStep(seconds=0.1)])}, "$.insertion.steps"),
        ({"format": AdFormat(min_length_s=9.0, max_length_s=8.0)}, "$.format.max_length_s"),
        ({"format": AdFormat(percent_of="playback")}, "$.format.percent_of"),
        ({"limits": Limits(separation_s=9.0)}, "$.limits.separation_s"),
        ({"limits": Limits(pod_length_s=9.0)}, "$.limits.pod_length_s"),
        ({"adapt": [Adaptation(when=is_("muted", "==", True))]}, "$.adapt[0]"),
        ({"adapt": [Adaptation(when=is_("hour", ">", 23.0), share=0.5)]}, "$.adapt[0].when"),
        ({"criteria": is_("profile", "==", "x")}, "$.criteria.value"),
    ],
)
def test_contradictions_are_named_with_their_place(fields: dict[str, object], place: str) -> None:
    with pytest.raises(RuleError) as refused:
        check_rule(rule(**fields))
    assert [found for found, _ in refused.value.problems][:1] == [place]

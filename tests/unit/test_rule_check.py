import datetime as dt

import pytest
from playback_log import is_, rule

from cuepoint.models.rule_check import check_rule
from cuepoint.schemas.errors import RuleError
from cuepoint.schemas.rules import (
    AdFormat,
    All,
    AnyOf,
    AtCuePoints,
    AtEnd,
    AtSeconds,
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


def problems(**fields: object) -> list[str]:
    try:
        check_rule(rule(**fields))
    except RuleError as error:
        assert error.code == "invalid_rule"
        return [field for field, _ in error.problems]
    return []


@pytest.mark.parametrize(
    "criteria",
    [
        All(of=[is_("country", "==", "US"), is_("country", "==", "DE")]),
        All(of=[is_("session_length_s", "<", 60.0), is_("session_length_s", ">", 90.0)]),
        All(of=[is_("video_length_s", ">=", 60.0), Not(of=is_("video_length_s", ">=", 60.0))]),
        All(of=[is_("session_ads", ">", 2.0), is_("session_ads", "<", 3.0)]),
        All(of=[is_("registered", "==", True), is_("registered", "!=", True)]),
        All(of=[OneOf(field="device", values=["tv"]), is_("device", "!=", "tv")]),
        AnyOf(of=[is_("hour", ">", 23.0), is_("hour", "<", 0.0)]),
        is_("weekday", "==", 0.0),
        is_("hour", "==", 7.5),
        is_("session_videos", "<", 1.0),
        is_("last_action", "==", "sneezed"),
        is_("ad_type", "==", "bug"),
        is_("ad_length_s", ">", 15.0),
        Not(of=All(of=[])),
        Not(of=AnyOf(of=[is_("muted", "==", True), is_("muted", "==", False)])),
    ],
)
def test_criteria_that_never_hold_are_refused(criteria: CriteriaTree) -> None:
    assert problems(criteria=criteria) == ["$.criteria"]


@pytest.mark.parametrize(
    "criteria",
    [
        All(of=[]),
        All(of=[is_("country", "!=", "US"), is_("country", "!=", "DE")]),
        All(of=[is_("session_ads", ">", 2.0), is_("session_ads", "<", 4.0)]),
        All(of=[is_("view_played_s", ">", 2.0), is_("view_played_s", "<", 3.0)]),
        AnyOf(of=[is_("hour", ">", 22.0), is_("hour", "<", 0.0)]),
        All(of=[Not(of=is_("video_length_s", "<", 60.0)), Not(of=is_("video_length_s", ">=", 60.0))]),  # unknown
        Not(of=OneOf(field="hour", values=[float(hour) for hour in range(23)])),
        is_("last_action", "==", ""),
        is_("ad_type", "==", "spot"),
    ],
)
def test_criteria_that_can_hold_pass(criteria: CriteriaTree) -> None:
    assert problems(criteria=criteria) == []


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"format": AdFormat(screen="bottom")}, "$.format.screen"),
        ({"format": AdFormat(type="ticker", screen="full")}, "$.format.screen"),
        ({"format": AdFormat(type="gateway"), "insertion": AtEnd()}, "$.insertion.at"),
        ({"insertion": Every(seconds=0.1)}, "$.insertion.seconds"),
        ({"insertion": Progressive(intervals_s=[10.0, 0.2])}, "$.insertion.intervals_s"),
        ({"insertion": SessionPaced(seconds=100.0, growth=0.1, max_seconds=50.0)}, "$.insertion.max_seconds"),
        ({"insertion": OnAction(action="paused", value="x")}, "$.insertion.value"),
        ({"limits": Limits(per_session=1, per_video=2)}, "$.limits.per_video"),
        ({"scope": Scope(countries=["US"]), "criteria": is_("country", "==", "DE")}, "$.criteria"),
        ({"insertion": OnAction(action="muted"), "criteria": is_("muted", "==", False)}, "$.criteria"),
        ({"insertion": AtSeconds(seconds=90.0), "criteria": is_("video_length_s", "<", 60.0)}, "$.insertion.seconds"),
        ({"insertion": AtSeconds(seconds=-90.0), "criteria": is_("video_length_s", "<=", 60.0)}, "$.insertion.seconds"),
        (
            {"insertion": AtCuePoints(positions_s=[70.0, 90.0]), "criteria": is_("video_length_s", "<", 60.0)},
            "$.insertion.positions_s",
        ),
        ({"criteria": is_("video_length_s", "<", "long")}, "$.criteria.value"),
        ({"criteria": is_("video_length_s", "==", True)}, "$.criteria.value"),
        ({"criteria": All(of=[is_("country", "<", "US")])}, "$.criteria.of[0].is"),
        ({"criteria": Not(of=is_("muted", "==", "yes"))}, "$.criteria.of.value"),
        ({"criteria": OneOf(field="hour", values=[1.0, "two"])}, "$.criteria.values"),
        ({"criteria": is_("hour", "<", float("inf"))}, "$.criteria.value"),
    ],
)
def test_each_contradiction_is_named_with_its_place(fields: dict[str, object], place: str) -> None:
    assert problems(**fields) == [place]


def test_schedules() -> None:
    early, late = dt.datetime(2024, 1, 1, tzinfo=dt.UTC), dt.datetime(2024, 2, 1, tzinfo=dt.UTC)
    assert problems(starts=early, ends=late) == []
    assert problems(starts=late, ends=early) == ["$.ends"]
    assert problems(starts=early, ends=early) == ["$.ends"]
    assert problems(ends=early, effective_at=int(late.timestamp() * 1000)) == ["$.ends"]
    assert problems(starts=dt.datetime(2024, 1, 1)) == ["$.starts"]


def test_trees_too_deep_or_too_wide_are_refused_not_hung_upon() -> None:
    deep: CriteriaTree = is_("hour", "<", 5.0)
    for _ in range(200):
        deep = Not(of=deep)
    assert problems(criteria=deep)[0].startswith("$.criteria.of")
    pair = AnyOf(of=[Compare(field="country", value="US"), Compare(field="country", value="DE")])
    assert problems(criteria=All(of=[pair] * 30)) == ["$.criteria"]


def test_all_problems_are_named_at_once() -> None:
    found = problems(
        format=AdFormat(screen="bottom"), limits=Limits(per_session=1, per_video=2), insertion=Every(seconds=0.5)
    )
    assert found == ["$.format.screen", "$.insertion.seconds", "$.limits.per_video"]

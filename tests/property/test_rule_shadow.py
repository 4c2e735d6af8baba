"""What is out of reach because of other rules: named with its place, and never decided by the sessions' loop."""

from __future__ import annotations

from hypothesis import assume, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from playback_log import book, is_, rule, run
from playback_strategies import rule_sets, sessions

from cuepoint.models.rule_shadow import warnings_of
from cuepoint.schemas.playback import PlayerEvent
from cuepoint.schemas.rules import AdRule, All, Every, Limits, OnAction, Scope

GAP = Limits(min_gap_s=30.0)
FIRST = rule("a", Every(seconds=60))


def places(tested: AdRule, *others: AdRule) -> list[str]:
    return [place for place, _ in warnings_of(tested, others)]


def test_a_rule_that_another_always_forestalls_is_named() -> None:
    later = rule("b", Every(seconds=60), limits=GAP)
    assert warnings_of(later, [FIRST, later]) == [
        ("$.limits.min_gap_s", "is never met: rule a inserts at each of the same occasions before")
    ]
    assert places(replace(later, limits=Limits(pod_ads=1)), FIRST) == ["$.limits.pod_ads"]
    music, news = is_("category", "==", "music"), is_("category", "==", "news")
    short, shorter = is_("video_length_s", "<=", 300.0), is_("video_length_s", "<", 100.0)
    assert places(replace(later, criteria=All(of=[shorter, music])), replace(FIRST, criteria=short)) != []
    for other in (
        replace(FIRST, priority=200),  # is asked later
        replace(FIRST, status="draft"),
        replace(FIRST, insertion=Every(seconds=61)),
        replace(FIRST, limits=Limits(per_session=3)),  # may be used up
        replace(FIRST, scope=Scope(videos=["v"])),
        replace(FIRST, criteria=news),
        replace(FIRST, criteria=is_("ad_length_s", ">", 1.0)),
    ):
        assert places(replace(later, criteria=music), other) == [], other
    assert places(replace(later, limits=Limits()), FIRST) == []  # beside it, in a pod


def test_a_rule_that_waits_for_ads_of_a_rule_that_is_not_there_is_named() -> None:
    form = rule("form", OnAction(action="ad_clicked", value="bug"))
    assert places(form) == places(form, rule("bug", status="retired")) == ["$.insertion.value"]
    assert places(form, rule("bug")) == []


@settings(max_examples=150, deadline=None)
@given(rule_sets(), st.data(), sessions())
def test_what_is_named_is_never_decided(rules: list[AdRule], data: st.DataObject, log: list[PlayerEvent]) -> None:
    """A random rule, another at the same occasions with none of its criteria or the same, and whoever else there is."""
    assume(rules)
    chosen = data.draw(st.sampled_from(rules))
    criteria = data.draw(st.sampled_from([All(), chosen.criteria]))
    other = replace(chosen, rule_id="0", priority=0, limits=Limits(), adapt=[], criteria=criteria, kind=None)
    tested = replace(chosen, priority=1000, limits=GAP, adapt=[], kind=None)
    rest = [each for each in rules if each.rule_id != chosen.rule_id]
    assume(places(tested, other, *rest))
    decided = run(log, book(other, tested, *rest))
    assert tested.rule_id not in {decision.rule_id for decision in decided.decisions}

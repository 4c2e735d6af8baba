"""Filling breaks from line items: caps are never exceeded, rivals stay apart, a flight is delivered evenly."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from cuepoint.models.line_item_select import Counts, Slot, eligible, fill_pod, quota_of
from cuepoint.schemas.ads import Creative, LineItem, MediaFile
from cuepoint.schemas.rules import Compare

START = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
DAY_MS = 86_400_000
START_MS = int(START.timestamp() * 1000)


def item(name: str, length_s: float = 15.0, **more: Any) -> LineItem:
    media = [MediaFile(url="https://m.example.org/a.mp4")]
    return LineItem(line_item_id=name, creatives=[Creative(creative_id=name, length_s=length_s, media=media)], **more)


ITEMS = st.lists(
    st.builds(
        item,
        st.from_regex(r"[a-h]", fullmatch=True),
        st.sampled_from([6.0, 15.0, 20.0, 30.0]),
        competitive_group=st.sampled_from(["", "cars", "beer"]),
        priority=st.sampled_from([1, 2]),
        impressions=st.none() | st.integers(1, 30),
        frequency_day=st.none() | st.integers(1, 3),
    ),
    max_size=8,
    unique_by=lambda each: each.line_item_id,
)


@given(ITEMS, st.integers(1, 4), st.sampled_from([15.0, 30.0, 60.0]), st.lists(st.sampled_from("xyz"), max_size=40))
@settings(max_examples=60)
def test_no_bound_is_ever_broken(items: list[LineItem], most: int, length_s: float, viewers: list[str]) -> None:
    totals, daily = Counter[str](), Counter[tuple[str, str]]()
    slot = Slot("spot", length_s, most)
    for viewer in viewers:
        counts = {name: Counts(totals[name], daily[viewer, name]) for name in (each.line_item_id for each in items)}
        candidates = eligible(items, slot, {}, START_MS)
        pod = fill_pod(candidates, counts, slot)
        assert pod == fill_pod(candidates[::-1], counts, slot)  # the order they are found in does not matter
        assert len(pod) <= most and sum(each.creative.length_s for each in pod) <= length_s
        groups = [each.item.competitive_group for each in pod if each.item.competitive_group]
        assert len(groups) == len(set(groups))
        assert len({each.item.line_item_id for each in pod}) == len(pod)
        for each in pod:
            totals[each.item.line_item_id] += 1
            daily[viewer, each.item.line_item_id] += 1
    for each in items:
        assert each.impressions is None or totals[each.line_item_id] <= each.impressions
        for viewer in "xyz":
            assert each.frequency_day is None or daily[viewer, each.line_item_id] <= each.frequency_day


@given(st.integers(1, 300), st.integers(1, 10), st.floats(1.5, 6.0))
@settings(max_examples=30)
def test_a_flight_is_delivered_evenly(goal: int, days: int, demand: float) -> None:
    """With more requests than the goal needs, what was given is never ahead by more than one, nor behind by more than
    what one pause between requests brings; in the end it is the goal."""
    flight = item("a", impressions=goal, starts=START, ends=START + dt.timedelta(days=days))
    length_ms, requests = days * DAY_MS, int(goal * demand) + 2
    given_ads, slot = 0, Slot("spot", 30.0)
    for n in range(requests):
        now_ms = START_MS + n * (length_ms - 1) // (requests - 1)
        even = goal * (now_ms - START_MS) / length_ms
        pod = fill_pod(eligible([flight], slot, {}, now_ms), {"a": Counts(given_ads)}, slot)
        given_ads += len(pod)
        assert even - 1 - goal / requests <= given_ads <= even + 1
    assert goal - 1 <= given_ads <= goal


@given(st.integers(1, 10**9), st.integers(0, 10 * DAY_MS), st.integers(0, DAY_MS))
def test_a_quota_grows_and_ends_at_the_goal(goal: int, at_ms: int, later_ms: int) -> None:
    flight = item("a", impressions=goal, starts=START, ends=START + dt.timedelta(days=7))
    first, second = quota_of(flight, START_MS + at_ms), quota_of(flight, START_MS + at_ms + later_ms)
    assert first is not None and second is not None
    assert 1 <= first <= second <= goal
    assert quota_of(flight, START_MS + 8 * DAY_MS) == goal


def test_who_is_asked_and_in_which_order() -> None:
    items = [
        item("goalless", priority=5),
        item("behind", priority=5, impressions=100, pacing="asap"),
        item("ahead", priority=5, impressions=100, pacing="asap"),
        item("first", priority=1, impressions=1),
        item("music", criteria=Compare(field="category", value="music")),
        item("unknown", criteria=Compare(field="country", value="GB")),
        item("paused", status="paused"),
        item("removed", status="removed"),
        item("over", ends=START),
        item("long", length_s=90.0),
        LineItem(line_item_id="bug", creatives=[Creative(creative_id="b", type="bug", length_s=5)]),
    ]
    slot = Slot("spot", 60.0, 9)
    found = eligible(items, slot, {"category": "music"}, START_MS)
    assert {each.item.line_item_id for each in found} == {"goalless", "behind", "ahead", "first", "music"}
    counts = {"behind": Counts(10), "ahead": Counts(50)}
    assert [each.item.line_item_id for each in fill_pod(found, counts, slot)] == [
        "first",
        "behind",
        "ahead",
        "goalless",
    ]
    assert eligible(items, Slot("spot", 60.0, hls=True), {}, START_MS) == []
    (one,) = eligible(items, Slot("spot", 60.0, ad_id="ahead"), {}, START_MS)
    assert one.item.line_item_id == "ahead"
    assert eligible(items, Slot("spot", 60.0, category="cars"), {}, START_MS) == []

"""Simulated viewers against the parameters they are drawn from."""

import math
import statistics
from collections import Counter
from functools import lru_cache
from itertools import pairwise

import pytest
from plain_engine import SessionEngine
from playback_log import T0, book, run

from cuepoint.models import session_calibration as c
from cuepoint.models.session_settings import SessionSettings
from cuepoint.models.session_simulator import ViewerSimulator
from cuepoint.schemas.playback import AdDecision, PlayerEvent
from cuepoint.schemas.rules import AdFormat

HOURS = 3


class View:
    """What one play of a video came to."""

    def __init__(self, duration_s: float) -> None:
        self.duration_s = duration_s
        self.completed = False
        self.last_s = 0.0
        self.actions: Counter[str] = Counter()

    @property
    def share(self) -> float:
        return 1.0 if self.completed else min(1.0, self.last_s / self.duration_s)


@lru_cache(maxsize=1)
def simulated() -> tuple[list[PlayerEvent], list[View], list[str]]:
    simulator = ViewerSimulator(seed=11, start_ms=T0, sessions=250, day_shape=False)
    events = simulator.advance(T0 + HOURS * 3_600_000)
    views: list[View] = []
    open_views: dict[str, View] = {}
    for event in events:
        if event.kind == "video_started":
            assert event.duration_s is not None
            if event.session_id in open_views:
                views.append(open_views[event.session_id])
            open_views[event.session_id] = View(event.duration_s)
        elif event.kind == "session_ended":
            if event.session_id in open_views:
                views.append(open_views.pop(event.session_id))
        elif event.session_id in open_views:
            view = open_views[event.session_id]
            view.actions[event.kind] += 1
            view.completed = view.completed or event.kind == "video_completed"
            view.last_s = event.position_s
    return events, views, [video.category for video in simulator.catalogue]


def expected(name: str) -> float:
    """Mean of a count over all views, cut at MAX_ACTIONS, from the parameters alone."""
    return sum(view.probability * truncated_mean(getattr(view, name)) for view in c.VIEWS.values())


def truncated_mean(counts: c.Counts) -> float:
    r, p = counts.dispersion, counts.dispersion / (counts.dispersion + counts.mean)
    weights = [
        math.exp(math.lgamma(k + r) - math.lgamma(r) - math.lgamma(k + 1) + r * math.log(p) + k * math.log(1 - p))
        for k in range(c.MAX_ACTIONS)
    ]
    return sum(k * w for k, w in enumerate(weights)) + c.MAX_ACTIONS * (1.0 - sum(weights))


def test_there_is_enough_to_judge_by() -> None:
    _, views, categories = simulated()
    assert len(views) > 5000
    assert len(set(categories)) == len(c.CATEGORIES)


def test_share_of_the_video_watched_and_completion() -> None:
    _, views, _ = simulated()
    assert statistics.fmean(view.completed for view in views) == pytest.approx(
        c.VIEWS["complete"].probability, abs=0.025
    )
    left = [view.share for view in views if not view.completed]
    for name, low, high in (("brief", 0.0, 0.25), ("left", 0.25, 0.95)):
        share = sum(low <= one < high for one in left) / len(views)
        assert share == pytest.approx(c.VIEWS[name].probability, abs=0.03)


@pytest.mark.parametrize(("name", "kind"), [("pauses", "paused"), ("rewinds", "rewound"), ("forwards", "seeked")])
def test_actions_a_view(name: str, kind: str) -> None:
    _, views, _ = simulated()
    assert statistics.fmean(view.actions[kind] for view in views) == pytest.approx(expected(name), rel=0.08)


def test_lengths_devices_and_session_times() -> None:
    events, _, _ = simulated()
    catalogue = [video.duration_s for seed in range(30) for video in ViewerSimulator(seed, T0, 1).catalogue]
    assert statistics.median(catalogue) == pytest.approx(c.DURATION_MEDIAN_S, rel=0.08)
    devices = Counter(event.device for event in events if event.kind == "session_started")
    for device, share in c.DEVICES:
        assert devices[device] / devices.total() == pytest.approx(share, abs=0.03)


def test_the_same_seed_gives_the_same_bytes_however_it_is_stepped() -> None:
    whole = ViewerSimulator(3, T0, 20).advance(T0 + 600_000)
    stepped, simulator = [], ViewerSimulator(3, T0, 20)
    for second in range(601):
        stepped += simulator.advance(T0 + second * 1000)
    assert stepped == whole
    assert ViewerSimulator(4, T0, 20).advance(T0 + 600_000) != whole


def test_events_are_ordered_valid_and_numbered() -> None:
    events, _, _ = simulated()
    assert [e.at for e in events] == sorted(e.at for e in events)
    seen: dict[str, int] = {}
    for event in events:
        assert event.seq == seen.get(event.session_id, -1) + 1
        seen[event.session_id] = event.seq
    results = run(events, book(), SessionEngine(SessionSettings()))
    assert (results.refused, results.repeats, results.late) == ([], 0, 0)


def test_about_as_many_viewers_as_asked_for_and_fewer_at_night() -> None:
    peak, night = T0 - T0 % 86_400_000 + 19 * 3_600_000, T0 - T0 % 86_400_000 + 3 * 3_600_000
    crowd = {}
    for start in (peak, night):
        simulator = ViewerSimulator(5, start, 100)
        simulator.advance(start + 1_200_000)
        crowd[start] = len(simulator.live_session_ids())
    assert 90 <= crowd[peak] <= 100
    assert crowd[night] == pytest.approx(100 * c.HOURLY[3], abs=4)


def ad(session: PlayerEvent, kind: str = "spot", number: int = 1) -> AdDecision:
    return AdDecision(
        decision_id=f"{session.session_id}-{number}",
        session_id=session.session_id,
        video_id=session.video_id or "",
        rule_id="rule",
        rule_version=1,
        event_id=session.event_id,
        decided_at=session.received_at,
        number=number,
        position_s=0.0,
        format=AdFormat(type=kind),  # type: ignore[arg-type]
        duration_s=20.0,
        spot_load=1.0,
        reason="r",
    )


@pytest.mark.parametrize("kind", ["spot", "ticker"])
def test_viewers_answer_the_ads_they_are_given(kind: str) -> None:
    simulator = ViewerSimulator(9, T0, 200, day_shape=False)
    started = [e for e in simulator.advance(T0 + 12_000) if e.kind == "video_started"]
    for event in started:
        simulator.receive(ad(event, kind))
        simulator.receive(ad(event, kind))
    events = simulator.advance(T0 + 1_200_000)
    kinds = Counter(event.kind for event in events if event.decision_id is not None)
    assert len(started) * 0.7 < kinds["ad_started"] <= len(started)
    assert kinds["ad_started"] >= kinds["ad_completed"] + kinds["ad_skipped"] + kinds["ad_failed"]
    assert kinds["ad_completed"] > kinds["ad_started"] / 2
    assert (kinds["ad_skipped"] > 0) == (kind == "spot")
    assert {e.rule_id for e in events if e.decision_id} == {"rule"}
    assert {e.ad_type for e in events if e.decision_id} == {kind}


def test_a_linear_ad_stops_the_video() -> None:
    simulator = ViewerSimulator(2, T0, 50, day_shape=False)
    started = [e for e in simulator.advance(T0 + 11_000) if e.kind == "video_started"]
    for event in started:
        simulator.receive(ad(event))
    events = simulator.advance(T0 + 120_000)
    checked = 0
    for name in {e.session_id for e in started}:
        own = [e for e in events if e.session_id == name]
        for before, after in pairwise(own):
            if (before.kind, after.kind) == ("ad_started", "ad_completed"):
                checked += 1
                assert after.at - before.at == 20_000
                assert after.position_s == before.position_s
    assert checked > 10

"""The picture of a session: what is drawn from its events and decisions."""

from __future__ import annotations

from typing import Any

from cuepoint.ops.console_drawing import LEFT, WIDTH, draw
from cuepoint.ops.console_timeline import Timeline, build_timeline
from cuepoint.schemas.playback import AdDecision, PlayerEvent
from cuepoint.schemas.rules import AdFormat

START = 1_700_000_000_000


def event(seq: int, at_s: float, kind: str, **other: Any) -> PlayerEvent:
    at = START + int(at_s * 1000)
    values = {"video_id": "v"} | other
    return PlayerEvent(event_id=f"e{seq}", session_id="s", seq=seq, kind=kind, at=at, received_at=at, **values)  # type: ignore[arg-type]


def decided(number: int, at_s: float, ad_type: str = "spot") -> AdDecision:
    return AdDecision(
        decision_id=f"d{number}",
        session_id="s",
        video_id="v",
        rule_id="r",
        rule_version=1,
        event_id="e",
        decided_at=START + int(at_s * 1000),
        number=number,
        position_s=0,
        format=AdFormat(type=ad_type),  # type: ignore[arg-type]
        duration_s=15,
        spot_load=1,
        reason="",
    )


def spans(line: Timeline) -> list[tuple[str, float, float]]:
    found = [(one.kind, (one.start_ms - START) / 1000, (one.end_ms - START) / 1000) for one in line.spans]
    return sorted(found, key=lambda span: (span[1], span[0]))


def test_linear_ad_interrupts_the_video_and_a_pause_is_a_span() -> None:
    events = [
        event(0, 0, "video_started"),
        event(1, 10, "ad_started", decision_id="d1"),
        event(2, 25, "ad_completed", decision_id="d1"),
        event(3, 30, "paused"),
        event(4, 40, "resumed"),
        event(5, 50, "video_completed"),
    ]
    line = build_timeline(events, [decided(1, 10)])
    assert spans(line) == [
        ("play", 0, 10),
        ("ad", 10, 25),
        ("play", 25, 30),
        ("pause", 30, 40),
        ("play", 40, 50),
    ]


def test_overlay_leaves_the_video_playing() -> None:
    events = [
        event(0, 0, "video_started"),
        event(1, 10, "ad_started", decision_id="d1"),
        event(2, 20, "ad_completed", decision_id="d1"),
        event(3, 30, "video_completed"),
    ]
    assert spans(build_timeline(events, [decided(1, 10, "bug")])) == [("play", 0, 30), ("ad", 10, 20)]


def test_decision_without_word_from_the_player_is_planned() -> None:
    line = build_timeline([event(0, 0, "video_started"), event(1, 10, "progressed")], [decided(1, 5)])
    assert spans(line) == [("play", 0, 10), ("planned", 5, 20)]
    assert line.end_ms == START + 20_000


def test_running_session_reaches_to_now() -> None:
    line = build_timeline([event(0, 0, "video_started")], [], START + 60_000)
    assert spans(line) == [("play", 0, 60)]
    assert line.spans[0].running


def test_late_event_does_not_run_backwards() -> None:
    late = event(2, 5, "paused")
    line = build_timeline([event(0, 0, "video_started"), event(1, 10, "progressed"), late], [])
    assert all(span.end_ms >= span.start_ms for span in line.spans)
    assert spans(line)[0] == ("play", 0, 10)


def test_nothing_is_an_empty_timeline_and_a_seek_is_a_jump() -> None:
    assert build_timeline([], []).end_ms == 0
    jump = event(1, 4, "seeked", from_position_s=4.0, position_s=90.0)
    line = build_timeline([event(0, 0, "video_started"), jump], [])
    assert line.positions == [[(START, 0.0), (START + 4000, 4.0), (START + 4000, 90.0)]]
    assert [mark.label for mark in line.marks] == ["Seek 0:04 to 1:30"]


def test_drawing_stays_inside_and_has_few_ticks() -> None:
    for length_s in (3, 75, 900, 40_000):
        events = [event(0, 0, "video_started"), event(1, length_s, "video_completed", position_s=9.0)]
        drawing = draw(build_timeline(events, []))
        assert all(bar.x >= LEFT and bar.x + bar.width <= WIDTH for bar in drawing.bars)
        assert 1 <= len(drawing.ticks) <= 13
        assert len(drawing.paths) == 1

"""The figures and the view of `cuepoint run`."""

from __future__ import annotations

import io
import time

from rich.console import Console

from cuepoint.ops.status import Status, StatusView, draw, plain
from cuepoint.ops.status_numbers import Numbers, Recorded, numbers_of
from cuepoint.schemas.topics import PLAYER_EVENTS, REPORTS, TREND_RECORDS
from cuepoint.streams.heartbeats import Heartbeat


def beat(role: str, **more: object) -> Heartbeat:
    return Heartbeat(role=role, worker=f"{role}-1", state="ready", at=1, started_at=0, pid=1, **more)  # type: ignore[arg-type]


def test_markers_do_not_count_as_records() -> None:
    beats = [
        beat("trends", received={TREND_RECORDS.name: 100 + 3 * 2 * 4}, lag={"a/0": 5, "a/1": 2}, open_regions=7),
        beat("views", received={REPORTS.name: 6}),
        beat("sessions", received={PLAYER_EVENTS.name: 11}, live_sessions=3, metrics_port=4711),
    ]
    numbers = numbers_of(beats, partitions=4)
    assert (numbers.trend_records, numbers.player_events) == (100, 11)
    assert (numbers.lag, numbers.open_regions, numbers.live_sessions) == (7, 7, 3)
    assert numbers.states == {"trends": "ready", "views": "ready", "sessions": "ready"}
    assert numbers.metrics_ports["sessions"] == 4711


def test_terminal_view_shows_parts_figures_and_address() -> None:
    status = Status(
        "http://127.0.0.1:8700/",
        time.monotonic(),
        parts={"broker": "ready", "trends": "starting"},
        numbers=Numbers(trend_records=12_345, lag=6),
        recorded=Recorded(latest_day="2017-12-24", changes=78),
        first_alert_s=9.87,
    )
    output = io.StringIO()
    Console(file=output, width=100, force_terminal=False).print(draw(status))
    for expected in ("broker", "starting", "12,345", "2017-12-24", "78", "first alert after 9.9 s", "127.0.0.1:8700"):
        assert expected in output.getvalue()


def test_log_without_a_terminal_is_a_line_now_and_then() -> None:
    output = io.StringIO()
    status = Status("http://127.0.0.1:1/", time.monotonic(), parts={"broker": "ready"})
    with StatusView(status, Console(file=output, width=40)) as view:
        for _ in range(50):
            view.show()
        view.say("[bold]as it is[/bold] " + "x" * 60)
    lines = output.getvalue().splitlines()
    assert lines == [plain(status), "[bold]as it is[/bold] " + "x" * 60]

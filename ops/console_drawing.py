"""From a timeline to coordinates of its SVG. Units are pixels of a drawing WIDTH wide."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from cuepoint.ops.console_timeline import Span, Timeline, clock_text

WIDTH = 1120.0
LEFT = 84.0
RIGHT = 16.0
POSITION_TOP, POSITION_HEIGHT = 150.0, 64.0
STEPS_S = (5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400)
CHARACTER = 7.0  # width of a character of a label


@dataclass(frozen=True)
class Bar:
    """A span in the drawing; ``text`` is empty where it would not fit."""

    span: Span
    x: float
    width: float
    text: str
    title: str


@dataclass(frozen=True)
class Drawing:
    """What the template draws."""

    width: float
    left: float
    right: float
    bars: list[Bar]
    marks: list[tuple[float, str, str]]  # x, kind, title
    ticks: list[tuple[float, str]]
    paths: list[str]
    top_position: str


def draw(line: Timeline) -> Drawing:
    """Coordinates for every span, mark, tick and position."""
    inner = WIDTH - LEFT - RIGHT
    length_ms = max(line.end_ms - line.start_ms, 1)

    def x(at_ms: int) -> float:
        return round(LEFT + (at_ms - line.start_ms) / length_ms * inner, 1)

    bars = []
    for span in line.spans:
        width = max(round(x(span.end_ms) - x(span.start_ms), 1), 3.0)
        lasted = clock_text((span.end_ms - span.start_ms) / 1000)
        name = f"{span.number}" if span.number else span.label
        full = f"{span.number} {span.label}" if span.number else span.label
        text = next((one for one in (full, name) if len(one) * CHARACTER + 8 < width), "")
        since = clock_text((span.start_ms - line.start_ms) / 1000)
        title = f"{full}, {span.kind}, from {since}, {'running for' if span.running else 'for'} {lasted}"
        bars.append(Bar(span, x(span.start_ms), width, text, title))
    marks = [(x(mark.at_ms), mark.kind, mark.label) for mark in line.marks]
    top = line.top_position_s or 1.0
    paths = [
        "M" + " L".join(f"{x(at)},{POSITION_TOP + POSITION_HEIGHT * (1 - where / top):.1f}" for at, where in points)
        for points in line.positions
        if len(points) > 1
    ]
    return Drawing(WIDTH, LEFT, WIDTH - RIGHT, bars, marks, ticks(line, x), paths, clock_text(line.top_position_s))


def ticks(line: Timeline, x: Callable[[int], float]) -> list[tuple[float, str]]:
    """At most a dozen ticks at round times since the session began."""
    step_s = next((step for step in STEPS_S if line.length_s / step <= 12), STEPS_S[-1])
    count = int(line.length_s // step_s)
    return [(x(line.start_ms + at * step_s * 1000), clock_text(at * step_s)) for at in range(count + 1)]

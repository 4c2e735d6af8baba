"""What a person sees while ``cuepoint run`` runs: one calm view in a terminal, a plain log elsewhere."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from cuepoint.ops.status_numbers import Numbers, Recorded

PLAIN_EVERY_S = 5.0
_COLOURS = {"ready": "green", "done": "green", "running": "green", "starting": "yellow", "ended": "red"}


@dataclass
class Status:
    """``parts``: name -> state, in the order of starting."""

    console: str
    began: float
    parts: dict[str, str] = field(default_factory=dict)
    numbers: Numbers = field(default_factory=Numbers)
    recorded: Recorded = field(default_factory=Recorded)
    first_alert_s: float | None = None


class StatusView:
    """Shows a Status; a context manager. ``show`` as often as you like, ``say`` what should stay."""

    def __init__(self, status: Status, console: Console | None = None) -> None:
        self.status = status
        self._console = console or Console()
        self._live: Live | None = None
        if self._console.is_terminal:
            self._live = Live(console=self._console, auto_refresh=False, transient=False)
        self._told = -PLAIN_EVERY_S

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()

    def say(self, line: str) -> None:
        """A line that stays."""
        self._console.print(line, highlight=False, markup=False, soft_wrap=True)

    def show(self) -> None:
        """Draw the view, or, where there is no terminal, write a line every few seconds."""
        if self._live:
            self._live.update(draw(self.status), refresh=True)
        elif time.monotonic() - self._told >= PLAIN_EVERY_S:
            self._told = time.monotonic()
            self.say(plain(self.status))


def plain(status: Status) -> str:
    """The status in one line.

    >>> plain(Status("http://127.0.0.1:8700/", time.monotonic(), parts={"broker": "ready", "api": "starting"}))
    '0 s: starting api'
    """
    elapsed = f"{time.monotonic() - status.began:.0f} s"
    waiting = [name for name, state in status.parts.items() if state == "starting"]
    if waiting:
        return f"{elapsed}: starting {', '.join(waiting)}"
    figures = ", ".join(f"{value} {name}" for name, value in _figures(status))
    return f"{elapsed}: {figures}"


def draw(status: Status) -> Group:
    """The view of a terminal."""
    parts = Table.grid(padding=(0, 3))
    names = list(status.parts)
    width = (len(names) + 1) // 2
    for row in range(width):
        cells = []
        for name in names[row::width]:
            state = status.parts[name]
            cells += [Text(name), Text(state, style=_COLOURS.get(state, ""))]
        parts.add_row(*cells)
    figures = Table.grid(padding=(0, 2))
    for name, value in _figures(status):
        figures.add_row(Text(value, justify="right", style="bold"), name)
    first = "" if status.first_alert_s is None else f"  first alert after {status.first_alert_s:.1f} s"
    columns = Table.grid(padding=(0, 6))
    columns.add_row(parts, figures)
    title = f"Cuepoint  {time.monotonic() - status.began:.0f} s{first}"
    panel = Panel(columns, title=title, title_align="left", expand=False, padding=(1, 2))
    foot = Text.assemble(("Console  ", "dim"), (status.console, "bold underline"), ("   Ctrl-C ends it all", "dim"))
    return Group(panel, foot)


def _figures(status: Status) -> list[tuple[str, str]]:
    numbers, recorded = status.numbers, status.recorded
    figures = [
        ("trend records", f"{numbers.trend_records:,}"),
        ("changes", f"{recorded.changes:,}"),
        ("open regions", f"{numbers.open_regions:,}"),
        ("quarantined", f"{numbers.quarantined:,}"),
        ("player events", f"{numbers.player_events:,}"),
        ("live sessions", f"{numbers.live_sessions:,}"),
        ("decisions", f"{recorded.decisions:,}"),
        ("dead letters", f"{recorded.dead_letters:,}"),
        ("records behind", f"{numbers.lag:,}"),
    ]
    return [("latest day", recorded.latest_day), *figures] if recorded.latest_day else figures

"""Progress of an ingest: a bar in a terminal, a line every few seconds elsewhere."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

PLAIN_EVERY_S = 5.0


class IngestProgress:
    """One stage at a time: ``begin`` it with its total, tell it ``at``. Writes to standard error."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True)
        self._bar: Progress | None = None
        if self._console.is_terminal:
            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
            self._bar = Progress(*columns, console=self._console, transient=True)
        self._task: TaskID | None = None
        self._what, self._total, self._told = "", 0, 0.0

    def __enter__(self) -> Self:
        if self._bar:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar:
            self._bar.stop()

    def begin(self, what: str, total: int) -> None:
        """A new stage, e.g. ``reading a.csv`` of ``total`` bytes."""
        self._what, self._total, self._told = what, total, time.monotonic()
        if self._bar:
            if self._task is not None:
                self._bar.remove_task(self._task)
            self._task = self._bar.add_task(what, total=total)

    def at(self, done: int, note: str = "") -> None:
        """``done`` of the stage's total is done; ``note`` says more, e.g. the day."""
        if self._bar and self._task is not None:
            self._bar.update(self._task, completed=done, description=f"{self._what} {note}".rstrip())
        elif time.monotonic() - self._told >= PLAIN_EVERY_S:
            self._told = time.monotonic()
            share = f"{100 * done // self._total} %" if self._total else ""
            self.say(f"{self._what} {note}: {share}")

    def say(self, line: str) -> None:
        """A line that stays."""
        self._console.print(line, highlight=False, markup=False, soft_wrap=True)

"""What a catalogue remembers of its past in order to forecast: states of earlier days, and the counts that followed.

Only what had happened by the origin is used: the tables are fitted to pairs of a state and a count that both lie in
its past.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cuepoint.models import trend_kernel
from cuepoint.models.forecast_experts import EXPERTS
from cuepoint.models.forecast_features import RECENT_DAYS
from cuepoint.models.forecast_fit import Lessons, fit
from cuepoint.models.forecast_tables import ForecastTables, prior

Floats = NDArray[np.float64]
States = NDArray[np.float32]

MOST_LESSONS = 20_000  # states a fit learns from; more add time and next to nothing
SOONEST_STRIDE, LATEST_STRIDE = 3, 7  # days between two states kept of an asset
MOST_GAP_DAYS = 7  # a state without a count for longer teaches nothing
LEAST_FOLLOWED = 0.85  # of the days after a state that could have a count; else it was leaving, and teaches no level


class ForecastMemory:
    """counts (assets, days): NaN where there is no count, which is not zero; ``first_day`` is the date.toordinal() of
    its first column. ``see`` is called with the filter's states after every day."""

    def __init__(self, counts: Floats, first_day: int) -> None:
        counts = np.asarray(counts, dtype=np.float64)
        if counts.ndim != 2:
            raise ValueError(f"counts must be (assets, days), not of {counts.ndim} dimensions")
        if bool(np.any(counts < 0.0)):
            raise ValueError("counts must not be negative; a day without data is NaN")
        self.counts, self.first_day = counts, first_day
        many = float(np.isfinite(counts).sum()) / LATEST_STRIDE > MOST_LESSONS
        self._stride = LATEST_STRIDE if many else SOONEST_STRIDE
        self._kept: list[tuple[int, NDArray[np.int64], States]] = []  # column, rows, states

    def column(self, day: int) -> int:
        """Where ``day`` stands in the history. Raises ValueError for a day outside it."""
        column = day - self.first_day
        if not 0 <= column < self.counts.shape[1]:
            days = self.counts.shape[1]
            raise ValueError(f"day {day} is outside the history of {days} days from {self.first_day}")
        return column

    def see(self, day: int, states: States) -> None:
        """Keep some of the states (assets, trend_kernel.WIDTH) as they stand after ``day``; days come in order."""
        column = self.column(day)
        if column % self._stride == 0:
            lively = (states[:, trend_kernel.AGE] >= 1.0) & (states[:, trend_kernel.GAP] <= MOST_GAP_DAYS)
            rows = np.flatnonzero(lively)
            self._kept.append((column, rows, states[rows]))

    def tables(self, origin: int, horizon: int) -> tuple[ForecastTables, Floats]:
        """What the catalogue teaches up to ``origin``, the prior where that is nothing; how the experts did for each
        of its assets (assets, EXPERTS)."""
        lessons = self._lessons(self.column(origin), horizon)
        if lessons is None or not len(lessons.states):
            return prior(horizon), np.zeros((len(self.counts), len(EXPERTS)))
        tables, record = fit(lessons, origin)
        assets = np.arange(len(self.counts))
        return tables, record.known_at(assets, np.full(len(assets), origin))

    def recent(self, day: int) -> Floats:
        """(assets, RECENT_DAYS) counts up to ``day``, NaN before the history."""
        return self._recent(np.arange(len(self.counts)), np.full(len(self.counts), self.column(day)))

    def _recent(self, rows: NDArray[np.int64], columns: NDArray[np.int64]) -> Floats:
        at = columns[:, None] + np.arange(1 - RECENT_DAYS, 1)
        recent: Floats = np.where(at >= 0, self.counts[rows[:, None], np.maximum(at, 0)], np.nan)
        return recent

    def _lessons(self, column: int, horizon: int) -> Lessons | None:
        """Pairs of a kept state and the counts after it, up to ``column``."""
        kept = [lesson for lesson in self._kept if lesson[0] < column and len(lesson[1])]
        if not kept:
            return None
        total = sum(len(rows) for _, rows, _ in kept)
        at = np.concatenate([np.full(len(rows), c, dtype=np.int64) for c, rows, _ in kept])
        rows = np.concatenate([rows for _, rows, _ in kept])
        every = max(1, -(-total // MOST_LESSONS))
        chosen = np.flatnonzero((rows + at // self._stride) % every == 0)  # of each kept day another share of assets
        states = np.concatenate([s for *_, s in kept])[chosen]
        at, rows = at[chosen], rows[chosen]
        ahead = at[:, None] + np.arange(1, horizon + 1)
        later = np.where(ahead <= column, self.counts[rows[:, None], np.minimum(ahead, column)], np.nan)
        followed = np.isfinite(later).sum(axis=1) >= LEAST_FOLLOWED * np.minimum(column - at, horizon)
        recent = self._recent(rows[followed], at[followed])
        days = at[followed] + self.first_day
        return Lessons(states[followed], recent, days, later[followed], rows[followed], float(self._stride * every))

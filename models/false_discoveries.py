"""Which of a day's many p-values may be called discoveries.

An empirical null first: where a catalogue's scores spread wider than the model says, its p-values are too small, and
by how much is read off the middle of the scores of the last weeks, where nothing happens (Efron 2004, Large-scale
simultaneous hypothesis testing). Then Benjamini & Hochberg 1995, day by day.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
MEMORY = 0.95  # of the spread, from day to day
LEAST_ASSETS = 20  # fewer say nothing of a spread
NORMAL_QUARTILES = 1.349  # a standard normal's interquartile range


def benjamini_hochberg(p: Floats, rate: float) -> NDArray[np.bool_]:
    """Which hypotheses are rejected so that of the rejections at most the share ``rate`` is expected to be false.

    >>> benjamini_hochberg(np.array([0.001, 0.2, 0.01, 0.6]), 0.05).tolist()
    [True, False, True, False]
    """
    order = np.sort(p)
    passed = np.flatnonzero(order <= rate * np.arange(1, len(p) + 1) / max(1, len(p)))
    return np.asarray(p <= (order[passed[-1]] if len(passed) else -1.0))


class DailyDiscoveries:
    """One day after another: ``p`` and standardised ``scores`` of the assets of a day."""

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._spread = 1.0

    def day(self, p: Floats, scores: Floats) -> NDArray[np.bool_]:
        """Which of them are discoveries, judged with the spread known before the day."""
        found = benjamini_hochberg(p ** (1.0 / max(1.0, self._spread) ** 2), self._rate)
        if len(scores) >= LEAST_ASSETS:
            low, high = np.quantile(scores, (0.25, 0.75))
            self._spread = MEMORY * self._spread + (1.0 - MEMORY) * float(high - low) / NORMAL_QUARTILES
        return found

"""Plain forecasts beside the regression, and how far each is believed for each asset.

A catalogue of timetables repeats last week; one of stable sales repeats the mean of many weeks; a chart does neither.
Which is so, and for which asset, is learnt from the errors that each forecast would have made in the past.

Sources: Bates & Granger 1969 (combining forecasts by their past errors); Stock & Watson 2004 (inverse errors, old ones
forgotten); Hyndman & Athanasopoulos, Forecasting 5.2 (the naive forecasts).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cuepoint.models.forecast_regression import known_mean

Floats = NDArray[np.float64]
Days = NDArray[np.int64]

EXPERTS = ("regression", "last_week", "four_weeks", "eight_weeks")
PRIOR_ERRORS = (1.0, 1.2, 1.15, 1.25)  # relative, before any data
PRIOR_WORTH = 10.0  # independent errors of the catalogue that the prior is worth
ASSET_WORTH = 20.0  # of the asset, that the catalogue's are worth to it
SHARPNESS = 12.0  # a forecast with twice the error of another weighs 2 ** -SHARPNESS of it
REMEMBERED_DAYS = 120.0  # an error this old counts for 1 / e
OLDEST = 15.0  # times that: nothing is forgotten further


def plain(recent: Floats, level: Floats) -> Floats:
    """(n, 7, 3) log1p: what EXPERTS but the first forecast for the weekdays 1 to 7 days ahead, from the counts
    (n, 56) up to today; ``level`` (n,) log1p stands in where there are none."""
    logs = np.log1p(recent).reshape(len(recent), -1, 7)
    eight = known_mean(logs, 1, level[:, None])
    four = known_mean(logs[:, -4:], 1, eight)
    last = np.where(np.isfinite(logs[:, -1]), logs[:, -1], four)
    return np.stack([last, four, eight], axis=2)


def catalogue_errors(errors: Floats, worth: float) -> Floats:
    """(EXPERTS,) mean of ``errors`` (n, EXPERTS) over that of the regression, drawn to the prior."""
    prior = np.array(PRIOR_ERRORS)
    if not len(errors):
        return prior
    mean = errors.mean(axis=0) + 1e-9
    share = worth / (worth + PRIOR_WORTH)
    drawn: Floats = np.exp(share * np.log(mean / mean[0]) + (1.0 - share) * np.log(prior))
    return drawn


def weights(of_catalogue: Floats, of_asset: Floats) -> Floats:
    """(..., EXPERTS) that add up to 1, from the errors of the catalogue and the asset's, relative to it, as logs."""
    power = np.exp(-SHARPNESS * (np.log(of_catalogue) + of_asset))
    share: Floats = power / power.sum(axis=-1, keepdims=True)
    return share


def combine(said: Floats, share: Floats) -> tuple[Floats, Floats]:
    """What the experts say together (...,), and how far they are apart: (...,) within +-2, on log scale."""
    together = (share * said).sum(axis=-1)
    apart = (share * (said - together[..., None]) ** 2).sum(axis=-1)
    return together, np.clip(0.5 * np.log(apart + 1e-3) + 2.0, -2.0, 2.0)


class Record:
    """Errors relative to the catalogue's of every asset, of each expert and span, by the day they became known."""

    def __init__(self, rows: Days, columns: Days, stride_days: float) -> None:
        """rows, columns (n,): asset and day of each forecast."""
        self._order = np.lexsort((columns, rows))
        self._far = int(columns.max(initial=0)) + 1000
        self._keys = (rows * self._far + columns)[self._order]
        self._latest = int(columns.max(initial=0))
        self._age = self._remembered(columns[self._order])
        self._stride = stride_days
        self._spans: list[tuple[int, Floats]] = []

    def _remembered(self, columns: Days) -> Floats:
        """Weight of errors of these days; never so small that sums of newer ones swallow it."""
        weight: Floats = np.exp(np.maximum((columns - self._latest) / REMEMBERED_DAYS, -OLDEST))
        return weight

    def add(self, span: int, errors: Floats) -> None:
        """errors (n, EXPERTS) of ``span`` days ahead relative to the catalogue's, NaN where unknown."""
        known = np.isfinite(errors.sum(axis=1, keepdims=True))
        worth = known * min(1.0, self._stride / max(span, 7))
        columns = np.hstack([np.where(known, errors, 0.0), worth])
        sums = np.cumsum(columns[self._order] * self._age[:, None], axis=0)
        self._spans.append((span, np.vstack([np.zeros(sums.shape[1]), sums])))

    def known_at(self, rows: Days, columns: Days) -> Floats:
        """(m, EXPERTS) log of each asset's errors relative to the regression's and the catalogue's, as known on the
        days ``columns``, drawn to none."""
        total = np.zeros((len(rows), len(EXPERTS) + 1))
        start = np.searchsorted(self._keys, rows * self._far)
        for span, sums in self._spans:
            end = np.searchsorted(self._keys, rows * self._far + np.maximum(columns - span + 1, 0))
            total += sums[np.maximum(end, start)] - sums[start]
        total = np.maximum(total, 0.0)  # differences of sums are not exact
        worth = total[:, -1] / self._remembered(columns) / max(len(self._spans), 1)
        errors = total[:, :-1]
        little = 1e-3 * errors.sum(axis=1, keepdims=True) + 1e-12
        ratio = np.log((errors + little) / (errors[:, :1] + little))
        drawn: Floats = (worth / (worth + ASSET_WORTH))[:, None] * ratio
        return drawn

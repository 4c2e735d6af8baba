"""Forecasts of stored assets, made when somebody asks: the filter walks the history of the asset and of a part of the
catalogue, which teaches how such states go on (docs/forecasting.md)."""

from __future__ import annotations

import datetime as dt
import threading
import time
from collections.abc import Callable, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from cuepoint.ops.compile_turn import compile_turn
from cuepoint.schemas.errors import Unavailable
from cuepoint.streams.history_reads import HistoryReader

HISTORY_DAYS = 400
MOST_DAYS = 365
_KEPT = 2000
_NAMES = ("lower_95", "lower_80", "median", "upper_80", "upper_95")  # in the order of the model's quantiles


class ForecastDay(msgspec.Struct, frozen=True, kw_only=True):
    """Counts of a day to come: the median, and bounds that hold it in 80 and 95 of 100 cases."""

    day: dt.date
    median: float
    lower_80: float
    upper_80: float
    lower_95: float
    upper_95: float


class AssetForecast(msgspec.Struct, frozen=True, kw_only=True):
    """The days after ``origin``, the asset's last scored day."""

    asset_id: str
    origin: dt.date
    days: list[ForecastDay]


class AssetForecasts:
    """``assets``: how many of the catalogue teach. Synchronous, for any number of threads, of which one works at a
    time and the others wait ``wait_s``. What was made is kept for ``keep_s``, or until the asset has another day."""

    def __init__(
        self,
        history: HistoryReader,
        assets: int = 200,
        keep_s: float = 600.0,
        wait_s: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._history, self._assets, self._keep_s, self._clock = history, assets, keep_s, clock
        self._turn, self._wait_s = threading.Lock(), wait_s
        self._made: dict[tuple[str, int], tuple[float, AssetForecast]] = {}

    def forecast(self, asset_id: str, days: int = 28) -> AssetForecast | None:
        """None for an asset without counts. Raises ValueError for ``days`` outside 1 to 365, Unavailable where the
        database does not answer or the turn does not come."""
        if not 1 <= days <= MOST_DAYS:
            raise ValueError(f"days must be 1 to {MOST_DAYS}, not {days}")
        asset = self._history.asset(asset_id)
        if asset is None or asset.last_day is None:
            return None
        if not self._turn.acquire(timeout=self._wait_s):
            raise Unavailable("another forecast is being made: ask again in a moment")
        try:
            found = self._kept(asset_id, asset.last_day, days)
            if found is None:
                self._make(asset_id, asset.last_day, days)
                found = self._kept(asset_id, asset.last_day, days)
            return found
        finally:
            self._turn.release()

    def _kept(self, asset_id: str, origin: dt.date, days: int) -> AssetForecast | None:
        made_at, found = self._made.get((asset_id, days), (0.0, None))
        return found if found and found.origin == origin and self._clock() - made_at <= self._keep_s else None

    def _make(self, asset_id: str, origin: dt.date, days: int) -> None:
        """Of the asset, and of those that teach: who looks at one looks at others."""
        first = origin - dt.timedelta(days=HISTORY_DAYS - 1)
        teachers = self._history.assets_on(origin, self._assets)
        ids = [asset_id, *(id for id in teachers if id != asset_id)]
        counts = np.full((len(ids), HISTORY_DAYS), np.nan)
        for row, id in enumerate(ids):
            for day in self._history.asset_days(id, first, origin):
                counts[row, (day.day - first).days] = np.nan if day.count is None else day.count
        seen = np.flatnonzero(np.isfinite(counts).any(axis=0))
        if not np.isfinite(counts[0]).any():
            return
        begin = int(seen[0])  # of a young catalogue, no more empty days than there need be
        made = _forecast(ids, counts[:, begin:], first + dt.timedelta(days=begin), origin, days)
        for one in reversed(made):  # the one asked for is the youngest
            self._made.pop((one.asset_id, days), None)
            self._made[one.asset_id, days] = (self._clock(), one)
        while len(self._made) > _KEPT:
            del self._made[next(iter(self._made))]


def _forecast(
    ids: Sequence[str], counts: NDArray[np.float64], first: dt.date, origin: dt.date, days: int
) -> list[AssetForecast]:
    with compile_turn("trends"):
        from cuepoint.models.forecast_catalogue import Catalogue

        quantiles = Catalogue(counts, first.toordinal()).forecast(origin.toordinal(), days)
    coming = [origin + dt.timedelta(days=ahead) for ahead in range(1, days + 1)]
    return [
        AssetForecast(
            asset_id=id,
            origin=origin,
            days=[
                ForecastDay(day=day, **dict(zip(_NAMES, values.tolist(), strict=True)))
                for day, values in zip(coming, rows, strict=True)
            ],
        )
        for id, rows in zip(ids, quantiles, strict=True)
        if bool(np.isfinite(rows).all())
    ]

"""The filter for a framework that hands over one record at a time: Cuepoint's own compiled kernels, called for one
asset and one day, with the hyperparameters compiled in and no array made per call.

It does less than Cuepoint: identifiers are not checked against the contract's pattern, a day counts at once and not
when its report is complete, and nothing is kept for late or revised reports: no peer is slowed by what only Cuepoint
offers.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

import msgspec
import numpy as np
from meter import COUNT_FROM
from numba import njit

from cuepoint.models import market_factor, region_kernel, trend_kernel
from cuepoint.models.region_params import RegionParams
from cuepoint.models.trend_params import TrendParams

_TREND, _REGION = TrendParams(), RegionParams()
_BY_AGE = trend_kernel.tables(_TREND)
_ONE_MARKET, _NO_EFFECTS = np.zeros(0, dtype=np.int64), market_factor.NEUTRAL
_STATUS, _OPENED = region_kernel.STATUS, region_kernel.OPENED


class Record(msgspec.Struct, frozen=True, gc=False, tag_field="type", tag="trend-record.v1"):
    """cuepoint.schemas.trends.TrendRecord without the patterns of its identifiers."""

    asset_id: str
    day: dt.date
    dsp: str
    count: int
    territory: str = "WW"
    report_version: int = 1


class Opened(msgspec.Struct, frozen=True, gc=False, tag_field="type", tag="report-opened.v1"):
    day: dt.date


class Completed(msgspec.Struct, frozen=True, gc=False, tag_field="type", tag="report-completed.v1"):
    day: dt.date


decode = msgspec.json.Decoder(Record | Opened | Completed).decode


@njit(cache=True)  # peers.py gives each version of the kernels a cache of its own
def advance(trend: Any, region: Any, rows: Any, counts: Any, day: int, work: Any) -> int:
    """One day of the assets of ``rows``; how many regions it opened, if that day counts. ``work``: what ``workspace``
    gave, as long."""
    filtered, regions = work
    trend_kernel.step(trend, rows, counts, (day - 1) % 7, _TREND, _BY_AGE, _ONE_MARKET, _NO_EFFECTS, filtered)
    region_kernel.follow(region, rows, counts, float(day), filtered, _REGION, regions)
    opened = 0
    for i in range(rows.shape[0] if day >= COUNT_FROM else 0):
        opened += int(regions[i, 0, _STATUS] == _OPENED) + int(regions[i, 1, _STATUS] == _OPENED)
    return opened


def states(assets: int) -> tuple[Any, Any]:
    """Filter and region states of so many assets, unseen."""
    trend = np.zeros((assets, trend_kernel.WIDTH), dtype=np.float32)
    trend[:, trend_kernel.AGE] = trend_kernel.NEVER
    return trend, np.zeros((assets, region_kernel.WIDTH), dtype=np.float32)


def workspace(assets: int) -> tuple[Any, Any]:
    return np.empty((assets, trend_kernel.OUT_WIDTH)), np.empty((assets, 2, region_kernel.OUT_WIDTH))


@njit(cache=True)
def _one(trend: Any, region: Any, row: int, count: float, day: int, one: Any, work: Any) -> int:
    rows, counts = one
    rows[0], counts[0] = row, count
    return advance(trend, region, rows, counts, day, work)


class ScalarFilter:
    """State of all assets in arrays, one row each, found through a dict."""

    def __init__(self, assets: int = 1 << 20) -> None:
        self._rows: dict[str, int] = {}
        self._trend, self._region = states(assets)
        self._one, self._work = (np.zeros(1, dtype=np.int64), np.zeros(1)), workspace(1)
        _one(*states(1), 0, 1.0, 1, self._one, self._work)  # compile

    def value(self, value: bytes) -> int:
        """Decode one message and filter it; how many regions it opened."""
        record = decode(value)
        if type(record) is not Record:
            return 0
        row = self._rows.setdefault(record.asset_id, len(self._rows))
        return _one(self._trend, self._region, row, record.count, record.day.toordinal(), self._one, self._work)

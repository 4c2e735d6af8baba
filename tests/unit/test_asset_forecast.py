"""Forecasts of stored assets: from their days alone, kept until a day comes."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import pytest

from cuepoint.ops.asset_forecast import AssetForecasts
from cuepoint.schemas.trends import AssetDay
from cuepoint.streams.database import open_engine, upgrade
from cuepoint.streams.history import HistoryWriter
from cuepoint.streams.history_reads import HistoryReader
from cuepoint.streams.history_rows import Recorded

FIRST = dt.date(2020, 1, 6)
DAYS = 84


def day(asset: int, number: int, count: float | None) -> AssetDay:
    names = ("mean", "lower_80", "upper_80", "lower_95", "upper_95", "level", "trend", "p_same", "p_trend")
    numbers = dict.fromkeys(names, 0.5)
    return AssetDay(asset_id=f"song-{asset}", day=FIRST + dt.timedelta(days=number), count=count, **numbers)


def weekly(asset: int, number: int) -> float:
    return 1000.0 * (asset + 1) * (1.5 if number % 7 == 5 else 1.0) * (1 + 0.02 * ((number * 7 + asset * 3) % 5 - 2))


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[HistoryWriter]:
    engine = open_engine(f"sqlite:///{tmp_path}/history.db")
    upgrade(engine)
    writer = HistoryWriter(engine)
    days = [day(asset, number, weekly(asset, number)) for asset in range(6) for number in range(DAYS)]
    days += [day(9, number, None) for number in range(DAYS)]
    writer.write("days", 0, len(days) - 1, [Recorded(at, 0, one) for at, one in enumerate(days)])
    yield writer
    engine.dispose()


def test_forecast_follows_the_week_and_widens(writer: HistoryWriter) -> None:
    now = 0.0
    forecasts = AssetForecasts(HistoryReader(writer._engine), keep_s=60.0, clock=lambda: now)
    found = forecasts.forecast("song-2", 14)
    assert found is not None
    assert (found.origin, len(found.days)) == (FIRST + dt.timedelta(days=DAYS - 1), 14)
    assert found.days[0].day == FIRST + dt.timedelta(days=DAYS)
    for one in found.days:
        bounds = [one.lower_95, one.lower_80, one.median, one.upper_80, one.upper_95]
        assert bounds == sorted(bounds)
        expected = weekly(2, (one.day - FIRST).days)
        assert one.lower_95 < expected < one.upper_95
        assert one.median == pytest.approx(expected, rel=0.15)
    assert forecasts.forecast("song-2", 14) is found, "kept"
    writer.write("days", 0, 10_000, [Recorded(10_000, 0, day(2, DAYS, 9000.0))])
    later = forecasts.forecast("song-2", 14)
    assert later is not None and later.origin == FIRST + dt.timedelta(days=DAYS)
    now = 61.0
    assert forecasts.forecast("song-2", 14) is not later


def test_what_has_no_counts_has_no_forecast(writer: HistoryWriter) -> None:
    forecasts = AssetForecasts(HistoryReader(writer._engine))
    assert forecasts.forecast("unheard-of") is None
    assert forecasts.forecast("song-9") is None
    for days in (0, 366):
        with pytest.raises(ValueError, match="1 to 365"):
            forecasts.forecast("song-1", days)

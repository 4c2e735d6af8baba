"""The periodic fit: when it is due, from the store to a version that is published; and when it is not."""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
from pathlib import Path

import numpy as np
import pytest
from consumption_feed import DAY, Feed, cell, report
from stream_helpers import environment

from cuepoint.ops.fit_cadence import fit_if_due, fit_when_due
from cuepoint.ops.settings import Settings
from cuepoint.schemas.errors import Unavailable
from cuepoint.streams.topic_feed import read_trend_params

pytestmark = pytest.mark.integration
DAY_S, ASSETS, DAYS = 86_400.0, 6, 20


def fill(folder: Path) -> None:
    """A store of a noisy catalogue's days."""
    rng = np.random.default_rng(5)
    counts = rng.poisson(np.exp(9 + rng.normal(0, 0.2, (DAYS, ASSETS))))
    folder.mkdir(exist_ok=True)
    feed = Feed(folder)
    for n, of_day in enumerate(counts.tolist()):
        feed.send(report([cell(f"s{i}", c) for i, c in enumerate(of_day)], day=DAY + dt.timedelta(days=n)))
    feed.run()
    feed.engine.dispose()


def told(caplog: pytest.LogCaptureFixture) -> str:
    """What fits said since the last call; empty where none ran."""
    said = "\n".join(record.getMessage() for record in caplog.records if record.getMessage().startswith("fit: "))
    caplog.clear()
    return said


def test_it_fits_when_due_and_not_before(
    settings: Settings, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(settings.data_dir)
    database = f"sqlite:///{settings.data_dir}/catalogue.db"
    here = environment(settings, CUEPOINT_DATABASE_URL=database, CUEPOINT_PARTITIONS="1", CUEPOINT_FIT_LEAST_DAYS="14")
    for name, value in here.items():
        monkeypatch.setenv(name, value)
    caplog.set_level(logging.INFO, "cuepoint.ops.fit_cadence")
    week = settings.fit_interval_days * DAY_S

    def look(tried_s: float, now_s: float) -> float:
        return asyncio.run(fit_if_due(settings, tried_s, now_s))

    now_s = 1e9  # long before any version that is made below
    assert look(0.0, now_s) == now_s
    assert "CUEPOINT_FIT_LEAST_ASSETS" in told(caplog)
    assert look(now_s, now_s + week - 1) == now_s and not told(caplog)
    monkeypatch.setenv("CUEPOINT_FIT_LEAST_ASSETS", str(ASSETS))
    assert look(now_s, now_s + week) == now_s + week
    assert f"published as version 1, from {DAY + dt.timedelta(days=DAYS)} on" in told(caplog)
    [version] = read_trend_params(settings.broker, settings.topic_prefix)
    assert version.source.startswith("consumption store") and version.assets == ASSETS
    made_s = version.made_at / 1000
    assert look(0.0, made_s + week - 1) == 0.0 and not told(caplog)  # another worker, begun anew, has no try of its own
    monkeypatch.setenv("CUEPOINT_CONSUMPTION_DIR", str(settings.data_dir / "gone"))
    assert look(0.0, made_s + week) == 0.0 and told(caplog)  # due, and failed: the next look tries again


def test_a_broker_that_is_away_does_not_end_the_looking(settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    away = settings.model_copy(update={"broker": "127.0.0.1:1", "broker_request_timeout_s": 0.2, "fit_look_s": 0.01})
    with pytest.raises(Unavailable):
        asyncio.run(fit_if_due(away, 0.0, 1e9))

    def said() -> list[str]:
        """Of the looking itself: a slow machine makes others speak, too."""
        return [each.getMessage() for each in caplog.records if each.name == "cuepoint.ops.fit_cadence"]

    async def looks() -> None:
        task = asyncio.create_task(fit_when_due(away))
        async with asyncio.timeout(60):
            while len(said()) < 2:  # noqa: ASYNC110 - a log has no event
                await asyncio.sleep(0.02)
        assert not task.done()
        task.cancel()
        await asyncio.wait([task])

    asyncio.run(looks())
    assert all("could not be fitted" in each for each in said())

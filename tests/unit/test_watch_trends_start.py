"""A catalogue's first days: sources complete one by one, the first day is a holiday, and nobody is old in the data."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest

from cuepoint.agents.watch_trends import WatchTrends
from cuepoint.schemas.codec import encode
from cuepoint.schemas.topics import CHANGES, TREND_RECORDS
from cuepoint.schemas.trends import Change, ReportCompleted, ReportOpened, TrendRecord
from cuepoint.streams.batch import Batch

FIRST, DAYS, ASSETS = dt.date(2017, 1, 1), 12, 40
SOURCES = [(f"dsp-{d}", territory) for d in range(4) for territory in ("US", "GB", "DE")]


def catalogue(first_day: float, seed: int) -> np.ndarray:
    """(sources, days, assets) of long released assets to which nothing happens: ``first_day`` is what the first was of
    an ordinary one."""
    rng = np.random.default_rng(seed)
    size = rng.normal(7, 0.8, ASSETS)
    shares = rng.dirichlet(np.full(len(SOURCES), 8.0), ASSETS).T
    log = size + rng.normal(0, 0.04, (DAYS, ASSETS))
    log[0] += np.log(first_day)
    return rng.poisson(np.exp(log)[None] * shares[:, None])


def report(source: tuple[str, str], day: dt.date, counts: np.ndarray) -> list[bytes]:
    who = {"dsp": source[0], "territory": source[1], "day": day}
    told = [TrendRecord(**who, asset_id=f"s{i}", count=int(n)) for i, n in enumerate(counts) if n]
    end = ReportCompleted(**who, records=len(told), partition_records=len(told))
    return [encode(message) for message in (ReportOpened(**who), *told, end)]


async def changes(counts: np.ndarray) -> list[Change]:
    """Of a log in which each report comes in a batch by itself."""
    agent, at, found = WatchTrends(), 0, []
    for n in range(DAYS):
        for source, of_source in zip(SOURCES, counts, strict=True):
            values = report(source, FIRST + dt.timedelta(days=n), of_source[n])
            k = len(values)
            offsets = range(at, at + k)
            batch = Batch(TREND_RECORDS.name, 0, at, at + k - 1, values, [None] * k, offsets, [1_500_000_000_000] * k)
            found += [out.message for out in await agent.process(batch) if out.topic is CHANGES]
            at += k
    return [change for change in found if isinstance(change, Change)]


@pytest.mark.parametrize("first_day", [1.0, 0.78])
async def test_a_catalogue_that_is_new_to_us_has_no_change_of_its_own(first_day: float):
    said = await changes(catalogue(first_day, seed=3))
    assert len({change.asset_id for change in said}) <= 1, [(c.asset_id, c.start, c.day, c.kind) for c in said]


async def test_one_asset_that_rises_in_the_first_week_is_found():
    counts = catalogue(0.78, seed=3)
    counts[:, 4:, 7] *= 3
    said = [change for change in await changes(counts) if change.asset_id == "s7"]
    assert said and said[0].start == FIRST + dt.timedelta(days=4) and said[0].day <= FIRST + dt.timedelta(days=6)

"""Verdicts are looked at again over a real store: what came of them is kept once and moves the weights."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import pytest
from consumption_feed import Feed, cell, report

from cuepoint.models.growth_verdict import DRIVERS, PRIOR
from cuepoint.ops.consumption_parts import StoredConsumption
from cuepoint.ops.learn_outcomes import LearnOutcomes
from cuepoint.schemas.opportunities import Driver, Opportunity
from cuepoint.schemas.topics import CHANGES, OPPORTUNITIES
from cuepoint.schemas.trends import Change
from cuepoint.streams.history import HistoryWriter
from cuepoint.streams.history_rows import Recorded
from cuepoint.streams.outcome_store import OutcomeStore

FIRST, HISTORY, JUDGED, AFTER = dt.date(2026, 1, 1), 28, 35, 28  # days from the first
STAY = {"keeps": 0.12, "loses": 0.0}  # what a passive listener of each asset turns into: engaged listeners


def on(number: int) -> dt.date:
    return FIRST + dt.timedelta(days=number)


def store(folder: Path, silent: int | None = None) -> Feed:
    """A playlist brings both assets listeners for good from day HISTORY on; only those of one come back. A second,
    small service reports too, but for the day ``silent``."""
    feed, rng = Feed(folder), np.random.default_rng(3)
    print("seed 3")
    engaged = dict.fromkeys(STAY, 0.0)
    for number in range(JUDGED + AFTER):
        cells = []
        for asset, stay in STAY.items():
            passive = int(rng.poisson(400 if number >= HISTORY else 40))
            library = int(rng.poisson(600 + 0.45 * engaged[asset]))
            engaged[asset] = 0.97 * engaged[asset] + stay * max(passive - 40, 0)
            for context, activity, count in (("playlist", "passive", passive), ("library", "active", library)):
                heard = {"context": context, "activity": activity, "consumers": count, "completed": count // 2}
                cells.append(cell(asset, count, **heard))
        feed.send(report(cells, day=on(number)))
        if number != silent:
            feed.send(report([cell("keeps", 3, context="library", activity="active")], day=on(number), dsp="dsp2"))
    assert feed.run() == []
    return feed


def judged(feed: Feed) -> None:
    """Both were judged by the same drivers."""
    numbers = dict.fromkeys(("size_per_day", "size_percent", "expected", "lower_80", "upper_80"), 1.0)
    for number, asset in enumerate(STAY):
        change = Change(
            change_id=f"of-{asset}", asset_id=asset, revision=1, status="opened", kind="rapid", direction="up",
            start=on(HISTORY), day=on(JUDGED - 1), probability=0.99, count=1.0, lower_95=1.0, upper_95=1.0, **numbers,
        )  # fmt: skip
        drivers = [Driver(name=name, value=1.0 if name == "base" else 0.5, contribution=0.0) for name in DRIVERS]
        verdict = Opportunity(
            change_id=change.change_id, revision=1, asset_id=asset, day=change.day, probability=0.4, drivers=drivers
        )
        HistoryWriter(feed.engine).write(CHANGES.name, 0, number, [Recorded(number, 1, change)])
        HistoryWriter(feed.engine).write(OPPORTUNITIES.name, 0, number, [Recorded(number, 1, verdict)])


def learning(feed: Feed, after_days: int = AFTER) -> LearnOutcomes:
    return LearnOutcomes(OutcomeStore(feed.engine), StoredConsumption(feed.store), after_days=after_days)


def test_what_came_of_verdicts_is_found_once_and_learnt(tmp_path: Path) -> None:
    feed = store(tmp_path)
    judged(feed)
    early = learning(feed, AFTER + 1)
    assert early.run() == 0 and early.weights() == PRIOR  # not due yet
    job = learning(feed)
    assert job.run() == 2
    worked = {each.change_id: each.worked for each in OutcomeStore(feed.engine).outcomes()}
    assert worked == {"of-keeps": True, "of-loses": False}
    weights = job.weights()
    assert weights.version == 2 and weights != PRIOR
    assert job.run() == 0 and job.weights() == weights
    again = learning(feed)  # another worker, or this one after a restart
    assert again.run() == 0 and again.weights() == weights
    feed.engine.dispose()


@pytest.mark.parametrize("silent", [HISTORY + 3, JUDGED + AFTER - 1])
def test_a_missing_report_teaches_nothing(tmp_path: Path, silent: int) -> None:
    """In the middle: that verdict has no outcome. At the end: it is not due before the report comes."""
    feed = store(tmp_path, silent)
    judged(feed)
    job = learning(feed)
    if silent < JUDGED:
        assert job.run() == 2
        assert {o.change_id: o.worked for o in OutcomeStore(feed.engine).outcomes()} == {
            "of-keeps": None, "of-loses": False,
        }  # fmt: skip
        assert job.weights().version == 1
    else:
        assert job.run() == 0 and job.weights() == PRIOR
    feed.engine.dispose()

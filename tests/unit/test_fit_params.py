"""Hyperparameters are learnt from a catalogue, and never at the cost of assets that were held out."""

from __future__ import annotations

import datetime as dt
import json
import math
from pathlib import Path

import numpy as np
import pytest
from consumption_feed import DAY, Feed, cell, report

from cuepoint.models.fit_params import fit, log_likelihood
from cuepoint.models.trend_params import TrendParams
from cuepoint.ops.analyse_fit import FittedParams, read_params
from cuepoint.ops.fit_command import file_counts, fit_counts, next_version
from cuepoint.ops.fit_counts import stored_counts
from cuepoint.schemas.errors import ConfigurationError

FIRST = 738_000


def catalogue(noise: float, walk: float, seed: int = 5, days: int = 70, assets: int = 24) -> np.ndarray:
    print(f"seed {seed}")
    rng = np.random.default_rng(seed)
    levels = rng.normal(9, 1, assets) + np.cumsum(rng.normal(0, walk, (days, assets)), axis=0)
    return rng.poisson(np.exp(levels + rng.normal(0, noise, (days, assets)))).astype(float)


def test_a_noisy_catalogue_is_better_forecast_and_another_like_it_too():
    found = fit(catalogue(0.15, 0.0, days=50, assets=12), FIRST)
    assert found.held_out > found.replaced + 0.02
    other = catalogue(0.15, 0.0, seed=6, days=50, assets=12)
    assert log_likelihood(other, FIRST, found.params) > log_likelihood(other, FIRST, TrendParams())


def test_what_does_not_help_held_out_assets_is_not_taken():
    rng = np.random.default_rng(7)
    print("seed 7")
    y = catalogue(0.02, 0.02)
    y[:, ::2] *= np.exp(rng.normal(0, 1.0, y[:, ::2].shape))  # those that teach are of another kind than those held out
    found = fit(np.floor(y), FIRST)
    assert found.held_out >= found.replaced


def test_a_fit_is_published_only_where_held_out_assets_are_forecast_better():
    day, better = dt.date(2026, 3, 1), FittedParams(params={"tail": 5.0}, assets=300, held_out=0.92, replaced=0.91)
    first = next_version([], better, day, "counts.csv", 17)
    assert first and (first.version, first.from_day, first.params) == (1, day, {"tail": 5.0})
    assert (first.made_at, first.source, first.assets, first.held_out) == (17, "counts.csv", 300, 0.92)
    second = next_version([first], better, day, "counts.csv", 18)
    assert second and second.version == 2
    for held_out in (0.91, 0.90, math.nan):
        worse = FittedParams(params={"tail": 5.0}, assets=300, held_out=held_out, replaced=0.91)
        assert next_version([first], worse, day, "counts.csv", 18) is None


def test_the_stores_counts_know_what_is_absent_and_what_is_unknown(tmp_path: Path):
    feed, silent, lonely = Feed(tmp_path), 9, 12
    for n in range(20):
        day = DAY + dt.timedelta(days=n)
        of_a = [cell(f"s{i}", 100 + 10 * i + n) for i in range(4) if (i, n) != (2, lonely)]
        feed.send(report(of_a, day=day))
        if n != silent:
            feed.send(report([cell("s1", 1000)], day=day, dsp="dsp2"))
    feed.run()
    limits = {"days": 15, "assets": 3, "least_days": 14, "least_assets": 4}
    found = stored_counts(feed.store, **limits)
    assert found.counts.shape == (15, 3) and found.last_day == DAY.toordinal() + 19
    assert [day for day in range(15) if np.isnan(found.counts[day]).all()] == [silent - 5]
    s0, s1, s3 = found.counts[-1]
    assert (s0, s1, s3) == (119, 1129, 149)
    whole = stored_counts(feed.store, **limits | {"assets": 9})
    assert whole.counts[lonely - 5].tolist() == [112, 1122, -1, 142]
    with pytest.raises(ConfigurationError, match=r"14 whole days of 15 .*LEAST_DAYS.*4 assets of 4"):
        stored_counts(feed.store, **limits | {"least_days": 15})
    (empty := tmp_path / "empty").mkdir()
    with pytest.raises(ConfigurationError, match="too little"):
        stored_counts(Feed(empty).store, **limits)


def test_a_file_gives_hyperparameters_that_analyse_reads(tmp_path: Path):
    y = catalogue(0.1, 0.0)
    lines = [f"{dt.date.fromordinal(FIRST + t)},a{i},{int(c)}" for t, day in enumerate(y) for i, c in enumerate(day)]
    (tmp_path / "counts.csv").write_text("\n".join(["date,asset,count", *lines]) + "\n")
    fitted = fit_counts(file_counts(tmp_path / "counts.csv", None, 16), tmp_path / "params.json").fitted
    assert fitted.assets == 16 and fitted.held_out >= fitted.replaced
    written = json.loads((tmp_path / "params.json").read_text())["params"]
    assert read_params(tmp_path / "params.json").level_variance == written["level_variance"]
    with pytest.raises(ConfigurationError, match="assets"):
        file_counts(tmp_path / "counts.csv", None, 1)

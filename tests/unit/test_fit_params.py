"""Hyperparameters are learnt from a catalogue, and never at the cost of assets that were held out."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import numpy as np
import pytest

from cuepoint.models.fit_params import fit, log_likelihood
from cuepoint.models.trend_params import TrendParams
from cuepoint.ops.analyse_fit import read_params
from cuepoint.ops.fit_command import fit_file
from cuepoint.schemas.errors import ConfigurationError

FIRST = 738_000


def catalogue(noise: float, walk: float, seed: int = 5, days: int = 70, assets: int = 24) -> np.ndarray:
    print(f"seed {seed}")
    rng = np.random.default_rng(seed)
    levels = rng.normal(9, 1, assets) + np.cumsum(rng.normal(0, walk, (days, assets)), axis=0)
    return rng.poisson(np.exp(levels + rng.normal(0, noise, (days, assets)))).astype(float)


def test_a_noisy_catalogue_is_better_forecast_and_another_like_it_too():
    found = fit(catalogue(0.15, 0.0), FIRST)
    assert found.held_out > found.replaced + 0.02
    other = catalogue(0.15, 0.0, seed=6)
    assert log_likelihood(other, FIRST, found.params) > log_likelihood(other, FIRST, TrendParams())


def test_what_does_not_help_held_out_assets_is_not_taken():
    rng = np.random.default_rng(7)
    print("seed 7")
    y = catalogue(0.02, 0.02)
    y[:, ::2] *= np.exp(rng.normal(0, 1.0, y[:, ::2].shape))  # those that teach are of another kind than those held out
    found = fit(np.floor(y), FIRST)
    assert found.held_out >= found.replaced


def test_a_file_gives_hyperparameters_that_analyse_reads(tmp_path: Path):
    y = catalogue(0.1, 0.0)
    lines = [f"{dt.date.fromordinal(FIRST + t)},a{i},{int(c)}" for t, day in enumerate(y) for i, c in enumerate(day)]
    (tmp_path / "counts.csv").write_text("\n".join(["date,asset,count", *lines]) + "\n")
    fitted = fit_file(tmp_path / "counts.csv", tmp_path / "params.json", assets=16)
    assert fitted.assets == 16 and fitted.held_out >= fitted.replaced
    written = json.loads((tmp_path / "params.json").read_text())["params"]
    assert read_params(tmp_path / "params.json").level_variance == written["level_variance"]
    with pytest.raises(ConfigurationError, match="assets"):
        fit_file(tmp_path / "counts.csv", tmp_path / "params.json", assets=1)

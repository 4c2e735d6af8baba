"""``cuepoint analyse``: any table in, scored days, regions and forecasts out, from nothing but the past of each day."""

from __future__ import annotations

import datetime as dt
import gzip
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from cuepoint.models import trend_kernel
from cuepoint.models.false_discoveries import DailyDiscoveries, benjamini_hochberg
from cuepoint.models.trend_state import TrendState
from cuepoint.ops.analyse import AnalyseOptions, analyse
from cuepoint.ops.analyse_fit import read_params
from cuepoint.schemas.errors import ConfigurationError

FIRST = dt.date(2024, 1, 1)
DAYS, ASSETS = 100, 20


def counts(seed: int = 1) -> np.ndarray:
    """Days x assets, of which the first doubles on day 80."""
    print(f"seed {seed}")
    rng = np.random.default_rng(seed)
    levels = np.exp(rng.normal(8, 1, ASSETS)) * np.exp(0.1 * rng.normal(0, 1, (DAYS, 1)))  # the market moves
    y = rng.poisson(levels * np.exp(rng.normal(0, 0.03, (DAYS, ASSETS)))).astype(float)
    y[80:, 0] *= 2
    return y


def table(y: np.ndarray, **more: list) -> pa.Table:
    days, assets = np.nonzero(~np.isnan(y))
    dates = [FIRST + dt.timedelta(days=int(d)) for d in days]
    columns = {"date": dates, "asset": [f"a{i:02}" for i in assets], "streams": y[days, assets].astype(int).tolist()}
    return pa.table(columns | more)


def run(folder: Path, given: pa.Table, **options) -> tuple[dict, dict]:
    path = folder / "counts.parquet"
    pq.write_table(given, path)
    analyse(path, folder / "out", AnalyseOptions(**options))
    return (pq.read_table(folder / "out" / f"{name}.parquet").to_pydict() for name in ("days", "regions"))


def matrix(days: dict, name: str) -> np.ndarray:
    out = np.full((DAYS, ASSETS), np.nan)
    for asset, date, value in zip(days["asset"], days["date"], days[name], strict=True):
        out[(date - FIRST).days, int(asset[1:])] = value
    return out


def test_a_doubling_is_found_and_its_effect_summed_up(tmp_path: Path):
    days, regions = run(tmp_path, table(counts()))
    rapid = matrix(days, "rapid_score")
    assert rapid[80, 0] > 2.5 > rapid[60:80].max() and matrix(days, "region")[81, 0] == 1
    mine = [i for i, asset in enumerate(regions["asset"]) if asset == "a00" and regions["kind"][i] == "rapid"]
    (at,) = [i for i in mine if abs((regions["start"][i] - FIRST).days - 80) <= 1]
    assert 80 < regions["size_percent"][at] < 120
    assert regions["effect_lower_95"][at] < regions["effect"][at] < regions["effect_upper_95"][at]


def test_what_the_whole_market_does_is_not_news_of_an_asset(tmp_path: Path):
    for seed in (1, 2, 3):
        y = counts(seed)
        y[70] *= 1.6
        with_market, _ = run(tmp_path, table(y))
        without, _ = run(tmp_path, table(y), with_market=False)
        assert not np.any(matrix(with_market, "rapid")[70]) and np.sum(matrix(without, "rapid")[70]) > ASSETS / 2
        assert np.max(matrix(with_market, "rapid_score")[70]) < np.min(matrix(without, "rapid_score")[70])
        assert abs(with_market["market_shift"][70 * ASSETS] - np.log(1.6)) < 0.3


def test_the_future_changes_nothing_before_it(tmp_path: Path):
    y = counts()
    before, _ = run(tmp_path, table(y[:60]))
    y[60:] *= 5
    after, _ = run(tmp_path, table(y))
    for name in ("mean", "lower_95", "upper_80", "rapid_score", "gradual_score", "rapid", "discovery", "market_shift"):
        assert before[name] == after[name][: len(before[name])], name


def test_it_is_the_model_of_the_stream(tmp_path: Path):
    y = counts()
    y[40:55, 3] = np.nan
    days, _ = run(tmp_path, table(y), missing="absent")
    seen = np.where(np.isnan(y), -1, y)
    state = TrendState(lambda day, rows: seen[day - FIRST.toordinal(), rows])
    state.grow(ASSETS)
    scored = [state.step(FIRST.toordinal() + t) for t in range(DAYS)]
    for name, column in (("mean", trend_kernel.MEAN), ("upper_95", trend_kernel.UPPER_95)):
        expected = np.array([d.filtered[:, column] for d in scored])
        assert np.array_equal(matrix(days, name)[seen >= 0], expected[seen >= 0]), name


def test_services_add_up_and_can_be_told_apart(tmp_path: Path):
    y = counts()
    half = table(y, dsp=["one"] * y.size), table(y, dsp=["two"] * y.size)
    both = pa.concat_tables(half)
    summed, _ = run(tmp_path, both)
    assert np.array_equal(matrix(summed, "count"), 2 * y)
    apart, _ = run(tmp_path, both, split=("dsp",))
    assert len(set(apart["asset"])) == 2 * ASSETS and "a00|one" in apart["asset"]


def test_markets_have_effects_of_their_own(tmp_path: Path):
    y = counts()
    y[70] *= 1.6
    other = counts(2)
    given = pa.concat_tables([table(y, market=["US"] * y.size), table(other, market=["FR"] * other.size)])
    days, _ = run(tmp_path, given)
    at = FIRST + dt.timedelta(days=70)
    shifts = {m: s for m, d, s in zip(days["market"], days["date"], days["market_shift"], strict=True) if d == at}
    assert shifts["US"] - shifts["FR"] > 0.2


@pytest.mark.parametrize("missing", ["unknown", "zero"])
def test_a_day_without_a_row_is_unknown_or_zero_as_said(tmp_path: Path, missing: str):
    y = counts()
    y[70, 5] = np.nan
    days, _ = run(tmp_path, table(y), missing=missing)
    value = matrix(days, "count")[70, 5]
    assert value == 0 if missing == "zero" else np.isnan(value)


def test_csv_tsv_and_json_lines_with_a_mapping_give_the_same(tmp_path: Path):
    given = table(counts()).rename_columns(["Tag", "Titel", "Anzahl"])
    mapping = tmp_path / "m.yaml"
    mapping.write_text("columns: {asset: Titel, date: Tag, count: Anzahl}\n")
    lines = "".join(json.dumps(row, default=str) + "\n" for row in given.to_pylist())
    pyarrow.csv.write_csv(given, tmp_path / "a.csv")
    tabs = (tmp_path / "a.csv").read_text().replace(",", "\t")
    (tmp_path / "a.tsv").write_text(tabs)
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress((tmp_path / "a.csv").read_bytes()))
    (tmp_path / "a.jsonl").write_text(lines)
    written = set()
    for name in ("a.csv", "a.tsv", "a.csv.gz", "a.jsonl"):
        out = tmp_path / name.replace(".", "-")
        analyse(tmp_path / name, out, AnalyseOptions(mapping=mapping, form="csv"))
        written.add((out / "days.csv").read_bytes())
    assert len(written) == 1


def test_forecasts_come_with_quantiles_from_each_origin(tmp_path: Path):
    path = tmp_path / "counts.parquet"
    pq.write_table(table(counts()), path)
    origins = [FIRST + dt.timedelta(days=n) for n in (70, 90)]
    analyse(path, tmp_path / "out", AnalyseOptions(horizon=7, origins=origins))
    told = pq.read_table(tmp_path / "out" / "forecasts.parquet").to_pydict()
    assert len(told["asset"]) == 2 * 7 * ASSETS and set(told["origin"]) == set(origins)
    assert all(0 <= a <= b <= c for a, b, c in zip(told["q2.5"], told["q50"], told["q97.5"], strict=True))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("date,asset,n\n2024-01-01,a,1\n", "count"),
        ("date,asset,count\n2024-01-01,a,-1\n", "-1"),
        ("date,asset,count\n2024-13-01,a,1\n", "2024-13-01"),
        ("date,asset,count\n", "no rows"),
    ],
)
def test_bad_files_are_refused_with_a_sentence(tmp_path: Path, text: str, says: str):
    (tmp_path / "bad.csv").write_text(text)
    with pytest.raises(ConfigurationError, match=says):
        analyse(tmp_path / "bad.csv", tmp_path / "out", AnalyseOptions())


def test_hyperparameters_of_a_file_are_checked(tmp_path: Path):
    path = tmp_path / "params.json"
    path.write_text('{"params": {"tail": 6.0}}')
    assert read_params(path).tail == 6.0
    path.write_text('{"params": {"tial": 6.0}}')
    with pytest.raises(ConfigurationError, match="tial"):
        read_params(path)


def test_false_discoveries_stay_below_the_rate_also_where_scores_spread_wider_than_they_should():
    from math import erfc

    print("seed 3")
    rng, daily = np.random.default_rng(3), DailyDiscoveries(0.1)
    days_with = 0
    for day in range(200):
        z = 1.4 * rng.normal(0, 1, 500)
        p = np.array([erfc(abs(x) / 2**0.5) for x in z])
        days_with += bool(daily.day(p, z).any()) and day >= 60
    assert days_with / 140 < 0.2  # nothing ever happened: at most the rate of days has any discovery
    assert benjamini_hochberg(np.array([1e-9, 0.5]), 0.1).tolist() == [True, False]

"""The simulated catalogue: the same seed the same bytes, causes that the counts show, files that ingest reads."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
from pathlib import Path

import msgspec
import numpy as np
import pytest

from cuepoint.models import catalogue_days
from cuepoint.models.catalogue_assets import DSP_TAKEDOWN, PLAYLIST_ADD, TERRITORY_EVENT, VIRAL_SEARCH, Event
from cuepoint.models.catalogue_days import Cells, SimulatedCatalogue
from cuepoint.models.catalogue_truth import asset_name, cause_of, effects_of, truth_lines
from cuepoint.models.catalogue_world import CatalogueParams
from cuepoint.ops.ingest_presets import PRESETS
from cuepoint.ops.ingest_read import Source
from cuepoint.ops.ingest_rows import RowReader
from cuepoint.ops.simulate_catalogue import write_catalogue
from cuepoint.schemas.consumption import Consumption
from cuepoint.schemas.errors import ConfigurationError

QUIET = CatalogueParams(assets=150, days=75, event_share=0.9, gaps=0, market_moves=0, median_count=200, groups=False)


def columns(catalogue: SimulatedCatalogue) -> list[tuple[dt.date, Cells]]:
    return [(day, cells) for day, blocks in catalogue.days() for cells in blocks]


@pytest.fixture(scope="module")
def catalogue() -> SimulatedCatalogue:
    return SimulatedCatalogue(QUIET, seed=5)


@pytest.fixture(scope="module")
def days(catalogue: SimulatedCatalogue) -> list[Cells]:
    return [cells for _, cells in columns(catalogue)]


def test_the_same_seed_is_the_same_catalogue_and_another_is_not() -> None:
    params = CatalogueParams(assets=30, days=3)
    first, again, other = (columns(SimulatedCatalogue(params, seed)) for seed in (1, 1, 2))
    for (_, a), (_, b) in zip(first, again, strict=True):
        for name in Cells.__dataclass_fields__:
            np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
    assert int(first[0][1].count.sum()) != int(other[0][1].count.sum())


def test_cells_are_possible(days: list[Cells]) -> None:
    for cells in days:
        assert cells.count.min() >= 1
        assert (cells.consumers <= cells.count).all()
        assert (cells.completed <= cells.count).all()
        assert ((cells.container >= 0) == (cells.context == 6))[cells.context >= 5].mean() > 0.3
        assert (cells.container[cells.context < 5] == -1).all()


def test_groups_sum_to_what_is_told_without_them() -> None:
    """The split by group and device adds detail, not streams: means agree within their noise."""
    totals = [
        sum(int(cells.count.sum()) for _, cells in columns(SimulatedCatalogue(params, seed=3)))
        for params in (CatalogueParams(assets=80, days=12, groups=g) for g in (True, False))
    ]
    assert abs(totals[0] / totals[1] - 1) < 0.02


def test_an_effect_sums_to_the_same_by_service_and_by_territory(catalogue: SimulatedCatalogue) -> None:
    for effects in effects_of(catalogue, catalogue.events):
        by_dsp = sum(effects["dsp"].values())
        assert sum(effects["territory"].values()) == pytest.approx(by_dsp, abs=1e-6)
        assert sum(effects["context"].values()) == pytest.approx(by_dsp, abs=1e-6)


@pytest.mark.parametrize("kind", [PLAYLIST_ADD, DSP_TAKEDOWN, TERRITORY_EVENT, VIRAL_SEARCH])
def test_the_counts_show_what_the_truth_says(catalogue: SimulatedCatalogue, days: list[Cells], kind: int) -> None:
    """Streams of the cause's own cells, two weeks after less two weeks before, against the expected effect."""
    events = [e for e in catalogue.events if e.kind == kind and 35 <= e.start <= 60]
    assert len(events) >= 3
    seen, expected = 0.0, 0.0
    for event, effects in zip(events, effects_of(catalogue, events), strict=True):
        after, before = (
            _streams(days, event, range(event.start + shift, event.start + shift + 14)) for shift in (0, -14)
        )
        seen += after - before
        dimension, value = cause_of(event, catalogue)
        expected += effects[dimension].get(value, 0.0)
    assert np.sign(seen) == np.sign(expected)
    assert seen == pytest.approx(expected, rel=0.3)


def _streams(days: list[Cells], event: Event, window: range) -> int:
    column = {PLAYLIST_ADD: "container", DSP_TAKEDOWN: "dsp", TERRITORY_EVENT: "territory", VIRAL_SEARCH: "context"}
    value = 1 if event.kind == VIRAL_SEARCH else event.target
    total = 0
    for day in window:
        cells = days[day]
        chosen = (cells.asset == event.asset) & (getattr(cells, column[event.kind]) == value)
        total += int(cells.count[chosen].sum())
    return total


def test_no_events_means_none(monkeypatch: pytest.MonkeyPatch) -> None:
    catalogue = SimulatedCatalogue(CatalogueParams(assets=200, days=60, event_share=0.0, new_share=0.0), seed=1)
    assert {line["kind"] for line in truth_lines(catalogue)} <= {"market_move", "reporting_gap"}


def test_blocks_cover_every_asset_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue_days, "BLOCK", 16)
    params = CatalogueParams(assets=50, days=2, median_count=300, new_share=0.0)
    blocks = [cells for day, cells in columns(SimulatedCatalogue(params, seed=2)) if day == params.first_day]
    assert [set(cells.asset.tolist()) for cells in blocks] == [
        set(range(first, min(first + 16, 50))) for first in range(0, 50, 16)
    ]


@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_ingest_reads_the_files_and_cells_keep_their_contract(tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "catalogue"
    rows = write_catalogue(CatalogueParams(assets=3, days=44, gaps=15, event_share=1.0), 4, folder, kind)
    reader = RowReader(PRESETS["cuepoint"], latest=dt.date(2030, 1, 1))
    read, late = 0, 0
    for path in sorted(folder.glob("20*")):
        with Source(path) as source:
            for line in source.rows():
                assert line.row is not None
                row = reader.read(line.row)
                assert row.about is not None
                assert row.about.title == f"Track {int(row.about.asset_id[4:])} (simulated)"
                fields = {k: v for k, v in line.row.items() if k not in ("title", "artist")}
                cell = msgspec.convert(fields, Consumption, strict=False)
                assert cell.day == row.report.day
                read += 1
                late += "-late-" in path.name
    assert read == rows
    assert late > 0
    truth = [msgspec.json.decode(line) for line in (folder / "truth.jsonl").read_bytes().splitlines()]
    assert all(line["simulated"] for line in truth)
    assert {line["asset_id"] for line in truth if "effects" in line} <= {asset_name(number) for number in range(3)}


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("precious")
    with pytest.raises(ConfigurationError, match="is not empty"):
        write_catalogue(CatalogueParams(assets=1, days=1), 1, tmp_path, "csv")
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_the_command_writes_and_names_a_bad_day(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "cuepoint.ops.cli", "simulate", "catalogue", "--out"]
    done = subprocess.run(
        [*command, str(tmp_path / "a"), "--assets", "3", "--days", "2"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert sorted(p.name for p in (tmp_path / "a").glob("*.parquet")) == ["2024-01-01.parquet", "2024-01-02.parquet"]
    refused = subprocess.run(
        [*command, str(tmp_path / "b"), "--first-day", "soon"], capture_output=True, text=True, check=False
    )
    assert refused.returncode == 2
    assert "--first-day" in refused.stderr

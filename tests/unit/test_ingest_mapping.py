"""Rows to records by a declarative mapping."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest

from cuepoint.ops.ingest_mapping import Mapping, load_mapping, override, require_columns
from cuepoint.ops.ingest_presets import PRESETS
from cuepoint.ops.ingest_rows import Report, RowReader
from cuepoint.schemas.errors import ConfigurationError, ContractError
from cuepoint.schemas.trends import Asset

LATEST = dt.date(2020, 1, 1)
CHART_ROW = {
    "date": "2019-12-01",
    "track_id": "0bYg9bo50gSsH3LtXe2SQn",
    "track": "All I Want for Christmas Is You",
    "artist": "Mariah Carey",
    "position": "1",
    "streams": "3100000",
}


def test_preset_spotify_charts_gives_record_and_asset() -> None:
    row = RowReader(PRESETS["spotify-charts"], LATEST).read(CHART_ROW)
    assert row.report == Report("spotify", "US", dt.date(2019, 12, 1), 1)
    assert (row.asset, row.streams) == ("0bYg9bo50gSsH3LtXe2SQn", 3_100_000)
    assert row.about == Asset(
        asset_id="0bYg9bo50gSsH3LtXe2SQn", title="All I Want for Christmas Is You", artist="Mariah Carey"
    )


def test_native_preset_reads_fields_by_their_own_names() -> None:
    row = RowReader(PRESETS["cuepoint"], LATEST).read(
        {"asset_id": 17, "day": dt.datetime(2019, 5, 1, 12), "dsp": "d", "count": 4.0, "report_version": 2, "x": 1}
    )
    assert row.report == Report("d", "WW", dt.date(2019, 5, 1), 2)
    assert (row.asset, row.streams, row.about) == ("17", 4, None)


@pytest.mark.parametrize(
    ("change", "code", "field"),
    [
        ({"streams": "-3"}, "invalid", "$.count"),
        ({"streams": "many"}, "invalid", "$.count"),
        ({"streams": "3.5"}, "invalid", "$.count"),
        ({"streams": ""}, "invalid", "$.count"),
        ({"date": "12/01/2019"}, "invalid", "$.day"),
        ({"date": "2019-02-30"}, "invalid", "$.day"),
        ({"date": "2019-12-01garbage"}, "invalid", "$.day"),
        ({"date": "2020-01-02"}, "future_day", "$.day"),
        ({"track_id": "has space"}, "invalid", "$.asset_id"),
        ({"track_id": "x" * 129}, "invalid", "$.asset_id"),
        ({"track": "x" * 513}, "invalid", "$.title"),
    ],
)
def test_broken_row_names_the_field(change: dict[str, Any], code: str, field: str) -> None:
    with pytest.raises(ContractError) as caught:
        RowReader(PRESETS["spotify-charts"], LATEST).read(CHART_ROW | change)
    assert (caught.value.code, caught.value.field) == (code, field)


def test_mapping_file_with_formats_constants_and_values(tmp_path: Path) -> None:
    file = tmp_path / "m.yaml"
    file.write_text(
        "columns: {asset_id: isrc, day: Datum, count: Abrufe, territory: Land}\n"
        "constants: {dsp: acme}\n"
        "values: {territory: {Deutschland: DE}}\n"
        'day_format: "%d.%m.%Y"\nthousands: "."\ndelimiter: ";"\n'
    )
    row = RowReader(load_mapping(file), LATEST).read(
        {"isrc": "DE1", "Datum": "24.12.2019", "Abrufe": "1.234.567", "Land": "Deutschland"}
    )
    assert row.report == Report("acme", "DE", dt.date(2019, 12, 24), 1)
    assert (row.asset, row.streams) == ("DE1", 1_234_567)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("columns: {asset: x}", "asset"),
        ("colums: {}", "colums"),
        ("columns: [", "not YAML"),
        ("delimiter: 3", "$.delimiter"),
        ("[]", "object"),
    ],
)
def test_broken_mapping_file_is_refused_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "m.yaml"
    file.write_text(text)
    with pytest.raises(ConfigurationError, match=r"m\.yaml") as caught:
        load_mapping(file)
    assert said in str(caught.value)


def test_missing_mapping_file() -> None:
    with pytest.raises(ConfigurationError, match=r"cannot read the mapping nowhere\.yaml"):
        load_mapping(Path("nowhere.yaml"))


def test_command_line_wins_over_columns() -> None:
    mapping = override(PRESETS["cuepoint"], dsp="mine", territory=None, version=3)
    row = RowReader(mapping, LATEST).read(
        {"asset_id": "a", "day": "2019-01-01", "dsp": "theirs", "territory": "FR", "count": 1, "report_version": 1}
    )
    assert (row.report.dsp, row.report.territory, row.report.version) == ("mine", "FR", 3)


def test_file_without_a_needed_column_is_refused_with_those_it_has() -> None:
    with pytest.raises(ConfigurationError, match=r"no column `streams` \(for `count`\).*date, track_id"):
        require_columns(PRESETS["spotify-charts"], ["date", "track_id"], "f.csv")
    with pytest.raises(ConfigurationError, match="says nothing of `dsp`"):
        require_columns(Mapping(columns={"asset_id": "a", "day": "d", "count": "c"}), ["a", "d", "c"], "f.csv")

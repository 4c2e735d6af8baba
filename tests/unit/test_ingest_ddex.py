"""DDEX sales reports: both variants, and a file that is not what it says is refused with line and cell."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import pytest

from cuepoint.ops.ingest_read import Read, Source
from cuepoint.schemas.errors import ConfigurationError

SAMPLES = Path(str(resources.files("cuepoint.ops") / "samples" / "reports"))
BLOCKS = (SAMPLES / "ddex-blocks-simulated.tsv").read_text()
SINGLE = (SAMPLES / "ddex-single-simulated.tsv").read_text()


def read(tmp_path: Path, text: str) -> list[Read]:
    path = tmp_path / "report.tsv"
    path.write_text(text)
    with Source(path, kind="ddex-dsr") as source:
        return list(source.rows())


def test_blocks_give_the_streams_of_their_resources(tmp_path: Path) -> None:
    rows = [dict(found.row or {}) for found in read(tmp_path, BLOCKS)]
    assert len(rows) == 9
    assert rows[0] == {
        "UsageDate": "2026-01-05",
        "MessageCreated": 1_767_765_600,
        "SenderName": "sim-tide",
        "DspResourceId": "tide-7001",
        "ISRC": "QZSIM2600001",
        "NumberOfStreams": "500",
        "Territory": "US",
        "CommercialModel": "SubscriptionModel",
        "UseType": "OnDemandStream",
    }
    assert sum(int(row["NumberOfStreams"]) for row in rows) == 870 + 140 + 55  # what the summaries say
    by_release = rows[5]  # TransactedRelease of a release with one track: the track
    assert (by_release["ISRC"], by_release["Territory"]) == ("QZSIM2600002", "DE")


def test_single_records_give_the_same_columns(tmp_path: Path) -> None:
    rows = [dict(found.row or {}) for found in read(tmp_path, SINGLE)]
    assert [(row["ISRC"], row["NumberOfStreams"], row["UsageDate"]) for row in rows] == [
        ("QZSIM2600001", "410", "2026-01-06"),
        ("QZSIM2600002", "300", "2026-01-06"),
        ("QZSIM2600003", "190", "2026-01-06"),
    ]


def test_a_release_of_several_tracks_is_known_by_its_own_numbers(tmp_path: Path) -> None:
    text = BLOCKS.replace(
        "MW01.03\t2\tW1", "AS02.04\t2\tA2\ttide-7999\tQZSIM2600099\tBonus\t\tSimulated Band\t\tPT1M\nMW01.03\t2\tW1"
    ).replace("FOOT\t24\t24", "FOOT\t25\t25")
    row = read(tmp_path, text)[5].row or {}
    assert (row["DspResourceId"], row["ICPN"], "ISRC" in row) == ("sim-rel-2", "00602577732812", False)


@pytest.mark.parametrize(
    ("find", "put", "line", "field"),
    [
        ("SU02.03\t1\tS2\tT1S2\t\tA1", "SU02.03\t1\tS2\tT1S2\t\tA9", 10, "$.TransactedResource"),
        ("SU02.03\t1\tS2\tT1S2\t\tA1", "SU02.03\t1\tS2\tT1S2\tR9\t", 10, "$.TransactedRelease"),
        ("SU02.03\t1\tS2\tT1S2\t\tA1", "SU02.03\t1\tS9\tT1S2\t\tA1", 10, "$.SummaryRecordId"),
        ("\ttrue\t80", "\ttrue\t", 10, "$.NumberOfStreams"),
        ("AS02.04\t1\tA1\ttide-7001", "AS02.04\t1\tA1\t", 7, "$.DspResourceId"),
    ],
)
def test_a_broken_record_is_named_by_line_and_cell(tmp_path: Path, find: str, put: str, line: int, field: str) -> None:
    assert find in BLOCKS
    faults = [(found.line, found.fault.field) for found in read(tmp_path, BLOCKS.replace(find, put)) if found.fault]
    assert faults[0] == (line, field)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (BLOCKS.rsplit("FOOT", 1)[0], "breaks off after line 23"),
        (BLOCKS.replace("FOOT\t24", "FOOT\t23"), r"NumberOfLinesInFile \(cell 2\) 23, it is 24"),
        (BLOCKS.replace("\t24\t3\t3\t3", "\t24\t2\t3\t3"), r"NumberOfSummaryRecords \(cell 4\) 2, it is 3"),
        (BLOCKS.replace("\t24\t3\t3\t3", "\t24\t3\t4\t3"), r"NumberOfBlocksInFile \(cell 5\) 4, it is 3"),
        (SINGLE.replace("SRFO\t6", "SRFO\t7"), r"cell 2\) 7, it is 6"),
        (BLOCKS + "SU02.03\t9\n", "behind the last record"),
        (BLOCKS.split("\n", 1)[1], "its first record is not HEAD"),
        (BLOCKS.replace("\t1\t1\t2026", "\t1\t2\t2026"), "file 1 of 2"),
        (BLOCKS.replace("2026-01-05\t2026-01-05", "2026-01-01\t2026-01-31"), "ask the service for daily reports"),
        (BLOCKS.replace("2026-01-05\t2026-01-05", "2026-01\t2026-01"), "ask the service for daily reports"),
        (BLOCKS.replace("2026-01-07T06:00:00Z", "yesterday"), r"MessageCreatedDateTime \(cell 6\)"),
        (BLOCKS.replace("Sim Tide", ""), "SenderName"),
    ],
)
def test_a_file_that_is_not_whole_is_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        read(tmp_path, text)

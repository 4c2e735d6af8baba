"""A person's id goes no further than the reader: not to a message, a dead letter, a line on the terminal, or a file."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from cuepoint.ops.ingest import Ingest, check_files
from cuepoint.ops.ingest_mapping import Mapping
from cuepoint.ops.ingest_presets import PRESETS
from cuepoint.ops.ingest_progress import IngestProgress
from cuepoint.ops.ingest_reports import Privacy, ReportSender
from cuepoint.ops.ingest_spool import Spool
from cuepoint.schemas.base import Contract
from cuepoint.schemas.codec import encode
from cuepoint.schemas.consumption import Consumption
from cuepoint.schemas.errors import ConfigurationError
from cuepoint.schemas.faults import DeadLetter
from cuepoint.schemas.quarantine import Quarantined
from cuepoint.schemas.topics import CONSUMPTION, DEAD_TREND_RECORDS, QUARANTINE, TREND_RECORDS, Topic
from cuepoint.schemas.trends import Asset, TrendRecord
from cuepoint.streams.producer import partition_of

PLANTED = "planted-7f3c9d"
KNOWN = Asset(asset_id="song", title="Song", isrc="QZAAA2000001")


class Watching:
    """A sender that keeps what it is given and, before the first record leaves, looks through every file there is."""

    def __init__(self, folder: Path) -> None:
        self.sent: list[tuple[Topic, Contract]] = []
        self._folder, self.files_seen = folder, 0

    def send(self, topic: Topic, key: str, message: Contract, *, id: str = "", partition: int | None = None) -> None:
        assert PLANTED not in key + id
        if topic == TREND_RECORDS and not self.files_seen:
            for path in self._folder.rglob("*"):
                if path.is_file():
                    self.files_seen += 1
                    assert PLANTED.encode() not in path.read_bytes(), path
        self.sent.append((topic, message))

    def flush(self, timeout_s: float | None = None) -> None:
        pass

    def of(self, topic: Topic) -> list[Any]:
        return [message for where, message in self.sent if where == topic]


def ingest(tmp_path: Path, file: Path, mapping: Mapping, k: int = 10) -> tuple[Watching, str]:
    sender, said = Watching(tmp_path / "data"), tmp_path / "said.txt"
    reports = ReportSender(sender, 1, 1, partition_of, Privacy(consumers_min=k))
    with said.open("w") as file_said, Spool(tmp_path / "data") as spool:
        progress = IngestProgress(Console(file=file_said))
        run = Ingest(sender, reports, progress, catalogue=lambda first: [(0, KNOWN)][first:])
        for line in run.run([file], mapping, spool).first_broken:
            progress.say(line)
    for topic, message in sender.sent:
        assert PLANTED.encode() not in encode(message), topic.name
    letters = [message for message in sender.of(DEAD_TREND_RECORDS) if isinstance(message, DeadLetter)]
    assert all(PLANTED.encode() not in letter.original for letter in letters)  # base64 in JSON
    assert PLANTED not in said.read_text()
    return sender, said.read_text()


def row(**change: Any) -> dict[str, Any]:
    whole = {
        "isrc": "QZAAA2000001",
        "dsp": "wave",
        "country": "US",
        "transaction_date": "2020-01-05",
        "quantity": 1,
        "user_id": PLANTED,
        "gender": "female",
        "birth_year": 1990,
        "source": "search",
    }
    return whole | change


def test_a_planted_id_is_nowhere_to_be_found(tmp_path: Path) -> None:
    crowd = [row(user_id=f"u{n}", gender="male" if n % 2 else "female") for n in range(60)]
    broken = [
        row(country=PLANTED),
        row(transaction_date=f"2020-01-05{PLANTED}"),
        row(quantity=PLANTED),
        row(quantity=-1),
        row(isrc=f"{PLANTED} with a space"),
        row(dsp=f"{PLANTED} {PLANTED}"),
        row(user_id=[PLANTED], quantity=-1),
        row(source=[PLANTED]),
        row(playlist_id="x" * 600 + PLANTED),
        row(transaction_date="2999-01-01"),
    ]
    unknown = [row(isrc="QZAAA2099999", user_id=f"{PLANTED}-{n}") for n in range(20)]
    lines = [json.dumps(one) for one in [row(), *crowd, *broken, *unknown]]
    lines += [f'{{"isrc": "QZ", "user_id": "{PLANTED}"', f'"{PLANTED}"', PLANTED]
    file = tmp_path / "t.jsonl"
    file.write_text("\n".join(lines) + "\n")
    sender, said = ingest(tmp_path, file, PRESETS["trends-jsonl"])
    assert sender.files_seen > 0
    [record] = [m for m in sender.of(TREND_RECORDS) if isinstance(m, TrendRecord)]
    assert (record.asset_id, record.count) == ("song", 61)
    cells = [m for m in sender.of(CONSUMPTION) if isinstance(m, Consumption)]
    assert sum(cell.count for cell in cells) == 61
    assert sum(cell.consumers or 0 for cell in cells) == 61
    [waiting] = [m for m in sender.of(QUARANTINE) if isinstance(m, Quarantined)]
    assert (waiting.count, waiting.identifiers) == (20, ["isrc:QZAAA2099999"])
    letters = [m for m in sender.of(DEAD_TREND_RECORDS) if isinstance(m, DeadLetter)]
    assert len(letters) == len(broken) + 3
    assert [letter.line for letter in letters][:2] == [62, 63]
    assert json.loads(letters[3].original) == {
        "isrc": "QZAAA2000001",
        "country": "US",
        "transaction_date": "2020-01-05",
        **dict.fromkeys(("dsp", "quantity", "user_id", "gender", "birth_year", "source"), "***"),
    }
    assert "broken" in said or "$.territory" in said


def test_nor_from_a_table_with_shifted_and_broken_rows(tmp_path: Path) -> None:
    mapping = Mapping(
        columns={"isrc": "track", "day": "date", "count": "plays", "user_id": "listener", "territory": "country"},
        constants={"dsp": "wave"},
    )
    rows = [
        f"QZAAA2000001,2020-01-05,1,{PLANTED},US",
        f"{PLANTED},QZAAA2000001,2020-01-05,1,US",  # shifted
        f"QZAAA2000001,2020-01-05,1,{PLANTED}",
        f'QZAAA2000001,2020-01-05,1,"{PLANTED}"x,US',
    ]
    file = tmp_path / "t.csv"
    file.write_text("track,date,plays,listener,country\n" + "\n".join(rows) + "\n")
    sender, _ = ingest(tmp_path, file, mapping, k=1)
    assert len(sender.of(DEAD_TREND_RECORDS)) == 3
    headless = tmp_path / "h.csv"
    headless.write_text("\n".join(rows))
    with pytest.raises(ConfigurationError) as refused:
        check_files([headless], mapping)
    assert PLANTED not in str(refused.value)


def test_a_file_of_our_own_names_is_as_careful(tmp_path: Path) -> None:
    file = tmp_path / "t.jsonl"
    good = {"asset_id": "song", "day": "2020-01-05", "dsp": "wave", "count": 1, "user_id": PLANTED}
    file.write_text(json.dumps(good) + "\n" + json.dumps(good | {"count": -1}) + "\n")
    sender, _ = ingest(tmp_path, file, PRESETS["cuepoint"])
    assert len(sender.of(DEAD_TREND_RECORDS)) == 1


def test_one_person_is_one_consumer_however_often(tmp_path: Path) -> None:
    people = [row(user_id=f"u{n % 12}", birth_year=1990 if n % 12 < 11 else 1960) for n in range(48)]
    file = tmp_path / "t.jsonl"
    file.write_text("\n".join(map(json.dumps, people)))
    sender, _ = ingest(tmp_path, file, PRESETS["trends-jsonl"])
    cells = [m for m in sender.of(CONSUMPTION) if isinstance(m, Consumption)]
    # eleven of one age are enough; the twelfth alone is left out, in the total all the same
    assert [(c.age_band, c.gender, c.context, c.activity, c.count, c.consumers) for c in cells] == [
        ("25-34", "female", "search", "active", 44, 11)
    ]
    [record] = [m for m in sender.of(TREND_RECORDS) if isinstance(m, TrendRecord)]
    assert (record.count, record.day) == (48, dt.date(2020, 1, 5))

"""Rows of unknown assets: released once, in order, to the report they belong to; never lost."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Sequence
from typing import Any

import pytest

from cuepoint.agents.release_quarantine import RelayAssets, ReleaseQuarantine
from cuepoint.schemas.base import Contract
from cuepoint.schemas.codec import decoder, encode
from cuepoint.schemas.consumption import Cell, ConsumptionAmendment
from cuepoint.schemas.errors import SnapshotError
from cuepoint.schemas.faults import DeadLetter
from cuepoint.schemas.quarantine import Quarantined
from cuepoint.schemas.topics import ASSETS, CONSUMPTION, DEAD_QUARANTINE, QUARANTINE, TREND_RECORDS
from cuepoint.schemas.trends import Asset, ReportCompleted, ReportWithdrawn, TrendAmendment
from cuepoint.streams.batch import Batch
from cuepoint.streams.outgoing import Outgoing

DAY = dt.date(2020, 1, 1)
CELLS = [Cell(context="search", count=12, consumers=11)]
SONG = Asset(asset_id="song", title="Song", isrc="QZ-AAA-20-00001", identifiers=["wave:77"])


def row(name: str, count: int, day: int = 0, version: int = 1) -> Quarantined:
    return Quarantined(
        identifiers=name.split(","),
        day=DAY + dt.timedelta(days=day),
        dsp="wave",
        territory="US",
        report_version=version,
        count=count,
        cells=CELLS,
    )


def batch(messages: Sequence[Contract | bytes], first: int = 0, topic: str = QUARANTINE.name) -> Batch:
    values = [message if isinstance(message, bytes) else encode(message) for message in messages]
    offsets = list(range(first, first + len(values)))
    return Batch(topic, 0, first, first + len(values) - 1, values, [b"k"] * len(values), offsets, [5] * len(values))


def process(agent: Any, *messages: Contract | bytes, first: int = 0) -> list[Outgoing]:
    return list(asyncio.run(agent.process(batch(messages, first))))


def test_metadata_releases_all_rows_of_the_asset_by_day() -> None:
    agent = ReleaseQuarantine()
    waiting = [row("isrc:QZAAA2000001", 5, 1), row("wave:77", 7, 0), row("isrc:OTHER", 9, 0)]
    assert process(agent, *waiting) == []
    assert agent.quarantined == 3
    out = process(agent, SONG, first=3)
    assert agent.quarantined == 1
    assert [(o.topic, o.key) for o in out] == [(TREND_RECORDS, "song"), (CONSUMPTION, "song")] * 2
    assert out[0].message == TrendAmendment(
        asset_id="song", day=DAY, dsp="wave", territory="US", count=7, part="wave:77"
    )
    assert out[1].message == ConsumptionAmendment(
        asset_id="song", day=DAY, dsp="wave", territory="US", part="wave:77", cells=CELLS
    )
    assert out[2].message == TrendAmendment(
        asset_id="song",
        day=DAY + dt.timedelta(days=1),
        dsp="wave",
        territory="US",
        count=5,
        part="isrc:QZAAA2000001",
    )
    assert process(agent, SONG, first=4) == []


def test_a_newer_version_or_a_withdrawal_takes_rows_away() -> None:
    about: dict[str, Any] = {"dsp": "wave", "territory": "US", "day": DAY}
    agent = ReleaseQuarantine()
    process(agent, row("wave:77", 7), ReportCompleted(**about, version=1, records=0))
    assert agent.quarantined == 1  # the same version: a repeat, whose rows come again
    process(agent, ReportCompleted(**about, version=2, records=0), row("wave:77", 8, version=2))
    [trend, _] = process(agent, SONG)
    assert isinstance(trend.message, TrendAmendment)
    assert (trend.message.count, trend.message.report_version) == (8, 2)
    process(agent, row("wave:77", 8, version=2), row("wave:78", 1, version=3), row("wave:77", 8, 1))
    process(agent, ReportWithdrawn(**about, version=2))
    assert agent.quarantined == 2  # version 3, and the other day


def test_an_older_row_does_not_replace_a_newer_and_a_repeat_changes_nothing() -> None:
    agent = ReleaseQuarantine()
    process(agent, row("wave:77", 9, version=2), row("wave:77", 5, version=1), row("wave:77", 9, version=2))
    assert agent.quarantined == 1
    [trend, _] = process(agent, SONG)
    assert isinstance(trend.message, TrendAmendment)
    assert trend.message.count == 9


def test_the_oldest_rows_become_dead_letters_when_there_are_too_many() -> None:
    agent = ReleaseQuarantine(rows_max=2)
    out = process(agent, row("wave:1", 1), row("wave:2", 2), row("wave:3", 3))
    assert [(o.topic, agent.quarantined) for o in out] == [(DEAD_QUARANTINE, 2)]
    letter = out[0].message
    assert isinstance(letter, DeadLetter)
    assert letter.code == "quarantine_full"
    assert decoder(Quarantined).decode(letter.original) == row("wave:1", 1)


def test_what_cannot_be_read_is_a_dead_letter_and_stops_nothing() -> None:
    agent = ReleaseQuarantine()
    nameless = encode(row("wave:1", 1)).replace(b'["wave:1"]', b"[]")
    out = process(agent, b"{", nameless, row("wave:77", 1), SONG)
    letters = [o.message for o in out if isinstance(o.message, DeadLetter)]
    assert [(x.code, x.field) for x in letters] == [("malformed", "$"), ("invalid", "$.identifiers")]
    assert len(out) == 4


def test_a_restart_goes_on_with_what_waited() -> None:
    before, after = ReleaseQuarantine(), ReleaseQuarantine()
    process(before, row("wave:77", 7), row("wave:77", 4, 1), row("isrc:X", 1))
    after.restore(0, before.snapshot(0))
    assert after.snapshot(0) == before.snapshot(0)
    assert process(after, SONG, first=3) == process(before, SONG, first=3) != []
    with pytest.raises(SnapshotError):
        after.restore(0, b"nonsense")
    after.forget(0)
    assert after.quarantined == 0


def test_the_relay_hands_on_what_names_an_asset() -> None:
    nameless = Asset(asset_id="b", title="B", upc="00602577732812")
    values = [encode(SONG), encode(nameless), b"{", b""]
    out = asyncio.run(RelayAssets().process(batch(values, 4, ASSETS.name)))
    assert [(o.topic, o.key, o.message) for o in out] == [(QUARANTINE, "song", SONG)]

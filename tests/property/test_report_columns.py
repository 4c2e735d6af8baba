"""The compiled reader and the strict decoder must say the same of any bytes."""

from __future__ import annotations

import asyncio
import datetime as dt
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cuepoint.agents import watch_trends
from cuepoint.agents.watch_trends import WatchTrends
from cuepoint.models.report_columns import Located, locate
from cuepoint.models.report_ledger import ReportLedger
from cuepoint.models.report_names import Names
from cuepoint.models.report_parts import NONE, Column
from cuepoint.schemas.codec import encode
from cuepoint.schemas.topics import TREND_RECORDS
from cuepoint.schemas.trends import ReportCompleted, ReportOpened, TrendRecord
from cuepoint.streams.batch import Batch

DAY = dt.date(2019, 1, 1)
SOURCES = [("d", "WW"), ("d", "US"), ('q"\\é', "GB")]
ids = st.one_of(
    st.sampled_from(
        ["a", "b", "ab", "a" * 128, "a" * 129, "", 'q"', "back\\slash", "é", "a\x7f", "a b", "\u2028", "😀"]
    ),
    st.text(alphabet="abcdefgh", min_size=1, max_size=20),
    st.text(max_size=12),
)
counts = st.one_of(
    st.integers(0, 2000),
    st.sampled_from([-1, 2**53, 2**53 + 1, 10**15, 10**15 - 1, 10**30, 1.0, 1.5, "7", True, None, "NaN"]),
)


@st.composite
def records(draw: st.DrawFn) -> bytes:
    """A record as our encoder writes it, or with something else about it."""
    dsp, territory = draw(st.sampled_from(SOURCES))
    value = {
        "type": draw(st.sampled_from(["trend-record.v1"] * 9 + ["trend-record.v2"])),
        "asset_id": draw(ids),
        "day": draw(st.sampled_from(["2019-01-01"] * 9 + ["2019-01-02", "2019-02-30", "x"])),
        "dsp": dsp,
        **({} if territory == "WW" else {"territory": territory}),
        "count": draw(counts),
        **draw(st.sampled_from([{}, {}, {"report_version": 2}, {"report_version": 1}, {"other": 1}])),
    }
    text = json.dumps(value, ensure_ascii=draw(st.booleans()), separators=(",", ":"))
    change = draw(st.integers(0, 11))
    if change == 0:
        text = json.dumps(dict(draw(st.permutations(list(value.items())))), separators=(",", ":"))
    elif change == 1:
        text = json.dumps(value)
    elif change == 2:
        text = text[:-1] + ',"count":5}'  # a name twice
    elif change == 3:
        text = text.replace('"count":', draw(st.sampled_from(['"count":0', '"count":-', '"count": ', '"count":1e'])))
    elif change == 4:
        text = text.replace(
            '"asset_id":"a', '"asset_id":"' + draw(st.sampled_from(["\\u0061", "\\", '"', "\x1f", "\t"]))
        )
    raw = text.encode(errors="surrogatepass")
    if change == 5:
        at = draw(st.integers(0, len(raw)))
        raw = raw[:at] + draw(st.binary(max_size=2)) + raw[at + draw(st.integers(0, 2)) :]
    return raw


@st.composite
def logs(draw: st.DrawFn) -> list[bytes]:
    """Records between the markers of several reports, open at the same time."""
    values: list[bytes] = []
    for dsp, territory in draw(st.permutations(SOURCES)):
        version = draw(st.sampled_from([1, 1, 2]))
        values.append(encode(ReportOpened(dsp=dsp, territory=territory, day=DAY, version=version)))
        values += draw(st.lists(st.one_of(records(), st.binary(max_size=30)), max_size=8))
    values += draw(st.lists(records(), max_size=25))
    for dsp, territory in SOURCES:
        said = draw(st.integers(0, 12))
        values.append(encode(ReportCompleted(dsp=dsp, territory=territory, day=DAY, records=9, partition_records=said)))
    return values


class _Exact(ReportLedger):
    """Reads nothing at once: every record takes the strict decoder."""

    def append(self, located: Located, first: int) -> int:
        return first


class Fetched(list):
    """Values as they lie in what was fetched: something between them, nothing behind the last."""

    def located(self) -> Located:
        edges = np.cumsum([2] + [step for value in self for step in (len(value), 2)])[:-1]
        buffer = b"".join(b"\xff\xff" + value for value in self)
        return Located(np.frombuffer(buffer, dtype=np.uint8), edges[0::2].copy(), edges[1::2].copy())


async def follow(values: list[bytes], size: int, kind: type = list) -> tuple[list, bytes]:
    agent, out = WatchTrends(), []
    for at in range(0, len(values), size):
        some = kind(values[at : at + size])
        offsets = range(at, at + len(some))
        stamps = [1_577_000_000_000] * len(some)
        out += await agent.process(
            Batch(TREND_RECORDS.name, 0, at, offsets[-1], some, [None] * len(some), offsets, stamps)
        )
    return out, agent.snapshot(0)


def exactly(values: list[bytes]) -> tuple[list, bytes]:
    plain = watch_trends.ReportLedger
    watch_trends.ReportLedger = _Exact
    try:
        return asyncio.run(follow(values, 1000))
    finally:
        watch_trends.ReportLedger = plain


@given(logs(), st.sampled_from([1, 3, 1000]), st.sampled_from([list, Fetched]))
@settings(max_examples=300, deadline=None)
def test_reading_at_once_and_one_by_one_give_the_same(values: list[bytes], size: int, kind: type):
    assert asyncio.run(follow(values, size, kind)) == exactly(values)


@pytest.mark.parametrize("known", [False, True])  # whether the asset was seen before
@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b":5}", b":05}"),
        (b":5}", b":}"),
        (b":5}", b":-0}"),
        (b":5}", b":9007199254740992}"),
        (b":5}", b":9007199254740993}"),
        (b":5}", b":999999999999999}"),
        (b":5}", b":5;}"),
        (b":5}", b":5}}"),
        (b":5}", b":5} "),
        (b":5}", b":5"),
        (b":5}", b":5,"),
        (b":5}", b':5,"report_version":1}'),
        (b":5}", b':5,"count":6}'),
        (b":5}", b":5e0}"),
        (b"song", b""),
        (b"song", b"s" * 128),
        (b"song", b"s" * 129),
        (b"song", b"so\\u006eg"),
        (b"song", b"so\\ng"),
        (b"song", b'so"g'),
        (b"song", rb"so\g"),
        (b"song", b"so\x7fg"),
        (b"song", b"so g"),
        (b"song", b"so\xe2\x80\xa8g"),  # U+2028 is white space
        (b"song", "søng".encode()),
        (b"song", b"s\xf8ng"),
        (b"song", b"so\x00g"),
        (b"song", b"songs"),
        (b"song", b"son"),
        (b"trend-record.v1", b"trend-record.v2"),
        (b"2019-01-01", b"2019-01-02"),
        (b"{", b" {"),
    ],
)
def test_what_looks_almost_like_a_record_is_read_as_strictly(old: bytes, new: bytes, known: bool):
    good = encode(TrendRecord(asset_id="song", dsp="d", day=DAY, count=5))
    almost = good.replace(old, new, 1)
    assert almost != good
    begin, end = ReportOpened(dsp="d", day=DAY), ReportCompleted(dsp="d", day=DAY, records=4, partition_records=4)
    values = [encode(begin), *[good, good][: 1 + known], almost, almost, good, encode(end)]
    assert asyncio.run(follow(values, 1000)) == exactly(values)


@pytest.mark.parametrize("poison", [None, b"", b'{"type":"trend-record.v1","x":' + b"[" * 100_000])
def test_a_record_that_cannot_even_be_decoded_is_a_dead_letter_and_stops_nothing(poison: bytes | None):
    begin, end = ReportOpened(dsp="d", day=DAY), ReportCompleted(dsp="d", day=DAY, records=2, partition_records=2)
    good = [encode(TrendRecord(asset_id=name, dsp="d", day=DAY, count=5)) for name in "ab"]
    out, state = asyncio.run(follow([encode(begin), good[0], poison, good[1], encode(end)], 1000))
    letter, *days = [o.message for o in out]
    assert (letter.code, letter.offset, letter.original) == ("malformed", 2, poison or b"")
    assert [d.asset_id for d in days] == ["a", "b"]
    assert (out, state) == exactly([encode(begin), good[0], poison, good[1], encode(end)])


@given(st.lists(st.tuples(st.text(alphabet='abé\\"', min_size=1, max_size=9), st.integers(0, 2**53)), min_size=1))
@settings(deadline=None)
def test_records_of_our_encoder_are_read_as_they_are(pairs: list[tuple[str, int]]):
    ledger = ReportLedger()
    ledger.opened(ReportOpened(dsp="d", day=DAY), 1_577_000_000_000)
    values = [encode(TrendRecord(asset_id=a, dsp="d", day=DAY, count=c)) for a, c in pairs]
    at = ledger.append(locate(values), 0)
    read = next(iter(ledger.open.values()))
    assert [(ledger.names[r], c) for r, c in zip(read.rows.tolist(), read.counts.tolist(), strict=True)] == pairs[:at]
    if at < len(pairs):
        assert not pairs[at][0].isascii() or {"\\", '"'} & set(pairs[at][0]) or pairs[at][1] >= 10**15


@given(st.lists(st.one_of(st.text(min_size=1, max_size=30), st.text("ab-7", min_size=1))), st.data())
@settings(deadline=None)
def test_names_keep_their_rows(names: list[str], data: st.DataObject):
    table, known = Names(), {}
    for name in names:
        assert table.row(name) == known.setdefault(name, len(known))
    again = Names(*table.to_arrays())
    assert list(again) == list(table) == list(known)
    for name in data.draw(st.permutations(names)):
        assert again.row(name) == known[name]
    asked = data.draw(st.lists(st.sampled_from(names or [""]), max_size=9)) if names else []
    assert table.of(np.array([table.row(name) for name in asked], dtype=np.int64)) == asked


@given(st.lists(st.one_of(st.just(NONE), st.integers(0, 300), st.integers(0, 2**53)), max_size=40), st.data())
@settings(deadline=None)
def test_a_packed_column_says_what_it_was_made_of(counts: list[int], data: st.DataObject):
    column = Column.of(np.array(counts, dtype=np.int64))
    rows = data.draw(st.lists(st.integers(0, 60)))
    expected = [counts[row] if row < len(counts) else NONE for row in rows]
    assert column.read(np.array(rows, dtype=np.int64)).tolist() == expected

"""Fetched ranges, compared record by record with aiokafka's own reading of the same bytes."""

from __future__ import annotations

import pytest
from aiokafka.consumer.fetcher import READ_COMMITTED, READ_UNCOMMITTED, FetchResult, PartitionRecords
from aiokafka.consumer.subscription_state import Assignment
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.structs import TopicPartition
from hypothesis import given, settings
from hypothesis import strategies as st

from cuepoint.streams.batch import Batch
from cuepoint.streams.fetched import drain
from cuepoint.streams.raw_records import RawRecords, Slices

TP = TopicPartition("topic", 0)
ABORT = b"\x00\x00\x00\x00"


def encoded(
    base: int,
    values: list[bytes | None],
    *,
    producer: int = -1,
    transactional: bool = False,
    compression: int = 0,
    headers: list[tuple[str, bytes | None]] | None = None,
) -> bytes:
    builder = DefaultRecordBatchBuilder(
        magic=2,
        compression_type=compression,
        is_transactional=transactional,
        producer_id=producer,
        producer_epoch=0,
        base_sequence=0,
        batch_size=1 << 20,
    )
    for n, value in enumerate(values):
        key = b"k%d" % (base + n) if n % 3 else None
        assert builder.append(n, 1000 + base + n * 7 % 5, key, value, headers or []) is not None
    data = bytearray(builder.build())
    data[0:8] = base.to_bytes(8, "big")
    return bytes(data)


def result(
    data: bytes,
    position: int,
    *,
    aborted: list[tuple[int, int]] | None = None,
    isolation: int = READ_UNCOMMITTED,
    reader: type = RawRecords,
):
    assignment = Assignment({TP})
    assignment.state_value(TP).seek(position)
    assignment.state_value(TP).highwater = 99
    records = PartitionRecords(TP, reader(data), aborted or [], position, None, None, True, isolation)
    return FetchResult(TP, assignment=assignment, partition_records=records, backoff=0), assignment


@settings(deadline=None)  # the first one compiles
@given(
    sizes=st.lists(st.integers(1, 5), min_size=1, max_size=6),
    skip=st.integers(0, 4),
    hole=st.integers(0, 3),
    aborted=st.sets(st.integers(0, 5)),
)
async def test_same_records_as_aiokafka(sizes: list[int], skip: int, hole: int, aborted: set[int]) -> None:
    data, base, bounds = b"", 10, []
    for n, size in enumerate(sizes):
        data += encoded(base, [b"v%d-%d" % (n, i) for i in range(size)], producer=n, transactional=n in aborted)
        bounds.append((n, base))
        base += size + hole
    position = 10 + min(skip, sizes[0] - 1)
    gone = [bound for bound in bounds if bound[0] in aborted]
    theirs = result(data, position, aborted=list(gone), isolation=READ_COMMITTED)[0].getall()
    fetched, assignment = result(data, position, aborted=list(gone), isolation=READ_COMMITTED)
    batch = drain(fetched)
    assert batch is not None
    assert list(zip(batch.offsets, batch.keys, batch.values, batch.timestamps, strict=True)) == [
        (record.offset, record.key, record.value, record.timestamp) for record in theirs
    ]
    assert (batch.first, batch.end) == (position, 99)
    assert batch.last + 1 == assignment.state_value(TP).position == base - hole


@pytest.mark.parametrize("reader", [RawRecords, MemoryRecords])
@pytest.mark.parametrize("at", [-1, 61, 22])  # of a value, of the first record's length, of the attributes
async def test_a_broken_batch_is_not_read(reader: type, at: int) -> None:
    data = bytearray(encoded(0, [b"one"]) + encoded(1, [b"two"]))
    data[at] ^= 0x40
    fetched, assignment = result(bytes(data), 0, reader=reader)
    with pytest.raises(CorruptRecordException):
        drain(fetched)
    assert assignment.state_value(TP).position <= 1


def cells(batch: Batch) -> list[tuple[object, ...]]:
    return list(zip(batch.offsets, batch.keys, batch.values, batch.timestamps, strict=True))


@settings(deadline=None)  # the first one compiles
@given(
    values=st.lists(st.none() | st.binary(max_size=300), min_size=1, max_size=40),
    headers=st.lists(st.tuples(st.text(max_size=5), st.none() | st.binary(max_size=200)), max_size=3),
    start=st.integers(0, 39),
    cut=st.integers(0, 60),
    compression=st.sampled_from([0, 1]),
)
async def test_the_bytes_of_a_fetch_are_read_as_aiokafka_reads_them(
    values: list[bytes | None], headers: list[tuple[str, bytes | None]], start: int, cut: int, compression: int
) -> None:
    start = min(start, len(values) - 1)
    whole = encoded(0, values, headers=headers, compression=compression)
    data = whole + encoded(len(values), [b"next"])[:cut]
    theirs = drain(result(data, start, reader=MemoryRecords)[0])
    ours = drain(result(data, start)[0])
    assert theirs is not None and ours is not None
    assert isinstance(ours.values, Slices) == (compression == 0)
    assert [ours.values[i] for i in range(len(ours))] == values[start:]
    assert cells(ours) == cells(theirs) == cells(ours.since(start))
    assert (ours.first, ours.last, ours.end) == (theirs.first, theirs.last, theirs.end)
    if isinstance(ours.values, Slices):
        buffer, starts, ends = ours.values.located()
        found = [bytes(buffer[a:b]) for a, b in zip(starts.tolist(), ends.tolist(), strict=True)]
        assert found == [value or b"" for value in values[start:]]


async def test_a_broken_checksum_is_refused() -> None:
    data = bytearray(encoded(0, [b"value"]))
    data[-2] ^= 1
    with pytest.raises(CorruptRecordException):
        drain(result(bytes(data), 0)[0])


async def test_nothing_after_a_seek() -> None:
    fetched, assignment = result(encoded(0, [b"value"]), 0)
    assignment.state_value(TP).seek(7)
    assert drain(fetched) is None
    assert assignment.state_value(TP).position == 7


@settings(deadline=None)
@given(offsets=st.sets(st.integers(5, 40), min_size=1), start=st.integers(5, 45))
def test_the_rest_of_a_batch(offsets: set[int], start: int) -> None:
    ordered = sorted(offsets)
    values = [b"%d" % offset for offset in ordered]
    batch = Batch("t", 0, 5, 45, values, values, ordered, ordered)
    rest = batch.since(start)
    assert (rest.first, rest.last) == (start, 45)
    assert list(rest.offsets) == [offset for offset in ordered if offset >= start]
    assert list(rest.values) == [b"%d" % offset for offset in rest.offsets]

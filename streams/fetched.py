"""From aiokafka's fetch result to a Batch, without a Python object per record.

Reaches into aiokafka's fetcher (internals.py names what it needs): its ``getall`` builds a ConsumerRecord per record,
which costs more than everything an agent does with it. Where the fetched bytes are as they stand in the log (not
compressed, of the present format) the records are read off them (raw_records.py); else aiokafka reads them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from aiokafka import conn
from aiokafka.consumer import fetcher
from aiokafka.consumer.fetcher import READ_COMMITTED
from aiokafka.errors import CorruptRecordException

from cuepoint.streams.batch import Batch, Column
from cuepoint.streams.raw_records import Columns, RawRecords, columns_of, parts_of, sound

fetcher.MemoryRecords = RawRecords
conn.READER_LIMIT = 16 << 20  # at 64 KB the socket is stopped and started again dozens of times in every fetch


def drain(result: Any) -> Batch | None:
    """All records of an aiokafka ``FetchResult``, moving the consumer's position behind them.

    None when the position was moved meanwhile or the partition is no longer ours. Raises CorruptRecordException.
    """
    tp, parts = result._topic_partition, result._partition_records
    if parts is None or not result.check_assignment(tp):
        return None
    first: int = parts.next_fetch_offset
    columns = _columns(parts)
    records = _records(parts) if columns is None else []
    state = result._assignment.state_value(tp)
    last = parts.next_fetch_offset - 1
    result._update_position()
    result._partition_records = None
    if last < first:
        return None
    end = -1 if state.highwater is None else state.highwater
    if columns is not None:
        return Batch(tp.topic, tp.partition, first, last, *columns, end)
    return batch_of(tp, first, last, records, end)


def batch_of(tp: Any, first: int, last: int, records: list[Any], end: int) -> Batch:
    """A Batch over records that have value, key, offset and timestamp."""
    return Batch(
        tp.topic,
        tp.partition,
        first,
        last,
        [record.value for record in records],
        Column(records, "key"),
        Column(records, "offset"),
        Column(records, "timestamp"),
        end,
    )


def _columns(parts: Any) -> Columns | None:
    """All records as columns over the fetched bytes; None where aiokafka must read them."""
    log, first = parts._records, parts.next_fetch_offset
    places = parts_of(log.data) if isinstance(log, RawRecords) else None
    if places is None:
        return None
    if parts._check_crcs and not all(sound(log.data, place) for place in places):
        raise CorruptRecordException(f"Invalid CRC - {parts._tp}")
    batches = _batches(parts, check=False)
    wanted = [place for place, batch in zip(places, batches, strict=True) if batch is not None]
    return columns_of(log.data, wanted, first)


def _records(parts: Any) -> list[Any]:
    """All records as aiokafka reads them."""
    records: list[Any] = []
    first = parts.next_fetch_offset
    for batch in _batches(parts, check=parts._check_crcs):
        found = list(batch or ())
        if found and found[0].offset < first:  # a seek into the middle of a batch
            found = [record for record in found if record.offset >= first]
        records += found
    return records


def _batches(parts: Any, *, check: bool) -> Iterator[Any]:
    """The record batches of a fetch, None for one to be left out: checksums (``check``), control batches and aborted
    transactions are treated as in ``PartitionRecords._unpack_records``. Moves ``next_fetch_offset`` behind each."""
    log, committed_only = parts._records, parts._isolation_level == READ_COMMITTED
    while log.has_next():
        batch = log.next_batch()
        if check and not batch.validate_crc():
            raise CorruptRecordException(f"Invalid CRC - {parts._tp}")
        aborted = committed_only and batch.producer_id is not None and _aborted(parts, batch)
        parts.next_fetch_offset = batch.next_offset
        yield None if aborted or batch.is_control_batch else batch


def _aborted(parts: Any, batch: Any) -> bool:
    parts._consume_aborted_up_to(batch.base_offset)
    if batch.is_control_batch and parts._contains_abort_marker(batch):
        parts._aborted_producers.discard(batch.producer_id)
    return bool(batch.is_transactional and batch.producer_id in parts._aborted_producers)

"""From aiokafka's fetch result to a Batch, without a Python object per record of ours.

Reaches into aiokafka's fetcher (internals.py names what it needs): its ``getall`` builds a ConsumerRecord per record,
which costs more than everything an agent does with it.
"""

from __future__ import annotations

from typing import Any

from aiokafka.consumer.fetcher import READ_COMMITTED
from aiokafka.errors import CorruptRecordException

from cuepoint.streams.batch import Batch, Column


def drain(result: Any) -> Batch | None:
    """All records of an aiokafka ``FetchResult``, moving the consumer's position behind them.

    None when the position was moved meanwhile or the partition is no longer ours. Raises CorruptRecordException.
    """
    tp, parts = result._topic_partition, result._partition_records
    if parts is None or not result.check_assignment(tp):
        return None
    first: int = parts.next_fetch_offset
    records = _records(parts)
    state = result._assignment.state_value(tp)
    last = parts.next_fetch_offset - 1
    result._update_position()
    result._partition_records = None
    if last < first:
        return None
    return batch_of(tp, first, last, records, -1 if state.highwater is None else state.highwater)


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


def _records(parts: Any) -> list[Any]:
    """What ``PartitionRecords._unpack_records`` yields, batch by batch: checksums, control batches and aborted
    transactions are treated as there."""
    records: list[Any] = []
    log, committed_only = parts._records, parts._isolation_level == READ_COMMITTED
    while log.has_next():
        batch = log.next_batch()
        if parts._check_crcs and not batch.validate_crc():
            raise CorruptRecordException(f"Invalid CRC - {parts._tp}")
        if committed_only and batch.producer_id is not None and _aborted(parts, batch):
            parts.next_fetch_offset = batch.next_offset
            continue
        if not batch.is_control_batch:
            found = list(batch)
            if found and found[0].offset < parts.next_fetch_offset:  # a seek into the middle of a batch
                found = [record for record in found if record.offset >= parts.next_fetch_offset]
            records += found
        parts.next_fetch_offset = batch.next_offset
    return records


def _aborted(parts: Any, batch: Any) -> bool:
    parts._consume_aborted_up_to(batch.base_offset)
    if batch.is_control_batch and parts._contains_abort_marker(batch):
        parts._aborted_producers.discard(batch.producer_id)
    return bool(batch.is_transactional and batch.producer_id in parts._aborted_producers)

"""What the micro-batch transport needs of the inside of Faust and aiokafka, checked by name before anything runs."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from types import CodeType, FunctionType

import aiokafka
import faust
from aiokafka import conn
from aiokafka.consumer import fetcher
from aiokafka.consumer.subscription_state import TopicPartitionState
from aiokafka.record.default_records import DefaultRecord, DefaultRecordBatch
from aiokafka.record.memory_records import MemoryRecords
from faust.transport import conductor
from faust.transport.drivers import aiokafka as driver
from faust.types.tuples import ConsumerMessage

from cuepoint.schemas.errors import ConfigurationError

NEEDED: tuple[tuple[type, tuple[str, ...]], ...] = (
    (
        fetcher.Fetcher,
        (
            "_closed",
            "_create_fetch_waiter",
            "_fetch_max_wait_ms",
            "_get_actions_per_node",
            "_notify",
            "_records",
            "_subscriptions",
            "_wait_consume_future",
            "fetched_records",
        ),
    ),
    (
        fetcher.FetchResult,
        ("_assignment", "_partition_records", "_topic_partition", "_update_position", "check_assignment"),
    ),
    (
        fetcher.PartitionRecords,
        (
            "_aborted_producers",
            "_check_crcs",
            "_consume_aborted_up_to",
            "_contains_abort_marker",
            "_isolation_level",
            "_records",
            "_tp",
            "next_fetch_offset",
        ),
    ),
    (TopicPartitionState, ("highwater", "position")),
    (MemoryRecords, ("has_next", "next_batch", "size_in_bytes")),
    (
        DefaultRecordBatch,
        ("base_offset", "is_control_batch", "is_transactional", "next_offset", "producer_id", "validate_crc"),
    ),
    (DefaultRecord, ("key", "offset", "timestamp", "value")),
    (
        driver.Consumer,
        (
            "_acked",
            "_acked_index",
            "_commit_every",
            "_committed_offset",
            "_filter_tps_with_pending_acks",
            "_n_acked",
            "_new_consumer_thread",
            "_new_offset",
            "_read_offset",
            "_seek",
            "_thread",
            "_to_message",
            "_wait_next_records",
            "flow_active",
            "on_buffer_full",
            "perform_seek",
            "suspend_flow",
        ),
    ),
    (driver.AIOKafkaConsumerThread, ("_consumer", "_ensure_consumer", "_fetch_records", "call_thread", "seek_wait")),
    (conn.AIOKafkaConnection, ("READER_LIMIT",)),
    (aiokafka.AIOKafkaConsumer, ("_closed", "_fetcher", "committed", "highwater")),
    (conductor.Conductor, ("_topic_name_index", "acks_enabled_for")),
    (ConsumerMessage, ("__weakref__", "generation_id", "offset", "tp")),
    (faust.App, ("consumer_generation_id", "topics")),
)


def check_internals() -> None:
    """Raises ConfigurationError that names the first attribute which is no longer where it was."""
    for owner, names in NEEDED:
        known = set(_names(owner))
        for name in names:
            if name not in known and not hasattr(owner, name):
                raise ConfigurationError(
                    f"{owner.__module__}.{owner.__qualname__} no longer has `{name}`, which batch:// needs:"
                    f" install the pinned versions (found aiokafka {aiokafka.__version__}, faust {faust.__version__})"
                )


def _names(owner: type) -> Iterator[str]:
    """Attribute names a class defines or, in the code of its methods, reads and sets."""
    for base in owner.__mro__[:-1]:
        yield from inspect.get_annotations(base)
        for member in vars(base).values():
            function = getattr(member, "fget", None) or getattr(member, "__func__", member)
            if isinstance(function, FunctionType):
                yield from _code_names(function.__code__)


def _code_names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _code_names(constant)

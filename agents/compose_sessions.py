"""Player events in, ad decisions out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, Protocol

import msgspec
import numpy as np

from cuepoint.models.report_columns import locate
from cuepoint.models.rule_book import RuleBook
from cuepoint.models.session_partition import PartitionSessions
from cuepoint.models.session_results import Results, RuleFault
from cuepoint.models.session_rows import STATE_VERSION
from cuepoint.models.session_settings import SessionSettings
from cuepoint.schemas.codec import UNREADABLE, decoder, encode, explain
from cuepoint.schemas.errors import ContractError, SnapshotError
from cuepoint.schemas.faults import DeadLetter
from cuepoint.schemas.rules import AdRule
from cuepoint.schemas.topics import (
    AD_DECISIONS,
    AD_RULES,
    DEAD_AD_RULES,
    DEAD_PLAYER_EVENTS,
    PLAYER_EVENTS,
    Topic,
)
from cuepoint.streams.batch import Batch
from cuepoint.streams.outgoing import Encoded, Outgoing

_decode_rule = decoder(AdRule).decode


class Rules(Protocol):
    """What the ad-rules topic has told so far. Asked only where a partition is begun without a state."""

    def before(self, partition: int, offset: int) -> Iterable[AdRule]:
        """The rules that hold before the record at ``offset``."""


class _Partition:
    """Sessions and rules of one partition, the offset after the last record they hold, and the rules reported as
    faulty."""

    def __init__(self, settings: SessionSettings) -> None:
        self.sessions = PartitionSessions(settings, writing=True)
        self.book: RuleBook | None = None
        self.memory_ms = settings.memory_s * 1000
        self.next_offset = -1
        self.faulty: list[tuple[str, int]] = []


class ComposeSessions:
    """Follows every playback session and decides at each event which ads the rules insert.

    The answer to a record depends on the records before it in its partition, the rules among them, and on nothing else.
    """

    name: ClassVar[str] = "compose_sessions"
    topics: ClassVar[tuple[Topic, ...]] = (PLAYER_EVENTS,)

    def __init__(self, rules: Rules, settings: SessionSettings | None = None) -> None:
        self._rules = rules
        self._settings = settings or SessionSettings()
        self._partitions: dict[int, _Partition] = {}
        PartitionSessions(self._settings, writing=True).warm_up()
        self.repeats = self.late = 0  # events ignored as repeats, and absorbed after later ones, since the start

    @property
    def live_sessions(self) -> int:
        """Open sessions of all partitions held."""
        return sum(held.sessions.live for held in self._partitions.values())

    async def process(self, batch: Batch) -> Sequence[Outgoing | Encoded]:
        """Decisions and dead letters for the batch; records already held in the state are passed over."""
        held = self._partitions.get(batch.partition)
        if held is None:
            held = self._partitions[batch.partition] = _Partition(self._settings)
        if held.book is None:
            held.book = _book(self._rules.before(batch.partition, batch.first))
        skip = sum(1 for offset in batch.offsets if offset < held.next_offset) if batch.first < held.next_offset else 0
        results = Results()
        _take_in(held, held.book, batch, skip, results)
        held.next_offset = max(held.next_offset, batch.last + 1)
        self.repeats += results.repeats
        self.late += results.late
        outgoing: list[Outgoing | Encoded] = [
            Encoded(AD_DECISIONS, session_id, value, id, at_ms) for session_id, id, value, at_ms in results.written
        ]
        outgoing += (_dead_letter(batch, place, error) for place, error in results.refused)
        if results.faults:
            outgoing += _rule_faults(held, batch.partition, results.faults)
        return outgoing

    def restore(self, partition: int, blob: bytes | None) -> None:
        """Begin with the snapshot's state; raises SnapshotError where it is of another version or broken."""
        held = self._partitions[partition] = _Partition(self._settings)
        if blob is None:
            return
        try:
            stored: dict[str, Any] = msgspec.msgpack.decode(blob)
            version = stored["version"]
            if version != STATE_VERSION:
                raise SnapshotError(f"sessions of partition {partition}: state version {version}, not {STATE_VERSION}")
            held.sessions.load(stored)
            held.next_offset = stored["next_offset"]
            if "rules" in stored:  # a snapshot from before rules stood in the log begins with all that are known
                held.book = _book(msgspec.convert(stored["rules"], list[AdRule]))
            held.faulty = [(rule_id, number) for rule_id, number in stored["faulty"]]
        except (msgspec.MsgspecError, KeyError, TypeError, ValueError) as error:
            raise SnapshotError(f"sessions of partition {partition}: the state cannot be read: {error}") from error

    def snapshot(self, partition: int) -> bytes:
        """The partition's state; equal logs give equal bytes, however they were cut into batches."""
        held = self._partitions[partition]
        state = {"version": STATE_VERSION, "next_offset": held.next_offset, "faulty": held.faulty}
        state |= held.sessions.rows()
        if held.book is not None:
            state["rules"] = msgspec.to_builtins(held.book.rules())
        return msgspec.msgpack.encode(state)

    def forget(self, partition: int) -> None:
        """The partition went to another worker."""
        self._partitions.pop(partition, None)


def _book(rules: Iterable[AdRule]) -> RuleBook:
    book = RuleBook()
    for rule in rules:
        book.add(rule)
    return book


def _take_in(held: _Partition, book: RuleBook, batch: Batch, first: int, results: Results) -> None:
    """Take in the batch from record ``first`` on; a rule among them holds for the events behind it."""
    records, place = locate(batch.values), first
    stamps = np.asarray(batch.timestamps, dtype=np.int64)
    while place < len(batch):
        place = held.sessions.run(records, place, stamps, book, results)
        if place < len(batch):
            _adopt(held, book, batch.values[place], place, results)
            place += 1


def _adopt(held: _Partition, book: RuleBook, value: bytes, place: int, results: Results) -> None:
    """Take in a rule; versions that no event in time can ask for any more go."""
    try:
        book.add(_decode_rule(value))
    except UNREADABLE as error:
        results.refused.append((place, explain(error)))
    except ContractError as error:
        results.refused.append((place, error))
    else:
        book.drop_superseded(held.sessions.clock - held.memory_ms)


def _dead_letter(batch: Batch, place: int, error: ContractError) -> Outgoing:
    id = f"{batch.topic}-{batch.partition}-{batch.offsets[place]}"
    return Outgoing(DEAD_PLAYER_EVENTS, batch.topic, batch.dead_letter(place, error), id)


def _rule_faults(held: _Partition, partition: int, faults: Iterable[RuleFault]) -> list[Outgoing]:
    """One dead letter for each rule version that raised, the first time it does in the partition."""
    letters: list[Outgoing] = []
    for rule, reason, at_ms in faults:
        version = (rule.rule_id, rule.version)
        if version in held.faulty:
            continue
        held.faulty.append(version)
        letter = DeadLetter(
            topic=AD_RULES.name,
            key=rule.rule_id,
            code="rule_failed",
            field="$.criteria",
            reason=reason[:2048],
            original=encode(rule),
            at=at_ms,
        )
        letters.append(Outgoing(DEAD_AD_RULES, AD_RULES.name, letter, f"{rule.rule_id}-{rule.version}-{partition}"))
    return letters

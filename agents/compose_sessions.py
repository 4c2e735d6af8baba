"""Player events in, ad decisions out."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, Protocol

import msgspec

from cuepoint.models.rule_book import RuleBook
from cuepoint.models.session_decide import Results, RuleFault
from cuepoint.models.session_decode import decode_events
from cuepoint.models.session_engine import SessionEngine
from cuepoint.models.session_settings import SessionSettings
from cuepoint.models.session_state import STATE_VERSION
from cuepoint.schemas.codec import decoder, encode, explain, type_name
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
from cuepoint.streams.outgoing import Outgoing

SLICE = 256  # events decoded at once: they are still in the processor's cache when they are taken in


_RULE = f'{{"type":"{type_name(AdRule)}",'.encode()
_decode_rule = decoder(AdRule).decode


class Rules(Protocol):
    """What the ad-rules topic has told so far. Asked only where a partition is begun without a state."""

    def before(self, partition: int, offset: int) -> Iterable[AdRule]:
        """The rules that hold before the record at ``offset``."""


class _Partition:
    """Sessions and rules of one partition, the offset after the last record they hold, and the rules reported as
    faulty."""

    def __init__(self, settings: SessionSettings) -> None:
        self.engine = SessionEngine(settings)
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
        self.repeats = self.late = 0  # events ignored as repeats, and absorbed after later ones, since the start

    @property
    def live_sessions(self) -> int:
        """Open sessions of all partitions held."""
        return sum(held.engine.live for held in self._partitions.values())

    async def process(self, batch: Batch) -> Sequence[Outgoing]:
        """Decisions and dead letters for the batch; records already held in the state are passed over."""
        held = self._partitions.get(batch.partition)
        if held is None:
            held = self._partitions[batch.partition] = _Partition(self._settings)
        if held.book is None:
            held.book = _book(self._rules.before(batch.partition, batch.first))
        skip = sum(1 for offset in batch.offsets if offset < held.next_offset) if batch.first < held.next_offset else 0
        results, refused = Results(), []
        for start in range(skip, len(batch), SLICE):
            refused += _take_in(held, held.book, batch, start, results)
        held.next_offset = max(held.next_offset, batch.last + 1)
        self.repeats += results.repeats
        self.late += results.late
        outgoing = [Outgoing(AD_DECISIONS, d.session_id, d, d.decision_id) for d in results.decisions]
        outgoing += (_dead_letter(batch, place, error) for place, error in refused)
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
            held.engine.load(stored)
            held.next_offset = stored["next_offset"]
            if "rules" in stored:  # a snapshot from before rules stood in the log begins with all that are known
                held.book = _book(msgspec.convert(stored["rules"], list[AdRule]))
            held.faulty = [(rule_id, number) for rule_id, number in stored["faulty"]]
        except (msgspec.MsgspecError, KeyError, TypeError, ValueError) as error:
            raise SnapshotError(f"sessions of partition {partition}: the state cannot be read: {error}") from error

    def snapshot(self, partition: int) -> bytes:
        """The partition's state; equal logs give equal bytes, however they were cut into batches."""
        held = self._partitions[partition]
        state = {"version": STATE_VERSION, "next_offset": held.next_offset, "faulty": held.faulty, **held.engine.rows()}
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


def _take_in(
    held: _Partition, book: RuleBook, batch: Batch, start: int, results: Results
) -> list[tuple[int, ContractError]]:
    """Take in a slice of the batch; what of it is refused, by place in the batch."""
    stop = start + SLICE
    events, places, refused = decode_events(batch.values[start:stop])
    stamps = batch.timestamps[start:stop]
    if refused:
        stamps = [stamps[place] for place in places]
        rules = [place for place, _ in refused if (batch.values[start + place] or b"").startswith(_RULE)]
        refused = [refusal for refusal in refused if refusal[0] not in rules]
    else:
        rules = []
    begin = 0
    for place in (*rules, SLICE):  # a rule holds for the events behind it
        end = bisect_left(places, place)
        held.engine.run(events[begin:end], stamps[begin:end], book, results)
        if results.refused:
            refused += [(places[begin + index], error) for index, error in results.refused]
            results.refused.clear()
        begin = end
        if place < SLICE:
            refused += _adopt(held, book, batch.values[start + place], place)
    return sorted(((start + place, error) for place, error in refused), key=_place)


def _adopt(held: _Partition, book: RuleBook, value: bytes, place: int) -> list[tuple[int, ContractError]]:
    """Take in a rule; versions that no event in time can ask for any more go."""
    try:
        book.add(_decode_rule(value))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        return [(place, explain(error))]
    except ContractError as error:
        return [(place, error)]
    book.drop_superseded(held.engine.clock - held.memory_ms)
    return []


def _place(refusal: tuple[int, ContractError]) -> int:
    return refusal[0]


def _dead_letter(batch: Batch, place: int, error: ContractError) -> Outgoing:
    key, offset = batch.keys[place], batch.offsets[place]
    letter = DeadLetter(
        topic=batch.topic,
        partition=batch.partition,
        offset=offset,
        key=key.decode("utf-8", "replace")[:512] if key is not None else None,
        code=error.code,
        field=error.field[:512],
        reason=error.reason[:2048],
        original=batch.values[place] or b"",
        at=max(batch.timestamps[place], 0),
    )
    return Outgoing(DEAD_PLAYER_EVENTS, batch.topic, letter, f"{batch.topic}-{batch.partition}-{offset}")


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

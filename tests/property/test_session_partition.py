"""The compiled loop against the plain, event-by-event engine: equal decisions, refusals, counts and states, on whatever
sessions, rules and mishaps come up."""

from random import Random
from typing import Any

import msgspec
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from plain_decode import decode_events
from plain_engine import SessionEngine
from playback_log import T0, rule
from playback_strategies import criteria, interleave, passes, rule_sets, sessions, several_sessions

from cuepoint.models.report_columns import locate
from cuepoint.models.rule_book import RuleBook
from cuepoint.models.session_partition import PartitionSessions
from cuepoint.models.session_results import Results
from cuepoint.models.session_settings import SessionSettings
from cuepoint.schemas.codec import encode
from cuepoint.schemas.playback import PlayerEvent
from cuepoint.schemas.rules import AdRule, Every, Limits

settings.register_profile("partition", max_examples=60, deadline=None)
settings.load_profile("partition")
SHORT = SessionSettings(timeout_s=60, grace_s=20, memory_s=120, max_sessions=3)


def plain(engine: SessionEngine, values: list[bytes], stamps: list[int], book: RuleBook) -> Results:
    out = Results()
    events, places, refused = decode_events(values)
    engine.run(events, [stamps[place] for place in places], book, out)
    out.refused = sorted([(places[k], error) for k, error in out.refused] + refused, key=lambda refusal: refusal[0])
    return out


def compiled(engine: PartitionSessions, values: list[bytes], stamps: list[int], book: RuleBook) -> Results:
    out = Results()
    engine.run(locate(values), 0, np.array(stamps, dtype=np.int64), book, out)
    return out


def told(results: Results) -> Any:
    refused = [(place, error.code, error.field, error.reason) for place, error in results.refused]
    messages = [message.value for message in results.written] or list(map(encode, results.decisions))
    return messages, refused, results.faults, results.repeats, results.late


def mishaps(log: list[PlayerEvent], rng: Random) -> list[tuple[bytes, int]]:
    """(record, the broker's time) of a log in which events are lost, repeated, late, told at a wrong time, in another
    form of JSON, or broken."""
    records: list[tuple[float, bytes, int]] = []
    for at, told_as in enumerate(log):
        fate = rng.choice(["well"] * 12 + ["lost", "twice", "late", "jumped", "broker", "form", "broken"])
        if fate == "lost":
            continue
        event = told_as
        if fate == "jumped":
            event = replace(event, received_at=event.received_at + rng.choice([-90_000, 70_000, 9_000_000]))
        elif fate == "broker":
            event = replace(event, received_at=0)
        value, stamp = encode(event), rng.choice([told_as.received_at, told_as.received_at, 0])
        if fate == "form":
            value = msgspec.json.encode(dict(reversed(msgspec.json.decode(value).items())))
        elif fate == "broken":
            value = value[: rng.randrange(len(value))]
        records.append((at + (rng.uniform(1.0, 20.0) if fate == "late" else 0.0), value, stamp))
        if fate == "twice":
            records.append((at + rng.uniform(0.0, 10.0), value, stamp))
    return [(value, stamp) for _, value, stamp in sorted(records, key=lambda record: record[0])]


@given(rule_sets(), several_sessions(), st.sampled_from([SessionSettings(), SHORT]), st.integers(0, 2**32))
def test_the_compiled_loop_equals_the_plain_engine(
    rules: list[AdRule], logs: list[list[PlayerEvent]], bounds: SessionSettings, seed: int
) -> None:
    rng = Random(seed)
    log = mishaps(interleave(rng.randrange, logs), rng)
    writing = rng.random() < 0.7  # decisions as messages, byte for byte
    old, new, book = SessionEngine(bounds), PartitionSessions(bounds, writing=writing), RuleBook()
    waiting = list(rules)
    while log:
        if waiting and rng.random() < 0.7:
            book.add(waiting.pop())
        size = rng.randint(1, len(log))
        values, stamps = [value for value, _ in log[:size]], [stamp for _, stamp in log[:size]]
        log = log[size:]
        assert told(compiled(new, values, stamps, book)) == told(plain(old, values, stamps, book))
        state = msgspec.msgpack.encode(new.rows())
        assert state == msgspec.msgpack.encode(old.rows())
        assert new.live == old.live
        if rng.random() < 0.3:
            new._worth_forgetting = 0  # names are numbered anew before the next records
        if rng.random() < 0.5:
            new = PartitionSessions(bounds, writing=writing)
            new.load(msgspec.msgpack.decode(state))


@given(criteria, sessions(max_steps=12))
def test_compiled_criteria_equal_closures(tree: Any, log: list[PlayerEvent]) -> None:
    asked = rule("r", Every(seconds=1.0), criteria=tree, limits=Limits(per_session=5))
    if not passes(asked):
        return
    book, values, stamps = RuleBook(), [encode(event) for event in log], [event.received_at for event in log]
    book.add(asked)
    expected = plain(SessionEngine(SessionSettings()), values, stamps, book)
    for writing in (False, True):
        engine = PartitionSessions(SessionSettings(), writing=writing)
        assert told(compiled(engine, values, stamps, book)) == told(expected)


odd_texts = st.text(max_size=12) | st.sampled_from(["", "é", 'a"b', "a\\b", "\x7f", " ", "x" * 512, "x" * 513, "\t"])


@given(
    st.sampled_from(["progressed", "video_started", "clicked"]),
    odd_texts,
    odd_texts,
    st.sampled_from([0, 5, 1.0, 0.1, 12.345678, 12.345678901234567, 1e6, 1000000.5, 1e-7, -0.0, -1, 1e300, None, "1"]),
    st.sampled_from([0, 1, 2**31, 2**31 + 1, 1.0, -1, True, 10**15, 10**16]),
)
def test_every_form_of_a_record_is_read_as_the_contract_reads_it(
    kind: str, identifier: str, text: str, seconds: Any, number: Any
) -> None:
    fields = {
        "type": "player-event.v1",
        "event_id": "e",
        "session_id": identifier,
        "seq": number,
        "kind": kind,
        "at": T0,
    }
    fields |= {"received_at": T0 + 1, "video_id": "v" + identifier, "position_s": seconds, "category": text}
    values = [encode(fields), encode(fields | {"seq": 3, "device": text, "position_s": 1.5})]
    old, new, book = SessionEngine(SessionSettings()), PartitionSessions(SessionSettings(), writing=True), RuleBook()
    book.add(rule("r"))
    assert told(compiled(new, values, [T0, T0], book)) == told(plain(old, values, [T0, T0], book))
    assert msgspec.msgpack.encode(new.rows()) == msgspec.msgpack.encode(old.rows())

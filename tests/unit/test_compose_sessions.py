import msgspec
import pytest
from playback_log import T0, Player, batch, is_, rule, shelf

from cuepoint.agents.agent import StatefulAgent
from cuepoint.agents.compose_sessions import ComposeSessions
from cuepoint.models import rule_tables
from cuepoint.models.session_settings import SessionSettings
from cuepoint.schemas.codec import encode
from cuepoint.schemas.errors import SnapshotError
from cuepoint.schemas.faults import DeadLetter
from cuepoint.schemas.rules import AdRule, Every
from cuepoint.schemas.topics import AD_DECISIONS, DEAD_AD_RULES, DEAD_PLAYER_EVENTS
from cuepoint.streams.outgoing import Outgoing


def agent(*rules: AdRule) -> ComposeSessions:
    made = ComposeSessions(shelf(*(rules or (rule("pre"), rule("f", Every(seconds=30.0))))))
    made.restore(0, None)
    return made


def letters(outgoing: list[Outgoing]) -> list[tuple[int | None, str, str]]:
    found = [o.message for o in outgoing if o.topic is DEAD_PLAYER_EVENTS]
    return [(m.offset, m.code, m.field) for m in found if isinstance(m, DeadLetter)]


async def test_decisions_carry_their_id_and_the_sessions_key() -> None:
    composing = agent()
    assert isinstance(composing, StatefulAgent)
    outgoing = await composing.process(batch(Player().begin().video().play(60.0).events))
    assert [(o.topic, o.key) for o in outgoing] == [(AD_DECISIONS, "s")] * 3
    assert [o.id for o in outgoing] == [getattr(o.message, "decision_id", "") for o in outgoing]
    assert composing.live_sessions == 1


GOOD = encode(Player().say("session_started"))


@pytest.mark.parametrize(
    ("value", "code", "field"),
    [
        (b"", "malformed", "$"),
        (GOOD[:-4], "malformed", "$"),
        (b"\xff\xfe{}", "malformed", "$"),
        (b"[1]", "invalid", "$"),
        (GOOD.replace(b"player-event.v1", b"player-event.v9"), "unknown_version", "$.type"),
        (GOOD.replace(b'"seq":0', b'"seq":"0"'), "invalid", "$.seq"),
        (GOOD.replace(b'"seq":0', b'"seq":-1'), "invalid", "$.seq"),
        (GOOD.replace(b'"seq":0,', b""), "invalid", "$.seq"),
        (GOOD.replace(b'"session_started"', b'"danced"'), "invalid", "$.kind"),
        (GOOD.replace(b'"event_id":"s-0"', b'"event_id":"s 0"'), "invalid", "$.event_id"),
        (GOOD.replace(b'"event_id":"s-0"', b'"event_id":""'), "invalid", "$.event_id"),
        (GOOD.replace(b'"session_id":"s"', b'"session_id":"a\\tb"'), "invalid", "$.session_id"),
        (GOOD.replace(b'"session_id":"s"', b'"session_id":"' + b"x" * 200 + b'"'), "invalid", "$.session_id"),
        (GOOD.replace(b'"seq":0', b'"seq":0,"position_s":-3'), "invalid", "$.position_s"),
        (GOOD.replace(b'"seq":0', b'"seq":0,"x":' + b"[" * 100_000), "malformed", "$"),
        (GOOD.replace(b'"session_started"', b'"progressed"'), "no_video", "$.video_id"),
    ],
)
async def test_bad_records_become_dead_letters_and_the_rest_goes_on(value: bytes, code: str, field: str) -> None:
    events = [encode(event) for event in Player("t").begin().video().play(30.0).events]
    outgoing = list(await agent().process(batch([*events[:2], value, *events[2:]])))
    assert letters(outgoing) == [(2, code, field)]
    assert len([o for o in outgoing if o.topic is AD_DECISIONS]) == 2
    dead = next(o for o in outgoing if o.topic is DEAD_PLAYER_EVENTS)
    assert isinstance(dead.message, DeadLetter)
    assert (dead.message.original, dead.message.topic, dead.message.at, dead.id) == (value, "t", T0, "t-0-2")


async def test_a_record_without_value_is_a_dead_letter() -> None:
    handed = batch([GOOD])
    handed.values = [None]  # type: ignore[list-item]
    assert len(letters(list(await agent().process(handed)))) == 1


async def test_refusals_of_the_engine_are_named_by_offset() -> None:
    player = Player().begin().video(duration_s=50.0)
    player.say("progressed", 99.0)
    player.say("progressed", 20.0)
    outgoing = list(await agent().process(batch(player.events, first=700)))
    assert letters(outgoing) == [(702, "position_beyond_video", "$.position_s")]


async def test_a_rule_that_cannot_be_asked_is_reported_once_a_version_and_survives_a_restart(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(rule_tables.RELATIONS, "<", 99)  # as a newer layout might have it
    bad = rule("bad", Every(seconds=10.0), criteria=is_("session_ads", "<", 100.0))
    composing = agent(bad, rule("good", Every(seconds=10.0)))
    player = Player().begin().video().play(50.0)
    outgoing = await composing.process(batch(player.events))
    dead = [o for o in outgoing if o.topic is DEAD_AD_RULES]
    assert [(o.key, getattr(o.message, "code", ""), o.id) for o in dead] == [
        ("cuepoint.ad-rules.v1", "rule_failed", "bad-1-0")
    ]
    assert len(outgoing) == 6
    restarted = ComposeSessions(shelf())
    restarted.restore(0, composing.snapshot(0))
    more = await restarted.process(batch([player.say("progressed", 60.0)], first=len(player.events) - 1))
    assert [o.topic for o in more] == [AD_DECISIONS]


async def test_records_already_in_the_state_are_passed_over() -> None:
    composing, events = agent(), Player().begin().video().play(120.0).events
    first = await composing.process(batch(events[:8]))
    assert len(first) == 3
    again = await composing.process(batch(events[3:], first=3))
    assert [getattr(o.message, "number", 0) for o in again] == [4, 5]
    assert composing.repeats == 0
    assert await composing.process(batch(events)) == []


async def test_partitions_are_apart_and_can_go() -> None:
    composing, events = agent(), Player().begin().video().events
    other = batch(events)
    other.partition = 1
    await composing.process(batch(events))
    await composing.process(other)
    assert composing.live_sessions == 2
    composing.forget(1)
    assert composing.live_sessions == 1


@pytest.mark.parametrize(
    "blob", [b"", b"\x00", msgspec.msgpack.encode({"version": 99}), msgspec.msgpack.encode({"version": 1})]
)
def test_a_state_of_another_version_or_broken_is_refused(blob: bytes) -> None:
    with pytest.raises(SnapshotError, match="partition 3"):
        ComposeSessions(shelf()).restore(3, blob)


async def test_the_snapshot_is_the_state_bit_for_bit() -> None:
    composing = ComposeSessions(shelf(rule("f", Every(seconds=30.0))), SessionSettings())
    await composing.process(batch(Player().begin().video().play(95.0, step_s=7.3).events))
    blob = composing.snapshot(0)
    restored = ComposeSessions(shelf())
    restored.restore(0, blob)
    assert restored.snapshot(0) == blob

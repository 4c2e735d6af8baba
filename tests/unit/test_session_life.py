"""How sessions open, close, are re-opened and forgotten, in the partition's time."""

import msgspec
import pytest
from plain_engine import SessionEngine
from playback_log import T0, Player, book, fired, rule, run

from cuepoint.models.session_settings import SessionSettings
from cuepoint.schemas.rules import AtSeconds, Every, Limits

RULES = book(rule("pre", limits=Limits(per_session=1)), rule("f", Every(seconds=30.0)))


def engine(**settings: int) -> SessionEngine:
    return SessionEngine(SessionSettings(**settings))


def test_a_pause_within_the_time_out_is_the_same_session() -> None:
    player = Player().begin().video().play(20.0)
    player.say("progressed", 30.0, after_s=1799.0)
    held = engine()
    assert fired(run(player.events, RULES, held)) == [("pre", 0.0), ("f", 30.0)]
    assert held.sessions["s"].reopened == 0


@pytest.mark.parametrize("ends_by", ["time", "event"])
def test_within_the_grace_time_a_session_is_reopened_with_all_it_had(ends_by: str) -> None:
    player = Player().begin().video().play(20.0)
    if ends_by == "event":
        player.say("session_ended")
        player.say("progressed", 30.0, after_s=299.0)
    else:
        player.say("progressed", 30.0, after_s=1800.0 + 299.0)
    player.video("w")
    held = engine()
    assert fired(run(player.events, RULES, held)) == [("pre", 0.0), ("f", 30.0)]
    assert (held.sessions["s"].reopened, held.live) == (1, 1)


@pytest.mark.parametrize("ends_by", ["time", "event"])
def test_after_the_grace_time_events_are_refused_whether_swept_or_not(ends_by: str) -> None:
    for others in (False, True):
        player, other = Player().begin().video().play(20.0), Player("other")
        if ends_by == "event":
            player.say("session_ended")
        late = player.say("progressed", 30.0, after_s=302.0 + (1800.0 if ends_by == "time" else 0.0))
        events = player.events
        if others:
            other.at = late.received_at
            events = [*events[:-1], other.say("session_started"), late]
        held = engine()
        results = run(events, RULES, held)
        assert [(e.code, e.field) for _, e in results.refused] == [("session_closed", "$.session_id")]
        assert ("s" in held.closed) is True
        assert held.live == int(others)


def test_an_event_at_the_moment_of_the_end_reopens() -> None:
    player = Player().begin().video()
    player.say("session_ended")
    player.say("progressed", 10.0, after_s=0.0)
    held = engine()
    assert run(player.events, RULES, held).refused == []
    assert (held.sessions["s"].ended, held.sessions["s"].reopened) == (False, 1)


def test_a_closed_session_is_remembered_for_its_time_and_then_forgotten() -> None:
    held, player = engine(memory_s=3600), Player().begin()
    player.say("session_ended")
    run(player.events, RULES, held)
    other = Player("o", T0 + 400_000)
    run([other.say("session_started")], RULES, held)
    assert list(held.closed) == ["s"]
    other.at += 3_600_000
    run([other.say("session_started", after_s=400.0)], RULES, held)
    assert "s" not in held.closed


def test_a_clock_that_jumps_ahead_of_the_broker_does_not_close_everybody() -> None:
    held, player = engine(), Player().begin().video().play(20.0)
    run(player.events, RULES, held)
    jumped = msgspec.structs.replace(player.say("progressed", 25.0), received_at=player.at + 86_400_000)
    held.run([jumped], [player.at], RULES, results := run([], RULES))
    assert held.clock == player.at
    assert run([player.say("progressed", 30.0)], RULES, held).refused == results.refused == []
    assert held.sessions["s"].reopened == 0


def test_a_clock_that_goes_back_does_not_close_the_session() -> None:
    held, player = engine(), Player().begin().video().play(20.0)
    player.at -= 7_200_000
    player.say("progressed", 25.0)
    player.at += 7_200_000
    player.say("progressed", 30.0)
    results = run(player.events, RULES, held)
    assert (results.refused, fired(results)) == ([], [("pre", 0.0), ("f", 30.0)])


def test_without_the_collectors_time_the_brokers_is_used() -> None:
    held, player = engine(), Player().begin()
    event = msgspec.structs.replace(player.events[0], received_at=0)
    held.run([event], [T0 + 5], RULES, run([], RULES))
    assert held.clock == T0 + 5
    assert held.sessions["s"].closes_at == T0 + 5 + 1_800_000


def test_the_number_of_sessions_is_bounded() -> None:
    held = engine(max_sessions=2)
    events = [Player(name).say("session_started") for name in "abc"]
    results = run(events, RULES, held)
    assert [(place, e.code) for place, e in results.refused] == [(2, "too_many_sessions")]
    assert list(held.sessions) == ["a", "b"]


def test_a_change_of_rules_is_seen_by_sessions_in_the_middle_of_a_play() -> None:
    rules, held, player = book(rule("a", AtSeconds(seconds=500.0))), engine(), Player().begin().video().play(100.0)
    run(player.events, rules, held)
    rules.add(rule("b", AtSeconds(seconds=120.0)))
    rules.add(rule("c", AtSeconds(seconds=50.0)))
    assert fired(run(player.play(150.0, from_s=100.0).events, rules, held)) == [("b", 120.0)]


def test_the_state_is_compact() -> None:
    held = engine()
    for number in range(200):
        run(Player(f"session-{number:08d}").begin(country="DE").video().play(120.0).events, RULES, held)
    assert len(msgspec.msgpack.encode(held.rows())) / 200 < 400

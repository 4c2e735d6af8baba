"""A rule holds in a partition of the player events from its own record on, whenever a worker reads it."""

from collections.abc import Iterable

import msgspec
import pytest
from msgspec.structs import replace
from playback_log import T0, Player, batch, rule, shelf

from cuepoint.agents.compose_sessions import ComposeSessions
from cuepoint.models.rule_shelf import RuleShelf
from cuepoint.schemas.codec import encode
from cuepoint.schemas.errors import RuleError
from cuepoint.schemas.faults import DeadLetter
from cuepoint.schemas.playback import AdDecision
from cuepoint.schemas.rules import AdFormat, AdRule, AtSeconds, Every
from cuepoint.schemas.topics import DEAD_PLAYER_EVENTS
from cuepoint.streams.outgoing import Outgoing

EVERY = rule("every", Every(seconds=10.0), effective_at=T0)


def values(player: Player, *placed: tuple[int, AdRule]) -> list[bytes]:
    """The player's events with rules put in at these places of the finished log."""
    log = [encode(event) for event in player.events]
    for place, one in placed:
        log.insert(place, encode(one))
    return log


def decided(outgoing: Iterable[Outgoing]) -> list[tuple[str, int, float]]:
    found = [o.message for o in outgoing if isinstance(o.message, AdDecision)]
    return [(d.rule_id, d.rule_version, d.position_s) for d in found]


async def run(log: list[bytes], sizes: Iterable[int], agent: ComposeSessions | None = None) -> list[Outgoing]:
    agent, at, outgoing = agent or ComposeSessions(shelf()), 0, []
    for size in sizes:
        if part := log[at : at + size]:
            outgoing += await agent.process(batch(part, first=at))
        at += size
    return outgoing


async def test_a_rule_holds_from_its_record_on_though_it_should_have_held_before() -> None:
    log = values(Player().begin().video().play(60.0), (5, EVERY))
    whole = await run(log, [len(log)])
    assert decided(whole) == [("every", 1, 40.0), ("every", 1, 50.0), ("every", 1, 60.0)]
    assert {o.topic.name for o in whole} == {"cuepoint.ad-decisions.v1"}
    assert await run(log, [1] * len(log)) == whole
    assert await run(log, [5, 1, 99]) == whole


async def test_what_else_a_worker_has_heard_of_does_not_count() -> None:
    """A worker started late has heard of rules that stand further on in its partition."""
    log = values(Player().begin().video().play(60.0), (5, EVERY))
    heard = shelf(replace(EVERY, offsets={"0": 5, "1": 2}), rule("later", offsets={"0": 900}))
    assert await run(log, [len(log)], ComposeSessions(heard)) == await run(log, [len(log)])


async def test_a_log_whose_beginning_is_gone_begins_with_the_rules_that_stood_there() -> None:
    log = values(Player().begin().video().play(60.0), (0, EVERY))
    agent = ComposeSessions(shelf(replace(EVERY, offsets={"0": 0})))
    assert decided(await agent.process(batch(log[1:], first=1))) == decided(await run(log, [len(log)]))


async def test_a_partition_newer_than_a_rule_begins_with_it() -> None:
    agent = ComposeSessions(shelf(replace(EVERY, offsets={"7": 3})))
    assert len(decided(await agent.process(batch(values(Player().begin().video().play(60.0)))))) == 6


async def test_a_snapshot_carries_the_rules() -> None:
    log = values(
        Player().begin().video().play(60.0), (2, EVERY), (6, replace(EVERY, version=2, effective_at=T0 + 60_000))
    )
    agent = ComposeSessions(shelf())
    before = list(await agent.process(batch(log[:4])))
    restarted = ComposeSessions(shelf(rule("new", AtSeconds(seconds=45.0))))  # heard of since, and not in the log
    restarted.restore(0, agent.snapshot(0))
    before += await restarted.process(batch(log[4:], first=4))
    assert decided(before) == decided(await run(log, [len(log)]))
    assert decided(before)


async def test_a_snapshot_without_rules_takes_those_known() -> None:
    log = values(Player().begin().video().play(60.0))
    agent = ComposeSessions(shelf())
    await agent.process(batch(log[:4]))
    state = msgspec.msgpack.decode(agent.snapshot(0))
    del state["rules"]
    restarted = ComposeSessions(shelf(EVERY))
    restarted.restore(0, msgspec.msgpack.encode(state))
    assert decided(await restarted.process(batch(log[4:], first=4)))


async def test_a_rule_that_cannot_be_used_is_a_dead_letter_and_the_events_about_it_count() -> None:
    wrong = rule("wrong", format=AdFormat(screen="bottom"))
    log = values(Player().begin().video().play(60.0), (2, EVERY), (4, wrong))
    log.insert(5, encode(EVERY)[:-9])
    outgoing = await run(log, [len(log)])
    letters = [o.message for o in outgoing if o.topic is DEAD_PLAYER_EVENTS]
    assert [(m.offset, m.code) for m in letters if isinstance(m, DeadLetter)] == [(4, "invalid_rule"), (5, "malformed")]
    assert len(decided(outgoing)) == 6


async def test_versions_no_event_asks_for_any_more_are_dropped() -> None:
    player, agent = Player().begin().video(), ComposeSessions(shelf())
    day_ms = 86_400_000
    log = [encode(replace(EVERY, version=n, effective_at=T0 + n)) for n in range(1, 6)]
    log += [encode(player.say("progressed", 1.0, after_s=2 * day_ms / 1000))]
    log += [encode(replace(EVERY, version=6, effective_at=player.at + 1000))]
    part = batch(log)
    part.timestamps = [player.at] * len(log)
    await agent.process(part)
    rows = msgspec.msgpack.decode(agent.snapshot(0))
    assert [row["version"] for row in rows["rules"]] == [5, 6]


def test_the_shelf_keeps_the_first_place_of_a_rule_published_twice() -> None:
    held = RuleShelf()
    held.add(replace(EVERY, offsets={"0": 4}))
    held.add(replace(EVERY, offsets={"0": 9, "1": 2}))
    assert held.before(0, 5) == [EVERY] == held.before(1, 3)
    assert held.before(0, 4) == [] == held.before(1, 2)
    with pytest.raises(RuleError):
        held.add(rule("wrong", format=AdFormat(screen="bottom")))

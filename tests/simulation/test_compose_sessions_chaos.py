"""The session agent on a log with repeats, losses, disorder and crashes: the invariants hold whatever the seed."""

from random import Random

import pytest
from playback_log import T0, batch, rule, shelf

from cuepoint.agents.compose_sessions import ComposeSessions
from cuepoint.models.session_simulator import ViewerSimulator
from cuepoint.schemas.codec import encode
from cuepoint.schemas.playback import AdDecision, PlayerEvent
from cuepoint.schemas.rules import AtCuePoints, Every, Limits, OnAction, Progressive, SessionPaced
from cuepoint.schemas.topics import AD_DECISIONS
from cuepoint.streams.outgoing import Outgoing

RULES = (
    rule("pre", limits=Limits(per_session=3)),
    rule("cues", AtCuePoints(positions_s=[20.0, 60.0, 100.0]), on_seek="all", limits=Limits(min_gap_s=15.0)),
    rule("every", Every(seconds=45.0), effective_at=T0 + 300_000),
    rule("series", Progressive(intervals_s=[25.0, 40.0]), limits=Limits(per_video=2)),
    rule("paced", SessionPaced(seconds=90.0, growth=0.2)),
    rule("pause", OnAction(action="paused"), limits=Limits(per_video=1)),
)


def log_of(seed: int) -> list[PlayerEvent]:
    """Twenty minutes of viewers; some events come twice, some never, some late."""
    rng = Random(seed)
    timed: list[tuple[float, int, PlayerEvent]] = []
    for number, event in enumerate(ViewerSimulator(seed, T0, 40).advance(T0 + 1_200_000)):
        fate = rng.random()
        if fate < 0.02:
            continue
        delay = rng.expovariate(1 / 4000.0) if fate < 0.06 else 0.0
        timed.append((event.at + delay, number, event))
        if fate > 0.97:
            timed.append((event.at + rng.expovariate(1 / 8000.0), number, event))
    return [event for _, _, event in sorted(timed, key=lambda entry: entry[:2])]


async def feed(events: list[PlayerEvent], seed: int, crash_rate: float) -> tuple[list[Outgoing], bytes]:
    """All in batches of random size; at a crash the worker begins again from its last snapshot."""
    rng, agent, outgoing = Random(seed), ComposeSessions(shelf(*RULES)), {}
    agent.restore(0, None)
    saved: tuple[int, bytes | None] = (0, None)
    values, at = [encode(event) for event in events], 0
    while at < len(values):
        size = rng.choice([1, 3, 50, 400])
        part = batch(values[at : at + size], first=at)
        part.timestamps = [event.received_at for event in events[at : at + size]]
        for message in await agent.process(part):
            assert outgoing.setdefault(message.id, message) == message, f"seed {seed}: {message.id} with other content"
        at += size
        if rng.random() < 0.2:
            saved = (min(at, len(values)), agent.snapshot(0))
        if rng.random() < crash_rate:
            agent = ComposeSessions(shelf(*RULES))
            agent.restore(0, saved[1])
            at = saved[0]
    return list(outgoing.values()), agent.snapshot(0)


@pytest.mark.parametrize("seed", range(5))
async def test_crashes_and_batches_change_neither_decisions_nor_state(seed: int) -> None:
    events = log_of(seed)
    calm, calm_state = await feed(events, seed, 0.0)
    rough, rough_state = await feed(events, seed + 1000, 0.25)
    assert rough_state == calm_state, f"seed {seed}"
    assert {o.id: o for o in rough} == {o.id: o for o in calm}, f"seed {seed}"
    decisions = [o.message for o in calm if isinstance(o.message, AdDecision)]
    assert len(decisions) > 50
    assert {o.topic for o in calm} == {AD_DECISIONS}
    numbers: dict[str, list[int]] = {}
    for decision in decisions:
        numbers.setdefault(decision.session_id, []).append(decision.number)
    assert all(found == list(range(1, len(found) + 1)) for found in numbers.values())


@pytest.mark.parametrize("seed", [7, 8])
async def test_a_log_with_repeats_decides_as_the_one_without(seed: int) -> None:
    events = ViewerSimulator(seed, T0, 30).advance(T0 + 900_000)
    rng = Random(seed)
    doubled: list[PlayerEvent] = []
    for event in events:
        doubled.append(event)
        if rng.random() < 0.2:
            doubled.append(rng.choice(doubled[-50:]))
    clean, _ = await feed(events, seed, 0.0)
    noisy, _ = await feed(doubled, seed, 0.0)
    assert [o.message for o in noisy] == [o.message for o in clean]

"""Decisions, dead letters and state on rough logs are, byte for byte, those of the first implementation."""

from hashlib import sha256
from random import Random

import pytest
from playback_log import batch
from session_log import RULE_SETS, rough_log

from cuepoint.agents.compose_sessions import ComposeSessions
from cuepoint.models.rule_book import RuleBook
from cuepoint.models.session_settings import SessionSettings
from cuepoint.schemas.codec import encode
from cuepoint.schemas.rules import AdRule

# recorded with the plain, event-by-event implementation before it was made fast
PINNED: dict[tuple[str, int], tuple[int, str]] = {
}


class Held:
    """Takes in one more rule before each batch, so that the book changes under running sessions."""

    def __init__(self, rules: list[AdRule]) -> None:
        self._waiting, self._book = rules[::-1], RuleBook()

    def book(self) -> RuleBook:
        if self._waiting:
            self._book.add(self._waiting.pop())
        return self._book


async def outcome(name: str, seed: int) -> tuple[int, str]:
    """(messages, digest of all messages in order and of snapshots on the way)."""
    log, rng, digest, messages = rough_log(seed), Random(seed), sha256(), 0
    settings = SessionSettings(timeout_s=600, grace_s=60, memory_s=600, max_sessions=400) if seed % 2 else SessionSettings()
    rules = Held(RULE_SETS[name]())
    agent = ComposeSessions(rules, settings)
    agent.restore(0, None)
    at = 0
    while at < len(log):
        size = rng.choice([1, 40, 300, 1000])
        part = batch([value for value, _ in log[at : at + size]], first=at)
        part.timestamps = [stamp for _, stamp in log[at : at + size]]
        for out in await agent.process(part):
            digest.update(b"\n".join((out.topic.name.encode(), out.key.encode(), out.id.encode(), encode(out.message))))
            messages += 1
        if rng.random() < 0.1:
            state = agent.snapshot(0)
            digest.update(state)
            if rng.random() < 0.5:
                agent = ComposeSessions(rules, settings)
                agent.restore(0, state)
        at += size
    digest.update(agent.snapshot(0))
    digest.update(repr((agent.repeats, agent.late, agent.live_sessions)).encode())
    return messages, digest.hexdigest()[:32]


@pytest.mark.parametrize(("name", "seed"), sorted(PINNED))
async def test_nothing_changed(name: str, seed: int) -> None:
    assert await outcome(name, seed) == PINNED[name, seed]

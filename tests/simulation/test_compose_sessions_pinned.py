"""Decisions, dead letters and state on rough logs are, byte for byte, those of the first implementation."""

from hashlib import sha256
from random import Random

import msgspec
import pytest
from playback_log import batch, shelf
from session_log import RULE_SETS, rough_log

from cuepoint.agents.compose_sessions import ComposeSessions
from cuepoint.models.rule_book import RuleBook
from cuepoint.models.session_settings import SessionSettings
from cuepoint.schemas.codec import encode
from cuepoint.schemas.rules import AdRule
from cuepoint.schemas.topics import AD_DECISIONS
from cuepoint.streams.outgoing import Encoded, Outgoing

COLUMNS = 34
# recorded with the plain, event-by-event implementation before it was made fast
PINNED: dict[tuple[str, int], tuple[int, str]] = {
    ("dense", 1): (1336, "ce70038b21a95c9a9b17689c8ab006e0"),
    ("dense", 2): (1818, "6f38c72181e6e8fe4d528f50417e2bcc"),
    ("dense", 3): (1240, "b216b81ee7ec64b9999e6cef095da868"),
    ("dense", 4): (2226, "252e8a9dcbe5f33aa63b1ff6420c8a77"),
    ("dense", 5): (1978, "43dbd8a021f23a8e678a367ceb8aa892"),
    ("sparse", 1): (337, "3077700ec897b762d7a947dffc96ee79"),
    ("sparse", 2): (227, "695f0c919746fd6d9b3eff32fc4026fd"),
    ("sparse", 3): (382, "b16db529f80eec26e2f0aaa0c924353a"),
    ("sparse", 4): (239, "3cc2cc2cb76a70de24ba7aef875fab89"),
    ("sparse", 5): (263, "8af008c00573ad78ed25dfe47a647612"),
    ("changing", 1): (1539, "2a47e2b6282c84f38f31b9423a453259"),
    ("changing", 2): (1686, "f8a15badf2c69eaf1c3e4a5ed07c5f53"),
    ("changing", 3): (1561, "5cabd9d64cef91bc13eaa7d6818943dc"),
    ("changing", 4): (1686, "d86ed6ea356cf6fe3a3b9ea4ed466e2f"),
    ("changing", 5): (1802, "8295e4d59d816a1ca8b211ae3c09dcba"),
    ("none", 6): (77, "0724838e92ed5d8526e33651250f5c79"),
}


def tell(agent: ComposeSessions, rule: AdRule) -> None:
    """As if the rule stood in the log, without an offset of its own: the pinned messages carry offsets."""
    held = agent._partitions[0]
    held.book = held.book or RuleBook()
    held.book.add(rule)


def as_it_was(state: bytes) -> bytes:
    """The state as it was when it held no rules, and of a session only what rules asked for then."""
    rows = msgspec.msgpack.decode(state)
    del rows["rules"]
    rows["sessions"] = [row[:COLUMNS] for row in rows["sessions"]]
    return msgspec.msgpack.encode(rows)


def message_as_it_was(out: Outgoing | Encoded) -> bytes:
    """A decision without what it did not say then."""
    if out.topic is not AD_DECISIONS:
        return out.value
    told = msgspec.json.decode(out.value)
    return encode({name: value for name, value in told.items() if name not in ("place", "pod_number")})


async def outcome(name: str, seed: int) -> tuple[int, str]:
    """(messages, digest of all messages in order and of snapshots on the way)."""
    log, rng, digest, messages = rough_log(seed), Random(seed), sha256(), 0
    settings = (
        SessionSettings(timeout_s=600, grace_s=60, memory_s=600, max_sessions=400) if seed % 2 else SessionSettings()
    )
    waiting = RULE_SETS[name]()[::-1]
    agent = ComposeSessions(shelf(), settings)
    agent.restore(0, None)
    at = 0
    while at < len(log):
        size = rng.choice([1, 40, 300, 1000])
        part = batch([value for value, _ in log[at : at + size]], first=at)
        part.timestamps = [stamp for _, stamp in log[at : at + size]]
        if waiting:
            tell(agent, waiting.pop())
        for out in await agent.process(part):
            digest.update(
                b"\n".join((out.topic.name.encode(), out.key.encode(), out.id.encode(), message_as_it_was(out)))
            )
            messages += 1
        if rng.random() < 0.1:
            state = agent.snapshot(0)
            digest.update(as_it_was(state))
            if rng.random() < 0.5:
                agent = ComposeSessions(shelf(), settings)
                agent.restore(0, state)
        at += size
    digest.update(as_it_was(agent.snapshot(0)))
    digest.update(repr((agent.repeats, agent.late, agent.live_sessions)).encode())
    return messages, digest.hexdigest()[:32]


@pytest.mark.parametrize(("name", "seed"), sorted(PINNED))
async def test_nothing_changed(name: str, seed: int) -> None:
    assert await outcome(name, seed) == PINNED[name, seed]

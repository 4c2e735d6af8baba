"""Bytes that are no message stop no agent: whoever decides on a topic tells of each in a dead letter."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from chaos_shadow import NoStore
from consumption_feed import Feed

from cuepoint.agents.compose_sessions import ComposeSessions
from cuepoint.agents.count import CountDecisions, CountEvents
from cuepoint.agents.deliver_webhooks import DeliverWebhooks
from cuepoint.agents.explain_changes import ExplainChanges
from cuepoint.agents.record_history import RecordHistory
from cuepoint.agents.release_quarantine import RelayAssets, ReleaseQuarantine
from cuepoint.agents.serve_decisions import ServeDecisions
from cuepoint.agents.watch_trends import WatchTrends
from cuepoint.models.rule_shelf import RuleShelf
from cuepoint.schemas.faults import DeadLetter
from cuepoint.schemas.topics import AD_DECISIONS, DEAD_LETTERS, PLAYER_EVENTS, QUARANTINE, Topic
from cuepoint.streams.batch import Batch

BROKEN: Sequence[bytes | None] = (
    b"{not json",
    b"\xff\xfe\x00",
    b'{"type":"\xff"}',
    b"",
    None,
    b'{"type":',
    b'{"type":1}',
    b'{"more":' + b"[" * 20_000,
)


class Sink:
    """Takes everything, as every agent's store."""

    async def write(self, *_: Any) -> bool:
        return True

    add = advance = write


# What the history reads and another agent decides on; where there is no topic for dead letters it keeps them itself.
TOLD_ELSEWHERE = {PLAYER_EVENTS.name, AD_DECISIONS.name, QUARANTINE.name}
AGENTS: dict[str, tuple[Callable[[], Any], bool]] = {  # how it is made, and whether it is the one that tells
    "watch_trends": (WatchTrends, True),
    "compose_sessions": (lambda: ComposeSessions(RuleShelf()), True),
    "count_events": (lambda: CountEvents(NoStore()), False),
    "count_decisions": (lambda: CountDecisions(NoStore()), True),
    "serve_decisions": (lambda: ServeDecisions(Sink()), False),  # type: ignore[arg-type]
    "record_history": (lambda: RecordHistory(Sink()), True),  # type: ignore[arg-type]
    "deliver_webhooks": (lambda: DeliverWebhooks(Sink()), False),  # type: ignore[arg-type]
    "explain_changes": (lambda: ExplainChanges(Sink(), wait_s=0.0), False),  # type: ignore[arg-type]
    "relay_assets": (RelayAssets, False),
    "release_quarantine": (ReleaseQuarantine, True),
}


def batch_of(topic: Topic) -> Batch:
    last = len(BROKEN) - 1
    numbers = list(range(last + 1))
    keys = [b"k"] * len(BROKEN)
    return Batch(topic.name, 0, 0, last, list(BROKEN), keys, numbers, [1_790_000_000_000] * len(BROKEN))  # type: ignore[arg-type]


def told(produced: Sequence[Any]) -> Iterator[int]:
    for outgoing in produced:
        assert isinstance(outgoing.message, DeadLetter)
        assert outgoing.message.code in {"malformed", "invalid", "unknown_version"}
        assert outgoing.message.offset is not None
        yield outgoing.message.offset


@pytest.mark.parametrize("name", AGENTS)
async def test_each_is_told_of_once_or_passed_over(name: str) -> None:
    make, tells = AGENTS[name]
    agent = make()
    for topic in agent.topics:
        produced = await agent.process(batch_of(topic))
        assert all(outgoing.topic is DEAD_LETTERS[topic.name] for outgoing in produced)
        offsets = list(told(produced))
        if tells and topic.name in DEAD_LETTERS and (name != "record_history" or topic.name not in TOLD_ELSEWHERE):
            may_lack = {BROKEN.index(None)}  # the mark of a key that is gone, in a compacted topic
            assert sorted({*offsets, *may_lack}) == list(range(len(BROKEN))), topic.name
            assert len(offsets) == len(set(offsets))
        else:
            assert offsets == []


async def test_the_consumption_store_tells_of_each(tmp_path: Path) -> None:
    feed = Feed(tmp_path)
    [topic] = feed.agent.topics
    await feed.agent.position(topic.name, 0)
    assert list(told(await feed.agent.process(batch_of(topic)))) == list(range(len(BROKEN)))

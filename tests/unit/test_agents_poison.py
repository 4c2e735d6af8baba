"""Records no decoder was made for: without value, nested too deeply, not UTF-8. An agent that raises reads them again
and again."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from cuepoint.agents.record_history import RecordHistory
from cuepoint.agents.serve_decisions import ServeDecisions
from cuepoint.schemas.playback import AdDecision
from cuepoint.schemas.topics import AD_DECISIONS, CHANGES, PLAYER_EVENTS, Topic
from cuepoint.streams.batch import Batch
from cuepoint.streams.history_rows import Recorded

DEEP = b'{"type":"player-event.v1","more":' + b"[" * 100_000
VALUES = [None, DEEP, b"\xff\xfe", b"", b"[" * 100_000, b'{"type":"ad-rule.v9"}']


class NoFeed:
    async def write(self, decisions: Sequence[AdDecision], stamps: Sequence[int]) -> int:
        assert (list(decisions), list(stamps)) == ([], [])
        return 0

    async def advance(self, topic: str, partition: int, last: int) -> None:
        self.last = last

    async def position(self, topic: str, partition: int) -> int:
        return -1


class NoHistory:
    async def write(self, topic: str, partition: int, last: int, recorded: Sequence[Recorded]) -> bool:
        self.last = last
        return True

    async def position(self, topic: str, partition: int) -> int | None:
        return None


def poison(topic: Topic) -> Batch:
    places = range(len(VALUES))
    return Batch(topic.name, 0, 0, places[-1], VALUES, [b"k"] * len(places), places, [1] * len(places))  # type: ignore[arg-type]


async def test_decisions_are_served_past_them() -> None:
    feed = NoFeed()
    assert await ServeDecisions(feed).process(poison(AD_DECISIONS)) == []
    assert feed.last == len(VALUES) - 1


@pytest.mark.parametrize("topic", [PLAYER_EVENTS, AD_DECISIONS, CHANGES], ids=lambda topic: topic.name)
async def test_history_goes_on_past_them(topic: Topic) -> None:
    history = NoHistory()
    letters = await RecordHistory(history).process(poison(topic))
    assert history.last == len(VALUES) - 1
    assert len(letters) == (len(VALUES) - 1 if topic is CHANGES else 0)

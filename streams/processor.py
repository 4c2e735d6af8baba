"""What a lane asks of an agent (the same as agents/agent.py, which streams/ may not import)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Protocol, TypeGuard, runtime_checkable

from cuepoint.schemas.errors import CuepointError
from cuepoint.schemas.topics import Topic
from cuepoint.streams.batch import Batch
from cuepoint.streams.outgoing import Encoded, Outgoing


class StateLost(CuepointError):
    """The agent's store does not hold what the agent takes for done: begin again with what it does hold."""


@runtime_checkable
class Processor(Protocol):
    """Turns batches into messages."""

    name: ClassVar[str]
    topics: ClassVar[tuple[Topic, ...]]

    async def process(self, batch: Batch) -> Sequence[Outgoing | Encoded]: ...


@runtime_checkable
class StatefulProcessor(Processor, Protocol):
    """Has a state per partition that snapshots keep."""

    def restore(self, partition: int, blob: bytes | None) -> None: ...

    def snapshot(self, partition: int) -> bytes: ...

    def forget(self, partition: int) -> None: ...


@runtime_checkable
class ArchivingProcessor(Processor, Protocol):
    """Keeps parts of its state in files that its snapshots refer to; is told when its last snapshot is stored, by when
    it may have processed more."""

    def saved(self, partition: int) -> None: ...


@runtime_checkable
class StoringProcessor(Processor, Protocol):
    """Keeps, in the store it writes to, the offset of the last record that is in there. One without a state may be
    handed again what is in there: it stores nothing of that, and returns its messages again."""

    async def position(self, topic: str, partition: int) -> int | None: ...


@runtime_checkable
class GatheringProcessor(StoringProcessor, Protocol):
    """Stores later what it gathers, and may not store a batch whose messages are not acknowledged: is told when they
    are."""

    def told(self, partition: int) -> None: ...


def is_stateful(agent: Processor) -> TypeGuard[StatefulProcessor]:
    return isinstance(agent, StatefulProcessor)

"""What the runtime asks of an agent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Protocol, runtime_checkable

from cuepoint.schemas.topics import Topic
from cuepoint.streams.batch import Batch
from cuepoint.streams.outgoing import Encoded, Outgoing


class Agent(Protocol):
    """Fed batches of the partitions this worker owns, in offset order and never two at once for one partition.

    What it returns is produced (acknowledged by the broker) before the batch counts as done. It may be handed the same
    range again after a crash and must then return the same messages.
    """

    name: ClassVar[str]
    topics: ClassVar[tuple[Topic, ...]]

    async def process(self, batch: Batch) -> Sequence[Outgoing | Encoded]: ...


@runtime_checkable
class StatefulAgent(Agent, Protocol):
    """An agent with a state per partition, kept through restarts by snapshots that name the offset they stand for."""

    def restore(self, partition: int, blob: bytes | None) -> None:
        """Begin with the snapshot's state (None: empty). Raises SnapshotError for a state of an unknown version."""

    def snapshot(self, partition: int) -> bytes: ...

    def forget(self, partition: int) -> None:
        """The partition went to another worker."""

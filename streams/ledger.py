"""The lanes of a worker: one per agent and partition owned; what of each partition may be committed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from time import monotonic

from faust.types import TP

from cuepoint.streams.batch import Batch
from cuepoint.streams.lane import Lane, LaneParts
from cuepoint.streams.processor import Processor
from cuepoint.streams.tasks import end

_LOG = logging.getLogger(__name__)


class LaneLedger:
    """Implements batch_transport.Ledger. ``failed`` is called with what broke a lane."""

    def __init__(
        self,
        agents: Sequence[Processor],
        parts: LaneParts,
        failed: Callable[[BaseException], None],
        *,
        prefix: str = "",
        close_timeout_s: float = 2.0,
    ) -> None:
        self._parts, self._failed, self._prefix, self._close_timeout_s = parts, failed, prefix, close_timeout_s
        self._agents = {
            topic.name: tuple(agent for agent in agents if topic in agent.topics)
            for topic in sorted({topic for agent in agents for topic in agent.topics})
        }
        self._lanes: dict[TP, tuple[Lane, ...]] = {}
        self._tasks: dict[Lane, asyncio.Task[None]] = {}
        self._joined = False

    @property
    def topics(self) -> tuple[str, ...]:
        """Logical names of the topics the agents read."""
        return tuple(self._agents)

    @property
    def lanes(self) -> list[Lane]:
        return [lane for lanes in self._lanes.values() for lane in lanes]

    @property
    def loaded(self) -> bool:
        """Whether partitions (perhaps none) are assigned, and all of them have begun. None are a worker's lot where the
        group has more workers than partitions, and for a while where its leader does not know the topics yet."""
        return self._joined and all(lane.done is not None for lane in self.lanes)

    def snapshot_age_s(self) -> float:
        """Since when the longest unsaved state is unsaved; 0 if all is saved."""
        now = monotonic()
        unsaved = [now - lane.saved_at for lane in self.lanes if lane.done is not None and lane.done != lane.covered]
        return max(unsaved, default=0.0)

    async def accept(self, batch: Batch) -> None:
        """Hand a batch (with the topic's name on the wire) to its lanes; waits for room. Without lanes it is dropped:
        it is read again when the partition is assigned."""
        lanes = self._lanes.get(TP(batch.topic, batch.partition), ())
        batch.topic = batch.topic.removeprefix(self._prefix)
        for lane in lanes:
            await lane.put(batch)

    # -- asked by the transport

    def assigned(self, partitions: set[TP]) -> None:
        self._joined = True
        for tp in sorted(partitions - self._lanes.keys()):
            topic = tp.topic.removeprefix(self._prefix)
            self._lanes[tp] = tuple(Lane(agent, topic, tp.partition, self._parts) for agent in self._agents[topic])
            for lane in self._lanes[tp]:
                self._tasks[lane] = asyncio.get_running_loop().create_task(self._run(lane), name=str(lane))

    async def revoked(self, partitions: set[TP]) -> Mapping[TP, int]:
        self._joined = False
        going = {tp: self._lanes.pop(tp) for tp in sorted(partitions & self._lanes.keys())}
        lanes = [lane for group in going.values() for lane in group]
        for lane in lanes:
            lane.close()
        await self._end(lanes)
        for lane in lanes:
            await lane.save()
            lane.forget()
        return _least(going)

    def positions(self) -> Mapping[TP, int]:
        found = {}
        for tp, lanes in self._lanes.items():
            done = [lane.done for lane in lanes if lane.done is not None]
            if done:
                found[tp] = min(done)
        return found

    def committable(self) -> Mapping[TP, int]:
        return _least(self._lanes)

    # -- tasks

    async def _run(self, lane: Lane) -> None:
        try:
            await lane.run()
        except asyncio.CancelledError:
            raise
        except Exception as error:
            _LOG.exception("%s failed", lane)
            self._failed(error)

    async def _end(self, lanes: Sequence[Lane]) -> None:
        """Wait for the batches in hand; one that waits for a store that does not answer is given up, and read again."""
        tasks = [self._tasks.pop(lane) for lane in lanes]
        if not tasks:
            return
        _, slow = await asyncio.wait(tasks, timeout=self._close_timeout_s)
        await end(*slow)


def _least(lanes: Mapping[TP, Sequence[Lane]]) -> dict[TP, int]:
    found = {}
    for tp, group in lanes.items():
        covered = [lane.covered for lane in group]
        if covered and None not in covered:
            found[tp] = min(offset for offset in covered if offset is not None)
    return found

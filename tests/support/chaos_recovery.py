"""How long after a restart a role's partitions are processed again up to where their logs ended at the restart."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass

from chaos_findings import say
from chaos_logs import Logs, Place

from cuepoint.agents.record_history import RecordHistory
from cuepoint.schemas.errors import Unavailable
from cuepoint.schemas.topics import AD_DECISIONS, CONSUMPTION, PLAYER_EVENTS, TREND_RECORDS, Topic

READ_BY: dict[str, tuple[Topic, ...]] = {
    "trends": (TREND_RECORDS,),
    "sessions": (PLAYER_EVENTS,),
    "counts": (PLAYER_EVENTS, AD_DECISIONS),
    "store": (CONSUMPTION,),
    "views": RecordHistory.topics,
}
_PAUSE_S = 0.1


@dataclass(slots=True)
class _Watch:
    role: str
    after: str  # what had happened
    since: float
    ends: dict[Place, int] | None = None


class Recovery:
    """``watch`` begins a measurement. The end of one is what the group has committed: that, and only that, has been
    processed, told and saved for good, so snapshot and commit intervals are part of the figure."""

    def __init__(self, logs: Logs) -> None:
        self._logs, self._watched = logs, list[_Watch]()
        self.seconds: list[tuple[str, float]] = []  # after what, how long
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="recovery", daemon=True)
        self._thread.start()

    def watch(self, roles: Iterable[str], after: str) -> None:
        """Something these roles need was started just now."""
        with self._lock:
            self._watched += [_Watch(role, after, time.monotonic()) for role in roles]

    @property
    def open(self) -> int:
        with self._lock:
            return len(self._watched)

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join(10.0)

    def _run(self) -> None:
        while not self._stopping.wait(_PAUSE_S):
            with self._lock:
                watched = list(self._watched)
            for watch in watched:
                try:
                    recovered = self._recovered(watch)
                except Unavailable:
                    break  # the broker is down; asked again
                if recovered:
                    seconds = time.monotonic() - watch.since
                    with self._lock:
                        self._watched.remove(watch)
                        self.seconds.append((watch.after, seconds))
                    say(f"  {watch.role} recovered {seconds:.1f} s after {watch.after}")

    def _recovered(self, watch: _Watch) -> bool:
        topics = READ_BY[watch.role]
        if watch.ends is None:
            watch.ends = self._logs.ends(topics, 1.0)
        committed = self._logs.committed(watch.role, topics, 1.0)
        return all(committed[place] >= end for place, end in watch.ends.items())

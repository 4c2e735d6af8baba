"""The faults of a chaos run: each is a generator that does something, says how long to wait, and mends it."""

from __future__ import annotations

import heapq
import itertools
import signal
import time
from collections import Counter
from collections.abc import Callable, Generator
from random import Random

from chaos_findings import say
from chaos_fleet import MOST, ROLES, STATEFUL, Fleet, Member
from chaos_recovery import Recovery
from chaos_servers import ChaosKafka, ChaosRedis, SnapshotDisk

Fault = Generator[float, None, None]  # yields seconds to wait
SESSION_TIMEOUT_S = 3.0
REFUSAL_S = 90.0


class Faults:
    """``deal`` draws the faults of a cycle; ``run`` makes them happen until all is mended. Main thread only."""

    def __init__(
        self,
        seed: int,
        fleet: Fleet,
        kafka: ChaosKafka | None,
        store: ChaosRedis,
        disk: SnapshotDisk,
        recovery: Recovery,
    ) -> None:
        self._fleet, self._kafka, self._redis, self._disk, self._recovery = fleet, kafka, store, disk, recovery
        self._rng = Random(f"faults {seed}")
        self._kinds: dict[str, Callable[[Random], Fault]] = {
            "worker killed": self._kill_worker,
            "worker killed again and again": self._kill_repeatedly,
            "all workers of a role killed": self._kill_role,
            "worker stopped": self._stop_worker,
            "worker joined": self._join,
            "worker left": self._leave,
            "worker frozen": self._freeze,
            "Redis killed": self._kill_redis,
            "Redis stalled": self._stall_redis,
            "Redis emptied": self._empty_redis,
            "snapshot disk full": self._fill_disk,
            "snapshots of a role lost": self._lose_snapshots,
            "archive files lost": self._lose_archive,
        }
        if kafka is not None:
            self._kinds["broker killed"] = self._kill_broker
            self._kinds["broker and worker killed"] = self._kill_both
            self._kinds["worker stopped while the broker is away"] = self._stop_without_broker
        self._deck: list[str] = []
        self.done: Counter[str] = Counter()

    def deal(self, count: int, seconds: float) -> list[tuple[float, str, Random]]:
        """(when, what, its own source of chance); every kind comes once before one comes twice."""
        dealt = []
        for _ in range(count):
            if not self._deck:
                self._deck = self._rng.sample(sorted(self._kinds), len(self._kinds))
            kind = self._deck.pop()
            dealt.append((self._rng.uniform(0.1, 0.7) * seconds, kind, Random(self._rng.random())))
        return sorted(dealt, key=lambda fault: fault[0])

    def run(self, dealt: list[tuple[float, str, Random]], busy: Callable[[], bool]) -> None:
        """Carry out the faults while the loader is at work; returns when both have ended."""
        began, turn = time.monotonic(), itertools.count()
        waiting: list[tuple[float, int, Fault]] = []
        for at, kind, rng in dealt:
            heapq.heappush(waiting, (began + at, next(turn), self._named(kind, rng)))
        while waiting or busy():
            if waiting and waiting[0][0] <= time.monotonic():
                _, _, fault = heapq.heappop(waiting)
                pause_s = next(fault, None)
                if pause_s is not None:
                    heapq.heappush(waiting, (time.monotonic() + pause_s, next(turn), fault))
            self.look_after()
            time.sleep(0.02)

    def look_after(self) -> None:
        """Start anew what ended by itself."""
        for line in self._fleet.supervise():
            say(f"  {line}")

    def _named(self, kind: str, rng: Random) -> Fault:
        began = time.monotonic()
        self.done[kind] += 1
        say(f"  {kind}")
        yield from self._kinds[kind](rng)
        say(f"  {kind}: mended after {time.monotonic() - began:.1f} s")

    # -- workers

    def _any(self, rng: Random, role: str) -> Member | None:
        members = self._fleet.of(role)
        return rng.choice(members) if members else None

    def _start(self, *roles: str) -> None:
        for role in roles:
            self._fleet.start(role)
        self._recovery.watch(dict.fromkeys(roles), "a worker was started again")

    def _kill_worker(self, rng: Random) -> Fault:
        role = rng.choice(list(ROLES))
        member = self._any(rng, role)
        if member is not None:
            self._fleet.kill(member)
            yield rng.choice((0.0, 0.3, 1.0))
            self._start(role)

    def _kill_repeatedly(self, rng: Random) -> Fault:
        """Killed while it starts and recovers, too."""
        role = rng.choice(list(ROLES))
        for _ in range(3):
            member = self._any(rng, role)
            if member is not None:
                self._fleet.kill(member)
                self._start(role)
            yield rng.uniform(0.5, 2.0)

    def _kill_role(self, rng: Random) -> Fault:
        role = rng.choice(list(ROLES))
        members = self._fleet.of(role)
        for member in members:
            self._fleet.kill(member)
        yield rng.uniform(0.0, 1.5)
        self._start(*[role] * len(members))

    def _stop_worker(self, rng: Random) -> Fault:
        role = rng.choice(list(ROLES))
        member = self._any(rng, role)
        if member is not None:
            self._fleet.tell_to_leave(member)
            yield rng.uniform(0.0, 1.0)
            self._start(role)

    def _join(self, rng: Random) -> Fault:
        roles = [role for role in ROLES if len(self._fleet.of(role)) < MOST[role]]
        if roles:
            self._fleet.start(rng.choice(roles))
        yield 1.0

    def _leave(self, rng: Random) -> Fault:
        roles = [role for role in ROLES if len(self._fleet.of(role)) > 1]
        member = self._any(rng, rng.choice(roles)) if roles else None
        if member is not None:
            self._fleet.tell_to_leave(member)
        yield 1.0

    def _freeze(self, rng: Random) -> Fault:
        """Stands still for longer than the group waits for it, and goes on as if nothing had been."""
        member = self._any(rng, rng.choice(list(ROLES)))
        if member is not None:
            self._fleet.freeze(member)
            yield SESSION_TIMEOUT_S + rng.uniform(-1.5, 1.5)
            self._fleet.thaw(member)
            self._recovery.watch([member.role], "a worker woke")

    # -- servers

    def _kill_broker(self, rng: Random) -> Fault:
        kafka = self._kafka
        assert kafka is not None
        while kafka.down:
            yield 0.5
        node = rng.randrange(kafka.brokers)
        kafka.kill(node)
        yield rng.uniform(0.0, 2.0)
        kafka.start(node)
        self._recovery.watch(ROLES, "the broker was started again")
        yield 0.5

    def _kill_both(self, rng: Random) -> Fault:
        """A worker dies while the broker is away, and starts before it is back."""
        broker = self._kill_broker(rng)
        yield next(broker)
        yield from self._kill_worker(rng)
        yield from broker

    def _stop_without_broker(self, rng: Random) -> Fault:
        """It must end by itself, with code 0; the fleet counts where it does not."""
        broker = self._kill_broker(rng)
        yield next(broker)
        yield from self._stop_worker(rng)
        yield from broker

    def _kill_redis(self, rng: Random) -> Fault:
        if self._redis.up:
            self._redis.kill()
            yield rng.uniform(0.0, 2.5)
            self._redis.start()
            self._recovery.watch(["counts"], "Redis was started again")
        yield 0.5

    def _empty_redis(self, _: Random) -> Fault:
        """It comes back without anything: everything is counted again from the beginning of the logs."""
        if self._redis.up:
            self._redis.kill()
            self._redis.forget()
            yield 0.5
            self._redis.start()
            self._recovery.watch(["counts"], "Redis was started again, empty")
        yield 0.5

    def _stall_redis(self, rng: Random) -> Fault:
        """Shorter and longer than the patience of the workers' clients."""
        self._redis.send(signal.SIGSTOP)
        yield rng.uniform(0.5, 4.0)
        self._redis.send(signal.SIGCONT)
        yield 0.5

    def _lose_snapshots(self, rng: Random) -> Fault:
        """The role's state is made anew from the beginning of the logs, and all it ever said is said again."""
        role = rng.choice(STATEFUL)
        members = self._fleet.of(role) if self._disk.readable else []
        for member in members:
            self._fleet.kill(member)
        if members:
            self._disk.lose(role)
            yield 0.2
            self._start(*[role] * len(members))

    def _lose_archive(self, rng: Random) -> Fault:
        """An earlier state that a snapshot names is gone: the workers refuse it and name the file, until somebody moves
        the snapshots away; then the state is made anew from the beginning of the log."""
        while self._disk.full:
            yield 0.5
        before, count = self._fleet.started("trends"), self._fleet.kill_all("trends")
        lost = self._disk.lose_archive(rng)
        self._start(*["trends"] * count)
        if lost is None:
            return
        began = time.monotonic()
        while not self._fleet.has_said("trends", before, lost):
            if not self._disk.names(lost):
                return  # another fault has taken the snapshots away
            if time.monotonic() - began > REFUSAL_S:
                raise RuntimeError(f"{lost} of the archive was lost, and no worker refused the snapshot that names it")
            yield 0.5
        count = self._fleet.kill_all("trends")
        self._disk.lose("trends")
        self._start(*["trends"] * count)

    def _fill_disk(self, rng: Random) -> Fault:
        """Full for a while; a worker dies meanwhile, and its successor replays from the last snapshot there is."""
        if self._disk.full:
            return
        self._disk.fill()
        yield rng.uniform(1.0, 2.5)
        roles = rng.sample(list(ROLES), rng.choice((0, 1, 2))) if self._disk.readable_when_full else []
        for role in roles:
            member = self._any(rng, role)
            if member is not None:
                self._fleet.kill(member)
                self._fleet.start(role)
        yield rng.uniform(0.5, 2.0)
        self._disk.free()
        self._recovery.watch(roles, "the disk was free again")

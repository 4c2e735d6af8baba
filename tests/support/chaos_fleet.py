"""Real ``cuepoint worker`` processes of a chaos run: started, killed, stopped, frozen, and started again."""

from __future__ import annotations

import contextlib
import signal
import sys
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cuepoint.streams.embedded_parts import Part, launch

ROLES = {"trends": 2, "sessions": 2, "counts": 1, "store": 1, "views": 1}  # role -> workers at the beginning
MOST = {"trends": 3, "sessions": 3, "counts": 2, "store": 2, "views": 2}
STATEFUL = ("trends", "sessions", "counts")  # those that keep snapshots
_RESTART_PAUSE_S = 1.0
_STOP_S = 60.0
_HEARS_AFTER_S = 60.0  # a signal before that may find a process that is still importing


@dataclass(slots=True)
class Member:
    """One worker process. ``leaving`` since when it was told to end."""

    role: str
    number: int
    part: Part
    started_at: float
    leaving: float | None = None
    frozen: bool = False


@dataclass
class Fleet:
    """All workers. ``supervise`` stands in for what restarts a worker that ended by itself (``exits`` counts these)."""

    folder: Path
    env: Mapping[str, str]
    members: list[Member] = field(default_factory=list)
    exits: Counter[str] = field(default_factory=Counter)
    _numbers: Counter[str] = field(default_factory=Counter)

    def start(self, role: str) -> Member:
        """Main thread only: the child dies with the thread that made it."""
        self._numbers[role] += 1
        number = self._numbers[role]
        command = [sys.executable, "-m", "cuepoint.ops.cli", "worker", role]
        member = Member(role, number, launch(f"{role}-{number}", "", command, self.folder, self.env), time.monotonic())
        self.members.append(member)
        return member

    def of(self, role: str) -> list[Member]:
        """Its workers that are there and not about to leave."""
        return [member for member in self.members if member.role == role and member.leaving is None]

    def kill(self, member: Member) -> None:
        """SIGKILL, now."""
        self.members.remove(member)
        member.part.process.kill()
        member.part.process.wait()

    def kill_all(self, role: str) -> int:
        """SIGKILL to all of a role, those about to leave too; how many were to stay."""
        staying = len(self.of(role))
        for member in [member for member in self.members if member.role == role]:
            self.kill(member)
        return staying

    def started(self, role: str) -> int:
        """How many workers of the role have been started so far."""
        return self._numbers[role]

    def has_said(self, role: str, before: int, text: str) -> bool:
        """Whether the log of a worker of the role, started after the first ``before`` of them, holds the text."""
        logs = [self.folder / f"{role}-{number}.log" for number in range(before + 1, self._numbers[role] + 1)]
        return any(text in log.read_text(errors="replace") for log in logs if log.exists())

    def tell_to_leave(self, member: Member) -> None:
        """SIGTERM; ``supervise`` waits for its end."""
        member.leaving = time.monotonic()
        member.part.process.send_signal(signal.SIGTERM)

    def freeze(self, member: Member) -> None:
        member.frozen = True
        member.part.process.send_signal(signal.SIGSTOP)

    def thaw(self, member: Member) -> None:
        member.frozen = False
        with contextlib.suppress(ProcessLookupError):
            member.part.process.send_signal(signal.SIGCONT)

    def supervise(self) -> list[str]:
        """Look after the workers; what there is to say of those that ended or would not."""
        said = []
        for member in list(self.members):
            code, now = member.part.process.poll(), time.monotonic()
            if code is None:
                if member.leaving is not None and now - member.leaving > _STOP_S:
                    self.kill(member)
                    self.exits[f"{member.role} did not stop"] += 1
                    said.append(f"{member.part.name} did not stop within {_STOP_S:.0f} s of its SIGTERM")
            elif member.leaving is not None:
                self.members.remove(member)
                early = code == -signal.SIGTERM and member.leaving - member.started_at < _HEARS_AFTER_S
                if code != 0 and not early:
                    self.exits[f"{member.role} stopped with code {code}"] += 1
                    said.append(f"{member.part.name} ended with code {code} after SIGTERM; see {member.part.log}")
            elif now - member.started_at > _RESTART_PAUSE_S:
                self.members.remove(member)
                self.exits[f"{member.role} ended with code {code}"] += 1
                said.append(f"{member.part.name} ended by itself with code {code}; see {member.part.log}")
                self.start(member.role)
        return said

    def stop(self) -> None:
        """SIGKILL to all that is left."""
        for member in list(self.members):
            self.kill(member)

"""The bounds of a session's life."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SessionSettings:
    """Times are in seconds of the partition (``received_at``), never of this machine's clock.

    A session ends with its event or ``timeout_s`` after its last one; an event within ``grace_s`` of that re-opens
    it, a later one is refused for as long as the session is remembered (``memory_s``). ``clock_skew_s``: how far
    ``received_at`` may run ahead of the broker's time before the broker's is used. ``max_sessions`` bounds the state
    of a partition.
    """

    timeout_s: int = 1800
    grace_s: int = 300
    memory_s: int = 86_400
    clock_skew_s: int = 300
    max_sessions: int = 1_000_000

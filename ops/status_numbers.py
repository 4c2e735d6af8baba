"""The figures of a running system, from the heartbeats of its workers and what history has recorded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import redis

from cuepoint.schemas.errors import Unavailable
from cuepoint.schemas.topics import PLAYER_EVENTS, REPORTS, TREND_RECORDS
from cuepoint.streams.heartbeats import Heartbeat, read_all_sync
from cuepoint.streams.history_reads import HistoryReader


@dataclass(frozen=True)
class Numbers:
    """Totals since the start; ``states`` by role; ``lag`` in records over all topics."""

    states: dict[str, str] = field(default_factory=dict)
    metrics_ports: dict[str, int] = field(default_factory=dict)
    trend_records: int = 0
    player_events: int = 0
    lag: int = 0
    open_regions: int = 0
    live_sessions: int = 0
    quarantined: int = 0


@dataclass(frozen=True)
class Recorded:
    """Distinct things that history holds."""

    latest_day: str = ""
    changes: int = 0
    decisions: int = 0
    dead_letters: int = 0


def read_numbers(client: redis.Redis, partitions: int) -> Numbers:
    """Raises Unavailable where Redis does not answer."""
    try:
        beats = read_all_sync(client)
    except redis.RedisError as error:
        raise Unavailable(f"Redis does not answer: {error}") from error
    return numbers_of(beats, partitions)


def numbers_of(beats: Sequence[Heartbeat], partitions: int) -> Numbers:
    """The sum of the workers.

    Every report has two markers in each partition of the trend records, and two messages on the topic of reports, which
    the views worker has received: so the records are what is left without the markers.
    """

    def received(role: str, topic: str) -> int:
        return sum(beat.received.get(topic, 0) for beat in beats if beat.role == role)

    markers = partitions * received("views", REPORTS.name)
    return Numbers(
        states={beat.role: beat.state for beat in beats},
        metrics_ports={beat.role: beat.metrics_port for beat in beats},
        trend_records=max(0, received("trends", TREND_RECORDS.name) - markers),
        player_events=received("sessions", PLAYER_EVENTS.name),
        lag=sum(sum(beat.lag.values()) for beat in beats),
        open_regions=sum(beat.open_regions for beat in beats),
        quarantined=sum(beat.quarantined for beat in beats),
        live_sessions=sum(beat.live_sessions for beat in beats),
    )


def read_recorded(history: HistoryReader) -> Recorded:
    """What history holds now."""
    overview = history.overview()
    return Recorded(
        latest_day=str(overview.latest_day or ""),
        changes=overview.changes,
        decisions=overview.decisions,
        dead_letters=overview.dead_letters,
    )

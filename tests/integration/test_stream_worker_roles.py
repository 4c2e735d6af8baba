"""All four roles as processes: good records and broken ones in, history, counters and decisions out."""

from __future__ import annotations

import datetime as dt
import subprocess
import urllib.request
from contextlib import ExitStack
from pathlib import Path

import pytest
import redis
from stream_helpers import child, environment, wait_until

from cuepoint.ops.settings import Settings
from cuepoint.schemas.playback import PlayerEvent
from cuepoint.schemas.rules import AdRule, AtStart
from cuepoint.schemas.topics import AD_RULES, CHANGES, PLAYER_EVENTS, REPORTS, TREND_RECORDS
from cuepoint.schemas.trends import ReportCompleted, ReportOpened, TrendRecord
from cuepoint.streams import heartbeats
from cuepoint.streams.change_search import ChangeFilter
from cuepoint.streams.database import open_engine, upgrade
from cuepoint.streams.heartbeats import Heartbeat
from cuepoint.streams.history_reads import HistoryReader
from cuepoint.streams.producer import SyncProducer

ROLES = ("trends", "sessions", "counts", "views")
DAYS = 40
RUN_ROLE = str(Path(__file__).parent.parent / "support" / "run_role.py")


def produce_trends(producer: SyncProducer) -> None:
    """One asset, steady for 39 days, ten times as much on the last."""
    for n in range(DAYS):
        day = dt.date(2020, 1, 1) + dt.timedelta(days=n)
        for partition in (0, 1):
            producer.send(TREND_RECORDS, "m", ReportOpened(dsp="dsp", day=day), partition=partition)
        count = 100_000 if n == DAYS - 1 else 10_000
        producer.send(TREND_RECORDS, "song", TrendRecord(asset_id="song", dsp="dsp", day=day, count=count), partition=0)
        for partition in (0, 1):
            completed = ReportCompleted(dsp="dsp", day=day, records=1, partition_records=1 - partition)
            producer.send(TREND_RECORDS, "m", completed, partition=partition)
        producer.send(REPORTS, "dsp", ReportOpened(dsp="dsp", day=day))
        producer.send(REPORTS, "dsp", ReportCompleted(dsp="dsp", day=day, records=1))


def produce_sessions(producer: SyncProducer) -> None:
    for n in range(20):
        session, at = f"session-{n}", 1_700_000_000_000
        for seq, kind in enumerate(("session_started", "video_started", "video_completed", "session_ended")):
            event = PlayerEvent(
                event_id=f"{session}-{seq}",
                session_id=session,
                seq=seq,
                kind=kind,
                at=at + seq,
                received_at=at + seq * 1000,
                video_id=None if kind.startswith("session") else "video",
                duration_s=60.0,
                position_s=60.0 if kind == "video_completed" else 0.0,
            )
            producer.send(PLAYER_EVENTS, session, event, id=event.event_id)


def beats(settings: Settings) -> dict[str, Heartbeat]:
    with redis.Redis.from_url(settings.redis_url.get_secret_value()) as client:
        return {beat.role: beat for beat in heartbeats.read_all_sync(client)}


def log_of(folder: Path) -> str:
    return "\n".join(f"{path.name}: {path.read_text()[-1500:]}" for path in folder.glob("*.log"))


@pytest.fixture
def workers(settings: Settings, tmp_path: Path) -> dict[str, subprocess.Popen[bytes]]:
    with ExitStack() as stack:
        env = environment(settings, CUEPOINT_LOG_LEVEL="WARNING")
        yield {role: stack.enter_context(child([RUN_ROLE, role], env, tmp_path / role)) for role in ROLES}


def test_from_records_to_history(settings: Settings, workers: dict[str, subprocess.Popen[bytes]]) -> None:
    producer = SyncProducer(settings.broker, prefix=settings.topic_prefix)
    rule = AdRule(rule_id="pre-roll", name="pre-roll", insertion=AtStart(), effective_at=1)
    producer.send(AD_RULES, "pre-roll", rule)
    producer.flush()
    wait_until(lambda: {r for r, b in beats(settings).items() if b.state == "ready"} == set(ROLES), "ready")
    produce_trends(producer)
    produce_sessions(producer)
    producer.flush()
    send_broken(settings)

    engine = open_engine(settings.database_url.get_secret_value())
    upgrade(engine)
    history = HistoryReader(engine)
    wait_until(lambda: history.overview().decisions == 20, "20 pre-rolls are decided")
    wait_until(lambda: history.overview().sessions == 20, "20 sessions are recorded")
    wait_until(lambda: history.changes(ChangeFilter(asset_id="song")).total, "the jump is flagged")
    wait_until(lambda: history.overview().dead_letters == 4, "every broken record is a dead letter")
    row = history.changes(ChangeFilter(asset_id="song")).rows[0]
    assert (row.change.direction, row.change.kind) == ("up", "rapid")
    assert len(history.asset_days("song")) == DAYS
    assert history.reports().total == DAYS
    letters = history.dead_letters().rows
    assert {row.letter.topic for row in letters} == {
        TREND_RECORDS.name,
        PLAYER_EVENTS.name,
        AD_RULES.name,
        CHANGES.name,
    }
    assert {row.letter.original for row in letters} == {b'{"broken'}
    timeline = history.timeline("session-3")
    assert [entry.event.kind for entry in timeline if entry.event][:2] == ["session_started", "video_started"]
    assert [entry.decision.rule_id for entry in timeline if entry.decision] == ["pre-roll"]

    check_redis(settings)
    check_metrics(beats(settings))
    engine.dispose()
    for worker in workers.values():
        worker.terminate()
    assert [worker.wait(60) for worker in workers.values()] == [0] * 4


def send_broken(settings: Settings) -> None:
    from confluent_kafka import Producer

    raw = Producer({"bootstrap.servers": settings.broker})
    for topic in (TREND_RECORDS, PLAYER_EVENTS, AD_RULES, CHANGES):
        raw.produce(settings.topic_prefix + topic.name, b'{"broken', b"k")
    assert raw.flush(10) == 0


def check_redis(settings: Settings) -> None:
    with redis.Redis.from_url(settings.redis_url.get_secret_value(), decode_responses=True) as client:
        wait_until(lambda: client.zcard("cuepoint:decisions:session-7") == 1, "decisions can be read")
        name = "cuepoint:counts:total:2023-11-14"
        wait_until(lambda: client.hget(name, "deliveries") == "20", f"deliveries are counted {client.keys('*counts*')}")
        wait_until(lambda: client.hget(name, "plays") == "20", "plays are counted")


def check_metrics(found: dict[str, Heartbeat]) -> None:
    url = f"http://127.0.0.1:{found['sessions'].metrics_port}/metrics"
    with urllib.request.urlopen(url, timeout=60) as answer:
        text = answer.read().decode()
    assert 'cuepoint_events_in_total{topic="cuepoint.player-events.v1"} 81.0' in text
    assert 'cuepoint_events_out_total{topic="cuepoint.ad-decisions.v1"} 20.0' in text
    assert 'cuepoint_events_dead_total{code="malformed",topic="cuepoint.player-events.v1"} 1.0' in text
    assert "cuepoint_decision_latency_seconds_count 20.0" in text
    wait_until(lambda: found["sessions"].lag and not any(found["sessions"].lag.values()), "no lag is left")

"""A chaos run: servers, workers and input all the time; after every cycle of faults, everything is checked."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
import traceback
from collections import defaultdict
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import redis
from chaos_check import INPUTS, OUTPUTS, Checks, stands_elsewhere
from chaos_consumption import ConsumptionPlan
from chaos_faults import SESSION_TIMEOUT_S, Faults
from chaos_findings import Findings, say
from chaos_fleet import ROLES, STATEFUL, Fleet
from chaos_loader import Loader
from chaos_logs import Logs, Place, Record
from chaos_play import PlayPlan
from chaos_recovery import READ_BY, Recovery
from chaos_reports import ReportPlan
from chaos_rules import RuleTeller
from chaos_servers import ChaosKafka, ChaosRedis, SnapshotDisk
from chaos_stores import Stores

from cuepoint.models.rule_yaml import load_rules
from cuepoint.schemas.errors import Unavailable
from cuepoint.schemas.topics import TREND_RECORDS
from cuepoint.streams.embedded_parts import start_broker
from cuepoint.streams.heartbeats import read_all_sync
from cuepoint.streams.producer import SyncProducer
from cuepoint.streams.snapshot_store import SnapshotStore
from cuepoint.streams.state_archive import FileArchive
from cuepoint.streams.topics_admin import create_topics

PARTITIONS = 4
STEPS = 100  # of input, a cycle
START_S = 240.0  # the first trends worker on a machine compiles its kernels
CONSUME_S = 180.0
RULES = Path(__file__).parents[2] / "ops" / "predefined_rules.yaml"


@dataclass(frozen=True, kw_only=True)
class Options:
    """``seconds``: how long the input of a cycle takes when nothing is in its way."""

    cycles: int
    seed: int
    brokers: int = 1
    embedded: bool = False
    seconds: float = 6.0
    faults: int = 4
    keep: bool = False


@dataclass
class Outcome:
    """What the last line says."""

    seed: int
    cycles: int = 0
    findings: Findings = field(default_factory=Findings)
    recovery_s: list[tuple[str, float]] = field(default_factory=list)
    done: dict[str, int] = field(default_factory=dict)
    worker_exits: dict[str, int] = field(default_factory=dict)
    records: int = 0
    repeated: int = 0
    dead_letters: int = 0
    seconds: float = 0.0
    folder: str = ""

    def line(self, options: Options) -> dict[str, Any]:
        counts = {kind: self.findings.counts[kind] for kind in ("lost", "duplicated", "state_mismatches", "unchecked")}
        p50, most = _summary([seconds for _, seconds in self.recovery_s])
        by_cause = defaultdict(list)
        for after, seconds in self.recovery_s:
            by_cause[after].append(seconds)
        return {
            "cycles": self.cycles,
            **counts,
            "recovery_s_p50": p50,
            "recovery_s_max": most,
            "recoveries": len(self.recovery_s),
            "recovery_s_p50_max_after": {after: _summary(times) for after, times in sorted(by_cause.items())},
            "records": self.records,
            "repeated_records": self.repeated,
            "dead_letters": self.dead_letters,
            "seconds": round(self.seconds, 1),
            "seed": self.seed,
            "broker": "embedded" if options.embedded else f"Apache Kafka, {options.brokers} node(s)",
            "faults": dict(sorted(self.done.items())),
            "worker_exits": self.worker_exits,
        }


def _summary(times: list[float]) -> tuple[float | None, float | None]:
    """Median and maximum."""
    return (round(median(times), 2), round(max(times), 2)) if times else (None, None)


class Run:
    """Everything of one run; made, used and left by ``run_chaos``, in the main thread."""

    def __init__(self, options: Options, folder: Path, stack: ExitStack, outcome: Outcome) -> None:
        self._options, self._outcome, self._folder = options, outcome, folder
        data = folder / "data"
        self._disk = SnapshotDisk(data / "snapshots")
        stack.callback(self._disk.close)
        self._kafka: ChaosKafka | None = None
        if options.embedded:
            broker = start_broker(folder / "broker")
            stack.callback(broker.stop)
            address = broker.address
        else:
            self._kafka = stack.enter_context(ChaosKafka(folder / "kafka", options.brokers))
            address = self._kafka.bootstrap
        self._redis = ChaosRedis(folder / "redis")
        stack.callback(self._redis.kill)
        create_topics(address, PARTITIONS, min(3, options.brokers))
        env = _environment(address, self._redis.url, data)
        self._fleet = Fleet(folder, env)
        stack.callback(self._fleet.stop)
        self._logs = Logs(address, "", PARTITIONS)
        self._recovery = Recovery(Logs(address, "", PARTITIONS))
        stack.callback(self._recovery.stop)
        self._faults = Faults(options.seed, self._fleet, self._kafka, self._redis, self._disk, self._recovery)
        self._play = PlayPlan(options.seed, PARTITIONS)
        self._producer = SyncProducer(address, source="chaos", timeout_s=120.0)
        stack.callback(self._producer.close)
        plans = ReportPlan(options.seed, PARTITIONS), ConsumptionPlan(options.seed, PARTITIONS), self._play
        self._loader = Loader(self._producer, "", *plans)
        self._checks = Checks(options.seed, outcome.findings)
        active = [rule for rule in load_rules(RULES.read_text()) if rule.status == "active"]
        self._rules = RuleTeller(address, PARTITIONS, active, options.seed, lambda: self._play.now_ms)
        earlier = data / "archive" / "watch_trends" / TREND_RECORDS.name
        self._archive = lambda partition: FileArchive(earlier / str(partition))
        self._snapshots = {role: SnapshotStore(data / "snapshots" / role) for role in STATEFUL}
        self._stores = Stores(env["CUEPOINT_DATABASE_URL"], data / "consumption")
        stack.callback(self._stores.close)

    def begin(self) -> None:
        """The first rules and workers. Returns when all workers are ready. Raises TimeoutError."""
        self._rules.publish_all()
        for role, count in ROLES.items():
            for _ in range(count):
                self._fleet.start(role)
        deadline = time.monotonic() + START_S
        with self._redis.client() as client:
            while sum(beat.state == "ready" for beat in read_all_sync(client)) < sum(ROLES.values()):
                if time.monotonic() > deadline:
                    raise TimeoutError(f"the workers were not ready within {START_S:.0f} s")
                self._faults.look_after()
                time.sleep(0.1)

    def cycle(self, number: int) -> None:
        """Input and faults, then quiet, then the checks. Raises what makes the checks impossible."""
        options, began = self._options, time.monotonic()
        self._rules.begin(number, options.seconds)
        dealt = self._faults.deal(options.faults, options.seconds)
        say(f"cycle {number}: {', '.join(kind for _, kind, _ in dealt)}")
        self._loader.begin(STEPS, options.seconds)
        self._faults.run(dealt, lambda: self._loader.busy)
        self._loader.finish(CONSUME_S)
        self._rules.finish(CONSUME_S)
        self._sum_up()
        faulty_s = time.monotonic() - began
        ends = self._consumed()
        quiet_s = time.monotonic() - began - faulty_s
        fresh = self._logs.fresh((*INPUTS, *OUTPUTS))
        if asyncio.run(self._checks.take(self._loader.taken(), fresh)):
            self._checks.states(self._snapshots, self._tail, archive=self._archive)
            with self._redis.client() as client:
                self._checks.counters(client, ends)
            self._checks.stores(self._stores)
        self._sum_up()
        check_s = time.monotonic() - began - faulty_s - quiet_s
        say(f"  faults {faulty_s:.1f} s, consumed {quiet_s:.1f} s later, checked in {check_s:.1f} s")

    def _sum_up(self) -> None:
        outcome = self._outcome
        outcome.recovery_s = list(self._recovery.seconds)
        outcome.done, outcome.worker_exits = dict(self._faults.done), dict(self._fleet.exits)
        outcome.records, outcome.repeated = self._checks.records, self._checks.repeats
        outcome.dead_letters = self._checks.dead_letters

    # -- quiet

    def _consumed(self) -> dict[Place, int]:
        """Wait until every group has committed all there is and nothing moves any more; gives the ends.

        Raises TimeoutError where nothing was consumed for CONSUME_S: a state made anew from the beginning of the logs
        takes its time. Everything that fell out in the meantime is started again, as a supervisor would.
        """
        topics = {topic for read in READ_BY.values() for topic in read}
        deadline, before, state, least = time.monotonic() + CONSUME_S, None, {}, 1 << 62
        while time.monotonic() < deadline:
            self._faults.look_after()
            try:
                ends = self._logs.ends(topics)
                behind = {
                    (role, *place): ends[place] - offset
                    for role, read in READ_BY.items()
                    for place, offset in self._logs.committed(role, read).items()
                    if offset != ends[place]
                }
                with self._redis.client() as client:
                    stored = stands_elsewhere(client, ends) + self._stores.stand_elsewhere(ends)
            except (Unavailable, redis.RedisError) as error:
                before, state = None, {"broker, Redis or SQL": str(error)}
                continue
            state = {**behind, "recoveries": self._recovery.open, "stores": stored}
            if sum(behind.values()) < least:
                deadline, least = time.monotonic() + CONSUME_S, sum(behind.values())
            calm = not behind and not self._recovery.open and not stored
            if calm and before == ends:
                return ends
            before = ends if calm else None
            time.sleep(0.2)
        raise TimeoutError(f"nothing more was consumed for {CONSUME_S:.0f} s; records behind: {state}")

    def _tail(self, place: Place, offset: int) -> list[Record]:
        """Records of a partition from ``offset`` on, read anew."""
        reader = Logs(self._logs.broker, "", PARTITIONS)
        reader.read_to.update({other: self._checks.ends.get(other, 0) for other in self._logs.read_to})
        reader.read_to[place] = offset
        topics = [topic for topic in (*INPUTS, *OUTPUTS) if topic.name == place[0]]
        return reader.fresh(topics)[place]


def _environment(broker: str, redis_url: str, data: Path) -> dict[str, str]:
    """Short intervals, so that a cycle sees many snapshots, commits and retries; small fetches: many batches."""
    return {
        "CUEPOINT_BROKER": broker,
        "CUEPOINT_REDIS_URL": redis_url,
        "CUEPOINT_PARTITIONS": str(PARTITIONS),
        "CUEPOINT_DATA_DIR": str(data),
        "CUEPOINT_DATABASE_URL": f"sqlite:///{data}/cuepoint.db",
        "CUEPOINT_HISTORY_DAYS": "36500",  # the plan's days and times are long past
        "CUEPOINT_TREND_HISTORY_DAYS": "36500",
        "CUEPOINT_CONSUMPTION_RETENTION_DAYS": "36500",
        "CUEPOINT_CONSUMPTION_FLUSH_S": "0.3",
        "CUEPOINT_CONSUMPTION_UPKEEP_S": "1",
        "CUEPOINT_CONSUMPTION_MERGE_FILES": "3",
        "CUEPOINT_CONSUMPTION_GRACE_S": "5",
        "CUEPOINT_SNAPSHOT_INTERVAL_S": "0.5",
        "CUEPOINT_COMMIT_INTERVAL_S": "0.3",
        "CUEPOINT_HEARTBEAT_INTERVAL_S": "0.5",
        "CUEPOINT_BROKER_SESSION_TIMEOUT_S": str(SESSION_TIMEOUT_S),
        "CUEPOINT_FETCH_PARTITION_BYTES": "32768",
        "CUEPOINT_REDIS_TIMEOUT_S": "1.5",
        "CUEPOINT_RETRY_MAX_S": "1",
        "CUEPOINT_ASSET_DAYS": "all",
        "CUEPOINT_LOG_LEVEL": "WARNING",
    }


def run_chaos(options: Options) -> Outcome:
    """All cycles, or as many as there are until one finds something. Main thread only."""
    folder = Path(tempfile.mkdtemp(prefix="cuepoint-chaos-"))
    outcome, began = Outcome(options.seed, folder=str(folder)), time.monotonic()
    say(f"seed {options.seed}; logs in {folder}")
    try:
        with ExitStack() as stack:
            run = Run(options, folder, stack, outcome)
            run.begin()
            say(f"ready after {time.monotonic() - began:.1f} s")
            while outcome.cycles < options.cycles:
                run.cycle(outcome.cycles + 1)
                if outcome.findings.total:
                    break
                outcome.cycles += 1
    except Exception as error:  # whatever it was, the last line must tell that not all was checked
        say(traceback.format_exc())
        outcome.findings.add("unchecked", f"cycle {outcome.cycles + 1}: {type(error).__name__}: {error}")
    outcome.seconds = time.monotonic() - began
    if options.keep or outcome.findings.total:
        say(f"the logs are kept in {folder}")
    else:
        shutil.rmtree(folder, ignore_errors=True)
    return outcome

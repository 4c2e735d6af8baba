"""``make bench-stream``: Cuepoint's workers and their peers on the same log. See README.md of the folder above."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import gc_policy
import java_peers
import latency
import ours
import peers
import pressure
import recovery
import report
import workload
from machine import ROOT, Place, describe, prepare
from ours import Speed
from report import Measured, Row

from cuepoint.schemas.topics import PLAYER_EVENTS, TREND_RECORDS, Topic

RESULT = ROOT / ".cache" / "bench-stream.md"
HALF_RATE_S = 6.0  # of latency at half the maximal rate: a million and a half of events are simulated before
OPEN, ALL = {"CUEPOINT_ASSET_DAYS": "open"}, {"CUEPOINT_ASSET_DAYS": "all"}
TREND_PREFIX, PLAYER_PREFIX = "bench-trends.", "bench-players."
PARTS = ("trends", "sessions", "latency", "half", "memory", "recovery", "pressure", "collector")


class Sizes(NamedTuple):
    """How much is measured."""

    repeats: int
    assets: int
    days: int
    events: int
    viewers: int
    complete: bool  # two workers, half the rate, recovery, back-pressure, garbage collector
    latency_s: float
    held: tuple[tuple[str, int], ...]  # memory: kind, number
    recovery_assets: int
    faust_records: int


FULL = Sizes(
    repeats=3,
    assets=30_000,
    days=70,
    events=2_000_000,
    viewers=20_000,
    complete=True,
    latency_s=30.0,
    held=(("trends", 10_000), ("trends", 100_000), ("sessions", 10_000), ("sessions", 100_000)),
    recovery_assets=1_000_000,
    faust_records=300_000,
)
QUICK = Sizes(
    repeats=1,
    assets=3_000,
    days=40,
    events=100_000,
    viewers=3_000,
    complete=False,
    latency_s=4.0,
    held=(("trends", 5_000), ("sessions", 2_500)),
    recovery_assets=0,
    faust_records=8_000,
)


def tell(text: str) -> None:
    """Progress, on stderr: stdout is for the result."""
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="benchmarks/stream", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="less of everything, under a minute")
    parser.add_argument("--only-ours", action="store_true", help="without the peers")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="these alone")
    parser.add_argument(
        "--embedded", action="store_true", help="the embedded broker, even where Apache Kafka could run"
    )
    arguments = parser.parse_args()
    sizes = QUICK if arguments.quick else FULL
    with prepare(embedded=arguments.embedded) as place:
        command = "make bench-stream" + (" QUICK=1" if arguments.quick else "")
        measured = Measured(describe(place), command)
        try:
            _measure(place, sizes, measured, arguments)
        except KeyboardInterrupt:
            measured.failures["what follows"] = "broken off"
    print(report.markdown(measured))
    print(report.json_line(measured))
    return 1 if measured.failures else 0


def _measure(place: Place, sizes: Sizes, measured: Measured, arguments: argparse.Namespace) -> None:
    parts = set(arguments.parts) - (set() if sizes.complete else {"half", "recovery", "pressure", "collector"})
    if "trends" in parts:
        _part(measured, "trends", lambda: _trends(place, sizes, measured, with_peers=not arguments.only_ours))
    if "sessions" in parts:
        _part(measured, "sessions", lambda: _sessions(place, sizes, measured))
    if "latency" in parts:
        _part(measured, "latency", lambda: _latency(place, measured, "steady", 1_000.0, sizes.latency_s))
    if "half" in parts:
        most = measured.sessions.speed.per_s if measured.sessions.runs else report.GOALS["sessions_per_s"]
        _part(measured, "latency at half the rate", lambda: _latency(place, measured, "half", most / 2, HALF_RATE_S))
    for kind, number in sizes.held if "memory" in parts else ():
        _part(measured, f"memory of {number:,} ({kind})", lambda k=kind, n=number: _memory(place, measured, k, n))
    if "recovery" in parts:
        _part(measured, "recovery", lambda: _recovery(place, sizes, measured))
    if "pressure" in parts and measured.sessions.runs:  # it reads their log
        _part(measured, "memory while Redis stands still", lambda: _pressure(place, sizes, measured))
    if "collector" in parts:
        _part(measured, "garbage collector", lambda: _collector(place, measured))


def _part(measured: Measured, name: str, measure: Callable[[], None]) -> None:
    """Measure one part. Where it fails the others go on; what there is so far stands in RESULT after each."""
    began, cpu_s = time.monotonic(), _cpu_s()
    try:
        measure()
    except Exception as error:
        traceback.print_exc()
        measured.failures[name] = f"{type(error).__name__}: {error}".splitlines()[0]
    tell(f"{name}: {time.monotonic() - began:.0f} s, {_cpu_s() - cpu_s:.0f} s of CPU without the broker")
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(report.markdown(measured) + "\n", encoding="utf-8")


def _cpu_s() -> float:
    """Of this process and those it has waited for."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _trends(place: Place, sizes: Sizes, measured: Measured, *, with_peers: bool) -> None:
    tell(f"writing {sizes.days} reports of {sizes.assets:,} assets")
    log = workload.make_trend_log(place.broker, TREND_PREFIX, sizes.assets, sizes.days)
    measured.trend_log = (
        f"{log.messages:,} messages: {log.days} daily reports of {log.assets:,} assets in {workload.PARTITIONS} "
        f"partitions; median of {sizes.repeats}."
    )
    measured.trends["cuepoint"] = row = Row("Cuepoint, `cuepoint worker trends`")
    wordy = Row("the same with CUEPOINT_ASSET_DAYS=all: a result for each record")
    if sizes.complete:
        measured.trends["cuepoint_all"] = wordy
    entered = _entered(measured, sizes) if with_peers else []
    for number in range(sizes.repeats):
        row.runs.append(_one(place, "trends", TREND_RECORDS, TREND_PREFIX, log.messages, number, OPEN))
        if not number:
            row.alerts.add(ours.regions_opened(place, TREND_PREFIX))
        if not number and sizes.complete:
            wordy.runs.append(_one(place, "trends", TREND_RECORDS, TREND_PREFIX, log.messages, 100, ALL))
        for peer in entered:
            _peer(place, peer, log, number, measured.trends[peer.key])
    if sizes.complete:
        measured.two_workers["trends"] = _two(place, "trends", TREND_RECORDS, TREND_PREFIX, log.messages)


def _entered(measured: Measured, sizes: Sizes) -> list[peers.Peer]:
    """The peers that take part; the others are named with the reason."""
    tell("installing the peers (once)")
    failure = peers.install()
    entered = []
    for peer in peers.PEERS if sizes.complete else peers.PEERS[: peers.OF_GOALS]:
        most = min(peer.most, sizes.faust_records) if peer.most else None
        row = measured.trends[peer.key] = Row(peer.label)
        missing = failure if peer.own_environment else None if peer.script else java_peers.install(peer.key)
        if missing:
            row.failure = f"could not be installed ({missing})"
        else:
            entered.append(peer._replace(most=most))
    return entered


def _peer(place: Place, peer: peers.Peer, log: workload.TrendLog, number: int, row: Row) -> None:
    if row.failure:
        return
    try:
        run = peers.run(place, peer, log, number)
    except RuntimeError as error:
        row.failure = f"it failed ({str(error).splitlines()[-1]})"
        tell(f"{peer.label}: {error}")
        return
    row.runs.append(run.speed)
    row.alerts.add(run.opened)
    tell(f"{peer.label}: {run.speed.per_s:,.0f} records/s, {run.speed.per_cpu_s:,.0f} per CPU-s")


def _one(
    place: Place,
    role: str,
    topic: Topic,
    prefix: str,
    total: int,
    number: int,
    settings: Mapping[str, str] | None = None,
) -> Speed:
    with ours.workers(place, role, topic, prefix, f"{role}-{number}", settings=settings) as running:
        ours.until_received(place, running, total)
        speed = running[0].speed(total)
    tell(f"cuepoint worker {role}: {speed.per_s:,.0f} records/s, {speed.per_cpu_s:,.0f} per CPU-s")
    return speed


def _two(place: Place, role: str, topic: Topic, prefix: str, total: int) -> float:
    """Records a second of two workers together, from when both have begun to when the first has nothing left."""
    cores = (place.worker_cores[0], place.other_cores[-1])
    with ours.workers(place, role, topic, prefix, f"{role}-two", cores, OPEN) as running:
        ours.until_received(place, running, total)
        if not all(worker.received for worker in running):
            raise RuntimeError("the log was over before both had begun")
        begun = max(next(s.at_s for s in worker.samples if s.received) for worker in running)
        ended = min(next(s.at_s for s in worker.samples if s.received == worker.received) for worker in running)
        done = sum(worker.received_at(ended) - worker.received_at(begun) for worker in running)
    rate = done / (ended - begun) if ended > begun else 0.0
    tell(f"two workers {role}: {rate:,.0f} records/s")
    return rate


def _sessions(place: Place, sizes: Sizes, measured: Measured) -> None:
    tell("simulating viewers")
    events = workload.player_events(sizes.events, sizes.viewers)
    tell(f"writing {len(events):,} player events")
    workload.make_player_log(place.broker, PLAYER_PREFIX, events)
    for number in range(sizes.repeats):
        speed = _one(place, "sessions", PLAYER_EVENTS, PLAYER_PREFIX, len(events), number)
        measured.sessions.runs.append(speed)
    decisions = ours.decisions_made(place, PLAYER_PREFIX)
    quiet = sum(event.kind == "progressed" for event in events) / len(events)
    measured.player_log = (
        f"{len(events):,} player events of {sizes.viewers:,} simulated viewers at once, {quiet:.0%} of them "
        f"heartbeats, {workload.RULES} active rules, {decisions:,} decisions; median of {sizes.repeats}."
    )
    if sizes.complete:
        measured.two_workers["sessions"] = _two(place, "sessions", PLAYER_EVENTS, PLAYER_PREFIX, len(events))


def _latency(place: Place, measured: Measured, name: str, rate: float, seconds: float) -> None:
    """Viewers so few that most of their sessions lie within the run: not a wave of beginnings with their pre-rolls."""
    count = int(rate * (latency.WARM_S + seconds))
    events = workload.player_events(count, max(50, count // 200))
    tell(f"latency at {rate:,.0f} events/s")
    told = latency.measure(place, events, rate, f"bench-{name}.", redis=name == "steady")
    measured.latency[name] = told
    tell(f"{told}")


def _script(place: Place, name: str, *arguments: str) -> dict[str, Any]:
    """The JSON object that a script of this folder prints, run on the measured core."""
    command = place.pinned([sys.executable, str(Path(__file__).with_name(name)), *arguments])
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=dict(os.environ), timeout=600)
    tell(f"{name} {' '.join(arguments)}: {done.stdout.strip()}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _memory(place: Place, measured: Measured, kind: str, number: int) -> None:
    measured.memory.append({"kind": kind, **_script(place, "memory.py", kind, str(number))})


def _collector(place: Place, measured: Measured) -> None:
    for kind in gc_policy.KINDS:
        measured.collector += [_script(place, "gc_policy.py", kind, policy) for policy in gc_policy.POLICIES]


def _pressure(place: Place, sizes: Sizes, measured: Measured) -> None:
    measured.pressure = pressure.measure(place, PLAYER_PREFIX, sizes.events)
    tell(f"{measured.pressure}")


def _recovery(place: Place, sizes: Sizes, measured: Measured) -> None:
    tell(f"recovery of {sizes.recovery_assets:,} assets")
    measured.recovery = recovery.measure(place, sizes.recovery_assets)
    tell(f"{measured.recovery}")


if __name__ == "__main__":
    sys.exit(main())

"""What was measured, as the markdown of docs/benchmarks.md and as one JSON object."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from latency import Latency
from ours import Speed
from pressure import STALL_S, Pressure
from recovery import Recovery

GOALS = {  # of the issue; what is missed is said to be missed
    "trends_per_s": 1_000_000,
    "sessions_per_s": 700_000,
    "ratio_plain_faust": 60,
    "ratio_quixstreams": 15,
    "latency_ms_p50": 8,
    "latency_ms_p99": 20,
    "latency_half_rate_ms_p99": 80,
    "bytes_per_asset": 600,
    "bytes_per_session": 1000,
    "recovery_s": 10,
}
PEERS = ("plain_faust", "quixstreams", "bytewax", "confluent", "kafka_streams", "flink")
_AT_MOST = ("latency", "bytes", "recovery")


@dataclass
class Row:
    """A line of the table of speeds: repeated runs of one competitor."""

    label: str
    runs: list[Speed] = field(default_factory=list)
    alerts: set[int | None] = field(default_factory=set)
    failure: str = ""

    @property
    def speed(self) -> Speed:
        return Speed(median(run.per_s for run in self.runs), median(run.per_cpu_s for run in self.runs))


_NOBODY = Row("")


@dataclass
class Measured:
    """Everything. Keys of ``trends``: ``cuepoint`` and those of the peers."""

    machine: list[str]
    command: str
    trend_log: str = ""
    player_log: str = ""
    trends: dict[str, Row] = field(default_factory=dict)
    sessions: Row = field(default_factory=lambda: Row("Cuepoint, `cuepoint worker sessions`"))
    two_workers: dict[str, float] = field(default_factory=dict)  # trends, sessions: records a second of both together
    latency: dict[str, Latency] = field(default_factory=dict)
    memory: list[dict[str, Any]] = field(default_factory=list)  # kind, held, bytes_each, snapshot_bytes_each
    recovery: Recovery | None = None
    pressure: Pressure | None = None
    collector: list[dict[str, Any]] = field(default_factory=list)  # what gc_policy.py says
    failures: dict[str, str] = field(default_factory=dict)  # part of the measurement: why there is no figure of it


def figures(m: Measured) -> dict[str, float | None]:
    """The JSON line. None: not measured in this run."""
    ours = m.trends.get("cuepoint", _NOBODY)
    found: dict[str, float | None] = {}
    for key, row in (("trends", ours), ("sessions", m.sessions)):
        found[f"{key}_per_s"] = round(row.speed.per_s) if row.runs else None
        found[f"{key}_per_cpu_s"] = round(row.speed.per_cpu_s) if row.runs else None
    everything = m.trends.get("cuepoint_all", _NOBODY)
    found["trends_all_asset_days_per_s"] = round(everything.speed.per_s) if everything.runs else None
    for key in PEERS:
        row = m.trends.get(key, _NOBODY)
        both = bool(row.runs and ours.runs)
        found[f"ratio_{key}"] = round(ours.speed.per_s / row.speed.per_s, 2) if both else None
        found[f"ratio_cpu_{key}"] = round(ours.speed.per_cpu_s / row.speed.per_cpu_s, 2) if both else None
    for kind in ("trends", "sessions"):
        rate, one = m.two_workers.get(kind), found[f"{kind}_per_s"]
        found[f"scaling_two_workers_{kind}"] = round(rate / one, 2) if rate and one else None
    for name, prefix in (("steady", "latency"), ("half", "latency_half_rate")):
        told = m.latency.get(name)
        p50, _, p99 = told.topic_ms if told and told.topic_ms else (None, None, None)
        found[f"{prefix}_ms_p50"], found[f"{prefix}_ms_p99"] = p50 and round(p50, 2), p99 and round(p99, 2)
    for kind, key in (("trends", "bytes_per_asset"), ("sessions", "bytes_per_session")):
        sizes = [entry for entry in m.memory if entry["kind"] == kind]
        found[key] = round(max(sizes, key=lambda entry: entry["held"])["bytes_each"]) if sizes else None
    found["recovery_s"] = round(m.recovery.caught_up_s, 2) if m.recovery else None
    return found


def json_line(m: Measured) -> str:
    return json.dumps(figures(m))


def markdown(m: Measured) -> str:
    """The tables."""
    parts = [
        [f"Command: `{m.command}`", "", *(f"- {line}" for line in m.machine)],
        [f"**Not measured**: {part} ({reason})." for part, reason in m.failures.items()],
        ["### Throughput", "", m.trend_log, "", *_speeds(m)],
        ["", m.player_log, "", *_table(("", "events/s", "range", "events per CPU-s"), [_speed_cells(m.sessions)])]
        if m.sessions.runs
        else [],
        _scaling(m),
        ["### Decision latency", "", *_latency(m)] if m.latency else [],
        ["### Memory and recovery", "", *_memory(m)] if m.memory or m.recovery else [],
        _pressure(m),
        ["### Garbage collector", "", *_collector(m)] if m.collector else [],
        ["### Goals", "", *_goals(figures(m))],
        ["```json", json_line(m), "```"],
    ]
    return "\n\n".join("\n".join(part) for part in parts if part)


def _speeds(m: Measured) -> list[str]:
    first = m.trends.get("cuepoint", _NOBODY)
    rows = []
    for row in m.trends.values():
        if not row.runs:
            rows.append((row.label, f"not measured: {row.failure or 'the run was broken off'}", "", "", "", "", ""))
            continue
        alerts = ", ".join("of a part of the log" if n is None else f"{n:,}" for n in row.alerts)
        alone = row is first or not first.runs
        ratio = "" if alone else f"{first.speed.per_s / row.speed.per_s:.1f} x"
        cpu = "" if alone else f"{first.speed.per_cpu_s / row.speed.per_cpu_s:.1f} x"
        rows.append((*_speed_cells(row), ratio, cpu, alerts))
    head = ("", "records/s", "range", "records per CPU-s", "Cuepoint is", "by CPU", "regions opened")
    return _table(head, rows)


def _speed_cells(row: Row) -> tuple[str, str, str, str]:
    rates = [run.per_s for run in row.runs]
    return row.label, f"{row.speed.per_s:,.0f}", f"{min(rates):,.0f} - {max(rates):,.0f}", f"{row.speed.per_cpu_s:,.0f}"


def _scaling(m: Measured) -> list[str]:
    ones = {"trends": m.trends.get("cuepoint", _NOBODY), "sessions": m.sessions}
    rows = [
        (kind, f"{ones[kind].speed.per_s:,.0f}", f"{rate:,.0f}", f"{rate / ones[kind].speed.per_s:.2f} x")
        for kind, rate in m.two_workers.items()
        if ones[kind].runs
    ]
    if not rows:
        return []
    said = (
        "While both work; the second one shares its core with the broker, so that on two cores this is a lower bound."
    )
    return ["### From one worker to two", "", said, "", *_table(("", "one worker", "two workers", "scaling"), rows)]


def _latency(m: Measured) -> list[str]:
    rows = []
    for name, told in m.latency.items():
        for where, ms in (("topic", told.topic_ms), ("Redis feed", told.redis_ms)):
            if ms is not None:
                rate = f"{told.events_per_s:,.0f}" + (" (half the maximal rate)" if name == "half" else "")
                rows.append((rate, where, f"{told.decisions:,}", *(f"{value:.1f}" for value in ms)))
    return _table(("events/s", "readable from", "decisions", "p50 ms", "p95 ms", "p99 ms"), rows)


def _memory(m: Measured) -> list[str]:
    rows = [
        (
            "assets" if entry["kind"] == "trends" else "live sessions",
            f"{entry['held']:,}",
            f"{entry['bytes_each']:,.0f}",
            f"{entry['snapshot_bytes_each']:,.0f}",
        )
        for entry in m.memory
    ]
    lines = _table(("", "number", "resident bytes each", "snapshot bytes each"), rows)
    if m.recovery is not None:
        r = m.recovery
        lines += [
            "",
            f"Recovery of {r.assets:,} assets after SIGKILL: ready after {r.loaded_s:.1f} s (process start, group, "
            f"snapshots), {r.replayed:,} records that no snapshot covered replayed after {r.caught_up_s:.1f} s. The "
            f"worker held {r.bytes_per_asset:,.0f} resident bytes per asset (after two days, everything included).",
        ]
    return lines


def _pressure(m: Measured) -> list[str]:
    if m.pressure is None:
        return []
    before_mb, most_mb = m.pressure.before / 1e6, m.pressure.most / 1e6
    return [
        f"Back-pressure: `cuepoint worker counts` held {before_mb:,.0f} MB when Redis stopped answering, with "
        f"{m.pressure.left_records:,} events still to read, and at most {most_mb:,.0f} MB in the next {STALL_S:.0f} s."
    ]


def _collector(m: Measured) -> list[str]:
    rows = [
        (f"{e['kind']}, {e['policy']}", f"{e['cpu_us']:.2f}", f"{e['collections']:,}", f"{e['grown_bytes'] / 1e6:,.1f}")
        for e in m.collector
    ]
    return _table(("agent fed directly, policy", "CPU us a record", "collections", "growth MB"), rows)


def _goals(found: dict[str, float | None]) -> list[str]:
    rows = []
    for key, goal in GOALS.items():
        value = found.get(key)
        if value is None:
            rows.append((f"`{key}`", f"{goal:,}", "not measured", ""))
            continue
        reached = value <= goal if key.startswith(_AT_MOST) else value >= goal
        rows.append((f"`{key}`", f"{goal:,}", f"{value:,}", "reached" if reached else "**missed**"))
    return _table(("", "goal", "measured", ""), rows)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return ["| " + " | ".join(cells) + " |" for cells in lines]

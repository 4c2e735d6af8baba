"""The overview: what flows, what stands, what was said last."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse

from cuepoint.ops.api_parts import ApiParts
from cuepoint.ops.console_pages import render
from cuepoint.ops.console_rates import DECISIONS, INPUTS
from cuepoint.ops.console_reads import from_history, page_from_history
from cuepoint.ops.console_sampler import Sampler
from cuepoint.streams.heartbeats import Heartbeat
from cuepoint.streams.history_rows import Overview

RECENT = 6
REPORTS = 5
ROLES = ("trends", "sessions", "counts", "views", "store", "catalogue", "alerts")
NOTHING = Overview(
    latest_day=None,
    changes_on_latest_day=0,
    open_regions=0,
    changes=0,
    assets=0,
    reports=0,
    sessions=0,
    decisions=0,
    dead_letters=0,
    dead_by_code={},
)


@dataclass(frozen=True)
class FlowRow:
    """A line of the throughput table."""

    role: str
    way: str
    topic: str
    rate: float
    total: int
    line: list[float]


def flow_rows(sampler: Sampler) -> list[FlowRow]:
    """Throughput by role and topic: what comes in before what goes out."""
    board = sampler.board
    order = {role: at for at, role in enumerate(ROLES)}
    flows = sorted(board.series, key=lambda flow: (order.get(flow.role, 9), flow.way, flow.topic))
    return [FlowRow(*flow, board.rate(flow), board.totals.get(flow, 0), list(board.series[flow])) for flow in flows]


def role_states(beats: list[Heartbeat]) -> list[dict[str, Any]]:
    """One line a role: its workers, whether they are ready, what lies before them."""
    rows = []
    for role in (*ROLES, *sorted({beat.role for beat in beats} - set(ROLES))):
        own = [beat for beat in beats if beat.role == role]
        ready = sum(beat.state == "ready" for beat in own)
        state = "absent" if not own else "ready" if ready == len(own) else own[0].state
        lag = sum(sum(beat.lag.values()) for beat in own)
        rows.append({"role": role, "workers": len(own), "state": state, "lag": lag, "dead": dead_of(own)})
    return rows


def dead_of(beats: list[Heartbeat]) -> int:
    """Dead letters these workers wrote since they started."""
    return sum(sum(beat.dead.values()) for beat in beats)


def numbers(sampler: Sampler, overview: Overview) -> dict[str, Any]:
    """What the tiles show."""
    board, beats = sampler.board, sampler.beats.value
    return {
        "events": board.rate(*INPUTS),
        "events_line": board.line(*INPUTS),
        "decisions_a_minute": 60 * board.rate(DECISIONS, samples=15),
        "decisions_line": board.line(DECISIONS),
        "lag": sum(sum(beat.lag.values()) for beat in beats),
        "open_regions": sum(beat.open_regions for beat in beats) if beats else overview.open_regions,
        "live_sessions": sum(beat.live_sessions for beat in beats),
        "known": bool(beats),
    }


async def overview_context(parts: ApiParts, sampler: Sampler) -> dict[str, Any]:
    """Everything the overview's templates name; stores that are down become sentences."""
    history = parts.history
    overview, changes, decisions, reports = await asyncio.gather(
        from_history(history.overview, NOTHING),
        page_from_history(lambda: history.changes(limit=RECENT)),
        page_from_history(lambda: history.decisions(limit=RECENT, offset=0)),
        page_from_history(lambda: history.reports(limit=REPORTS, offset=0)),
    )
    return {
        "overview": overview.value,
        "changes": changes.value.rows,
        "decisions": decisions.value.rows,
        "reports": reports.value.rows,
        "flows": flow_rows(sampler),
        "roles": role_states(sampler.beats.value),
        "now": numbers(sampler, overview.value),
        "health": sampler.health,
        "problems": sorted({one.problem for one in (overview, changes, decisions, sampler.beats) if one.problem}),
        "history_problem": overview.problem,
        "redis_problem": sampler.beats.problem,
    }


def add_overview(router: APIRouter, parts: ApiParts, sampler: Sampler) -> None:
    """Routes of the overview page and of its live part."""

    @router.get("/")
    async def overview(request: Request) -> HTMLResponse:
        return render(request, "overview.html", **await overview_context(parts, sampler))

    @router.get("/console/fragments/overview")
    async def overview_live(request: Request) -> HTMLResponse:
        return render(request, "overview_live.html", **await overview_context(parts, sampler))

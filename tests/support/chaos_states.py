"""Reading what an agent's state holds of single records, for comparison with the plain recounts."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np

from cuepoint.agents.compose_sessions import ComposeSessions
from cuepoint.agents.watch_trends import WatchTrends
from cuepoint.models.session_rows import STORED


def _by_name(names: list[str], rows: Any, counts: Any) -> dict[str, int]:
    totals: dict[str, int] = {}
    for row, count in zip(rows.tolist(), counts.tolist(), strict=True):
        totals[names[row]] = totals.get(names[row], 0) + count
    return totals


def held_reports(agent: WatchTrends, partition: int) -> dict[str, Any]:
    """As ReportRecount tells it: accepted and unfinished reports with their counts, repeats, the last day scored."""
    ledger = agent._partitions[partition].ledger
    names, accepted = list(ledger.names), {}
    rows = np.arange(len(names))
    for source, days in ledger.versions.items():
        for day in days:
            if ledger.scored is not None and day <= ledger.scored - 56:
                continue
            waiting = ledger.pending.get(day, {}).get(source)
            if waiting is not None:
                held = _by_name(names, *waiting)
            else:
                counts = ledger.parts[source].read(day, rows)
                held = _by_name(names, rows[counts >= 0], counts[counts >= 0])
            accepted[(*source, dt.date.fromordinal(day).isoformat())] = held
    unfinished = {
        (dsp, territory, day.isoformat(), version): _by_name(names, report.rows, report.counts)
        for (dsp, territory, day, version), report in ledger.open.items()
    }
    scored = None if ledger.scored is None else dt.date.fromordinal(ledger.scored).isoformat()
    return {"accepted": accepted, "unfinished": unfinished, "repeats": ledger.repeats, "scored": scored}


def held_sessions(agent: ComposeSessions, partition: int) -> dict[str, Any]:
    """As PlayRecount tells it: where each session stands and which of its events never came, and those closed."""
    rows = agent._partitions[partition].sessions.rows()
    stored = [dict(zip(STORED, row, strict=True)) for row in rows["sessions"]]
    open_now = {
        row["session_id"]: (row["seq"], row["missing"], row["closes_at"], row["video_id"], row["completed"])
        for row in stored
    }
    return {"sessions": open_now, "closed": rows["closed"], "clock": rows["clock"]}

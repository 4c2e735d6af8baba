"""What a viewer's sessions leave behind once they are over: sums per pseudonym, from which averages are told.

A viewer is followed by the pseudonym that the collector put in the place of the player's id; an id of any other form
(of a writer that is not the collector) is not followed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np

from cuepoint.models.count_tally import Increments
from cuepoint.models.rule_says import KINDS
from cuepoint.models.session_facts import SESSION_ID
from cuepoint.models.session_kernel import APPLIED
from cuepoint.models.session_partition import PartitionSessions
from cuepoint.models.session_results import Marked

PSEUDONYM = re.compile(r"p-[0-9a-f]{32}")
_STARTS = [KINDS.index("session_started"), KINDS.index("video_started")]
_ADS = {
    KINDS.index("ad_started"): "ads",
    KINDS.index("ad_completed"): "ad_completes",
    KINDS.index("ad_skipped"): "ad_skips",
    KINDS.index("ad_clicked"): "ad_clicks",
}
METRICS = ("sessions", "plays", "watch_ms", *_ADS.values())


class _Viewer(msgspec.Struct):
    viewer_id: str | None = None


_viewer = msgspec.json.Decoder(_Viewer).decode


def viewer_key(pseudonym: str) -> str:
    """Name of the viewer's hash among the counters."""
    return f"viewer:{pseudonym}"


def viewer_stamps(sums: Mapping[str, float]) -> dict[str, float]:
    """The fields of an event that begins a session.

    >>> viewer_stamps({"sessions": 2, "plays": 4, "watch_ms": 240_000}), viewer_stamps({})
    ({'plays': 4.0, 'average_view_s': 60.0, 'average_session_s': 120.0}, {'plays': 0.0})
    """
    sessions, plays = float(sums.get("sessions", 0)), float(sums.get("plays", 0))
    watched_s = sums.get("watch_ms", 0) / 1000.0
    told = {"plays": plays}
    if plays:
        told["average_view_s"] = watched_s / plays
    if sessions:
        told["average_session_s"] = watched_s / sessions
    return told


class ViewerSessions:
    """Of the sessions of a partition, whose they are and what became of ads in them. A session's sums are the viewer's
    when it is over for good (it ended, or fell silent, and the time in which it could be re-opened has passed)."""

    def __init__(self) -> None:
        self.open: dict[str, tuple[str, dict[str, int]]] = {}  # session -> pseudonym, sums of its ads

    def follow(self, marked: Marked) -> None:
        """Take in what a part of the log says of viewers and ads."""
        cells, applied = marked.events.cells, marked.marks["outcome"] == APPLIED
        kinds = cells["kind"]
        for k in np.flatnonzero(applied & np.isin(kinds, _STARTS)).tolist():
            pseudonym = _viewer_of(marked, k)
            if pseudonym is not None and PSEUDONYM.fullmatch(pseudonym):
                session_id = marked.texts[int(marked.events.texts[k, SESSION_ID])]
                self.open[session_id] = (pseudonym, self.open.get(session_id, ("", {}))[1])
        if not self.open:
            return
        for k in np.flatnonzero((marked.marks["outcome"] > 0) & np.isin(kinds, list(_ADS))).tolist():
            followed = self.open.get(marked.texts[int(marked.events.texts[k, SESSION_ID])])
            if followed is not None:
                metric = _ADS[int(kinds[k])]
                followed[1][metric] = followed[1].get(metric, 0) + 1

    def close(self, over: list[tuple[str, int, int]]) -> Increments:
        """What sessions that are over (id, plays, ms played) add, by the viewer's key."""
        found: Increments = {}
        for session_id, plays, watch_ms in over:
            pseudonym, ads = self.open.pop(session_id, ("", {}))
            if pseudonym:
                fields = found.setdefault(viewer_key(pseudonym), {})
                for metric, amount in {"sessions": 1, "plays": plays, "watch_ms": watch_ms, **ads}.items():
                    fields[metric] = fields.get(metric, 0) + amount
        return found


class EndingSessions(PartitionSessions):
    """Sessions that say which of them are over: ``taken`` gives those since the last call."""

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self._over: list[tuple[str, int, int]] = []

    def taken(self) -> list[tuple[str, int, int]]:
        """(session, plays, ms played) of each that is over for good."""
        over, self._over = self._over, []
        return over

    def _sweep(self) -> None:
        rows = self.sessions[self._past_recall()]
        played_s = rows["session_base_s"] + rows["position_s"] - rows["run_from_s"]
        names = self._names.of(rows["session_id"]) if len(rows) else []
        watch_ms = np.rint(np.maximum(played_s, 0.0) * 1000.0).astype(np.int64).tolist()
        self._over += zip(names, rows["videos"].tolist(), watch_ms, strict=True)
        super()._sweep()


def _viewer_of(marked: Marked, k: int) -> str | None:
    events = marked.events
    if (decoded := events.decoded.get(k)) is not None:
        return decoded.viewer_id
    records, at = events.records, events.first + k
    return _viewer(records.buffer[records.starts[at] : records.ends[at]].tobytes()).viewer_id

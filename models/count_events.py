"""What player events and decisions add to the counters. Repeats are recognised, so each thing is counted once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cuepoint.models.count_keys import VIEW_S
from cuepoint.models.count_tally import HOUR_MS, NO_CATEGORY, Tally
from cuepoint.models.report_columns import Located
from cuepoint.models.rule_book import RuleBook
from cuepoint.models.rule_says import KINDS, Texts
from cuepoint.models.session_events import AD_TYPES
from cuepoint.models.session_facts import RULE_ID
from cuepoint.models.session_kernel import APPLIED
from cuepoint.models.session_results import Marked, Results
from cuepoint.models.session_settings import SessionSettings
from cuepoint.models.viewer_history import EndingSessions, ViewerSessions
from cuepoint.schemas.playback import AdDecision

Ints = NDArray[np.int64]
_AD_METRICS = {
    KINDS.index("ad_started"): "ad_starts",
    KINDS.index("ad_completed"): "ad_completes",
    KINDS.index("ad_skipped"): "ad_skips",
    KINDS.index("ad_clicked"): "ad_clicks",
    KINDS.index("ad_failed"): "ad_failures",
}
FORGET_MS = 2 * 3_600_000
_EMPTY = RuleBook()


class PlaybackCounter:
    """Follows sessions as the session agent does, without rules, and counts what each event adds.

    Events that are refused (beyond the video, of a closed session) are not counted; they are the session agent's dead
    letters. What a session was for its viewer is counted when it is over.
    """

    def __init__(self, settings: SessionSettings) -> None:
        self.sessions = EndingSessions(settings, marking=True)
        self.viewers = ViewerSessions()

    def count(self, records: Located, stamps: Ints) -> Tally:
        """The increments of these records, in the order of the log; rules among them are passed over."""
        tally, out, place = Tally(), Results(), 0
        while place < len(records.ends):
            place = self.sessions.run(records, place, stamps, _EMPTY, out) + 1
        for marked in out.marked:
            _count_plays(tally, marked)
            _count_ads(tally, marked)
            self.viewers.follow(marked)
        for key, fields in self.viewers.close(self.sessions.taken()).items():
            tally.put(key, fields)
        return tally


def _count_plays(tally: Tally, marked: Marked) -> None:
    m, hours = marked.marks, _hours(marked)
    applied = m["outcome"] == APPLIED
    for hour, opened in zip(*np.unique(hours[applied & m["opened"]], return_counts=True), strict=True):
        tally.add(int(hour) * HOUR_MS, "sessions", int(opened), {})
    applied &= m["video_id"] >= 0
    before_s = np.where(m["new_view"], 0.0, m["view_before_s"])
    complete_before = m["was_complete"] & ~m["new_view"]
    seen = (m["view_after_s"] >= VIEW_S) | m["is_complete"]
    amounts = {
        "plays": m["new_view"],
        "watch_ms": np.rint(np.maximum(m["after_s"] - m["before_s"], 0.0) * 1000.0),
        "completions": m["is_complete"] & ~complete_before,
        "views": seen & ~complete_before & (before_s < VIEW_S),
    }
    columns = np.stack([hours, m["video_id"], m["category"]])[:, applied]
    groups, group_of = _groups(columns)
    for metric, by_event in amounts.items():
        sums = np.bincount(group_of, weights=by_event[applied], minlength=groups.shape[1])
        for k in np.flatnonzero(sums).tolist():
            hour, video, category = groups[:, k].tolist()
            tally.add(hour * HOUR_MS, metric, int(sums[k]), _video_names(video, category, marked.texts))


def _count_ads(tally: Tally, marked: Marked) -> None:
    m, cells, n = marked.marks, marked.events.cells, len(marked.marks)
    ads = np.flatnonzero((m["outcome"] > 0) & np.isin(cells["kind"], list(_AD_METRICS)))
    rules = marked.events.texts[:n, RULE_ID]
    columns = np.stack([_hours(marked), m["video_id"], m["category"], rules, cells["ad"], cells["kind"]])[:, ads]
    groups, group_of = _groups(columns)
    for k, amount in enumerate(np.bincount(group_of, minlength=groups.shape[1]).tolist()):
        hour, video, category, rule, ad, kind = groups[:, k].tolist()
        names = _video_names(video, category, marked.texts)
        if rule > 0:
            names["rule"] = marked.texts[rule]
        if ad > 0:
            names["format"] = AD_TYPES[ad - 1]
        tally.add(hour * HOUR_MS, _AD_METRICS[kind], amount, names)


def _hours(marked: Marked) -> Ints:
    received, n = marked.events.cells["received_at"], len(marked.marks)
    at_ms: Ints = np.where(received > 0, received, np.maximum(marked.stamps[:n], 0))
    return at_ms // HOUR_MS


def _groups(columns: Ints) -> tuple[Ints, Ints]:
    """(the different columns, which of them each one is)."""
    which = np.zeros(columns.shape[1], dtype=np.int64)
    if not columns.shape[1]:
        return columns, which
    for row in columns:
        low = row.min()
        which = np.unique(which * (row.max() - low + 1) + (row - low), return_inverse=True)[1]
    first = np.unique(which, return_index=True)[1]
    return columns[:, first], which


def _video_names(video: int, category: int, texts: Texts) -> dict[str, str]:
    names = {"category": texts[category] or NO_CATEGORY}
    if video >= 0:
        names["video"] = texts[video]
    return names


class DecisionCounter:
    """Counts decisions once: within a session they are numbered, and a number that is not new is a repeat. So is a
    decision from before the time that sessions are remembered: the log is in the order of time, but for what a worker
    that begins again from an older state says once more."""

    def __init__(self) -> None:
        self.last: dict[str, tuple[int, int]] = {}  # session -> (number, decided_at), the oldest first
        self.clock = 0

    def count(self, decisions: Sequence[AdDecision]) -> Tally:
        """The increments of these decisions, in the order of the log."""
        tally = Tally()
        for decision in decisions:
            number, seen_at = self.last.get(decision.session_id, (0, 0))
            if seen_at + FORGET_MS < self.clock:  # forgotten, whether or not a batch has ended since
                if decision.decided_at + FORGET_MS < self.clock:
                    continue
                number = 0
            self.last.pop(decision.session_id, None)
            self.clock = max(self.clock, decision.decided_at)
            self.last[decision.session_id] = (max(number, decision.number), self.clock)
            if decision.number > number:
                names = {"video": decision.video_id, "rule": decision.rule_id, "format": decision.format.type}
                tally.add(decision.decided_at, "deliveries", 1, names)
        for session_id in list(self.last):
            if self.last[session_id][1] + FORGET_MS >= self.clock:
                break
            del self.last[session_id]
        return tally

"""Sessions as plain values: the form in which snapshots keep them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import nan
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cuepoint.models import session_kernel as kernel
from cuepoint.models.report_names import Names
from cuepoint.models.rule_kernel import FREE, FREE_LEFT
from cuepoint.models.rule_says import KINDS
from cuepoint.models.session_table import State

STATE_VERSION = 1
STORED = (
    "session_id", "first_seq", "seq", "missing", "closes_at", "ended", "reopened", "registered", "device", "country",
    "video_id", "duration_s", "category", "channel", "view_seq", "videos", "position_s", "reached_s", "run_from_s",
    "view_base_s", "session_base_s", "completed", "muted", "fullscreen", "pauses", "seeks", "mutes", "skips", "clicks",
    "last_action", "ads", "ad_at_s", "fired", "fired_view",
    "hours", "rivals", "pod_ads", "pod_s", "playlist_id", "playlist_before", "playlist_number", "playlist_length",
    "cue_points_s", "affiliate", "region", "profile", "last_site", "sites", "abandons", "views", "trend", "rating",
    "average_view_s", "average_session_s", "plays",
)  # fmt: skip
TEXTS = (
    "session_id", "video_id", "device", "country", "category", "channel", "playlist_id", "playlist_before",
    "cue_points_s", "affiliate", "region", "profile", "last_site",
)  # fmt: skip
_CHAINS = ("fired", "fired_view", "rivals")
_AMOUNTS = ("views", "trend", "rating", "average_view_s", "average_session_s", "plays")
# a row written before hours were counted has fewer columns: what it lacks is unknown, or was not there
_LACKING: dict[str, Any] = {"hours": [], "rivals": {}, "pod_ads": 0, "pod_s": 0.0, **dict.fromkeys(_AMOUNTS)}


def session_rows(sessions: NDArray[Any], state: State, names: Names) -> list[tuple[Any, ...]]:
    """The values of STORED, equal for equal states whatever is cached: None for an unknown video or length, a list of
    sequence numbers, a dict of tallies by rule in the order they began."""
    columns: dict[str, list[Any]] = {name: sessions[name].tolist() for name in STORED}
    texts = _texts(names, np.concatenate([sessions[name] for name in TEXTS]))
    tallies, rules = _chains(sessions, state, names)
    nothing: tuple[list[Any], dict[str, int]] = [], {}  # one for all sessions: a snapshot makes few objects
    for name in TEXTS:
        columns[name] = [texts[row] for row in columns[name]]
    columns["duration_s"] = [length or None for length in columns["duration_s"]]
    # heartbeats leave this to the next event that looks at it
    further = (sessions["video_id"] >= 0) & (sessions["position_s"] > sessions["reached_s"])
    columns["reached_s"] = np.where(further, sessions["position_s"], sessions["reached_s"]).tolist()
    columns["last_action"] = [KINDS[action] if action else "" for action in columns["last_action"]]
    columns["missing"] = [
        state.missing[row, :n].tolist() if n else nothing[0] for row, n in enumerate(columns["missing"])
    ]
    columns["hours"] = [_links(tallies, head, rules) if head >= 0 else nothing[0] for head in columns["hours"]]
    for name in _AMOUNTS:
        columns[name] = [None if amount != amount else amount for amount in columns[name]]  # noqa: PLR0124 - NaN
    for name in _CHAINS:
        columns[name] = [dict(_links(tallies, head, rules)) if head >= 0 else nothing[1] for head in columns[name]]
    return list(zip(*columns.values(), strict=True))


def _texts(names: Names, rows: NDArray[np.int32]) -> dict[int, str | None]:
    """The texts of these rows, None for -1."""
    used = np.unique(rows)
    known = used[used >= 0].astype(np.int64)
    return {-1: None, **dict(zip(known.tolist(), names.of(known), strict=True))}


def _chains(sessions: NDArray[Any], state: State, names: Names) -> tuple[list[tuple[int, int, int]], dict[int, Any]]:
    """The tallies as plain values, and the names of their rules; none where no session has any."""
    if not any((sessions[name] >= 0).any() for name in (*_CHAINS, "hours")):
        return [], {}
    return state.tallies.tolist(), _texts(names, state.tallies["rule"])


def _links(tallies: list[tuple[int, int, int]], head: int, rules: dict[int, Any]) -> list[tuple[str, int]]:
    found = []
    while head >= 0:
        count, rule, head = tallies[head]
        found.append((rules[rule], count))
    return found


def load_rows(rows: Sequence[Sequence[Any]], state: State, names: Names) -> None:
    """The inverse of ``session_rows``, into a state without sessions that has room for them and their tallies."""
    cells = state.sessions[: len(rows)]
    rows = [(*row, *(_LACKING.get(name, "" if name in TEXTS else 0) for name in STORED[len(row) :])) for row in rows]
    columns = dict(zip(STORED, zip(*rows, strict=True), strict=True)) if rows else {}
    for name, values in columns.items():
        if name in TEXTS:
            cells[name] = [-1 if text is None else names.row(text) for text in values]
        elif name == "duration_s":
            cells[name] = [length or 0.0 for length in values]
        elif name == "last_action":
            cells[name] = [KINDS.index(action) if action else 0 for action in values]
        elif name == "missing":
            cells[name] = list(map(len, values))
            for row, lost in enumerate(values):
                state.missing[row, : len(lost)] = lost
        elif name in _CHAINS:
            cells[name] = [_chain(state, counts.items(), names) for counts in values]
        elif name == "hours":
            cells[name] = [_chain(state, counts, names) for counts in values]
        elif name in _AMOUNTS:
            cells[name] = [nan if amount is None else amount for amount in values]
        else:
            cells[name] = values
    cells["plan"] = cells["plan_of"] = -1
    cells["quiet_until_s"] = cells["moment_s"] = -1.0
    state.control[kernel.SESSIONS] = len(rows)


def _chain(state: State, counts: Iterable[Sequence[Any]], names: Names) -> int:
    head = -1
    for rule, count in reversed(list(counts)):
        at = int(state.control[FREE])
        state.control[FREE] = state.tallies[at]["next"]
        state.control[FREE_LEFT] -= 1
        state.tallies[at] = (count, names.row(rule), head)
        head = at
    return head

"""How sessions, rules, occasions and decisions lie in memory: one record each, in arrays."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

# One live session. Texts are rows of Names, -1 is none; plan, plan_of, quiet_until_s and moment_s are derived, not
# stored.
SESSION = np.dtype(
    [
        ("seq", "i8"),  # the highest seen
        ("closes_at", "i8"),  # ms; events up to here belong to the open session
        ("position_s", "f8"),
        ("quiet_until_s", "f8"),  # up to here nothing can be due: a heartbeat only moves the position
        ("plan_of", "i4"),  # the tables' stamp for which the plan was made
        ("plan", "i4"),
        ("video_id", "i4"),
        ("missing", "u1"),  # how many sequence numbers below seq have not come
        ("ended", "?"),  # by an event, not by time
        ("registered", "?"),
        ("completed", "?"),
        ("muted", "?"),
        ("fullscreen", "?"),
        ("last_action", "u1"),  # a kind of event; 0: none
        ("duration_s", "f8"),  # 0: unknown
        ("reached_s", "f8"),  # the furthest position whose breaks are done with
        ("run_from_s", "f8"),  # where the uninterrupted stretch of play began, ...
        ("view_base_s", "f8"),  # ... the seconds played of the video up to there ...
        ("session_base_s", "f8"),  # ... and of the session
        ("moment_s", "f8"),  # no series has an occasion before so many seconds of the session, if the video plays on
        ("ad_at_s", "f8"),  # seconds of the session played at the last ad; negative before the first
        ("first_seq", "i8"),  # of the first event seen: part of the session's occasions
        ("view_seq", "i8"),  # of the event that began this play of a video
        ("session_id", "i4"),
        ("device", "i4"),
        ("country", "i4"),
        ("category", "i4"),
        ("channel", "i4"),
        ("videos", "i4"),
        ("reopened", "i4"),
        ("pauses", "i4"),
        ("seeks", "i4"),
        ("mutes", "i4"),
        ("skips", "i4"),
        ("clicks", "i4"),
        ("ads", "i4"),
        ("fired", "i4"),  # ads of rules that limit them: a chain of TALLY ...
        ("fired_view", "i4"),  # ... and in this play, likewise
        ("hours", "i4"),  # ads of the last hour, of rules that limit them: a link each, with its time, oldest first
        ("rivals", "i4"),  # of each category of ads: ms played in the session at the last one
        ("pod_ads", "i4"),  # ads decided at the last moment of playback at which any was ...
        ("pod_s", "f8"),  # ... and how long they last
        ("playlist_id", "i4"), ("playlist_before", "i4"),  # 0: none
        ("playlist_number", "i4"), ("playlist_length", "i4"),  # 0: unknown
        ("cue_points_s", "i4"), ("affiliate", "i4"), ("region", "i4"), ("profile", "i4"), ("last_site", "i4"),
        ("sites", "i4"), ("abandons", "i4"),
        ("views", "f8"), ("trend", "f8"), ("rating", "f8"),  # NaN: unknown, likewise
        ("average_view_s", "f8"), ("average_session_s", "f8"), ("plays", "f8"),
    ],
    align=True,
)  # fmt: skip
TALLY = np.dtype([("count", "i8"), ("rule", "i4"), ("next", "i4")])

# One rule in effect; ranges are first and behind last, in the array named.
RULE = np.dtype(
    [
        ("min_gap_s", "f8"),  # the least of its ads
        ("seconds", "f8"),  # a position, per cent, how many clips, or the interval of a series once it stays the same
        ("pod_length_s", "f8"),
        ("separation_s", "f8"),
        ("name", "i4"),
        ("per_session", "i4"),  # -1: no limit
        ("per_video", "i4"),
        ("per_hour", "i4"),
        ("pod_ads", "i4"),
        ("ads", "i4"), ("ads_behind", "i4"),  # the rule's own ad and those of its adaptations, in ads
        ("first", "i4"), ("behind", "i4"),  # positions or moments, in numbers
        ("value", "i4"),  # of the action; 0: any
        ("fixed", "i4"),  # where the criteria settled when a play begins are entered, in code
        ("criteria", "i4"),  # and those asked at each occasion
        ("asks", "i4"), ("asks_behind", "i4"),  # fields of the criteria, in fields
        ("scope", "i4", (6, 2)),  # texts in numbers, sorted; none: everywhere
        ("trigger", "u1"), ("action", "u1"), ("on_seek", "u1"),
        ("origin", "u1"),  # from which seconds count; of clips: which boundary
    ],
    align=True,
)  # fmt: skip
# What a rule shows, as it is or while an adaptation's condition holds.
AD = np.dtype(
    [
        ("length_s", "f8"), ("percent", "f8"),  # 0: length_s holds
        ("least_s", "f8"), ("most_s", "f8"), ("factor", "f8"), ("share", "f8"), ("delay_s", "f8"), ("min_gap_s", "f8"),
        ("rating", "f8"),  # NaN: unknown
        ("when", "i4"),  # where its condition is entered, in code
        ("type", "i4"), ("category", "i4"), ("of_playback", "?"),
    ],
    align=True,
)  # fmt: skip
# One condition and where to go on.
CODE = np.dtype(
    [
        ("value", "f8"), ("first", "i4"), ("behind", "i4"), ("yes", "i4"), ("no", "i4"),
        ("field", "u1"), ("relation", "u1"),
    ],
    align=True,
)  # fmt: skip
# The rules in scope for plays alike.
PLAN = np.dtype(
    [
        ("duration_s", "f8"),
        ("min_gap_s", "f8"), ("start_gap_s", "f8"), ("action_gap_s", "f8"),
        ("video_id", "i4"), ("category", "i4"), ("channel", "i4"), ("country", "i4"), ("affiliate", "i4"),
        ("playlist_id", "i4"), ("cue_points_s", "i4"),
        ("rules", "i4"), ("actions", "u4"), ("breaks", "?"), ("series", "?"),
    ],
    align=True,
)  # fmt: skip
# An occasion a rule waited for: where in the video to insert, the sequence number it is counted from, how it came about
# and at which position, as which of its series or by which action.
DUE = np.dtype(
    [
        ("position_s", "f8"), ("where", "f8"), ("since_seq", "i8"), ("rule", "i4"), ("how", "i4"),
        ("turn", "i4"),  # which occasion is asked as this one, once they are in order
    ],
    align=True,
)  # fmt: skip
DECISION = np.dtype(
    [
        ("position_s", "f8"), ("where", "f8"), ("since_seq", "i8"), ("rule", "i4"), ("how", "i4"),
        ("played_s", "f8"), ("duration_s", "f8"), ("at_ms", "i8"), ("event", "i4"), ("number", "i4"),
        ("video_id", "i4"), ("fault", "?"), ("length_s", "f8"), ("ad", "i4"), ("pod_number", "i4"),
    ],
    align=True,
)  # fmt: skip
# An occasion asked, what became of it and the condition that said so; the values of all fields stand beside it.
TRACE = np.dtype(
    [
        ("position_s", "f8"), ("where", "f8"), ("found", "f8"),  # what the limit was compared with
        ("at_ms", "i8"), ("rule", "i4"), ("how", "i4"), ("event", "i4"), ("verdict", "i4"), ("ad", "i4"),
    ],
    align=True,
)  # fmt: skip
REFUSAL = np.dtype([("place_s", "f8"), ("limit_s", "f8"), ("event", "i4"), ("why", "i4")], align=True)
# What an event changed of its session, for those who count; all zero for a repeat or a refusal.
MARK = np.dtype(
    [
        ("before_s", "f8"), ("after_s", "f8"), ("view_before_s", "f8"), ("view_after_s", "f8"),  # seconds played
        ("video_id", "i4"), ("category", "i4"),  # after it
        ("outcome", "u1"), ("opened", "?"), ("new_view", "?"), ("was_complete", "?"), ("is_complete", "?"),
    ],
    align=True,
)  # fmt: skip


class Tables(NamedTuple):
    """The rules of a moment. ``members[p, :plans[p].rules]`` are the rules of plan p, in the order they are asked;
    ``slots`` finds plans by what they depend on; ``state``: stamp, plans made, whether any scope names videos or
    playlists, any rule asks for the video's own cue points, occasions are traced. ``letters`` and ``offsets`` are those
    of the partition's names."""

    rules: NDArray[Any]
    ads: NDArray[Any]
    code: NDArray[Any]
    numbers: NDArray[np.float64]
    fields: NDArray[np.uint8]
    plans: NDArray[Any]
    members: NDArray[np.int16]
    slots: NDArray[np.int32]
    state: NDArray[np.int64]
    letters: NDArray[np.uint8]
    offsets: NDArray[np.int64]


class State(NamedTuple):
    """A partition's sessions, and what the loop works with. ``missing`` (sessions, MAX_MISSING): sequence numbers that
    have not come; ``row_of`` (names,): the row of a session's id; ``due``: room for the occasions of one event."""

    sessions: NDArray[Any]
    missing: NDArray[np.uint32]
    row_of: NDArray[np.int32]
    tallies: NDArray[Any]
    control: NDArray[np.int64]
    due: NDArray[Any]


class Out(NamedTuple):
    """Results; ``values`` (decisions, fields) are those of the rule's criteria; ``marks`` (events,), or none;
    ``traces`` with ``traced`` (traces, fields), or none."""

    decisions: NDArray[Any]
    values: NDArray[np.float64]
    refusals: NDArray[Any]
    marks: NDArray[Any]
    traces: NDArray[Any]
    traced: NDArray[np.float64]

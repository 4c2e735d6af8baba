"""Compiled: what events tell of viewer and video, and how often the viewer did what.

Part of session_kernel's loop, as rule_kernel is.
"""
# ruff: noqa: PLR0917  (numba functions take arrays and scalars by position)

from __future__ import annotations

from typing import Any

import numpy as np

from cuepoint.models.compiled import inner
from cuepoint.models.rule_kernel import free_chain, gap_s, played_s
from cuepoint.models.session_occasions import (
    AD_CLICKED,
    AD_SKIPPED,
    CLICKED,
    MUTED,
    PAUSED,
    REWOUND,
    SEEKED,
    SITE_ACTION,
)

(  # columns of an event's texts
    SESSION_ID, VIDEO_ID, CATEGORY, CHANNEL, DEVICE, COUNTRY, VALUE, RULE_ID, PLAYLIST, CUES, AFFILIATE, REGION,
    PROFILE,
) = range(13)  # fmt: skip
(  # and of its extras
    NUMBER, LENGTH, VIEWS, TREND, RATING, AVERAGE_VIEW_S, AVERAGE_SESSION_S, PLAYS,
) = range(8)  # fmt: skip
NEAR_AD_S = 30.0  # who leaves a video within so many seconds played after an ad may have left because of it


@inner
def count(s: Any, kind: int) -> None:
    """Count what rules ask the number of."""
    if kind == PAUSED:
        s.pauses += 1
    elif kind in (SEEKED, REWOUND):
        s.seeks += 1
    elif kind == MUTED:
        s.mutes += 1
    elif kind == AD_SKIPPED:
        s.skips += 1
    elif kind in (AD_CLICKED, CLICKED):
        s.clicks += 1
    elif kind == SITE_ACTION:
        s.sites += 1


@inner
def learn_viewer(s: Any, e: Any, texts: Any, extras: Any) -> None:
    """Take in what the event says of the viewer; what it does not say stays as it was."""
    s.registered = s.registered or e.registered
    if texts[DEVICE]:
        s.device = texts[DEVICE]
    if texts[COUNTRY]:
        s.country, s.plan = texts[COUNTRY], -1
    if texts[AFFILIATE]:
        s.affiliate, s.plan = texts[AFFILIATE], -1
    if texts[REGION]:
        s.region = texts[REGION]
    if texts[PROFILE]:
        s.profile = texts[PROFILE]
    if e.extra:
        if extras[AVERAGE_VIEW_S] >= 0.0:
            s.average_view_s = extras[AVERAGE_VIEW_S]
        if extras[AVERAGE_SESSION_S] >= 0.0:
            s.average_session_s = extras[AVERAGE_SESSION_S]
        if extras[PLAYS] >= 0.0:
            s.plays = extras[PLAYS]


@inner
def learn_video(s: Any, e: Any, texts: Any, extras: Any) -> None:
    """Take in what the event says of the video; what it does not say is unknown."""
    s.category, s.channel = texts[CATEGORY], texts[CHANNEL]
    s.playlist_id, s.cue_points_s = max(texts[PLAYLIST], 0), texts[CUES]
    s.playlist_number = s.playlist_length = 0
    s.views = s.trend = s.rating = np.nan
    if e.extra:
        if extras[NUMBER] > 0.0:
            s.playlist_number = int(extras[NUMBER])
        if extras[LENGTH] > 0.0:
            s.playlist_length = int(extras[LENGTH])
        s.views, s.trend, s.rating = extras[VIEWS], extras[TREND], extras[RATING]


@inner
def open_view(s: Any, e: Any, texts: Any, extras: Any, tallies: Any, control: Any) -> None:
    """A play of a video begins; the one before is over, and was abandoned if it was left near an ad."""
    played = played_s(s)
    if s.videos > 0 and not s.completed and gap_s(s) <= NEAR_AD_S:
        s.abandons += 1
    s.playlist_before = s.playlist_id
    s.view_seq, s.videos, s.video_id, s.duration_s = e.seq, s.videos + 1, texts[VIDEO_ID], e.duration_s
    learn_video(s, e, texts, extras)
    s.position_s = s.run_from_s = s.reached_s = e.position_s
    s.view_base_s, s.session_base_s, s.completed, s.plan = 0.0, played, False, -1
    free_chain(tallies, control, s.fired_view)
    s.fired_view = -1

"""How simulated viewers behave: parameters derived from recorded ones, and what had to be assumed.

Derived by ``python benchmarks/derive_session_calibration.py FOLDER`` from three files (aggregates only, no row of
them is here):

- ``session_behaviour.csv.gz`` (29,304 viewer x video rows of a MOOC): classes of views by the share of the video
completed (brief below 0.25, left below 0.95, complete), shares within the first two, pauses, rewinds and
fast-forwards a view (capped at 20; negative binomial matched in mean and share of zeros), length of a pause
(log-normal by median and quartiles), playback rate; - ``video_retention.csv`` (65 videos): lengths (log-normal),
devices and regions weighted by views; - ``watch_time_cdf.csv`` (live TV, Puffer): seconds a viewer watches in a
session, at every twentieth, cut at MAX_SESSION_S.

None of them has the time of day or advertisements, so day shape, categories, countries within regions and all of
REACTIONS are assumptions.
"""

from __future__ import annotations

from typing import NamedTuple


class Counts(NamedTuple):
    """Negative binomial: mean and dispersion r, variance mean + mean^2 / r."""

    mean: float
    dispersion: float


class ViewClass(NamedTuple):
    """One kind of view: how often it occurs, the share of the video it reaches (quantiles at tenths), actions a
    view."""

    probability: float
    shares: tuple[float, ...]
    pauses: Counts
    rewinds: Counts
    forwards: Counts


VIEWS: dict[str, ViewClass] = {
    "brief": ViewClass(
        0.1398,
        (0.0, 0.0, 0.0, 0.0137, 0.0256, 0.0424, 0.0712, 0.1053, 0.1528, 0.1969, 0.2497),
        Counts(1.297, 1.086),
        Counts(1.876, 0.188),
        Counts(2.199, 0.231),
    ),
    "left": ViewClass(
        0.2818,
        (0.25, 0.3442, 0.4371, 0.5214, 0.6067, 0.6739, 0.7398, 0.7967, 0.8558, 0.9094, 0.9499),
        Counts(4.015, 1.718),
        Counts(4.571, 0.634),
        Counts(3.279, 0.467),
    ),
    "complete": ViewClass(0.5784, (1.0,) * 11, Counts(1.710, 1.723), Counts(0.405, 0.142), Counts(0.121, 0.072)),
}
MAX_ACTIONS = 20
PAUSE_SHARE_MEDIAN, PAUSE_SHARE_LOG_SIGMA = 0.1149, 1.664  # of the video's length
MAX_PAUSE_S = 1200.0
RATES = ((1.0, 0.7157), (1.25, 0.1265), (1.5, 0.1), (2.0, 0.0578))
DURATION_MEDIAN_S, DURATION_LOG_SIGMA = 186.5, 0.748
MIN_DURATION_S, MAX_DURATION_S = 30.0, 1200.0
DEVICES = (("desktop", 0.7733), ("mobile", 0.1254), ("tablet", 0.101), ("console", 0.0003))
SESSION_WATCH_S = (
    0.0, 2.7, 6.6, 11.8, 18.4, 26.6, 35.2, 45.2, 59.8, 80.0, 111.5,
    159.9, 242.7, 374.5, 606.0, 1008.3, 1681.1, 2703.3, 4461.0, 8085.3, 77294.4,
)  # fmt: skip
MAX_SESSION_S = 4 * 3600.0

# assumed from here on; countries: one or two for each region, by the region's share of views
COUNTRIES = (
    ("DE", 0.29), ("GB", 0.2897), ("IN", 0.1611), ("US", 0.08),
    ("CA", 0.03), ("ZA", 0.0857), ("AU", 0.0409), ("BR", 0.0225),
)  # fmt: skip
CATEGORIES = ("music", "news", "sports", "comedy", "documentary", "gaming")
HEARTBEAT_S = 10.0
SKIP_STEP_S = 15.0  # mean length of a rewind or fast-forward
BETWEEN_VIDEOS_S = 4.0
REGISTERED = 0.35
FULLSCREEN, MUTED, CLICKED, HOVERED = 0.15, 0.05, 0.02, 0.08  # of views
HOURLY = (
    0.55, 0.4, 0.3, 0.25, 0.25, 0.3, 0.4, 0.5, 0.55, 0.6, 0.65, 0.7,
    0.75, 0.75, 0.75, 0.75, 0.8, 0.85, 0.9, 1.0, 1.0, 0.95, 0.85, 0.7,
)  # fmt: skip  # audience by hour (UTC), of its peak


class Reactions(NamedTuple):
    """What viewers do with an ad (assumed): skip after ``skip_after_s``, click, leave the video or the session."""

    skip: float = 0.25
    skip_after_s: float = 5.0
    click: float = 0.012
    leave_video: float = 0.02
    leave_session: float = 0.015
    fail: float = 0.005


REACTIONS = Reactions()

"""The world of a simulated catalogue (labelled ``sim-``): services, territories, playlists, and how its market moves.

Nothing here is measured: figures are chosen so that the kinds of structure of US 11,113,707 (services, active and
passive contexts, named playlists and stations, groups, territories) are all there, with the truth known.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

DSPS = ("sim-aurora", "sim-brook", "sim-cedar", "sim-delta")
DSP_SHARES = (0.45, 0.27, 0.18, 0.10)
PLAIN_DSP = 3  # tells neither context nor device nor group
TERRITORIES = ("US", "GB", "DE", "BR", "MX", "JP", "SE", "IN")
TERRITORY_SHARES = (0.34, 0.12, 0.11, 0.13, 0.09, 0.08, 0.05, 0.08)
CONTEXTS = ("library", "search", "album", "artist", "discovery", "radio", "playlist")
ACTIVE_CONTEXTS = 4  # the first four
PLAYLIST = 6
CONTEXT_SHARES = (0.58, 0.2, 0.12, 0.1, 0.6, 0.4)  # of the active, of the passive streams outside playlists
DEVICES = ("phone", "computer", "speaker", "tv")
GENDERS = ("female", "male", "unknown")
AGE_BANDS = ("0-17", "18-24", "25-34", "35-44", "45-54", "55-64", "65+")
SUBSCRIPTIONS = ("paid", "free")
_AGE_SHARES = (0.07, 0.27, 0.28, 0.17, 0.11, 0.06, 0.04)
_DEVICE_SHARES = ((0.62, 0.22, 0.11, 0.05), (0.5, 0.2, 0.22, 0.08))  # in active, in passive contexts
_WEEK = (-0.05, -0.02, 0.0, 0.02, 0.09, 0.02, -0.06)  # Monday..Sunday, log
_HOLIDAYS = ((1, 1, "", -0.2), (2, 14, "", 0.05), (12, 24, "", -0.12), (12, 25, "", -0.28), (12, 31, "", 0.12))
_HOME = ((7, 4, "US", -0.15), (10, 3, "DE", -0.1), (9, 7, "BR", -0.1), (6, 6, "SE", -0.08), (8, 15, "IN", 0.08))


@dataclass(frozen=True, kw_only=True)
class CatalogueParams:
    """What a simulated catalogue is like. ``median_count``: streams a day of the median asset; ``size_sd``: of the log
    of an asset's size (the tail); ``event_share``: of the assets, how many meet an event; ``groups`` False: no split
    by gender, age and subscription."""

    assets: int
    days: int
    first_day: dt.date = dt.date(2024, 1, 1)
    median_count: float = 30.0
    size_sd: float = 1.5
    event_share: float = 0.3
    new_share: float = 0.05  # released within the simulated days
    warm_days: int = 35  # no event of an asset before
    event_days: int | None = None  # none from this day on; else until a week before the end
    market_sd: float = 0.015
    market_moves: float = 1.0  # in 60 days, beside the holidays
    gaps: float = 1.0  # reports that do not come, in 60 days
    groups: bool = True

    def __post_init__(self) -> None:
        if min(self.assets, self.days) < 1 or self.assets > 10_000_000:
            raise ValueError("assets must lie in 1..10000000 and days be at least 1")
        if self.median_count <= 0 or not 0 <= self.event_share <= 1:
            raise ValueError("median_count must be positive and event_share lie in 0..1")


@dataclass(frozen=True)
class Containers:
    """Playlists and stations: ``territory`` -1 is the world; ``station`` ones are heard in the context radio."""

    dsp: Ints
    territory: Ints
    station: NDArray[np.bool_]
    reach: Floats  # how likely an asset is on it

    def identifier(self, number: int) -> str:
        kind = "station" if self.station[number] else "playlist"
        return f"{DSPS[int(self.dsp[number])]}:{kind}-{number:04d}"

    def title(self, number: int) -> str:
        kind = "station" if self.station[number] else "playlist"
        place = "" if self.territory[number] < 0 else f" {TERRITORIES[int(self.territory[number])]}"
        return f"Simulated {kind} {number}{place}"


def make_containers(params: CatalogueParams, rng: np.random.Generator) -> Containers:
    """A playlist or station for every 25 assets, at least 12; none on the service that tells no context."""
    n = max(12, params.assets // 25)
    dsp = rng.choice(PLAIN_DSP, size=n, p=np.array(DSP_SHARES[:PLAIN_DSP]) / sum(DSP_SHARES[:PLAIN_DSP]))
    territory = np.where(rng.random(n) < 0.5, -1, rng.choice(len(TERRITORIES), size=n, p=np.array(TERRITORY_SHARES)))
    reach = 1.0 / (1.0 + np.arange(n)) ** 0.8
    return Containers(dsp, territory, rng.random(n) < 0.15, reach / reach.sum())


def market_factors(params: CatalogueParams, rng: np.random.Generator) -> tuple[Floats, list[tuple[int, int, float]]]:
    """The market by day and territory (days, 8), and its moves beside week, holidays and drift: (day, territory, log
    size), territory -1 for all of them."""
    shape = (params.days, len(TERRITORIES))
    drift = np.zeros(shape)
    shocks = params.market_sd * (rng.standard_normal(shape) + rng.standard_normal((params.days, 1)))
    for day in range(params.days):
        drift[day] = (0.8 * drift[day - 1] if day else 0.0) + shocks[day]
    moves = []
    for _ in range(rng.poisson(params.market_moves * params.days / 60)):
        territory = int(rng.integers(-1, len(TERRITORIES)))
        move = (int(rng.integers(0, params.days)), territory, float(rng.choice([-0.3, -0.2, 0.2, 0.3])))
        moves.append(move)
        drift[move[0], slice(None) if territory < 0 else territory] += move[2]
    for day in range(params.days):
        date = params.first_day + dt.timedelta(days=day)
        drift[day] += _WEEK[date.weekday()]
        for month, number, place, size in (*_HOLIDAYS, *_HOME):
            if (date.month, date.day) == (month, number):
                drift[day, slice(None) if not place else TERRITORIES.index(place)] += size
    return np.exp(drift), sorted(moves)


def device_shares(passive: bool) -> Floats:
    """Shares of DEVICES in active or passive contexts."""
    shares: Floats = np.array(_DEVICE_SHARES[int(passive)])
    return shares


def group_shares(age_lean: Floats, female: Floats, paid: Floats) -> Floats:
    """Shares of gender x age band x subscription for each asset (n, 42); ``age_lean`` > 0 is an older audience."""
    age = np.array(_AGE_SHARES) * np.exp(age_lean[:, None] * (np.arange(7) - 2.5))
    age /= age.sum(axis=1, keepdims=True)
    gender = np.stack([0.94 * female, 0.94 * (1 - female), np.full_like(female, 0.06)], axis=1)
    subscription = np.stack([paid, 1 - paid], axis=1)
    cells = gender[:, :, None, None] * age[:, None, :, None] * subscription[:, None, None, :]
    shares: Floats = cells.reshape(len(female), -1)
    shares /= shares.sum(axis=1, keepdims=True)
    return shares

"""The assets of a simulated catalogue: size, life, audience, how well they convert, and the events they meet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from cuepoint.models.catalogue_world import (
    ACTIVE_CONTEXTS,
    CONTEXT_SHARES,
    DSP_SHARES,
    DSPS,
    PLAIN_DSP,
    TERRITORIES,
    TERRITORY_SHARES,
    CatalogueParams,
    Containers,
    Floats,
    Ints,
)

KINDS = ("playlist_add", "playlist_drop", "dsp_feature", "dsp_takedown", "territory_event", "viral_search")
PLAYLIST_ADD, PLAYLIST_DROP, DSP_FEATURE, DSP_TAKEDOWN, TERRITORY_EVENT, VIRAL_SEARCH = range(6)
FOREVER = 10**6


@dataclass(frozen=True)
class Traits:
    """Of every asset. ``conversion``: engaged listeners won by one passive listener; ``search_conversion``: by one who
    searched; ``drop_off``: share of the engaged lost a day; ``completion``: share of plays heard to the end."""

    base: Floats  # streams a day once settled, playlists and events aside
    released: Ints  # day of the simulation, negative before it
    peak: Floats  # the first day's streams, in multiples of `base`
    fade_days: Floats
    dsp: Floats  # (n, 4) shares
    territory: Floats  # (n, 8) shares
    context: Floats  # (n, 6) shares
    noise: Floats  # standard deviation of the daily log noise
    conversion: Floats
    search_conversion: Floats
    drop_off: Floats
    completion: Floats
    age_lean: Floats
    female: Floats
    paid: Floats

    def life(self, day: int) -> Floats:
        """How much of its settled size an asset has on a day: nothing before its release, a peak, a fade."""
        age = day - self.released
        return np.where(age < 0, 0.0, 1.0 + self.peak * np.exp(-np.maximum(age, 0) / self.fade_days))


class Event(NamedTuple):
    """What happened to one asset: ``target`` is a container (PLAYLIST_*), a DSP (DSP_*), a territory or -1;
    ``strength`` in multiples of the asset's streams of then; it lasts from ``start`` to before ``end`` and fades with
    ``fade_days``."""

    asset: int
    kind: int
    target: int
    start: int
    end: int
    strength: float
    fade_days: float


class Memberships(NamedTuple):
    """Which asset is on which container, from ``start`` to before ``end``; ``rate`` in multiples of its base."""

    asset: Ints
    container: Ints
    rate: Floats
    start: Ints
    end: Ints

    def take(self, rows: Ints) -> Memberships:
        return Memberships(self.asset[rows], self.container[rows], self.rate[rows], self.start[rows], self.end[rows])


def make_traits(params: CatalogueParams, rng: np.random.Generator) -> Traits:
    """Assets in the order of their numbers; sizes are log-normal with a heavy tail, most were released long ago."""
    n = params.assets
    quality = rng.beta(2.0, 3.0, n)
    new = rng.random(n) < params.new_share
    released = np.where(new, rng.integers(0, params.days, n), -rng.integers(30, 3000, n))
    passive = rng.beta(3.0, 5.0, n)[:, None]
    active_shares = _dirichlet(rng, 20 * np.array(CONTEXT_SHARES[:ACTIVE_CONTEXTS]), n)
    passive_shares = _dirichlet(rng, 20 * np.array(CONTEXT_SHARES[ACTIVE_CONTEXTS:]), n)
    home = np.eye(len(TERRITORIES))[rng.choice(len(TERRITORIES), n, p=np.array(TERRITORY_SHARES))]
    homely = rng.beta(1.5, 2.0, n)[:, None]
    return Traits(
        base=np.minimum(params.median_count * np.exp(params.size_sd * rng.standard_normal(n)), 3e6),
        released=released,
        peak=rng.uniform(1.0, 8.0, n),
        fade_days=rng.uniform(15.0, 70.0, n),
        dsp=_dirichlet(rng, 40 * np.array(DSP_SHARES), n),
        territory=homely * home + (1 - homely) * _dirichlet(rng, 15 * np.array(TERRITORY_SHARES), n),
        context=np.concatenate([(1 - passive) * active_shares, passive * passive_shares], axis=1),
        noise=rng.uniform(0.02, 0.06, n),
        conversion=0.005 + 0.12 * quality**1.5 * np.exp(0.3 * rng.standard_normal(n)),
        search_conversion=np.clip(0.08 + 0.5 * quality * np.exp(0.3 * rng.standard_normal(n)), 0.0, 0.9),
        drop_off=np.clip(0.1 * np.exp(-2.2 * quality + 0.3 * rng.standard_normal(n)), 0.008, 0.25),
        completion=np.clip(0.4 + 0.5 * quality + 0.08 * rng.standard_normal(n), 0.1, 0.97),
        age_lean=0.25 * rng.standard_normal(n),
        female=rng.beta(8.0, 8.0, n),
        paid=rng.beta(14.0, 8.0, n),
    )


def make_memberships(params: CatalogueParams, containers: Containers, rng: np.random.Generator) -> Memberships:
    """Each asset is on 0 to 5 containers all the time, by their reach."""
    on = rng.poisson(1.2, params.assets).clip(max=5)
    asset = np.repeat(np.arange(params.assets), on)
    container = rng.choice(len(containers.reach), size=len(asset), p=containers.reach)
    rate = 0.15 * np.exp(0.8 * rng.standard_normal(len(asset)))
    return Memberships(asset, container, rate, np.full(len(asset), -FOREVER), np.full(len(asset), FOREVER))


def make_events(
    params: CatalogueParams, traits: Traits, containers: Containers, rng: np.random.Generator
) -> list[Event]:
    """At most one event for an asset, none for new ones and none in the first ``warm_days``."""
    latest = min(params.days - 7, params.event_days or params.days)
    if latest <= params.warm_days:
        return []
    chosen = np.flatnonzero((rng.random(params.assets) < params.event_share) & (traits.released < 0))
    kinds = rng.choice(len(KINDS), size=len(chosen), p=np.array([0.3, 0.15, 0.15, 0.1, 0.15, 0.15]))
    starts = rng.integers(params.warm_days, latest, len(chosen))
    strengths = np.exp(rng.uniform(np.log(0.4), np.log(3.0), len(chosen)))
    events = []
    for asset, kind, start, strength in zip(
        chosen.tolist(), kinds.tolist(), starts.tolist(), strengths.tolist(), strict=True
    ):
        end, fade = start + int(rng.integers(14, 61)), float(FOREVER)
        if kind in (PLAYLIST_ADD, PLAYLIST_DROP):
            target = int(rng.choice(len(containers.reach), p=containers.reach))
        elif kind in (DSP_FEATURE, DSP_TAKEDOWN):
            target = int(rng.integers(0, PLAIN_DSP if kind == DSP_FEATURE else len(DSPS)))
        else:
            target = int(rng.choice(len(TERRITORIES), p=traits.territory[asset])) if kind == TERRITORY_EVENT else -1
            end, fade = start + 60, float(rng.uniform(5.0, 21.0))
        if kind in (PLAYLIST_DROP, DSP_TAKEDOWN):
            end = FOREVER
        events.append(Event(asset, kind, target, start, end, strength, fade))
    return events


def with_events(memberships: Memberships, events: list[Event]) -> Memberships:
    """The memberships with those that events begin or end."""
    changed = [event for event in events if event.kind in (PLAYLIST_ADD, PLAYLIST_DROP)]
    added = [event.kind == PLAYLIST_ADD for event in changed]
    own = Memberships(
        np.array([event.asset for event in changed], dtype=np.int64),
        np.array([event.target for event in changed], dtype=np.int64),
        np.array([event.strength for event in changed], dtype=np.float64),
        np.array([e.start if add else -FOREVER for e, add in zip(changed, added, strict=True)], dtype=np.int64),
        np.array([e.end if add else e.start for e, add in zip(changed, added, strict=True)], dtype=np.int64),
    )
    merged = Memberships(*(np.concatenate(pair) for pair in zip(memberships, own, strict=True)))
    return merged.take(np.argsort(merged.asset, kind="stable"))


def _dirichlet(rng: np.random.Generator, alpha: Floats, n: int) -> Floats:
    drawn = rng.standard_gamma(np.broadcast_to(alpha, (n, len(alpha)))) + 1e-9
    shares: Floats = drawn / drawn.sum(axis=1, keepdims=True)
    return shares

"""The days of a simulated catalogue, streamed out: every day, block of assets by block, as columns of cells."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from cuepoint.models.catalogue_assets import make_events, make_memberships, make_traits, with_events
from cuepoint.models.catalogue_rates import RateModel
from cuepoint.models.catalogue_world import (
    ACTIVE_CONTEXTS,
    AGE_BANDS,
    DEVICES,
    DSPS,
    GENDERS,
    PLAIN_DSP,
    PLAYLIST,
    SUBSCRIPTIONS,
    CatalogueParams,
    Floats,
    Ints,
    device_shares,
    group_shares,
    make_containers,
    market_factors,
)

BLOCK = 2048
_SINGLY = 48  # streams of a source up to this are drawn one by one, more of them at once
_GROUPS = len(GENDERS) * len(AGE_BANDS) * len(SUBSCRIPTIONS)
_TRACK_S, _SKIPPED_S = 190, 35


class Gap(NamedTuple):
    """Reports of a service that do not come; ``late_days`` 0: never, else so many days after the gap."""

    dsp: int
    start: int
    end: int
    late_days: int


@dataclass(frozen=True)
class Cells:
    """Columns of a day: indices into the world's names, -1 where the service does not tell."""

    asset: Ints
    dsp: Ints
    territory: Ints
    context: Ints
    container: Ints
    device: Ints
    group: Ints  # gender x age band x subscription
    count: Ints
    consumers: Ints
    completed: Ints
    played_seconds: Ints


class SimulatedCatalogue:
    """The same parameters and seed, the same catalogue and days, whatever the machine. Memory grows with the number of
    assets (some 500 bytes each), not with the days.

    >>> catalogue = SimulatedCatalogue(CatalogueParams(assets=20, days=3), seed=1)
    >>> [len(list(blocks)) for _, blocks in catalogue.days()]
    [1, 1, 1]
    """

    def __init__(self, params: CatalogueParams, seed: int) -> None:
        self.params, self._seed = params, seed
        rng = self._stream(0)
        self.containers = make_containers(params, rng)
        self.market, self.market_moves = market_factors(params, rng)
        self.traits = make_traits(params, rng)
        self.events = make_events(params, self.traits, self.containers, rng)
        self.memberships = with_events(make_memberships(params, self.containers, rng), self.events)
        self.gaps = _make_gaps(params, rng)

    def days(self) -> Iterator[tuple[dt.date, Iterator[Cells]]]:
        """Each day in order, with its cells by block of assets; a block must be taken before the next."""
        blocks = [
            _Block(self, np.arange(first, min(first + BLOCK, self.params.assets)))
            for first in range(0, self.params.assets, BLOCK)
        ]
        for day in range(self.params.days):
            yield (
                self.date(day),
                (block.draw(day, self._stream(1, day, number)) for number, block in enumerate(blocks)),
            )

    def rate_model(self, rows: Ints) -> RateModel:
        """The expectations of some assets (ascending numbers)."""
        return RateModel(self.traits, self.containers, self.memberships, self.events, rows)

    def date(self, day: int) -> dt.date:
        return self.params.first_day + dt.timedelta(days=day)

    def withheld(self, dsp: int, day: int) -> Gap | None:
        """The gap a report falls into."""
        return next((gap for gap in self.gaps if gap.dsp == dsp and gap.start <= day < gap.end), None)

    def _stream(self, *key: int) -> np.random.Generator:
        return np.random.Generator(np.random.PCG64(np.random.SeedSequence(self._seed, spawn_key=key)))


class _Block:
    """Some assets, with what their days hand on: noise and the listeners that events have won."""

    def __init__(self, catalogue: SimulatedCatalogue, rows: Ints) -> None:
        self._of, self._rows, self._model = catalogue, rows, catalogue.rate_model(rows)
        self._noise = np.zeros(len(rows))
        self._engaged = np.zeros((len(rows), len(DSPS), catalogue.market.shape[1]), dtype=np.float32)

    def draw(self, day: int, rng: np.random.Generator) -> Cells:
        of, model, n = self._of, self._model, len(self._rows)
        rates = model.rates(day, self._engaged.astype(np.float64))
        self._engaged += rates.won.astype(np.float32)
        self._noise = 0.6 * self._noise + model.traits.noise * rng.standard_normal(n)
        shape = 1.0 / (0.02**2)
        by_dsp = np.exp(self._noise)[:, None] * rng.gamma(shape, 1 / shape, (n, len(DSPS)))
        market = of.market[day]
        open_ = rng.poisson(rates.open * by_dsp[:, :, None, None] * market[None, None, :, None])
        member, container = rates.members, model.members.container[rates.members]
        dsps, local = of.containers.dsp[container], model.local[rates.members]
        pushed = rng.gamma(100.0, 0.01, len(member))  # a playlist's own ups and downs
        held = rng.poisson(rates.held * (by_dsp[local, dsps] * pushed)[:, None] * market)
        a, d, t, c = np.nonzero(open_)
        m, mt = np.nonzero(held)
        context = np.where(of.containers.station[container[m]], PLAYLIST - 1, PLAYLIST)
        local_of = np.concatenate([a, local[m]])
        sources = np.stack(
            [
                local_of,
                np.concatenate([d, dsps[m]]),
                np.concatenate([t, mt]),
                np.concatenate([c, context]),
                np.concatenate([np.full(len(a), -1), container[m]]),
            ]
        )
        return self._split(model, sources, np.concatenate([open_[a, d, t, c], held[m, mt]]), rng)

    def _split(self, model: RateModel, sources: Ints, count: Ints, rng: np.random.Generator) -> Cells:
        """Streams of each source to devices and groups; the plain service's, to nothing."""
        traits = model.traits
        told = sources[1] != PLAIN_DSP
        groups = group_shares(traits.age_lean, traits.female, traits.paid) if self._of.params.groups else None
        source, device, group, n = _spread(sources[:, told], count[told], groups, rng)
        rows = np.flatnonzero(told)[source]
        key = np.where(~told)[0]
        plain, where = np.unique(sources[0, key] * 64 + sources[2, key], return_inverse=True)
        plain_count = np.bincount(where, weights=count[key], minlength=len(plain)).astype(np.int64)
        none = np.full(len(plain), -1)
        local = np.concatenate([sources[0, rows], plain // 64])
        context = np.concatenate([sources[3, rows], none])
        total = np.concatenate([n, plain_count])
        passive = context >= ACTIVE_CONTEXTS
        consumers = 1 + rng.binomial(total - 1, np.where(passive, 0.87, 0.5))
        heard = np.clip(traits.completion[local] + np.where(passive, -0.05, 0.05), 0.0, 1.0)
        completed = rng.binomial(total, heard)
        return Cells(
            asset=self._rows[local],
            dsp=np.concatenate([sources[1, rows], np.full(len(plain), PLAIN_DSP)]),
            territory=np.concatenate([sources[2, rows], plain % 64]),
            context=context,
            container=np.concatenate([sources[4, rows], none]),
            device=np.concatenate([device, none]),
            group=np.concatenate([group, none]),
            count=total,
            consumers=consumers,
            completed=completed,
            played_seconds=_TRACK_S * completed + _SKIPPED_S * (total - completed),
        )


def _spread(
    sources: Ints, count: Ints, groups: Floats | None, rng: np.random.Generator
) -> tuple[Ints, Ints, Ints, Ints]:
    """Source, device, group and count of every cell."""
    devices = np.stack([device_shares(False), device_shares(True)])
    passive = (sources[3] >= ACTIVE_CONTEXTS).astype(np.int64)
    width = len(DEVICES) * (1 if groups is None else _GROUPS)
    few = np.flatnonzero(count <= _SINGLY)
    streams = np.repeat(few, count[few])
    cell = _choose(devices.cumsum(axis=1)[passive[streams]], rng)
    if groups is not None:
        flat = (groups.cumsum(axis=1) + np.arange(len(groups))[:, None]).ravel()  # one ascending line of all assets
        drawn = np.searchsorted(flat, sources[0, streams] + rng.random(len(streams)) * (1 - 1e-12))
        cell = cell * _GROUPS + np.minimum(drawn, len(flat) - 1) % _GROUPS
    code, n = np.unique(streams * width + cell, return_counts=True)
    many = np.flatnonzero(count > _SINGLY)
    shares = devices[passive[many]]
    if groups is not None:
        shares = (shares[:, :, None] * groups[sources[0, many]][:, None, :]).reshape(len(many), width)
    split = rng.multinomial(count[many], shares / shares.sum(axis=1, keepdims=True)) if len(many) else np.zeros((0, 1))
    s, k = np.nonzero(split)
    source = np.concatenate([code // width, many[s]])
    cell = np.concatenate([code % width, k])
    device, group = (cell // _GROUPS, cell % _GROUPS) if groups is not None else (cell, np.full(len(cell), -1))
    return source, device, group, np.concatenate([n, split[s, k].astype(np.int64)])


def _choose(cumulated: Floats, rng: np.random.Generator) -> Ints:
    drawn: Ints = (rng.random((len(cumulated), 1)) > cumulated[:, :-1]).sum(axis=1)
    return drawn


def _make_gaps(params: CatalogueParams, rng: np.random.Generator) -> list[Gap]:
    gaps = []
    for _ in range(rng.poisson(params.gaps * params.days / 60)):
        start = int(rng.integers(0, params.days))
        late = int(rng.integers(0, 2)) * int(rng.integers(2, 6))
        gaps.append(Gap(int(rng.integers(0, len(DSPS))), start, start + int(rng.integers(1, 3)), late))
    return sorted(gaps)

"""What a simulated catalogue streams in expectation, with its events and without: the truth that causes are judged by.

A passive listener, or one who searched, may become an engaged one, who comes back to his library until he drops off:
an event goes on working after it is over (passive-to-active conversion, US 11,113,707 "growth potential evaluation").
"""

from __future__ import annotations

from bisect import bisect_left
from operator import attrgetter
from typing import NamedTuple

import numpy as np

from cuepoint.models.catalogue_assets import (
    DSP_FEATURE,
    DSP_TAKEDOWN,
    FOREVER,
    PLAYLIST_ADD,
    PLAYLIST_DROP,
    TERRITORY_EVENT,
    Event,
    Memberships,
    Traits,
)
from cuepoint.models.catalogue_world import ACTIVE_CONTEXTS, PLAIN_DSP, Containers, Floats, Ints

PASSIVE_PLAYS = 1.2  # a day of a passive listener
SEARCH_PLAYS = 1.5  # a day of one who searched
LIBRARY_PLAYS = 0.45  # a day of an engaged listener
_asset = attrgetter("asset")
_FEATURE = np.array([0.12, 0.12, 0.0, 0.0, 0.7, 0.06])  # contexts of what a service's feature adds
_LOCAL = np.array([0.4, 0.4, 0.1, 0.1, 0.0, 0.0])  # contexts of what happens in a territory


class Rates(NamedTuple):
    """Expected streams of a day, the market aside: ``open`` (assets, 4 DSPs, 8 territories, 6 contexts outside
    playlists), ``held`` (memberships, 8 territories) of the memberships ``members``, and what changes the number of
    the engaged: ``won`` (assets, 4, 8)."""

    open: Floats
    members: Ints
    held: Floats
    won: Floats


class RateModel:
    """Of chosen assets (``rows``, ascending) of a catalogue whose memberships and events are in the order of assets."""

    def __init__(
        self, traits: Traits, containers: Containers, memberships: Memberships, events: list[Event], rows: Ints
    ) -> None:
        first, last = int(rows[0]), int(rows[-1])
        chosen = slice(first, last + 1) if last - first + 1 == len(rows) else rows  # a slice copies nothing
        self.traits = Traits(*(getattr(traits, name)[chosen] for name in Traits.__dataclass_fields__))
        self._containers = containers
        near = slice(*np.searchsorted(memberships.asset, [first, last + 1]).tolist())
        mine = np.isin(memberships.asset[near], rows)
        self.members = memberships.take(np.arange(near.start, near.stop)[mine])
        self.local = np.searchsorted(rows, self.members.asset)  # row of each membership
        ours = events[bisect_left(events, first, key=_asset) : bisect_left(events, last + 1, key=_asset)]
        self.events = [
            (row, event)
            for row, event in zip(np.searchsorted(rows, [e.asset for e in ours]).tolist(), ours, strict=True)
            if rows[row] == event.asset
        ]
        self._even = containers.territory[self.members.container] < 0
        fixed = np.eye(self.traits.territory.shape[1])[np.maximum(containers.territory[self.members.container], 0)]
        self._places = np.where(self._even[:, None], self.traits.territory[self.local], fixed)

    def rates(self, day: int, engaged: Floats | None) -> Rates:
        """``engaged`` (assets, 4, 8): listeners won by events so far; None: as if no event ever happened."""
        t, live = self.traits, engaged is not None
        level = t.base * t.life(day)
        share = t.dsp[:, :, None, None] * t.territory[:, None, :, None] * t.context[:, None, None, :]
        rates = level[:, None, None, None] * share
        members = self.members
        lasting = members.start <= -FOREVER
        on = (members.start <= day) & (day < members.end) if live else lasting
        excess = (on.astype(float) - lasting) * members.rate * level[self.local]
        held = (on * members.rate * level[self.local])[:, None] * self._places
        won = np.zeros(rates.shape[:3])
        if engaged is not None:
            passive = np.zeros_like(won)
            dsps = self._containers.dsp[members.container]
            np.add.at(passive, (self.local, dsps), excess[:, None] * self._places)
            before = rates.copy()
            self._add_events(day, rates, held, dsps)
            extra = rates - before
            passive += extra[..., ACTIVE_CONTEXTS:].sum(axis=3)
            searched = np.maximum(extra[..., 1], 0.0)
            won = (
                t.conversion[:, None, None] * passive / PASSIVE_PLAYS
                + t.search_conversion[:, None, None] * searched / SEARCH_PLAYS
                - t.drop_off[:, None, None] * engaged
            )
            back = rates[..., 0] + LIBRARY_PLAYS * engaged * (rates[..., 0] > 0)
            rates[..., 0] = np.maximum(back, 0.05 * rates[..., 0])
        keep = held.sum(axis=1) > 0
        return Rates(rates, np.flatnonzero(keep), held[keep], won)

    def _add_events(self, day: int, rates: Floats, held: Floats, dsps: Ints) -> None:
        t = self.traits
        for row, event in self.events:
            if not event.start <= day < event.end or event.kind in (PLAYLIST_ADD, PLAYLIST_DROP):
                continue
            if event.kind == DSP_TAKEDOWN:
                rates[row, event.target] = 0.0
                held[(self.local == row) & (dsps == event.target)] = 0.0
                continue
            level = float(t.base[row] * t.life(event.start)[row])
            size = event.strength * level * np.exp(-(day - event.start) / event.fade_days)
            if event.kind == DSP_FEATURE:
                rates[row, event.target] += size * t.territory[row][:, None] * _FEATURE
            elif event.kind == TERRITORY_EVENT:
                rates[row, :, event.target] += size * t.dsp[row][:, None] * _LOCAL
            else:
                rates[row, :, :, 1] += size * t.dsp[row][:, None] * t.territory[row]


def told_by_context(rates: Rates, model: RateModel, containers: Containers) -> dict[str, Floats]:
    """Expected streams of each asset by what a report tells: ``dsp`` (n, 4), ``territory`` (n, 8), ``context`` (n, 8:
    CONTEXTS, then unknown), ``passive`` (n, 2: active, passive of services that tell it)."""
    n = len(rates.open)
    local, dsps = model.local[rates.members], containers.dsp[model.members.container[rates.members]]
    dsp, territory = rates.open.sum(axis=(2, 3)), rates.open.sum(axis=(1, 3))
    np.add.at(dsp, (local, dsps), rates.held.sum(axis=1))
    np.add.at(territory, local, rates.held)
    context = np.zeros((n, 8))
    context[:, :6] = rates.open[:, :PLAIN_DSP].sum(axis=(1, 2))
    context[:, 7] = rates.open[:, PLAIN_DSP].sum(axis=(1, 2))
    station = containers.station[model.members.container[rates.members]]
    np.add.at(context, (local, np.where(station, 5, 6)), rates.held.sum(axis=1))
    activity = np.stack([context[:, :4].sum(axis=1), context[:, 4:7].sum(axis=1)], axis=1)
    return {"dsp": dsp, "territory": territory, "context": context, "activity": activity}

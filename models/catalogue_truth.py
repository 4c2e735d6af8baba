"""What a simulated catalogue knows of itself: each event and what it did, by everything a report can tell."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from cuepoint.models.catalogue_assets import DSP_FEATURE, DSP_TAKEDOWN, KINDS, PLAYLIST_ADD, PLAYLIST_DROP, Event
from cuepoint.models.catalogue_days import SimulatedCatalogue
from cuepoint.models.catalogue_rates import told_by_context
from cuepoint.models.catalogue_world import CONTEXTS, DEVICES, DSPS, TERRITORIES, Floats, device_shares

WINDOW_DAYS = 14
_CHUNK = 512
_ARTIST_ASSETS = 8
_NAMES = {
    "dsp": DSPS,
    "territory": TERRITORIES,
    "context": (*CONTEXTS, "unknown"),
    "activity": ("active", "passive"),
    "device": DEVICES,
}


def asset_name(number: int) -> str:
    """
    >>> asset_name(7)
    'sim-0000007'
    """
    return f"sim-{number:07d}"


def title_of(number: int) -> str:
    """Says that it is simulated, wherever it is shown."""
    return f"Track {number} (simulated)"


def artist_of(number: int) -> str:
    """Eight assets each."""
    return f"Artist {number // _ARTIST_ASSETS} (simulated)"


def cause_of(event: Event, catalogue: SimulatedCatalogue) -> tuple[str, str]:
    """The dimension that tells an event best, and the value in it."""
    if event.kind in (PLAYLIST_ADD, PLAYLIST_DROP):
        return "container", catalogue.containers.identifier(event.target)
    if event.kind in (DSP_FEATURE, DSP_TAKEDOWN):
        return "dsp", DSPS[event.target]
    return ("territory", TERRITORIES[event.target]) if event.target >= 0 else ("context", "search")


def truth_lines(catalogue: SimulatedCatalogue) -> Iterator[dict[str, Any]]:
    """The parameters, the market's moves, the gaps, every event with its effects; all marked as simulated.

    ``effects``: streams added (negative: lost) in the first WINDOW_DAYS days by dimension and value, expected, the
    market of those days included; within ``dsp`` and within ``territory`` they sum to ``effect``.
    """
    for day, territory, size in catalogue.market_moves:
        place = TERRITORIES[territory] if territory >= 0 else "WW"
        yield _line(
            "market_move", start=catalogue.date(day).isoformat(), territory=place, percent=100 * float(np.expm1(size))
        )
    for gap in catalogue.gaps:
        days = {"start": catalogue.date(gap.start).isoformat(), "days": gap.end - gap.start}
        yield _line("reporting_gap", dsp=DSPS[gap.dsp], **days, late_days=gap.late_days)
    new = np.flatnonzero(catalogue.traits.released >= 0)
    for asset in new.tolist():
        released = catalogue.date(int(catalogue.traits.released[asset])).isoformat()
        yield _line("release", asset_id=asset_name(asset), start=released)
    for first in range(0, len(catalogue.events), _CHUNK):
        events = catalogue.events[first : first + _CHUNK]
        for event, effects in zip(events, effects_of(catalogue, events), strict=True):
            dimension, value = cause_of(event, catalogue)
            yield _line(
                KINDS[event.kind],
                asset_id=asset_name(event.asset),
                start=catalogue.date(event.start).isoformat(),
                end=catalogue.date(event.end).isoformat() if event.end <= catalogue.params.days else None,
                dimension=dimension,
                value=value,
                effect=sum(effects["dsp"].values()),
                effects=effects,
            )


def effects_of(
    catalogue: SimulatedCatalogue, events: list[Event], days: int = WINDOW_DAYS
) -> list[dict[str, dict[str, float]]]:
    """Of each event (of different assets): dimension -> value -> streams added in its first ``days`` days."""
    rows = np.array(sorted({event.asset for event in events}), dtype=np.int64)
    model = catalogue.rate_model(rows)
    engaged = np.zeros((len(rows), len(DSPS), len(TERRITORIES)))
    starts = np.array([event.start for _, event in sorted((event.asset, event) for event in events)])
    sums: dict[str, Floats] = {}
    held = np.zeros(len(model.members.asset))
    for day in range(int(starts.min()), min(int(starts.max()) + days, catalogue.params.days)):
        inside = ((starts <= day) & (day < starts + days)).astype(float)
        market = catalogue.market[day]
        with_, without = model.rates(day, engaged), model.rates(day, None)
        engaged = np.maximum(engaged + with_.won, -1e12)
        for sign, rates in ((1.0, with_), (-1.0, without)):
            scaled = rates._replace(open=rates.open * market[None, None, :, None], held=rates.held * market)
            for name, values in told_by_context(scaled, model, catalogue.containers).items():
                sums[name] = sums.get(name, 0.0) + sign * inside[:, None] * values
            np.add.at(held, rates.members, sign * inside[model.local[rates.members]] * scaled.held.sum(axis=1))
    named = []
    for row in np.searchsorted(rows, [event.asset for event in events]).tolist():
        mine = np.flatnonzero((model.local == row) & (np.abs(held) > 0))
        lists: dict[str, float] = {}
        for name, size in zip(model.members.container[mine].tolist(), held[mine].tolist(), strict=True):
            identifier = catalogue.containers.identifier(name)
            lists[identifier] = lists.get(identifier, 0.0) + size
        named.append({**_by_name(sums, row), "container": lists})
    return named


def _by_name(sums: dict[str, Floats], row: int) -> dict[str, dict[str, float]]:
    named = {name: dict(zip(_NAMES[name], sums[name][row].tolist(), strict=True)) for name in sums}
    active, passive = sums["activity"][row]
    devices = active * device_shares(False) + passive * device_shares(True)
    named["device"] = dict(zip(DEVICES, devices.tolist(), strict=True))
    return named


def _line(kind: str, **fields: Any) -> dict[str, Any]:
    return {"simulated": True, "kind": kind, **{name: _rounded(value) for name, value in fields.items()}}


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _rounded(inner) for name, inner in value.items()}
    return round(value, 2) if isinstance(value, float) else value

"""A simulated catalogue as its assets' cells, for judging what is concluded from them against the truth."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cuepoint.models.catalogue_days import Cells, SimulatedCatalogue
from cuepoint.models.catalogue_world import ACTIVE_CONTEXTS, CONTEXTS, DEVICES, DSPS, TERRITORIES

Columns = Mapping[str, NDArray[np.generic]]
_FIELDS = ("asset", "dsp", "territory", "context", "container", "device", "count", "consumers", "completed")


class CaseBook:
    """All cells of a small catalogue in memory, by asset, with names as reports tell them (``day``: ordinals)."""

    def __init__(self, catalogue: SimulatedCatalogue) -> None:
        self.catalogue = catalogue
        days: list[NDArray[np.int64]] = []
        parts: list[Cells] = []
        for number, (_, blocks) in enumerate(catalogue.days()):
            for cells in blocks:
                parts.append(cells)
                days.append(np.full(len(cells.count), number))
        held = {name: np.concatenate([getattr(part, name) for part in parts]) for name in _FIELDS}
        held["day"] = np.concatenate(days)
        order = np.argsort(held["asset"], kind="stable")
        self._held = {name: column[order] for name, column in held.items()}
        containers = [catalogue.containers.identifier(k) for k in range(len(catalogue.containers.dsp))]
        self._names = {
            "dsp": np.array(DSPS),
            "territory": np.array(TERRITORIES),
            "context": np.array([*CONTEXTS, "unknown"]),
            "container": np.array([*containers, ""]),
            "device": np.array([*DEVICES, "unknown"]),
        }
        shape = (catalogue.params.days, len(DSPS), len(TERRITORIES))
        self._totals = np.zeros(shape)
        place = (self._held["day"], self._held["dsp"], self._held["territory"])
        np.add.at(self._totals, place, self._held["count"])

    @property
    def missing(self) -> list[tuple[str, str, int]]:
        """Reports that never came, as (dsp, territory, ordinal)."""
        first = self.catalogue.params.first_day.toordinal()
        return [
            (DSPS[gap.dsp], territory, first + day)
            for gap in self.catalogue.gaps
            for day in range(gap.start, gap.end)
            for territory in TERRITORIES
        ]

    def asset(self, number: int) -> dict[str, NDArray[np.generic]]:
        """The columns of one asset; reports that never came are not in them."""
        rows = slice(*np.searchsorted(self._held["asset"], [number, number + 1]).tolist())
        return self._named({name: column[rows] for name, column in self._held.items()})

    def others(self, number: int) -> dict[str, NDArray[np.generic]]:
        """The streams of all other assets by day, service and territory."""
        rows = slice(*np.searchsorted(self._held["asset"], [number, number + 1]).tolist())
        totals = self._totals.copy()
        place = tuple(self._held[name][rows] for name in ("day", "dsp", "territory"))
        np.subtract.at(totals, place, self._held["count"][rows])
        day, dsp, territory = np.nonzero(totals)
        count = totals[day, dsp, territory]
        return self._named({"day": day, "dsp": dsp, "territory": territory, "count": count})

    def _named(self, columns: dict[str, Any]) -> dict[str, NDArray[np.generic]]:
        keep = np.ones(len(columns["count"]), dtype=np.bool_)
        for gap in self.catalogue.gaps:
            keep &= (columns["dsp"] != gap.dsp) | (columns["day"] < gap.start) | (columns["day"] >= gap.end)
        kept = {name: column[keep] for name, column in columns.items()}
        if "context" in kept:
            context = kept["context"]
            names = np.array(["active", "passive", "unknown"])
            kept["activity"] = names[np.where(context < 0, 2, (context >= ACTIVE_CONTEXTS).astype(np.int64))]
        for name, texts in self._names.items():
            if name in kept:
                kept[name] = texts[kept[name]]
        kept["day"] = kept["day"] + self.catalogue.params.first_day.toordinal()
        return kept

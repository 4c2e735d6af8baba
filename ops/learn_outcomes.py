"""The verdicts' weights, learnt from what came of earlier verdicts: a periodic job of role ``catalogue``."""

from __future__ import annotations

import datetime as dt
import hashlib
from typing import Any, Protocol

import numpy as np

from cuepoint.models.cause_model import HISTORY_DAYS
from cuepoint.models.growth_metrics import engagement_of
from cuepoint.models.growth_outcomes import Outcome as Learnt
from cuepoint.models.growth_outcomes import weights_after, worked_of
from cuepoint.models.growth_verdict import DRIVERS, PRIOR, OpportunityWeights
from cuepoint.schemas.trends import Change
from cuepoint.streams.outcome_store import Due, Outcome, OutcomeStore

_AT_ONCE = 100


class Consumption(Protocol):
    def cells(self, asset_id: str, first_day: dt.date, last_day: dt.date) -> Any: ...

    def reports(self, first_day: dt.date, last_day: dt.date) -> frozenset[tuple[str, str, int]]:
        """(dsp, territory, ordinal day) of those complete."""

    def settled_day(self) -> dt.date | None:
        """The last day of which all who report have reported."""


class LearnOutcomes:
    """``weights`` are the newest; before the first ``run`` the priors. Outcomes are kept, weights folded from them."""

    def __init__(self, store: OutcomeStore, consumption: Consumption, *, after_days: int) -> None:
        self._store, self._consumption, self._after = store, consumption, dt.timedelta(days=after_days)
        self._weights = PRIOR

    def weights(self) -> OpportunityWeights:
        return self._weights

    def run(self) -> int:
        """Look at the verdicts that are due; gives how many were new. Raises Unavailable, TooSlow."""
        settled, found = self._consumption.settled_day(), 0
        while settled is not None and (due := self._store.due(settled - self._after, _AT_ONCE)):
            self._store.write([self._outcome(each) for each in due])
            found += len(due)
        told = [Learnt(o.due, o.change_id, o.drivers, o.worked) for o in self._store.outcomes() if o.worked is not None]
        self._weights = weights_after(told)
        return found

    def _outcome(self, due: Due) -> Outcome:
        change, said = due
        first, last = change.start - dt.timedelta(days=HISTORY_DAYS), said.day + self._after
        values = {driver.name: driver.value for driver in said.drivers}
        worked = self._worked(change, first, last) if values.keys() >= set(DRIVERS) else None
        return Outcome(last, change.change_id, tuple(values.get(name, 0.0) for name in DRIVERS), worked)

    def _worked(self, change: Change, first: dt.date, last: dt.date) -> bool | None:
        """None where a report of the region's days is missing, too: what is missing is not nothing."""
        cells = self._consumption.cells(change.asset_id, first, last)
        if not len(cells["day"]):
            return None
        first, reports = cells["day"].min().astype(dt.date), self._consumption.reports(first, last)
        sources = set(zip(cells["dsp"].tolist(), cells["territory"].tolist(), strict=True))
        days = range(first.toordinal(), last.toordinal() + 1)
        if any((*source, day) not in reports for source in sources for day in days):
            return None
        seed = hashlib.blake2b(change.change_id.encode(), digest_size=8).digest()
        rng = np.random.Generator(np.random.PCG64(int.from_bytes(seed)))
        seen = engagement_of(cells, first.toordinal(), last.toordinal(), change.start.toordinal())
        return worked_of(seen, (change.start - first).days, rng=rng)

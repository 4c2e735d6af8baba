"""What came of a verdict, and the weights after all outcomes (O7, "learns from later outcomes").

Some weeks after a verdict the asset's engagement is estimated again, with those weeks: the change has worked where one
more passive listener surely brings BREAK_EVEN active streams or more, has not where surely fewer, and where the 90 %
interval holds both there is no outcome. (Streams counted up to that day, in place of the estimate, taught the wrong
thing: docs/attribution.md.)
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from cuepoint.models.growth_metrics import Engagement, growth_of
from cuepoint.models.growth_verdict import PRIOR, OpportunityWeights, learn

BREAK_EVEN = 1.0  # active streams of one more passive listener


class Outcome(NamedTuple):
    """``due``: the day up to which was looked; ``drivers``: their values when it was judged, in order."""

    due: dt.date
    change_id: str
    drivers: tuple[float, ...]
    worked: bool


def worked_of(seen: Engagement, cut: int, *, rng: np.random.Generator) -> bool | None:
    """``seen`` up to the day an outcome is due; ``cut``: days of it before the region. None: it cannot be told."""
    if not 0 < cut < len(seen.library):
        return None
    potential = growth_of(seen, cut, rng=rng).potential
    if potential.lower <= BREAK_EVEN <= potential.upper:
        return None
    return potential.mean > BREAK_EVEN


def weights_after(outcomes: Iterable[Outcome], prior: OpportunityWeights = PRIOR) -> OpportunityWeights:
    """From the prior over the outcomes by (due, change_id), whatever the order they are given in; of one change the
    first that is due."""
    weights, known = prior, set[str]()
    for outcome in sorted(outcomes, key=lambda each: (each.due, each.change_id)):
        if outcome.change_id not in known:
            known.add(outcome.change_id)
            weights = learn(weights, np.array(outcome.drivers), worked=outcome.worked)
    return weights

"""Whether conversion, drop-off and opportunities are told apart on simulated catalogues. ``make bench-growth``.

The truth of an opportunity is the asset's own: one more passive listener brings a whole active stream or more.
Looked at: events of assets with 50 streams a day, four weeks from the beginning. The verdict of the priors alone (seeds
101-103) is set beside that after outcomes of other catalogues (seeds 1-3) were learnt from. Last line: one JSON object.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from cuepoint.models.catalogue_cases import CaseBook
from cuepoint.models.catalogue_days import SimulatedCatalogue
from cuepoint.models.catalogue_world import CatalogueParams
from cuepoint.models.cause_verdict import Cause
from cuepoint.models.growth_metrics import PLAYS, Growth, engagement_of, growth_of
from cuepoint.models.growth_verdict import PRIOR, drivers_of, judge, learn

HISTORY_DAYS, REGION_DAYS, BREAK_EVEN = 28, 28, 1.0
FIT_SEEDS, JUDGE_SEEDS = (1, 2, 3), (101, 102, 103)
_NO_CAUSE = Cause("unexplained", "", 1.0)


class Case(NamedTuple):
    growth: Growth
    conversion: float
    search_conversion: float
    drop_off: float
    potential: float
    worked: bool


def cases_of(seed: int, assets: int) -> Iterator[Case]:
    """Events of assets with at least 50 streams a day."""
    params = CatalogueParams(assets=assets, days=110, event_share=0.7, groups=False, median_count=60, new_share=0.0)
    catalogue = SimulatedCatalogue(params, seed)
    book, rng, traits = CaseBook(catalogue), np.random.default_rng(seed), catalogue.traits
    for event in catalogue.events:
        if event.start + REGION_DAYS > params.days or traits.base[event.asset] < 50:
            continue
        start = params.first_day.toordinal() + event.start
        seen = engagement_of(book.asset(event.asset), start - HISTORY_DAYS, start + REGION_DAYS - 1, start)
        conversion, search, drop_off = (
            float(getattr(traits, name)[event.asset]) for name in ("conversion", "search_conversion", "drop_off")
        )
        potential = conversion * PLAYS / drop_off
        growth = growth_of(seen, HISTORY_DAYS, rng=rng)
        yield Case(growth, conversion, search, drop_off, potential, potential > BREAK_EVEN)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--judge", type=int, nargs="+", default=JUDGE_SEEDS, help="seeds of the catalogues judged by")
    given = parser.parse_args()
    quick = given.quick
    assets = 120 if quick else 400
    cases = [case for seed in given.judge[: 1 if quick else None] for case in cases_of(seed, assets)]
    learnt = PRIOR
    for case in (case for seed in FIT_SEEDS[: 1 if quick else None] for case in cases_of(seed, assets)):
        learnt = learn(learnt, drivers_of(case.growth), worked=case.worked)
    worked = np.array([case.worked for case in cases])
    rate = worked.mean()
    figures: dict[str, float] = {
        "cases": len(cases),
        "opportunities": float(rate),
        "brier_base": float(rate * (1 - rate)),
    }
    for name, weights in (("priors", PRIOR), ("learnt", learnt)):
        said = np.array([judge(case.growth, "up", _NO_CAUSE, weights).probability for case in cases])
        wins = (said[worked][:, None] > said[~worked][None, :]).mean()
        figures |= {f"auc_{name}": float(wins), f"brier_{name}": float(((said - worked) ** 2).mean())}
        print(f"| said ({name}) | cases | true |\n|---|---|---|")
        for low, high in ((0, 0.1), (0.1, 0.3), (0.3, 0.6), (0.6, 1.01)):
            mine = (said >= low) & (said < high)
            if mine.any():
                print(f"| {100 * said[mine].mean():.0f} % | {mine.sum()} | {100 * worked[mine].mean():.0f} % |")
        print()
    for name in ("conversion", "search_conversion", "drop_off", "potential"):
        truth = np.array([getattr(case, name) for case in cases])
        found = [getattr(case.growth, name) for case in cases]
        figures[f"coverage_90_{name}"] = float(
            np.mean([e.lower <= t <= e.upper for e, t in zip(found, truth, strict=True)])
        )
        figures[f"correlation_{name}"] = float(np.corrcoef([e.mean for e in found], truth)[0, 1])
    print(json.dumps({name: round(value, 3) for name, value in figures.items()}))


if __name__ == "__main__":
    main()

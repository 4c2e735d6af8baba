"""From the stored consumption of one asset to what is said of its change: why, and whether it matters (pure)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Set
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from cuepoint.models.cause_cells import tabulate
from cuepoint.models.cause_ground import market_of
from cuepoint.models.cause_model import HISTORY_DAYS, Attribution, Part, attribute
from cuepoint.models.cause_verdict import Cause, causes_of
from cuepoint.models.growth_metrics import Estimate, engagement_of, growth_of
from cuepoint.models.growth_verdict import PRIOR, OpportunityWeights, judge
from cuepoint.schemas.opportunities import Dimension, Driver, Explanation, Interval, Opportunity, PartOfChange
from cuepoint.schemas.opportunities import ProximalCause as SaidCause
from cuepoint.schemas.trends import Change

Columns = Mapping[str, NDArray[Any]]
_LEAST_SHARE = 0.01  # smaller parts are not told, their sum is with the unexplained
_EVEN = 0.5


def explain(
    change: Change,
    cells: Columns,
    totals: Columns,
    reports: Set[tuple[str, str, int]],
    weights: OpportunityWeights = PRIOR,
) -> tuple[Explanation, Opportunity] | None:
    """``cells`` of the asset and ``totals`` of the catalogue by day, service and territory, of the HISTORY_DAYS before
    the change up to its day; ``reports``: (dsp, territory, ordinal day) of all that have come.

    None where there is nothing to explain it by: no cells before, or none of the region's reports.
    """
    start, last = change.start.toordinal(), (change.end or change.day).toordinal()
    first = start - HISTORY_DAYS
    if last < start or not len(cells["day"]):
        return None
    days = cells["day"].astype("datetime64[D]").astype(np.int64) + 719_163
    first = max(first, int(days.min()))
    pairs = set(zip(cells["dsp"].tolist(), cells["territory"].tolist(), strict=True))
    missing = [(d, t, day) for d, t in sorted(pairs) for day in range(first, last + 1) if (d, t, day) not in reports]
    if first >= start:
        return None
    rng = np.random.Generator(np.random.PCG64(_seed(change)))
    market = market_of(_others(totals, cells, first, last, reports), start)
    found = attribute(tabulate(cells, first, last, missing), start, last, market, rng=rng)
    if not found.splits:
        return None
    causes = causes_of(found)
    growth = growth_of(engagement_of(cells, first, last, start), start - first, rng=rng)
    verdict = judge(growth, change.direction, causes[0], weights)
    names = dict(zip(cells["container"].tolist(), cells["container_name"].tolist(), strict=True))
    opportunity = Opportunity(
        change_id=change.change_id,
        revision=change.revision,
        asset_id=change.asset_id,
        day=change.day,
        opportunity=verdict.probability >= _EVEN,
        probability=verdict.probability,
        goal=verdict.goal,
        drivers=[Driver(name=d.name, value=d.value, contribution=d.contribution) for d in verdict.drivers],
        conversion=_interval(growth.conversion),
        search_conversion=_interval(growth.search_conversion),
        drop_off=_interval(growth.drop_off),
        completion=_interval(growth.completion),
        potential=_interval(growth.potential),
        learnt=growth.learnt,
        weights_version=verdict.weights_version,
    )
    return _explanation(change, found, causes, names), opportunity


def withdrawn(change: Change) -> tuple[Explanation, Opportunity]:
    """What takes back all that was said of a change."""
    about: dict[str, Any] = {"change_id": change.change_id, "revision": change.revision, "asset_id": change.asset_id}
    return (
        Explanation(status="withdrawn", start=change.start, day=change.day, **about),
        Opportunity(status="withdrawn", day=change.day, **about),
    )


def _explanation(change: Change, found: Attribution, causes: list[Cause], names: dict[str, str]) -> Explanation:
    whole = found.change.effect or 1.0
    dimensions = []
    for name, split in found.splits.items():
        told = [part for part in split.parts if abs(part.effect) >= _LEAST_SHARE * abs(whole)]
        rest = sum(part.effect for part in split.parts) - sum(part.effect for part in told)
        least = split.unexplained
        parts = [
            PartOfChange(
                value=part.value,
                name=names.get(part.value, "") if name == "container" else "",
                effect=_of(part),
                share=part.effect / whole,
                expected=part.expected,
                likely=part.likely,
            )
            for part in sorted(told, key=lambda part: -abs(part.effect))
        ]
        unexplained = Interval(least.effect + rest, least.lower + rest, least.upper + rest)
        dimensions.append(Dimension(dimension=cast(Any, name), parts=parts, unexplained=unexplained))
    return Explanation(
        change_id=change.change_id,
        revision=change.revision,
        asset_id=change.asset_id,
        start=change.start,
        day=change.day,
        observed=found.observed,
        expected=found.change.expected,
        change=_of(found.change),
        market=_of(found.market),
        dimensions=dimensions,
        causes=[
            SaidCause(
                dimension=cast(Any, cause.dimension),
                value=cause.value,
                name=names.get(cause.value, "") if cause.dimension == "container" else "",
                probability=min(1.0, cause.probability),
            )
            for cause in causes
        ],
        absent=found.absent,
    )


def _others(totals: Columns, cells: Columns, first: int, last: int, reports: Set[tuple[str, str, int]]) -> Any:
    """All other assets of the services that have the asset: their totals less the asset's own."""
    near = np.isin(totals["dsp"], cells["dsp"])
    totals = {name: totals[name][near] for name in ("day", "dsp", "territory", "count")}
    both = {name: np.concatenate([totals[name], cells[name]]) for name in ("day", "dsp", "territory")}
    count = np.concatenate([totals["count"], -cells["count"]])
    pairs = set(zip(totals["dsp"].tolist(), totals["territory"].tolist(), strict=True))
    missing = [(d, t, day) for d, t in sorted(pairs) for day in range(first, last + 1) if (d, t, day) not in reports]
    return tabulate({**both, "count": count}, first, last, missing)


def _seed(change: Change) -> int:
    text = f"{change.change_id}\n{change.revision}"
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest())


def _of(part: Part) -> Interval:
    return Interval(part.effect, part.lower, part.upper)


def _interval(estimate: Estimate) -> Interval:
    return Interval(estimate.mean, estimate.lower, estimate.upper)

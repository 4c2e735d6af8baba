"""How well causes are named on simulated catalogues, where they are known. ``make bench-attribution`` (``QUICK=1``).

Regions are laid on every event large enough to be flagged (a fifth of what was expected, and 10 streams a day), on
quiet assets where nothing happened and on days the market moved. Judged: the likeliest cause, whether stated
probabilities come true, and whether 90 % intervals hold the effect that was simulated. Seeds 1-3 fit the weights
(``--fit`` prints new ones for models/cause_verdict.py), seeds 101-104 judge. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from cuepoint.models.catalogue_assets import KINDS, Event
from cuepoint.models.catalogue_cases import CaseBook
from cuepoint.models.catalogue_days import SimulatedCatalogue
from cuepoint.models.catalogue_truth import cause_of, effects_of
from cuepoint.models.catalogue_world import CatalogueParams
from cuepoint.models.cause_cells import Floats, tabulate
from cuepoint.models.cause_ground import market_of
from cuepoint.models.cause_model import HISTORY_DAYS, Attribution, attribute
from cuepoint.models.cause_verdict import FEATURES, MARKET, UNEXPLAINED, causes_of, features

FIT_SEEDS, JUDGE_SEEDS = (1, 2, 3), (101, 102, 103, 104)
LENGTHS = (4, 8, 14)
_LEAST_SHARE, _LEAST_STREAMS = 0.2, 10.0


class Case(NamedTuple):
    kind: str
    truth: tuple[str, str]
    attribution: Attribution
    effects: dict[str, dict[str, float]]  # streams a day by dimension and value; empty where nothing happened


def cases_of(seed: int, assets: int) -> Iterator[Case]:
    """The judged regions of one simulated catalogue."""
    params = CatalogueParams(
        assets=assets, days=95, event_share=0.6, groups=False, median_count=60, new_share=0.0, market_moves=6
    )
    catalogue = SimulatedCatalogue(params, seed)
    book, rng = CaseBook(catalogue), np.random.default_rng(seed)
    for length in LENGTHS:
        events = [event for event in catalogue.events if event.start + length <= params.days]
        events = [event for number, event in enumerate(events) if LENGTHS[number % 3] == length]
        if events:
            for event, effects in zip(events, effects_of(catalogue, events, length), strict=True):
                if (case := _event_case(book, event, effects, length, rng)) is not None:
                    yield case
    met = {event.asset for event in catalogue.events}
    quiet = [asset for asset in range(assets) if asset not in met and catalogue.traits.base[asset] > 60]
    for asset in quiet[::2]:
        start, length = int(rng.integers(params.warm_days, params.days - 14)), int(rng.choice(LENGTHS))
        if not any(start <= day < start + length for day, _, _ in catalogue.market_moves):
            yield Case("nothing", (UNEXPLAINED, ""), _look(book, asset, start, length, rng), {})
    moved = [
        (day, place) for day, place, size in catalogue.market_moves if day >= params.warm_days and abs(size) > 0.15
    ]
    for asset in quiet[1::2]:
        for day, place in moved[:4]:
            if place < 0 or catalogue.traits.territory[asset, place] > 0.5:
                case = Case("market_move", (MARKET, ""), _look(book, asset, day, 1, rng), {})
                draws = case.attribution.change_draws
                if abs(draws.mean()) > 2.5 * draws.std():
                    yield case


def _event_case(
    book: CaseBook, event: Event, effects: dict[str, dict[str, float]], length: int, rng: np.random.Generator
) -> Case | None:
    attribution = _look(book, event.asset, event.start, length, rng)
    each = {name: {value: sum_ / length for value, sum_ in of.items()} for name, of in effects.items()}
    size = abs(sum(each["dsp"].values()))
    if size < max(_LEAST_STREAMS, _LEAST_SHARE * attribution.change.expected):
        return None
    return Case(KINDS[event.kind], cause_of(event, book.catalogue), attribution, each)


def _look(book: CaseBook, asset: int, start: int, length: int, rng: np.random.Generator) -> Attribution:
    first = book.catalogue.params.first_day.toordinal() + start
    window = (first - HISTORY_DAYS, first + length - 1)
    table = tabulate(book.asset(asset), *window, book.missing)
    market = market_of(tabulate(book.others(asset), *window, book.missing), first)
    return attribute(table, first, window[1], market, rng=rng, draws=200)


def judge(cases: list[Case]) -> dict[str, float]:
    """Prints the tables; returns the figures."""
    causes = [causes_of(case.attribution) for case in cases]
    hit = np.array([found[0][:2] == case.truth for found, case in zip(causes, cases, strict=True)])
    said = np.array([found[0].probability for found in causes])
    print("| cause | regions | likeliest cause right | among the first two |\n|---|---|---|---|")
    kinds = np.array([case.kind for case in cases])
    second = np.array([case.truth in [c[:2] for c in found[:2]] for found, case in zip(causes, cases, strict=True)])
    for kind in (*KINDS, "market_move", "nothing"):
        mine = kinds == kind
        if mine.any():
            print(f"| {kind} | {mine.sum()} | {100 * hit[mine].mean():.0f} % | {100 * second[mine].mean():.0f} % |")
    print(f"| all | {len(cases)} | {100 * hit.mean():.0f} % | {100 * second.mean():.0f} % |\n")
    print("| said | regions | came true |\n|---|---|---|")
    error = 0.0
    for low, high in ((0, 0.5), (0.5, 0.7), (0.7, 0.9), (0.9, 0.97), (0.97, 1.01)):
        mine = (said >= low) & (said < high)
        if mine.any():
            error += abs(said[mine].mean() - hit[mine].mean()) * mine.mean()
            print(f"| {100 * said[mine].mean():.0f} % | {mine.sum()} | {100 * hit[mine].mean():.0f} % |")
    print("\n| dimension | parts | held by the 90 % interval |\n|---|---|---|")
    held = _coverage(cases)
    for name, inside in held.items():
        print(f"| {name} | {len(inside)} | {100 * np.mean(inside):.0f} % |")
    every = np.concatenate([np.array(inside) for inside in held.values()])
    figures = {"top_cause": float(hit.mean()), "calibration_error": float(error), "coverage_90": float(every.mean())}
    return figures | {"events_top_cause": float(hit[np.isin(kinds, KINDS)].mean()), "regions": float(len(cases))}


def _coverage(cases: list[Case]) -> dict[str, list[bool]]:
    """Of the parts that matter: 5 % of the change or of what was expected; a hundredth of the change is no miss."""
    held: dict[str, list[bool]] = {}
    for case in cases:
        size = abs(sum(case.effects.get("dsp", {}).values()))
        for dimension, split in case.attribution.splits.items():
            for part in split.parts:
                if not case.effects or part.value.startswith("(") or case.attribution.absent:
                    continue
                truth = case.effects[dimension].get(part.value, 0.0)
                if abs(truth) > 0.05 * size or part.expected > 0.05 * case.attribution.change.expected:
                    slack = 0.01 * size
                    held.setdefault(dimension, []).append(part.lower - slack <= truth <= part.upper + slack)
    return held


def fit(cases: list[Case], steps: int = 500) -> Floats:
    """Weights that make the true causes likeliest: gradient ascent on the mean log probability, with a weak ridge.

    Every kind of cause weighs alike, however often it occurs.
    """
    seen, true, kinds = [], [], []
    for case in cases:
        candidates, rows = features(case.attribution)
        if case.truth in candidates:
            seen.append(rows[:, ::10])
            true.append(candidates.index(case.truth))
            kinds.append(case.kind)
    weight = [1.0 / kinds.count(kind) / len(set(kinds)) for kind in kinds]
    weights = np.ones(FEATURES)
    first, second = np.zeros(FEATURES), np.zeros(FEATURES)
    for step in range(1, steps + 1):
        gradient = -0.001 * weights
        for rows, k, counts in zip(seen, true, weight, strict=True):
            utility = rows @ weights
            p = np.exp(utility - utility.max(axis=0))
            p /= p.sum(axis=0)
            blame = p[k] / p[k].sum()
            gradient += (blame[:, None] * (rows[k] - np.einsum("cd,cdf->df", p, rows))).sum(axis=0) * counts
        first, second = 0.9 * first + 0.1 * gradient, 0.99 * second + 0.01 * gradient**2
        weights += 0.3 * (first / (1 - 0.9**step)) / (np.sqrt(second / (1 - 0.99**step)) + 1e-8)
    return weights * max((1.0, 1.2, 1.4, 1.7, 2.0, 2.5), key=lambda sharper: _mean_log(seen, true, sharper * weights))


def _mean_log(seen: list[Floats], true: list[int], weights: Floats) -> float:
    """Of the true causes' probability, every region alike."""
    said = []
    for rows, k in zip(seen, true, strict=True):
        p = np.exp(rows @ weights - (rows @ weights).max(axis=0))
        said.append(np.log((p[k] / p.sum(axis=0)).mean() + 1e-12))
    return float(np.mean(said))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--fit", action="store_true")
    options = parser.parse_args()
    assets = 120 if options.quick else 400
    if options.fit:
        weights = fit([case for seed in FIT_SEEDS for case in cases_of(seed, assets)])
        print(json.dumps([round(weight, 2) for weight in weights.tolist()]))
        return
    began = time.process_time()
    seeds = JUDGE_SEEDS[:1] if options.quick else JUDGE_SEEDS
    figures = judge([case for seed in seeds for case in cases_of(seed, assets)])
    print(f"\nSimulated, seeds {seeds}, {assets} assets each.")
    print(json.dumps({**{k: round(v, 3) for k, v in figures.items()}, "cpu_s": round(time.process_time() - began, 1)}))


if __name__ == "__main__":
    main()

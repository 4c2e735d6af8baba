"""``make bench-market-partitions``: how well so many assets estimate what their market did (simulated)."""

from __future__ import annotations

import argparse
import json

import numpy as np
from numpy.typing import NDArray

from cuepoint.models.market_factor import DISPERSION, SHIFT
from cuepoint.models.trend_walk import TrendWalk

DAYS, LEARNING, WHOLE = 75, 30, 20_000
NOISES = (0.03, 0.06, 0.12)  # log, of assets from one day to the next
SIZES = {25: 12, 50: 12, 500: 4, 5000: 1}  # assets of a partition: partitions tried


def effects(assets: int, moves: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Of the days after ``LEARNING``, of a market that moves so; counts of a median of 1,100 a day."""
    noise = rng.choice(NOISES, assets)
    log = rng.normal(7, 1.5, assets) + moves[:, None] + rng.normal(0, 1, (DAYS, assets)) * noise
    walk, found = TrendWalk(assets), []
    for day, counts in enumerate(rng.poisson(np.exp(log)).astype(float)):
        walk.day(737_000 + day, counts)
        found.append(walk.effects[0].copy())
    return np.array(found)[LEARNING:]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    whole = WHOLE // 10 if parser.parse_args().quick else WHOLE
    moves = np.random.default_rng(1).normal(0, 0.05, DAYS)
    reference, result = effects(whole, moves, np.random.default_rng(2)), {}
    print(f"simulated; moves of 5 %, against {whole} assets\n\n| assets | shift off by (log) | dispersion off by |")
    print("| ---: | ---: | ---: |")
    for assets, tries in SIZES.items():
        off = np.array([effects(assets, moves, np.random.default_rng(10 + i)) - reference for i in range(tries)])
        shift, dispersion = np.sqrt((off**2).mean(axis=(0, 1)))[[SHIFT, DISPERSION]]
        print(f"| {assets} | {shift:.4f} | {dispersion:.3f} |", flush=True)
        result[f"shift_error_{assets}"] = round(float(shift), 4)
    print("\n" + json.dumps(result))


if __name__ == "__main__":
    main()

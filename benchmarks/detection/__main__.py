"""``make bench-detection``: changes put into real daily counts, and who finds them. See benchmarks/README.md."""

from __future__ import annotations

import argparse
import json
import math

import judge
import numpy as np
import series
from detectors import cuepoint, oracle, peers, us_per_asset_day
from judge import CHANGES, Detector, Found
from series import Panel

SEED = 20
THINNED = {300: ("step +30 %",), 30: ("step +100 %", "drop -30 %")}


def _row(name: str, found: dict[str, Found]) -> str:
    cells = [f"{found[c.name].recall:.3f} ({found[c.name].delay:.0f})" if c.name in found else "" for c in CHANGES]
    shared = [
        f"{found[s].recall:.3f}" if (s := f"shared {c}") in found else "" for c in ("step +30 %", CHANGES[-1].name)
    ]
    return f"| {name} | " + " | ".join(cells + shared) + " |"


def _head() -> str:
    names = [c.name for c in CHANGES] + ["shared: +30 %", "shared: ramp"]
    return "|  | " + " | ".join(names) + " |\n| --- |" + " ---: |" * len(names)


def _some(panel: Panel, runs: int) -> Panel:
    """So many runs of each part, for what is slow."""
    parts = [[r for r in panel.runs if r.part == part][:runs] for part in ("tune", "report")]
    return panel._replace(runs=parts[0] + parts[1])


def _changes(names: tuple[str, ...]) -> tuple[judge.Change, ...]:
    return tuple(c for c in CHANGES if c.name in names)


def _peers(panel: Panel, quick: bool) -> float:
    """Print their rows; the best recall of +30 %."""
    best = math.nan
    for name, detector in peers(slow=not quick).items():
        few = _some(panel, 20 if name.startswith("statsmodels") or quick else 1000)
        chosen = _changes(("step +30 %", "ramp +2 % a day")) if quick else CHANGES
        found = judge.judged(few, detector, chosen, 1, SEED)
        said = f"{name}, {len(few.runs)} runs" if len(few.runs) < len(panel.runs) else name
        print(_row(said, found), flush=True)
        best = np.nanmax([best, found["step +30 %"].recall])
    return float(best)


def _thinned(panel: Panel, detector: Detector, rounds: int) -> dict[str, Found]:
    """Ours, and beside it how far chance lets anybody come."""
    out = {}
    for mean, names in THINNED.items():
        thin, expected = series.thinned(panel, mean, np.random.default_rng(SEED))
        found = judge.judged(thin, detector, _changes(names), rounds, SEED)
        best = judge.judged(thin, oracle(expected), _changes(names), rounds, SEED)
        for name in names:
            out[f"{mean} {name}"] = found[name]
            cells = [f"{each[name].recall:.3f} | {each[name].within_1:.3f}" for each in (found, best)]
            print(f"| {mean} a day | {name} | {' | '.join(cells)} |", flush=True)
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--data", help=f"csv with date, track_id, streams; else ${series.VARIABLE}, else the excerpt")
    options = parser.parse_args()
    path, said = series.source(options.data)
    print(said)
    panel, rounds = series.read(path), 1 if options.quick else 6
    print(f"{len(panel.runs)} runs of {series.LEAST_RUN_DAYS} days or more; recall (median delay in days)\n")
    print(_head())
    ours = judge.judged(panel, cuepoint, CHANGES, rounds, SEED)
    print(_row("Cuepoint", ours), flush=True)
    best = _peers(panel, options.quick)
    print("\n| thinned to | change | recall | within a day | oracle: recall | within a day |")
    print("| --- | --- | ---: | ---: | ---: | ---: |")
    thin = _thinned(panel, cuepoint, rounds)
    levels = judge.thresholds(panel, "tune", cuepoint(panel))
    for name, level in levels.items():
        alarms = judge.alarms_a_year(panel, "report", cuepoint(panel), level)
        print(f"\nAlarms an asset-year on the other part, both scores together, {name}: {alarms:.2f}")
    keys = {"recall_step30": 0, "recall_step100": 1, "recall_step15": 2, "recall_spike": 3, "recall_drop30": 4}
    result = {key: ours[CHANGES[i].name].recall for key, i in keys.items()}
    ramp = CHANGES[-1].name
    result |= {"recall_ramp": ours[ramp].recall, "ramp_delay_days": ours[ramp].delay}
    result |= {"shared_step30": ours["shared step +30 %"].recall, "shared_ramp": ours[f"shared {ramp}"].recall}
    result |= {"thin300_step30": thin["300 step +30 %"].recall, "thin30_step100": thin["30 step +100 %"].recall}
    result |= {"thin30_drop30": thin["30 drop -30 %"].recall, "best_peer_step30": best}
    result["us_per_asset_day"] = us_per_asset_day(5_000 if options.quick else 20_000)
    print("\n" + json.dumps({key: round(value, 3) for key, value in result.items()}))


if __name__ == "__main__":
    main()

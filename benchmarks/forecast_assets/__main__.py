"""``make bench-forecast-assets``: 28 days ahead on real daily counts, beside the peers of statsforecast and Prophet."""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # one core for everyone

import argparse
import json
import sys
import time
from collections.abc import Callable

import numpy as np
import report
from cases import cases, read
from forecasters import PEERS, of_cuepoint, of_peer

SLOW = {"AutoARIMA": 5, "Prophet": 5}  # every so many cases of all
QUICK = {"SeasonalNaive": 3, "AutoTheta": 12, "AutoETS": 16, "AutoARIMA": 200, "Prophet": 100}


def telling(name: str, count: int) -> Callable[[int], None]:
    """Progress, on stderr: stdout is for the result."""

    def tell(n: int) -> None:
        if n % 100 == 0:
            print(f"{time.strftime('%H:%M:%S')} {name} {n}/{count}", file=sys.stderr, flush=True)

    return tell


def main() -> int:
    parser = argparse.ArgumentParser(prog="benchmarks/forecast_assets", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="the peers on fewer cases, under a minute")
    parser.add_argument("--data", help="daily counts: columns date, track_id, streams")
    parser.add_argument("--all", action="store_true", help="judge every track of data that is not of the charts")
    parser.add_argument("--peers", nargs="*", default=list(PEERS), choices=list(PEERS), metavar="PEER")
    asked = parser.parse_args()
    panel = read(asked.data, everything=asked.all)
    all_cases = cases(panel.counts)
    of = report.truth(panel, all_cases)
    q, cpu_s = of_cuepoint(panel, all_cases)
    ours = report.score(q, of)
    everything = np.arange(len(all_cases))
    rows = [report.row("Cuepoint", ours, ours, everything, cpu_s)]
    result: dict[str, float] = {}
    for name in asked.peers:
        at = everything[:: QUICK[name] if asked.quick else SLOW.get(name, 1)]
        try:
            q_peer, cpu_s = of_peer(name, panel, [all_cases[n] for n in at], telling(name, len(at)))
        except ImportError as error:
            print(f"{name} is left out: {error}", file=sys.stderr)
            continue
        scores = report.score(q_peer, report.Truth(of.later[at], of.scale[at], of.size[at]))
        rows.append(report.row(name, scores, ours, at, cpu_s))
        known = np.isfinite(scores.mase)
        for key in ("mase", "msis"):
            of_peers, of_ours = getattr(scores, key)[known].mean(), getattr(ours, key)[at][known].mean()
            result[f"{key}_ratio_{name}"] = round(float(of_ours / of_peers), 4)
    for key in ("mase", "msis"):
        ratios = [value for name, value in result.items() if name.startswith(f"{key}_ratio_")]
        result[f"{key}_ratio_best_peer"] = max(ratios, default=float("nan"))
        result[key] = round(float(getattr(ours, key).mean()), 4)
    for nominal in report.INTERVALS:
        result[f"coverage_{nominal}"] = round(report.share(ours.inside[nominal]), 4)
        result[f"coverage_{nominal}_worst_miss"] = round(report.worst_miss(ours, of.size, nominal), 4)
    print(f"Data: {panel.said}.\n{len(all_cases):,} cases from {len({c.origin for c in all_cases})} days.\n")
    head = [
        "",
        "cases",
        "MASE",
        "MSIS",
        "within 80 %",
        "within 95 %",
        "ours / its MASE",
        "ours / its MSIS",
        "CPU ms a case",
    ]
    print(report.table(head, rows), report.by_stratum(ours, of.size), report.goals(result), sep="\n\n")
    print(json.dumps({"cases": len(all_cases), **result}))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

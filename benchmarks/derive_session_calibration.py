"""Derives the parameters of models/session_calibration.py from the three data files.

    python benchmarks/derive_session_calibration.py FOLDER

prints one line a parameter. Only these aggregates are in the product, no row of the data.
"""

from __future__ import annotations

import csv
import gzip
import math
import statistics
import sys
from itertools import pairwise
from pathlib import Path

COUNT_CAP = 20  # pauses, rewinds, fast-forwards a view: the highest hundredth are recording faults
CLASSES = (("brief", 0.0, 0.25), ("left", 0.25, 0.95), ("complete", 0.95, 1.01))
DEVICES = ("desktop", "mobile", "tablet", "console")
REGIONS = ("europe", "asia", "north_america", "africa", "oceania", "south_america")


def main(folder: Path) -> None:
    with gzip.open(folder / "session_behaviour.csv.gz", "rt") as stream:
        views = list(csv.DictReader(stream))
    with (folder / "video_retention.csv").open() as stream:
        videos = list(csv.DictReader(stream))
    with (folder / "watch_time_cdf.csv").open() as stream:
        watch = [(float(row["watch_time_s"]), float(row["cdf"])) for row in csv.DictReader(stream)]
    behaviour(views)
    catalogue(videos)
    print("session_watch_s", [round(at_share(watch, k / 20), 1) for k in range(21)])


def behaviour(views: list[dict[str, str]]) -> None:
    shares = [min(1.0, max(0.0, float(view["fracComp"]))) for view in views]
    for name, low, high in CLASSES:
        inside = [view for view, share in zip(views, shares, strict=True) if low <= share < high]
        print(f"class_{name}", round(len(inside) / len(views), 4))
        for column in ("numPauses", "numRWs", "numFFs"):
            counts = [min(COUNT_CAP, float(view[column])) for view in inside]
            mean, none = statistics.fmean(counts), sum(1 for count in counts if count == 0) / len(counts)
            print(f"  {column}: mean {mean:.3f} none {none:.3f} dispersion {dispersion(mean, none):.3f}")
    for name, low, high in CLASSES[:2]:
        inside_shares = sorted(share for share in shares if low <= share < high)
        print(f"share_{name}", [round(quantile(inside_shares, k / 10), 4) for k in range(11)])
    pauses = [(float(view["fracPaused"]), float(view["numPauses"])) for view in views]
    each = sorted(paused / count for paused, count in pauses if count > 0 and paused > 0)
    quarter, median, three = (quantile(each, q) for q in (0.25, 0.5, 0.75))
    print(f"pause_share: median {median:.4f} log sigma {math.log(three / quarter) / (2 * 0.6745):.3f}")
    rates = [float(view["avgPBR"]) for view in views]
    for rate, low, high in ((1.0, 0.0, 1.1), (1.25, 1.1, 1.375), (1.5, 1.375, 1.75), (2.0, 1.75, 9.0)):
        print(f"rate {rate}", round(sum(1 for r in rates if low <= r < high) / len(rates), 4))


def catalogue(videos: list[dict[str, str]]) -> None:
    logs = [math.log(float(video["video_duration"])) for video in videos]
    print(f"duration: median {math.exp(statistics.fmean(logs)):.1f} log sigma {statistics.stdev(logs):.3f}")
    views = [float(video["total_views"]) for video in videos]
    for suffix, names in (("device_percentage", DEVICES), ("views_percentage", REGIONS)):
        shares = [
            sum(v * float(video[f"{name}_{suffix}"]) for v, video in zip(views, videos, strict=True)) for name in names
        ]
        print(suffix, {name: round(share / sum(shares), 4) for name, share in zip(names, shares, strict=True)})


def dispersion(mean: float, none: float) -> float:
    """r of the negative binomial with this mean and this share of zeros: (r / (r + mean)) ** r = none."""
    low, high = 1e-4, 1e4
    for _ in range(200):
        middle = math.sqrt(low * high)
        if middle * math.log(middle / (middle + mean)) > math.log(none):
            low = middle
        else:
            high = middle
    return middle


def quantile(ordered: list[float], share: float) -> float:
    at = share * (len(ordered) - 1)
    low = int(at)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (at - low) * (ordered[high] - ordered[low])


def at_share(curve: list[tuple[float, float]], share: float) -> float:
    for (left_s, left), (right_s, right) in pairwise(curve):
        if right >= share:
            return left_s if right == left else left_s + (right_s - left_s) * (share - left) / (right - left)
    return curve[-1][0]


if __name__ == "__main__":
    main(Path(sys.argv[1]))

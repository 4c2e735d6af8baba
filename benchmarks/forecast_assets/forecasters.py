"""Cuepoint and its peers, all asked for the same: 2.5, 10, 50, 90 and 97.5 % points of 28 days."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import time
import warnings
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from cases import HORIZON, WEEK, Case, Floats, Panel, history

from cuepoint.models.forecast_catalogue import QUANTILES, Catalogue

Forecaster = Callable[[Floats, int], Floats]  # history, its last day -> (HORIZON, 5)
CACHE = Path(__file__).parents[2] / ".cache" / "forecast-peers"


def of_cuepoint(panel: Panel, cases: Sequence[Case]) -> tuple[Floats, float]:
    """(cases, HORIZON, 5) and CPU seconds: walking all days of all tracks, learning anew at every origin."""
    started = time.process_time()
    catalogue = Catalogue(panel.counts, panel.first_day)
    q = np.full((len(cases), HORIZON, len(QUANTILES)), np.nan)
    for origin in sorted({case.origin for case in cases}):
        at = [n for n, case in enumerate(cases) if case.origin == origin]
        q[at] = catalogue.forecast(panel.first_day + origin, HORIZON)[[cases[n].track for n in at]]
    return q, time.process_time() - started


def of_peer(name: str, panel: Panel, cases: Sequence[Case], tell: Callable[[int], None]) -> tuple[Floats, float]:
    """The same of a peer, a series at a time; NaN where it failed. Kept in CACHE for the next run over the same data by
    the same version. Raises ImportError where the peer is not installed."""
    peer = PEERS[name]()
    package = version("prophet" if name == "Prophet" else "statsforecast")
    of = hashlib.sha256(panel.counts.tobytes() + repr((name, package, list(cases))).encode()).hexdigest()[:16]
    kept = CACHE / f"{name}-{of}.npz"
    if kept.exists():
        with np.load(kept) as earlier:
            return earlier["q"], float(earlier["cpu_s"])
    q, cpu_s = _forecast_each(peer, panel, cases, tell)
    CACHE.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(kept, q=q, cpu_s=cpu_s)
    return q, cpu_s


def _forecast_each(
    peer: Forecaster, panel: Panel, cases: Sequence[Case], tell: Callable[[int], None]
) -> tuple[Floats, float]:
    q = np.full((len(cases), HORIZON, len(QUANTILES)), np.nan)
    started = time.process_time()
    for n, case in enumerate(cases):
        tell(n)
        with warnings.catch_warnings(), contextlib.suppress(ValueError, RuntimeError, np.linalg.LinAlgError):
            warnings.simplefilter("ignore")
            q[n] = peer(history(panel.counts, case), panel.first_day + case.origin)
    return q, time.process_time() - started


def _statsforecast(name: str) -> Forecaster:
    from statsforecast import models

    make: Any = getattr(models, name)

    def run(y: Floats, _day: int) -> Floats:
        told = make(season_length=WEEK).forecast(y=y, h=HORIZON, level=[80, 95])
        return np.column_stack([told[key] for key in ("lo-95", "lo-80", "mean", "hi-80", "hi-95")])

    return run


def _prophet() -> Forecaster:
    import pandas as pd
    from prophet import Prophet

    logging.getLogger("cmdstanpy").disabled = True

    def run(y: Floats, day: int) -> Floats:
        ends = pd.Timestamp.fromordinal(day)
        model = Prophet(interval_width=0.8, uncertainty_samples=500)
        model.fit(pd.DataFrame({"ds": pd.date_range(end=ends, periods=len(y)), "y": y}))
        ahead = pd.DataFrame({"ds": pd.date_range(ends + pd.Timedelta(days=1), periods=HORIZON)})
        drawn = model.predictive_samples(ahead)["yhat"]
        return np.quantile(drawn, QUANTILES, axis=1).T

    return run


PEERS: dict[str, Callable[[], Forecaster]] = {
    "SeasonalNaive": lambda: _statsforecast("SeasonalNaive"),
    "AutoTheta": lambda: _statsforecast("AutoTheta"),
    "AutoETS": lambda: _statsforecast("AutoETS"),
    "AutoARIMA": lambda: _statsforecast("AutoARIMA"),
    "Prophet": _prophet,
}

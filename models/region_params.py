"""When a region of significant change opens and closes."""

from __future__ import annotations

from typing import NamedTuple


class RegionParams(NamedTuple):
    """Thresholds; ``p_`` are nominal probabilities a day under "nothing changed".

    What was measured on simulated assets in which nothing happens (level about 8,000 streams a day, starts
    spread over the week; tests/simulation holds these): from the 60th day on at most 0.1 regions in 1,000 days
    for a steady asset, 1.5 for a random walk of 3 % a day. **Before that it is not controlled where the
    catalogue differs from the hyperparameters**: in the first 14 days an asset with 5 % noise opens 0.04 false
    regions, one with a weekly swing of 10 % that the day prior does not know 0.44, one with 15 % noise 0.35
    (and 4 in 1,000 days until its scale is learnt). A catalogue of another kind wants its own TrendParams; an
    empirical null over the catalogue is not built yet.
    """

    p_rapid: float = 0.007  # opens a rapid region: p_same below this
    p_gradual: float = 0.03  # opens a gradual region: p_still below this
    # Upwards, in an asset's first observations: a rise whose sum is above this opens a gradual region. Looser, since it
    # is spent once an asset and not every day, and since new assets mostly fall.
    young_sum: float = 1.0
    young_days: float = 7.0
    young_rise: float = 0.17  # ... and it must have risen in fact: log, 19 %
    least_change: float = 0.1  # |log ratio| to the expectation before it; smaller changes are not worth a word
    quiet_p: float = 0.05  # a day is quiet when p_same is above this ...
    quiet_trend: float = 0.02  # ... and the trend, where it is certain, is smaller than this (log units a day)
    settle_days: float = 5.0  # so many quiet days in a row: settled at the new normal, closed
    silent_days: float = 7.0  # so many days without data: closed, its end is the last day with data
    longest_days: float = 120.0  # by then it is normal
    damping: float = 0.97  # of the trend in the expectation "as before the region began"
    level_share: float = 1.5  # of the expected level's variance on the first day: the expectation's on all days ...
    drift_share: float = 0.4  # ... and what each day adds to it
    wait_days: float = 2.0  # observations an asset needs before a region may open

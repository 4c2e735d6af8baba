"""90 % intervals of growth hold the truth about as often as they say, where days hang together and some events raise
the library by themselves (what a model of counts alone takes for conversions)."""

from __future__ import annotations

import numpy as np

from cuepoint.models.growth_metrics import PLAYS, Engagement, growth_of

BEFORE, DAYS, CASES = 28, 56, 80


def asset(rng: np.random.Generator) -> tuple[Engagement, float, float]:
    """A library of 400 a day and its truth; half of the events raise it at once by half of the new listeners."""
    conversion = float(np.clip(rng.normal(0.045, 0.025), 0.005, 0.2))
    drop_off = float(0.04 * np.exp(0.5 * rng.standard_normal()))
    push = np.where(np.arange(DAYS) >= BEFORE, rng.uniform(200, 1000), 0.0)
    at_once = 0.5 * (rng.random() < 0.5)
    engaged, noise = np.zeros(DAYS), np.zeros(DAYS)
    for day in range(1, DAYS):
        engaged[day] = (1 - drop_off) * engaged[day - 1] + conversion * push[day - 1]
        noise[day] = 0.7 * noise[day - 1] + 0.05 * rng.standard_normal()
    week = 1 + 0.1 * np.sin(2 * np.pi * np.arange(DAYS) / 7)
    library = rng.poisson((400 + PLAYS * engaged + at_once * push) * week * np.exp(noise)).astype(float)
    passive, searched = (rng.poisson(mean * week).astype(float) for mean in (200 + push, np.full(DAYS, 80.0)))
    return Engagement(library, passive, searched, 70.0, 100.0, 0.5), conversion, drop_off


def test_intervals_hold_as_often_as_they_say() -> None:
    rng = np.random.default_rng(11)
    held: list[list[bool]] = []
    for _ in range(CASES):
        seen, *truth = asset(rng)
        found = growth_of(seen, BEFORE, rng=rng, draws=400)
        intervals = (found.conversion, found.drop_off)
        held.append([each.lower <= value <= each.upper for each, value in zip(intervals, truth, strict=True)])

    for share in np.mean(held, axis=0):
        assert 0.84 <= share <= 0.98

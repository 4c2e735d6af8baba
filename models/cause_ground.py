"""What the parts of an asset have in common: its course before a region, carried on through it, and the market's."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cuepoint.models.cause_cells import CellTable, Floats, by_value, fill_missing

HALF_LIFE_DAYS = 14.0
MEMORY = 2.5  # days of noise that go together: (1 + r) / (1 - r) of its autocorrelation
_GAP_DAYS = 1  # the day before a region may belong to it already
_SLOPE_SD = 0.015  # prior of the trend, log units a day
_DAMPING = 0.96
_NOISE, _NOISE_DAYS = 0.05, 8.0  # prior of the asset's daily log noise, and what it weighs
_WEEK_SHRINK = (1.0, 4.0)  # days that a day-of-week offset of nothing weighs: without, with a market


class Market(NamedTuple):
    """What all other assets did: ``pace`` (territories, days) on any scale, from the table's first day on."""

    territories: list[str]
    pace: Floats


class Ground(NamedTuple):
    """``weight`` (days before,), ``exposure`` (days,): the course of the asset, 1 at the last day before the region,
    the market of the day included; ``flat``: the same, the market as it had been; ``territory_exposure`` by name.
    ``factor`` (draws,): what all expectations may be wrong by; ``seen``: what the days of the region may be, by chance,
    beside their mean."""

    cut: int
    weight: Floats
    exposure: Floats
    flat: Floats
    territory_exposure: dict[str, Floats]
    factor: Floats
    seen: Floats


def market_of(others: CellTable, start: int) -> Market:
    """The market from a table of all other assets' streams; reports that have not come are filled in."""
    filled, _ = fill_missing(others, start)
    values, rows = by_value(filled, "territory", most=10_000)
    return Market(values, rows)


def ground_of(table: CellTable, cut: int, market: Market | None, *, rng: np.random.Generator, draws: int) -> Ground:
    """``cut``: the number of days before the region; ``table`` has no missing days any more."""
    total, days = table.counts.sum(axis=0), table.counts.shape[1]
    age = cut - 1.0 - np.arange(cut)
    weight = np.where(age >= _GAP_DAYS, 0.5 ** (age / HALF_LIFE_DAYS), 0.0) if cut > _GAP_DAYS + 3 else np.ones(cut)
    moves, quiet, own = _market_course(table, market, cut, weight)
    resid = np.log(total[:cut] + 0.5) - np.log(moves[:cut])
    precision = weight * total[:cut] / (1.0 + _NOISE**2 * MEMORY * total[:cut] + 1e-9)  # of each day's log count
    slope, slope_sd, centre = _slope(resid, precision, -age)
    ahead = np.arange(1, days - cut + 1)
    travelled = np.concatenate([-age, _DAMPING * (1 - _DAMPING**ahead) / (1 - _DAMPING)])
    course = np.exp(slope * travelled)
    week = _week(resid - slope * travelled[:cut], weight, days, _WEEK_SHRINK[int(market is not None)])
    level = np.average(resid - slope * travelled[:cut] - week[:cut], weights=precision + 1e-9)
    left = resid - slope * travelled[:cut] - week[:cut] - level
    variance = (weight * np.maximum(left**2 - 1.0 / (total[:cut] + 0.5), 0.0)).sum() + _NOISE_DAYS * _NOISE**2
    noise = min(0.5, float(np.sqrt(variance / (weight.sum() + _NOISE_DAYS))))
    effective = weight.sum() ** 2 / (weight**2).sum()
    wrong = noise**2 * MEMORY * (1.0 / effective + 1.0 / (days - cut))
    error = np.sqrt(wrong) * rng.standard_normal(draws)
    chance = noise * np.sqrt(MEMORY / (days - cut)) * rng.standard_normal(draws)
    error += slope_sd * (travelled[cut:].mean() - centre) * rng.standard_normal(draws)
    shape = course * np.exp(week)
    return Ground(
        cut,
        weight,
        moves * shape,
        quiet * shape,
        {name: line * shape for name, line in own.items()},
        np.exp(error - 0.5 * error.var()),
        np.exp(chance - 0.5 * chance.var()),
    )


def _market_course(
    table: CellTable, market: Market | None, cut: int, weight: Floats
) -> tuple[Floats, Floats, dict[str, Floats]]:
    """The market as the asset's audience lives it, the same as it had been by weekday, and that of each territory."""
    days = table.counts.shape[1]
    values, rows = by_value(table, "territory", most=10_000)
    own = {value: np.ones(days) for value in values}
    quiet = {value: np.ones(days) for value in values}
    if market is not None:
        for value in values:
            line = market.pace[market.territories.index(value), :days] if value in market.territories else np.ones(1)
            if len(line) < days or line[:cut].min() <= 0 or line.min() < 0:
                continue  # a market nobody else is in tells nothing
            line = line / np.average(line[:cut], weights=weight)
            own[value] = line
            weekday = np.arange(days) % 7
            usual = [
                np.average(line[:cut][weekday[:cut] == k]) if (weekday[:cut] == k).any() else 1.0 for k in range(7)
            ]
            quiet[value] = np.where(np.arange(days) < cut, line, np.array(usual)[weekday])
    shares = (rows[:, :cut] * weight).sum(axis=1) + 1e-9
    shares /= shares.sum()
    mixed = sum((share * own[value] for share, value in zip(shares, values, strict=True)), np.zeros(days))
    still = sum((share * quiet[value] for share, value in zip(shares, values, strict=True)), np.zeros(days))
    return mixed, still, own


def _slope(resid: Floats, precision: Floats, days: NDArray[np.floating[Any]]) -> tuple[float, float, float]:
    """Trend (log units a day), its standard deviation, and the day it turns around (days before the region)."""
    if precision.sum() <= 0:
        return 0.0, _SLOPE_SD, float(days.mean())
    centre = float(np.average(days, weights=precision))
    away = days - centre
    information = (precision * away**2).sum() + 1.0 / _SLOPE_SD**2
    return float((precision * away * resid).sum() / information), float(information**-0.5), centre


def _week(left: Floats, weight: Floats, days: int, shrink: float) -> Floats:
    """Day-of-week offsets of the asset itself, beside the market's."""
    weekday = np.arange(days) % 7
    before = weekday[: len(left)]
    counted = (weight > 0).astype(float)
    middle = np.average(left, weights=counted)
    offsets = np.zeros(7)
    for k in range(7):
        mine = counted * (before == k)
        offsets[k] = (mine * (left - middle)).sum() / (mine.sum() + shrink)
    line: Floats = offsets[weekday]
    return line

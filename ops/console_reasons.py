"""Why a change came about, and whether it is worth a campaign: from the contracts to what the page draws."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from cuepoint.schemas.opportunities import Dimension, Driver, Explanation, Interval, Opportunity, ProximalCause

WIDTH, MARGIN = 300.0, 6.0  # of a bar's drawing, in its own units
DIMENSIONS = {
    "dsp": "Service",
    "territory": "Territory",
    "activity": "Active or passive",
    "context": "Context",
    "container": "Playlist or station",
    "device": "Device",
}
NOUNS = {"dsp": "service", "territory": "territory", "context": "context", "device": "device"}
METRICS = (
    ("conversion", "Passive to active", "of passive listeners become engaged"),
    ("search_conversion", "Search to active", "of those who searched become engaged"),
    ("drop_off", "Drop-off", "of the engaged are lost each day"),
    ("completion", "Heard to the end", "of plays"),
    ("potential", "Promise", "active streams that one more passive listener brings in all"),
)
DRIVERS = {
    "base": "Changes in general",
    "potential": "Streams one more listener brings",
    "conversion": "Passive listeners who become engaged",
    "drop_off": "Engagement drop-off",
    "completion": "Plays heard to the end",
    "active_share": "Share of active listening",
}
GOALS = {
    "accelerate": "Accelerate: it rises broadly, more exposure should carry on",
    "expand": "Expand: one narrow source lifts it, open others",
    "sustain": "Sustain: it falls, bring listeners back",
}


@dataclass(frozen=True)
class Step:
    """A row of the waterfall: ``effect`` in streams a day, ``share`` of the change. x, width, low and high are
    places in the row's drawing: the bar, and the 90 % interval of where it ends."""

    kind: Literal["part", "market", "unexplained", "total"]
    label: str
    effect: Interval
    share: float | None
    likely: float | None
    x: float
    width: float
    low: float
    high: float

    @property
    def direction(self) -> str:
        return "up" if self.effect.mean >= 0 else "down"


@dataclass(frozen=True)
class Waterfall:
    """One dimension of an explanation; ``zero`` and ``end``: where nothing and the whole change stand."""

    dimension: str
    title: str
    steps: list[Step]
    zero: float
    end: float


@dataclass(frozen=True)
class Weight:
    """A driver of the verdict: ``value`` is what it adds to the log odds; x and width: its bar, from the middle."""

    label: str
    value: float
    x: float
    width: float


@dataclass(frozen=True)
class Metric:
    """A growth metric; ``percent``: its numbers are fractions."""

    label: str
    meaning: str
    interval: Interval
    percent: bool


def waterfall(said: Explanation, wanted: str = "") -> Waterfall | None:
    """The dimension ``wanted``, else that of the likeliest cause, else the first; None where nothing is explained."""
    if not said.dimensions:
        return None
    likeliest = said.causes[0].dimension if said.causes else ""
    chosen = next((one for name in (wanted, likeliest) for one in said.dimensions if one.dimension == name), None)
    return _waterfall(said, chosen or said.dimensions[0])


def _waterfall(said: Explanation, dimension: Dimension) -> Waterfall:
    parts = sorted(dimension.parts, key=lambda part: -abs(part.effect.mean))
    rows: list[tuple[Literal["part", "market", "unexplained", "total"], str, Interval, float | None]] = [
        ("part", part.name or part.value, part.effect, part.likely) for part in parts
    ]
    rows += [
        ("market", "Explained by the market", said.market, None),
        ("unexplained", "Unexplained", dimension.unexplained, None),
    ]
    reached, places = 0.0, [0.0, said.change.mean, said.change.lower, said.change.upper]
    starts = []
    for _, _, effect, _ in rows:
        starts.append(reached)
        places += [reached + effect.mean, reached + effect.lower, reached + effect.upper]
        reached += effect.mean
    least, most = min(places), max(places)
    scale = (WIDTH - 2 * MARGIN) / ((most - least) or 1.0)

    def at(place: float) -> float:
        return round(MARGIN + (place - least) * scale, 1)

    rows.append(("total", "The change", said.change, None))
    steps = []
    for (kind, label, effect, likely), start in zip(rows, [*starts, 0.0], strict=True):
        left, right = sorted((at(start), at(start + effect.mean)))
        share = effect.mean / said.change.mean if said.change.mean else None
        ends = at(start + effect.lower), at(start + effect.upper)
        steps.append(Step(kind, label, effect, share, likely, left, max(right - left, 1.0), *ends))
    return Waterfall(dimension.dimension, DIMENSIONS[dimension.dimension], steps, at(0.0), at(said.change.mean))


def cause_words(cause: ProximalCause) -> str:
    """A cause as a manager says it.

    >>> cause_words(ProximalCause(dimension="container", value="p1", name="Hot Hits", probability=0.9))
    'the playlist or station Hot Hits'
    >>> cause_words(ProximalCause(dimension="market", probability=0.9))
    'the market as a whole'
    """
    if cause.dimension == "market":
        return "the market as a whole"
    if cause.dimension == "unexplained":
        return "nothing that the reports tell"
    noun = NOUNS.get(cause.dimension, "playlist or station")
    return f"the {noun} {cause.name or cause.value}"


def weights(drivers: Sequence[Driver]) -> list[Weight]:
    """The drivers as bars that grow from the middle: to the right what speaks for an opportunity."""
    middle = WIDTH / 2
    most = max((abs(one.contribution) for one in drivers), default=0.0) or 1.0
    rows = []
    for one in drivers:
        width = round(max(abs(one.contribution) / most * (middle - MARGIN), 1.0), 1)
        x = middle if one.contribution >= 0 else middle - width
        rows.append(Weight(DRIVERS.get(one.name, one.name.replace("_", " ")), one.contribution, x, width))
    return rows


def metrics(said: Opportunity) -> list[Metric]:
    """The growth metrics that are there."""
    found = ((name, label, meaning, getattr(said, name)) for name, label, meaning in METRICS)
    return [Metric(label, meaning, value, name != "potential") for name, label, meaning, value in found if value]

"""Contracts of why a change came about, and whether it is worth a campaign."""

from __future__ import annotations

import datetime as dt
from typing import Literal

import msgspec

from cuepoint.schemas.base import Contract, Identifier, Probability, Text, Version


class Interval(msgspec.Struct, frozen=True):
    """A mean and its 90 % interval."""

    mean: float
    lower: float
    upper: float


class PartOfChange(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one value of a dimension adds to a change, in streams a day; ``share`` of the change; ``likely``: that it is
    not noise. ``name`` is a playlist's or station's, where it is known."""

    value: Text
    name: Text = ""
    effect: Interval
    share: float
    expected: float
    likely: Probability


class Dimension(msgspec.Struct, frozen=True, kw_only=True):
    """The effects of ``parts`` and ``unexplained``, with the market's of the explanation, sum to the change."""

    dimension: Literal["dsp", "territory", "activity", "context", "container", "device"]
    parts: list[PartOfChange]
    unexplained: Interval


class ProximalCause(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """``dimension`` says what ``value`` is one of; of the market and of no nameable cause there is no value."""

    dimension: Literal["dsp", "territory", "context", "container", "device", "market", "unexplained"]
    value: Text = ""
    name: Text = ""
    probability: Probability


class Explanation(Contract, frozen=True, kw_only=True, tag="explanation.v1"):
    """Why a region of significant change came about. Key: ``asset_id``. One for each ``change_id``: a higher
    ``revision`` (the change's) replaces the earlier, ``withdrawn`` takes it back.

    Of one revision there may be several editions, since reports come late: the later message holds. ``edition`` is a
    digest of all the message says, so ``change_id``, ``revision`` and ``edition`` never have two contents.

    Streams a day, means over ``start`` to ``day``; ``causes`` are the likeliest, first things first; ``absent``:
    services left out since their reports have not come.
    """

    change_id: Identifier
    revision: Version
    edition: Text = ""
    status: Literal["current", "withdrawn"] = "current"
    asset_id: Identifier
    start: dt.date
    day: dt.date
    observed: float = 0.0
    expected: float = 0.0
    change: Interval = Interval(0.0, 0.0, 0.0)
    market: Interval = Interval(0.0, 0.0, 0.0)
    dimensions: list[Dimension] = msgspec.field(default_factory=list)
    causes: list[ProximalCause] = msgspec.field(default_factory=list)
    absent: list[Text] = msgspec.field(default_factory=list)


class Driver(msgspec.Struct, frozen=True, kw_only=True):
    """What speaks for or against: ``contribution`` to the log odds of an opportunity."""

    name: Text
    value: float
    contribution: float


class Opportunity(Contract, frozen=True, kw_only=True, tag="opportunity.v1"):
    """Whether a change is worth a campaign, towards which goal, and why. Key: ``asset_id``. One for each ``change_id``,
    replaced and withdrawn like the explanation.

    ``conversion``: passive listeners who become engaged; ``search_conversion``: of those who searched; ``drop_off``: of
    the engaged, a day; ``completion``: plays heard to the end; ``potential``: active streams one more passive listener
    brings. ``learnt``: 0 where these are the priors alone, 1 where all is from the asset's own data.
    """

    change_id: Identifier
    revision: Version
    edition: Text = ""
    status: Literal["current", "withdrawn"] = "current"
    asset_id: Identifier
    day: dt.date
    opportunity: bool = False
    probability: Probability = 0.0
    goal: Literal["accelerate", "expand", "sustain"] | None = None
    drivers: list[Driver] = msgspec.field(default_factory=list)
    conversion: Interval | None = None
    search_conversion: Interval | None = None
    drop_off: Interval | None = None
    completion: Interval | None = None
    potential: Interval | None = None
    learnt: Probability = 0.0
    weights_version: int = 0

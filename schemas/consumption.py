"""Contracts of consumption: who (as groups, never as persons) listened to what, where, and by which way."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Literal

import msgspec

from cuepoint.schemas.base import Contract, Count, Identifier, Territory, Text, Version
from cuepoint.schemas.trends import ReportCompleted, ReportOpened, ReportWithdrawn

Region = Annotated[
    str, msgspec.Meta(pattern=r"^([A-Z]{2}-[A-Z0-9]{1,3})?$", description="ISO 3166-2, or empty: not said")
]
Gender = Literal["female", "male", "other", "unknown"]
AgeBand = Literal["0-17", "18-24", "25-34", "35-44", "45-54", "55-64", "65+", "unknown"]
Subscription = Literal["paid", "free", "trial", "unknown"]
Context = Literal[
    "library",
    "search",
    "discovery",
    "playlist",
    "radio",
    "album",
    "artist",
    "external",
    "now_playing",
    "voice",
    "other",
    "unknown",
]
Activity = Literal["active", "passive", "unknown"]
Device = Literal["phone", "tablet", "computer", "speaker", "tv", "car", "other", "unknown"]


class Cell(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one group did with one asset by one way: the group, the way, and how much.

    ``consumers`` are distinct persons, null where the report does not tell persons apart. A cell of fewer than the
    setting ``CUEPOINT_CONSUMERS_MIN`` persons is merged upward before it is written (docs/reports.md), so ``unknown``
    and an empty text mean: not said, or not said for so few.
    """

    region: Region = ""
    gender: Gender = "unknown"
    age_band: AgeBand = "unknown"  # on the day of the streams
    subscription: Subscription = "unknown"
    context: Context = "unknown"
    activity: Activity = "unknown"  # active: sought out; passive: served by a playlist or station
    container: Text = ""  # id of the playlist or station
    container_name: Text = ""
    device: Device = "unknown"
    count: Count  # streams
    consumers: Count | None = None
    played_seconds: Count = 0
    completed: Count | None = None  # streams that were played to the end, null: not said


class Consumption(Contract, Cell, frozen=True, kw_only=True, tag="consumption.v1"):
    """One cell of one asset in one report of a DSP. Key: ``asset_id``.

    A record belongs to the report (``dsp``, ``territory``, ``day``, ``report_version``) whose markers stand before and
    after it in its partition, as with trend records; cells that are alike in all but their numbers add up. The cells of
    an asset may add up to less than its trend record: what is left was too few persons to tell of.
    """

    asset_id: Identifier
    day: dt.date
    dsp: Identifier
    territory: Territory = "WW"
    report_version: Version = 1


class ConsumptionAmendment(Contract, frozen=True, kw_only=True, tag="consumption-amendment.v1"):
    """Cells that a completed report lacked because their asset was not known then. Key: ``asset_id``.

    They add to the report's own; a later amendment of the same asset, report and ``part`` replaces the earlier one. It
    goes with its report: a newer version or a withdrawal takes it away too, and one of an older version is to be left.
    """

    asset_id: Identifier
    day: dt.date
    dsp: Identifier
    territory: Territory = "WW"
    report_version: Version = 1
    part: Text = ""
    cells: list[Cell]


ConsumptionMessage = Consumption | ConsumptionAmendment | ReportOpened | ReportCompleted | ReportWithdrawn

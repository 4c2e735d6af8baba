"""Contracts of the catalogue half: what streaming services (DSPs) report, and what Cuepoint says of it."""

from __future__ import annotations

import datetime as dt
from typing import Literal

from cuepoint.schemas.base import Contract, Count, EpochMs, Identifier, Probability, Territory, Text, Version


class TrendRecord(Contract, frozen=True, kw_only=True, tag="trend-record.v1"):
    """Streams of one asset on one day in one report of a DSP. Key: ``asset_id``.

    Several records of an asset within one report add up (a DSP may split a day by channel). A record belongs to the
    report (``dsp``, ``territory``, ``day``, ``report_version``) whose markers stand before and after it in its
    partition.
    """

    asset_id: Identifier
    day: dt.date
    dsp: Identifier
    territory: Territory = "WW"
    count: Count
    report_version: Version = 1


class ReportOpened(Contract, frozen=True, kw_only=True, tag="report-opened.v1"):
    """The first message of a report: one in every partition of the trend records, in band, one on the reports topic.

    A higher ``version`` of the same (``dsp``, ``territory``, ``day``) replaces the report; the same or a lower one is a
    repeat.
    """

    dsp: Identifier
    territory: Territory = "WW"
    day: dt.date
    version: Version = 1
    source: Text = ""


class ReportCompleted(Contract, frozen=True, kw_only=True, tag="report-completed.v1"):
    """The last message of a report: how many records it had in all and, in band, how many in this partition."""

    dsp: Identifier
    territory: Territory = "WW"
    day: dt.date
    version: Version = 1
    records: Count
    partition_records: Count | None = None
    source: Text = ""


class ReportWithdrawn(Contract, frozen=True, kw_only=True, tag="report-withdrawn.v1"):
    """The DSP takes back its report of a day: ``version`` and every lower one, whether they came before or come later.

    One in every partition of the trend records, in band. What the report said is subtracted; the day is then one on
    which this source has not reported. A report of a higher version counts again.
    """

    dsp: Identifier
    territory: Territory = "WW"
    day: dt.date
    version: Version = 1
    source: Text = ""


class TrendAmendment(Contract, frozen=True, kw_only=True, tag="trend-amendment.v1"):
    """Puts right the count of one asset in a report that is completed (or will be). Key: ``asset_id``.

    ``part`` "" replaces what the report said of the asset; any other part (rows that were held back, say by their
    external id) adds to it. It belongs to the report (``dsp``, ``territory``, ``day``, ``report_version``) and goes
    with it when that is replaced or withdrawn. Of several for the same asset, report and part the highest ``revision``
    holds; the same or a lower one is a repeat.
    """

    asset_id: Identifier
    day: dt.date
    dsp: Identifier
    territory: Territory = "WW"
    count: Count
    report_version: Version = 1
    part: Text = ""
    revision: Version = 1


class Asset(Contract, frozen=True, kw_only=True, tag="asset.v1"):
    """Metadata of one asset. Key: ``asset_id``; the topic is compacted.

    ``identifiers``: what services call it, each as ``scheme:value`` (``isrc:USUM71900764``, ``upc:...``, or with the
    name of a DSP, ``spotify:7x9...``); ``isrc`` counts as one of them.
    """

    asset_id: Identifier
    title: Text
    artist: Text = ""
    isrc: Text = ""
    upc: Text = ""
    released: dt.date | None = None
    owner: Text = ""
    identifiers: list[Identifier] = []  # noqa: RUF012 - msgspec copies it


class AssetDay(Contract, frozen=True, kw_only=True, tag="asset-day.v1"):
    """One scored day of one asset: what was forecast a day ahead, what came, what the filter believes now.

    Key: ``asset_id``. Counts are streams a day, null for a day without data. A later message for the same
    (``asset_id``, ``day``) replaces the earlier (a revised day).
    """

    asset_id: Identifier
    day: dt.date
    count: float | None
    mean: float
    lower_80: float
    upper_80: float
    lower_95: float
    upper_95: float
    level: float
    trend: float  # log units a day
    p_same: Probability  # that the present state equals the predicted one; small means a rapid change
    p_trend: Probability  # that the trend has the sign it shows; large means a gradual change
    scored_at: EpochMs | None = None


class Change(Contract, frozen=True, kw_only=True, tag="change.v1"):
    """A region of significant change of one asset. Key: ``asset_id``. One region keeps one ``change_id`` from opening
    to closing; a message with a higher ``revision`` replaces the earlier ones."""

    change_id: Identifier
    revision: Version
    status: Literal["opened", "updated", "closed", "withdrawn"]
    asset_id: Identifier
    kind: Literal["rapid", "gradual"]
    direction: Literal["up", "down"]
    start: dt.date
    day: dt.date  # the day this revision speaks of
    end: dt.date | None = None
    probability: Probability
    # streams a day above (below) what was expected before the region began, the mean of its days so far: the last day
    # may already lie on the other side
    size_per_day: float
    size_percent: float
    count: float | None
    expected: float
    lower_80: float
    upper_80: float
    lower_95: float
    upper_95: float
    # streams above (below) the counterfactual from `start` to `day`, with its interval; null from programs before it
    effect: float | None = None
    effect_lower_95: float | None = None
    effect_upper_95: float | None = None


class TrendHyperparameters(Contract, frozen=True, kw_only=True, tag="trend-params.v1"):
    """Hyperparameters of the trend filter: one in every partition of the trend records, in band, and one on a topic of
    their own, where all versions are kept. Key: ``version``.

    They hold for every day from ``from_day`` on, until a higher version does. A day is always scored with those of its
    date, however late its reports come; days that were scored before this message came are scored again.
    """

    version: Version
    from_day: dt.date
    params: dict[str, float | list[float]]  # by name; those not named have the program's default
    made_at: EpochMs
    made_by: Text = ""
    source: Text = ""  # the counts they were fitted on
    assets: Count = 0  # of these
    held_out: float | None = None  # log likelihood a day of held-out assets ...
    replaced: float | None = None  # ... and that of the hyperparameters they replace


TrendMessage = TrendRecord | ReportOpened | ReportCompleted | ReportWithdrawn | TrendAmendment | TrendHyperparameters

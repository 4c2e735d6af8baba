"""Contract of the quarantine: rows of assets that nobody has told us of yet."""

from __future__ import annotations

import datetime as dt

from cuepoint.schemas.base import Contract, Count, Identifier, Territory, Version
from cuepoint.schemas.consumption import Cell
from cuepoint.schemas.trends import Asset, ReportCompleted, ReportWithdrawn


class Quarantined(Contract, frozen=True, kw_only=True, tag="quarantined.v1"):
    """What a report says of an asset that no metadata names. Key: the first of its ``identifiers``.

    ``identifiers`` are ``scheme:value`` (``isrc:USUM71900764``, ``spotify:7x9...``), as in ``Asset``. It stands behind
    its report's ReportCompleted, and waits until an Asset comes that has one of them; a newer version of the report, or
    its withdrawal, takes it away.
    """

    identifiers: list[Identifier]
    day: dt.date
    dsp: Identifier
    territory: Territory = "WW"
    report_version: Version = 1
    count: Count
    cells: list[Cell] = []  # noqa: RUF012 - msgspec copies it


QuarantineMessage = Quarantined | Asset | ReportCompleted | ReportWithdrawn

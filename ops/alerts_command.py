"""``cuepoint alerts follow``: changes and opportunities in a terminal as they come."""

from __future__ import annotations

import sys
from typing import Any, TextIO

import msgspec

from cuepoint.client import AlertReader
from cuepoint.models.webhook_filter import AlertFilter
from cuepoint.ops.settings import Settings
from cuepoint.schemas.codec import encode, explain
from cuepoint.schemas.errors import ConfigurationError
from cuepoint.schemas.opportunities import Opportunity
from cuepoint.schemas.topics import CHANGES, OPPORTUNITIES
from cuepoint.schemas.trends import Change

_SIGNS = {"opened": "+", "updated": "~", "closed": "=", "withdrawn": "-"}
_BECAME = {"found": "*", "lost": "=", "withdrawn": "-"}
_TOPICS = {"change": CHANGES, "opportunity": OPPORTUNITIES}


def follow_alerts(
    settings: Settings,
    *,
    wanted: dict[str, Any],
    group: str | None,
    beginning: bool,
    idle_s: float | None,
    as_json: bool,
    out: TextIO | None = None,
) -> None:
    """Print alerts until interrupted (or none came for ``idle_s``). Raises ConfigurationError for a filter that cannot
    be, Unavailable without a broker."""
    try:
        chosen = msgspec.convert(wanted, AlertFilter)
    except msgspec.ValidationError as error:
        fault = explain(error)
        raise ConfigurationError(f"{fault.field.removeprefix('$.').partition('[')[0]}: {fault.reason}") from None
    output = out or sys.stdout
    if chosen.owners:
        raise ConfigurationError("owners: not known here; webhooks can choose by owner")
    told: set[tuple[str, str]] = set()
    reader = AlertReader(
        settings.broker,
        group,
        topics=[_TOPICS[event] for event in dict.fromkeys(chosen.events)],
        start="earliest" if beginning else "latest",
        prefix=settings.topic_prefix,
        idle_s=idle_s,
    )
    try:
        with reader:
            for alert in reader:
                said: Change | Opportunity = alert.message
                subject = (alert.topic, said.change_id)
                if chosen.wants(said, "", told=subject in told):
                    told.add(subject)
                    output.write((encode(said).decode() if as_json else _line(said)) + "\n")
                    output.flush()
    except KeyboardInterrupt:
        return


def _line(said: Change | Opportunity) -> str:
    return _change_line(said) if isinstance(said, Change) else _opportunity_line(said)


def _opportunity_line(said: Opportunity) -> str:
    became = "withdrawn" if said.status == "withdrawn" else "found" if said.opportunity else "lost"
    goal = f"{said.goal}, " if said.goal else ""
    drivers = ", ".join(driver.name for driver in said.drivers if driver.contribution > 0)
    why = f"  for: {drivers}" if drivers and said.opportunity else ""
    mark = f"{_BECAME[became]} {said.day} opportunity {became:<9}"
    return f"{mark} {said.asset_id}  {goal}p {said.probability:.2f}{why}  [{said.change_id} r{said.revision}]"


def _change_line(change: Change) -> str:
    count = "no data" if change.count is None else f"{change.count:,.0f} of {change.expected:,.0f} expected"
    size = f"{change.size_percent:+.0f} % ({change.size_per_day:+,.0f} a day)"
    region = f"since {change.start}" + (f" until {change.end}" if change.end else "")
    sure = f"p {change.probability:.3f}"
    mark = f"{_SIGNS[change.status]} {change.day} {change.status:<9} {change.kind:<7} {change.direction:<4}"
    return f"{mark} {change.asset_id}  {size}  {count}, {region}, {sure}  [{change.change_id} r{change.revision}]"

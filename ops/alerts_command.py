"""``cuepoint alerts follow``: changes in a terminal as they come."""

from __future__ import annotations

import sys
from typing import Any, TextIO

import msgspec

from cuepoint.client import Alert, AlertReader
from cuepoint.models.webhook_filter import AlertFilter
from cuepoint.ops.settings import Settings
from cuepoint.schemas.codec import encode, explain
from cuepoint.schemas.errors import ConfigurationError
from cuepoint.schemas.trends import Change

_SIGNS = {"opened": "+", "updated": "~", "closed": "=", "withdrawn": "-"}


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
    """Print changes until interrupted (or none came for ``idle_s``). Raises ConfigurationError for a filter that cannot
    be, Unavailable without a broker."""
    try:
        chosen = msgspec.convert(wanted, AlertFilter)
    except msgspec.ValidationError as error:
        fault = explain(error)
        raise ConfigurationError(f"{fault.field.removeprefix('$.').partition('[')[0]}: {fault.reason}") from None
    output = out or sys.stdout
    told: set[str] = set()
    reader = AlertReader(
        settings.broker,
        group,
        start="earliest" if beginning else "latest",
        prefix=settings.topic_prefix,
        idle_s=idle_s,
    )
    try:
        with reader:
            for alert in reader:
                change: Change = alert.message
                if chosen.wants(change, "", told=change.change_id in told):
                    told.add(change.change_id)
                    output.write((encode(change).decode() if as_json else _line(alert)) + "\n")
                    output.flush()
    except KeyboardInterrupt:
        return


def _line(alert: Alert) -> str:
    change: Change = alert.message
    count = "no data" if change.count is None else f"{change.count:,.0f} of {change.expected:,.0f} expected"
    size = f"{change.size_percent:+.0f} % ({change.size_per_day:+,.0f} a day)"
    region = f"since {change.start}" + (f" until {change.end}" if change.end else "")
    sure = f"p {change.probability:.3f}"
    mark = f"{_SIGNS[change.status]} {change.day} {change.status:<9} {change.kind:<7} {change.direction:<4}"
    return f"{mark} {change.asset_id}  {size}  {count}, {region}, {sure}  [{change.change_id} r{change.revision}]"

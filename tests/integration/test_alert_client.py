"""`cuepoint.client` and `cuepoint alerts follow` on the broker: typed, resumed, each revision once."""

from __future__ import annotations

import datetime as dt
import io
import json
from typing import Any

import pytest
from stream_helpers import produce

from cuepoint.client import AlertReader
from cuepoint.ops.alerts_command import follow_alerts
from cuepoint.ops.settings import Settings
from cuepoint.schemas.codec import encode
from cuepoint.schemas.errors import ConfigurationError, Unavailable
from cuepoint.schemas.opportunities import Opportunity
from cuepoint.schemas.topics import CHANGES, OPPORTUNITIES
from cuepoint.schemas.trends import Change
from cuepoint.streams.embedded_parts import free_port

pytestmark = pytest.mark.integration
DAY = dt.date(2026, 3, 2)
QUICK = {"session.timeout.ms": 6000, "heartbeat.interval.ms": 500}  # the embedded broker waits out the session
BAND = dict.fromkeys(("lower_80", "upper_80", "lower_95", "upper_95"), 100.0)


def change(n: int, revision: int = 1, **changes: Any) -> tuple[int, bytes]:
    values: dict[str, Any] = {
        "change_id": f"c{n}",
        "revision": revision,
        "status": "opened",
        "asset_id": f"a{n % 2}",
        "kind": "rapid",
        "direction": "up",
        "start": DAY,
        "day": DAY,
        "probability": 0.99,
        "size_per_day": 50.0,
        "size_percent": 40.0,
        "count": 175.0,
        "expected": 125.0,
    }
    return n % 2, encode(Change(**(values | BAND | changes)))


def reader(settings: Settings, **options: Any) -> AlertReader:
    chosen: dict[str, Any] = {"prefix": settings.topic_prefix, "idle_s": 3.0, "config": QUICK} | options
    return AlertReader(settings.broker, "team", **chosen)


def told(alerts: Any) -> set[tuple[str, int]]:
    return {(alert.message.change_id, alert.message.revision) for alert in alerts}


def test_a_group_goes_on_behind_what_it_handled(settings: Settings) -> None:
    produce(settings, CHANGES, [change(n) for n in range(6)])
    with pytest.raises(RuntimeError, match="crash"), reader(settings) as alerts:
        handled = []
        for alert in alerts:
            if len(handled) == 3:
                raise RuntimeError("crash while the fourth was in hand")
            handled.append(alert)
    produce(settings, CHANGES, [change(n) for n in range(6, 8)])
    with reader(settings) as alerts:
        rest = list(alerts)
    assert told(handled) | told(rest) == {(f"c{n}", 1) for n in range(8)}
    assert len(rest) == 5  # the fourth again, none of the three
    assert isinstance(rest[0].message, Change)
    assert {alert.topic for alert in rest} == {CHANGES.name}
    assert all(alert.at > 1_600_000_000_000 for alert in rest)


def test_a_revision_is_told_once_and_a_broken_message_stops_nothing(settings: Settings) -> None:
    rows = [change(0), change(0, 2), change(0), (0, b'{"broken'), change(0, 2), change(0, 3, status="closed")]
    produce(settings, CHANGES, rows)
    broken: list[tuple[str, bytes]] = []
    with reader(settings, on_broken=lambda topic, value, _: broken.append((topic, value))) as alerts:
        assert [alert.message.revision for alert in alerts] == [1, 2, 3]
    assert broken == [(CHANGES.name, b'{"broken')]


def test_no_broker_is_said_after_a_while() -> None:
    with (
        pytest.raises(Unavailable, match="no broker"),
        AlertReader(f"127.0.0.1:{free_port()}", "team", patience_s=0.2) as alerts,
    ):
        next(iter(alerts))


def test_follow_prints_what_is_wanted_and_a_region_to_its_end(settings: Settings) -> None:
    small = change(1, 2, size_percent=1.0, status="withdrawn")
    produce(settings, CHANGES, [change(0, direction="down"), change(1), small, change(3, size_percent=2.0)])

    def follow(as_json: bool, **wanted: Any) -> list[str]:
        out = io.StringIO()
        follow_alerts(settings, wanted=wanted, group=None, beginning=True, idle_s=3.0, as_json=as_json, out=out)
        return out.getvalue().splitlines()

    lines = follow(False, directions=["up"], least_size_percent=10.0)
    assert [line[:22] for line in lines] == ["+ 2026-03-02 opened   ", "- 2026-03-02 withdrawn"]
    assert "+40 % (+50 a day)  175 of 125 expected" in lines[0]
    assert [json.loads(line)["change_id"] for line in follow(True, assets=["a0"])] == ["c0"]
    worth = {"revision": 1, "asset_id": "a1", "day": DAY, "probability": 0.8, "goal": "expand", "opportunity": True}
    gone = Opportunity(change_id="c1", **(worth | {"opportunity": False, "probability": 0.3, "edition": "e2"}))
    poor = Opportunity(change_id="c2", **(worth | {"asset_id": "a0", "opportunity": False}))
    produce(settings, OPPORTUNITIES, [(1, encode(each)) for each in (Opportunity(change_id="c1", **worth), gone, poor)])
    lines = follow(False, events=["opportunity"])
    assert [line[:34].rstrip() for line in lines] == [
        "* 2026-03-02 opportunity found",
        "= 2026-03-02 opportunity lost",
    ]
    both = follow(True, events=["change", "opportunity"], assets=["a0"])
    assert [json.loads(line)["change_id"] for line in both] == ["c0"]
    with pytest.raises(ConfigurationError, match="kinds: "):
        follow(True, kinds=["slow"])

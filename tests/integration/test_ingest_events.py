"""A CDN's log through the real API onto the topic: mapped, refused by field, and told once however often it is read."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from api_server import serving, with_keys
from topic_records import records_of

from cuepoint.models.event_mapping import read_mapping
from cuepoint.ops.ingest_events import ingest_events
from cuepoint.schemas.codec import decoder
from cuepoint.schemas.errors import ConfigurationError, ContractError
from cuepoint.schemas.playback import PlayerEvent
from cuepoint.schemas.topics import DEAD_PLAYER_EVENTS, PLAYER_EVENTS

pytestmark = pytest.mark.integration
MAPPING = """
format: tsv
fields:
  session_id: sid
  kind: {column: ev, values: {play: video_started, beat: progressed, bye: session_ended}}
  at: {column: time, as: iso}
  video_id: asset
  position_s: {column: pos_ms, factor: 0.001}
  registered: member
  device: {value: tv}
skip:
  - {column: ev, values: [ping]}
"""
LOG = """sid\tev\ttime\tasset\tpos_ms\tmember
a\tplay\t2026-11-20T10:00:00Z\tv\t0\ttrue
b\tplay\t2026-11-20T10:00:01+01:00\tw\t0\t0
a\tping\t2026-11-20T10:00:02Z\tv\t\t
a\tbeat\t2026-11-20T10:00:10\tv\t10500\ttrue
a\tbeat\tsome day\tv\t20000\ttrue
a\tdance\t2026-11-20T10:00:11Z\tv\t\t
\tbeat\t2026-11-20T10:00:12Z\tv\t\t
a\tbye\t2026-11-20T10:01:00Z\tv\t30000\t
"""


async def test_a_log_by_mapping(settings: Any, tmp_path: Path) -> None:
    log, mapping = tmp_path / "cdn.log", tmp_path / "m.yaml"
    log.write_text(LOG)
    mapping.write_text(MAPPING)
    served = with_keys(settings)
    async with serving(served) as api:
        url = str(api.base_url)
        sent = [await asyncio.to_thread(ingest_events, served, log, mapping, url) for _ in range(2)]
    assert sent[0] == sent[1]
    assert (sent[0].events, sent[0].refused) == (4, {"$.at": 1, "$.kind": 1, "$.session_id": 1})
    records = await asyncio.to_thread(records_of, settings, PLAYER_EVENTS, 8)
    events = [decoder(PlayerEvent).decode(record.value()) for record in records]
    told = {(e.session_id, e.seq, e.kind, e.event_id) for e in events}
    assert len(told) == 4  # the second reading has the same ids and numbers: repeats
    assert sorted(each[:3] for each in told) == [
        ("a", 0, "video_started"),
        ("a", 1, "progressed"),
        ("a", 4, "session_ended"),
        ("b", 0, "video_started"),
    ]
    first = next(e for e in events if (e.session_id, e.seq) == ("a", 1))
    assert (first.at, first.position_s, first.registered, first.device) == (
        1_763_632_810_000 + 31_536_000_000,
        10.5,
        True,
        "tv",
    )
    assert len(await asyncio.to_thread(records_of, settings, DEAD_PLAYER_EVENTS, 6)) == 6


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"session_id": "s", "kind": "k"}, "$.fields"),
        ({"session_id": "s", "kind": "k", "at": {"column": "t", "as": "noon"}}, "$.fields"),
        ({"session_id": "s", "kind": "k", "at": "t", "mood": "m"}, "$.fields.mood"),
        ({"session_id": "s", "kind": "k", "at": {"column": "t", "value": 1}}, "$.fields.at"),
    ],
)
def test_a_mapping_that_cannot_be_is_refused_by_its_place(fields: dict[str, Any], field: str) -> None:
    with pytest.raises(ContractError) as refused:
        read_mapping({"fields": fields})
    assert refused.value.field.startswith(field)


def test_files_that_are_not_there_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"cannot read .*m\.yaml"):
        ingest_events(with_keys(_nothing()), tmp_path / "x", tmp_path / "m.yaml", None)


def _nothing() -> Any:
    from cuepoint.ops.settings import Settings

    return Settings()

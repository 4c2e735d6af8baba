"""The sample of `cuepoint run`: it goes in by the API, and a viewer of its film gets decisions with ads in them."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest
from api_server import ADMIN, PLAYER, READ, serving, until, with_keys
from stream_helpers import child, environment

from cuepoint.ops.embedded_children import Place
from cuepoint.ops.embedded_samples import read_samples, seed_samples

pytestmark = pytest.mark.integration
RUN_ROLE = str(Path(__file__).parent.parent / "support" / "run_role.py")
CLIPS = Path(__file__).parents[2] / "ops" / "static" / "clips"
SCENE = [  # what the viewer does, and which rules of the sample decide at it
    ({"kind": "session_started"}, set()),
    ({"kind": "video_started"}, {"pre-roll-bumper"}),
    ({"kind": "progressed", "position_s": 9}, {"sample-offer"}),
    (
        {"kind": "ad_clicked", "position_s": 9, "rule_id": "sample-offer", "ad_type": "telescoping"},
        {"sample-long-form"},
    ),
    (
        {"kind": "ad_completed", "position_s": 9, "rule_id": "sample-long-form", "ad_type": "interactive"},
        {"sample-form"},
    ),
    ({"kind": "progressed", "position_s": 21}, {"sample-mid-roll"}),
    ({"kind": "muted", "position_s": 25}, {"sample-muted"}),
    ({"kind": "progressed", "position_s": 41}, {"sample-mid-roll"}),
]


async def ready(api: Any) -> bool:
    return bool((await api.get("/v1/rules", headers=READ)).status_code == 200)


def scene(session: str) -> dict[str, Any]:
    common = {"type": "player-event.v1", "session_id": session, "at": 1, "video_id": "sample-film"}
    return {"events": [common | {"event_id": f"{session}{n}", "seq": n} | each for n, (each, _) in enumerate(SCENE)]}


async def test_a_viewer_of_the_sample_gets_ads(settings: Any, tmp_path: Path) -> None:
    """The cue points come from the metadata: the player says nothing of them."""
    env = environment(settings)
    served = with_keys(settings, rule_lead_ms=0, ad_refresh_s=0, stamp_wait_s=30)
    with child([RUN_ROLE, "sessions"], env, tmp_path / "s.log"), child([RUN_ROLE, "counts"], env, tmp_path / "c.log"):
        async with serving(served) as api:
            await until(lambda: ready(api))
            base = str(api.base_url).rstrip("/")
            place = Place(tmp_path, "", "", base + "/", "admin-key", "player-key")
            stored = await asyncio.to_thread(seed_samples, place)
            assert stored == len((await api.get("/v1/rules", headers=ADMIN)).json()["rules"])
            answer = await api.post("/v1/events", json=scene("sample"), headers=PLAYER)
            assert answer.json()["accepted"] == len(SCENE)
            token = answer.json()["tokens"]["sample"]

            async def decided() -> list[dict[str, Any]]:
                place = "/v1/sessions/sample/decisions"
                return list((await api.get(place, headers=PLAYER)).json()["decisions"])

            wanted = [(f"sample{n}", rule) for n, (_, rules) in enumerate(SCENE) for rule in sorted(rules)]
            await until(lambda: _at_least(decided, len(wanted)))
            found = await decided()
            told = [(each["event_id"], each["rule_id"]) for each in found]
            assert [each for each in told if each[1] != "ticker-short-view"] == wanted
            for decision in found:
                place = f"/v1/sessions/sample/breaks/{decision['decision_id']}/vast"
                vast = (await api.get(place, params={"token": token})).text
                assert re.findall(rf"{base}/static/clips/[\w.-]+", vast), (decision["rule_id"], vast[:400])


async def _at_least(decided: Any, count: int) -> bool:
    return len(await decided()) >= count


def test_every_rule_of_the_sample_has_a_creative_and_every_creative_a_file() -> None:
    samples = read_samples("http://127.0.0.1:1")
    creatives = [
        each for path, item in samples.documents if path.startswith("line-items") for each in item["creatives"]
    ]
    for rule in samples.rules:
        if rule.rule_id.startswith("sample-"):
            fits = [each for each in creatives if each["type"] == rule.format.type]
            assert any(each["length_s"] <= rule.format.length_s for each in fits), rule.rule_id
    urls = set(re.findall(r"/static/clips/([\w.-]+)", str(samples.documents)))
    assert not CLIPS.exists() or {path.name for path in CLIPS.iterdir()} >= urls

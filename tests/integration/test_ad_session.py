"""From a VMAP to an ad by way of the session's own worker: what happens in the session fills the break."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from api_server import ADMIN, PLAYER, READ, serving, until, with_keys
from judges import judged
from stream_helpers import child, environment

pytestmark = pytest.mark.integration
RUN_ROLE = str(Path(__file__).parent.parent / "support" / "run_role.py")
SPOT = {"type": "spot", "length_s": 15}
MUTED = {
    "rule_id": "muted",
    "insertion": {"at": "seconds", "seconds": 60},
    "format": SPOT,
    "criteria": {"op": "is", "field": "muted", "value": True},
}
ONCE = {"rule_id": "once", "insertion": {"at": "start"}, "format": SPOT, "limits": {"per_session": 1}}
MEDIA = [{"url": "https://m.example.org/a.mp4"}]
ITEM = {"line_item_id": "a", "creatives": [{"creative_id": "c", "length_s": 15, "media": MEDIA}]}


async def ready(api: Any) -> bool:
    return bool((await api.get("/v1/rules", headers=READ)).status_code == 200)


async def breaks(api: Any, session: str, **more: Any) -> dict[str, str]:
    """Address of each promised break, by rule."""
    asked = {"video_id": "v", "duration_s": 600} | more
    text = (await api.get(f"/v1/sessions/{session}/vmap", params=asked, headers=PLAYER)).text
    (found,) = await asyncio.to_thread(judged, [{"kind": "vmap", "text": text}])
    return {each["id"].partition(".")[0]: each["uri"] for each in found["breaks"]}


def events(session: str) -> dict[str, Any]:
    told: list[dict[str, Any]] = [
        {"kind": "video_started", "duration_s": 600},
        {"kind": "muted", "position_s": 20},
        {"kind": "progressed", "position_s": 40},
        {"kind": "progressed", "position_s": 61},
    ]
    common = {"type": "player-event.v1", "session_id": session, "at": 1, "video_id": "v"}
    return {"events": [common | {"event_id": f"{session}-{n}", "seq": n} | each for n, each in enumerate(told)]}


async def test_what_happens_in_the_session_fills_its_breaks(settings: Any, tmp_path: Path) -> None:
    env = environment(settings)
    served = with_keys(settings, rule_lead_ms=0, ad_refresh_s=0, ad_decision_wait_s=10)
    with child([RUN_ROLE, "sessions"], env, tmp_path / "s.log"), child([RUN_ROLE, "counts"], env, tmp_path / "c.log"):
        async with serving(served) as api:
            await until(lambda: ready(api))
            for path, each in (("/v1/rules", MUTED), ("/v1/rules", ONCE), ("/v1/line-items", ITEM)):
                assert (await api.post(path, json={"name": "n"} | each, headers=ADMIN)).status_code == 201
            ours = await breaks(api, "e2e-player")
            assert set(ours) == {"muted", "once"}
            assert (await api.post("/v1/events", json=events("e2e-player"), headers=PLAYER)).status_code == 202
            theirs = await breaks(api, "e2e-server", events="server")  # a player that tells us nothing

            async def filled(url: str) -> bool:
                return "m.example.org/a.mp4" in (await api.get(url)).text

            # Workers may still be starting: an answer that was given stays, so the decision is waited for first.
            for session in ("e2e-player", "e2e-server"):
                await until(lambda session=session: decided(api, session))
            assert await filled(ours["once"])
            assert await filled(ours["muted"])
            assert await filled(theirs["once"])


async def decided(api: Any, session: str) -> bool:
    found = (await api.get(f"/v1/sessions/{session}/decisions", headers=PLAYER)).json()["decisions"]
    wanted = {"muted", "once"} if session == "e2e-player" else {"once"}
    return {each["rule_id"] for each in found} >= wanted

"""What the player page is tested with: videos of test patterns, rules in seconds, line items of all kinds."""

from __future__ import annotations

from typing import Any

import httpx
from api_server import ADMIN, PLAYER
from stream_helpers import wait_until


def rule(name: str, video: str, insertion: dict[str, Any], ad: dict[str, Any], **more: Any) -> dict[str, Any]:
    own = {"insertion": insertion, "format": {"length_s": 30} | ad, "scope": {"videos": [video]}}
    return {"rule_id": name, "name": name} | own | more


def action(kind: str, **more: Any) -> dict[str, Any]:
    return {"at": "action", "action": kind} | more


BUG = {"type": "bug", "screen": "bottom_right"}
RULES = [
    rule("pre", "film", {"at": "start"}, {"type": "bumper"}),
    rule("mid", "film", {"at": "cue_points", "positions_s": [20, 30, 40]}, {"type": "spot"}, on_seek="last"),
    rule("mute-ticker", "film", action("muted"), {"type": "ticker", "screen": "bottom"}),
    rule("pause-curtain", "film", action("paused"), {"type": "curtain"}, limits={"per_session": 1}),
    rule("post", "film", {"at": "end"}, {"type": "interstitial"}),
    rule("long", "chain", {"at": "start"}, BUG | {"type": "telescoping"}),
    rule("form", "chain", action("ad_completed", value="long"), {"type": "form"}),
    rule("evil", "evil", {"at": "start"}, BUG),
    rule("stay", "stay", {"at": "session_paced", "seconds": 2, "growth": 60}, BUG | {"length_s": 1}),
    rule("spot", "hls", {"at": "seconds", "seconds": 3}, {"type": "bumper", "length_s": 2}),
]
VIDEOS = {"film": "film.webm", "chain": "clip.webm", "evil": "clip.webm", "stay": "film.webm", "hls": "film.m3u8"}
EVIL = "<img src=x onerror=window.hurt=1><b>ad</b>"


def fill(url: str) -> None:
    with httpx.Client(base_url=url, headers=ADMIN, timeout=60) as api:
        wait_until(lambda: api.get("/v1/rules").status_code == 200, "the API's database")

        def put(path: str, body: dict[str, Any]) -> None:
            answer = api.post(path, json=body)
            assert answer.status_code in (201, 202), answer.text

        clips = f"{url}/static/clips/"
        for video, file in VIDEOS.items():
            put("/v1/media/videos", {"video_id": video, "title": video, "url": clips + file})
        for each in RULES:
            put("/v1/rules", each)
        for kind, file in (
            ("bumper", "bumper"),
            ("spot", "spot"),
            ("interstitial", "spot-2"),
            ("telescoping", "bumper"),
        ):
            put("/v1/line-items", item(url, kind, media=[{"url": f"{clips}{file}.webm", "media_type": "video/webm"}]))
        for kind in ("ticker", "curtain", "form"):
            put("/v1/line-items", item(url, kind, image_url=f"{clips}{kind if kind != 'form' else 'banner'}.svg"))
        warm_up(api)
        put("/v1/line-items", item(url, "bug", "stay", image_url=f"{clips}bug.svg", length_s=1))
        media = [{"url": f"{clips}bumper.m3u8", "media_type": "application/vnd.apple.mpegurl"}]
        put("/v1/line-items", item(url, "bumper", "hls", media=media, length_s=2))
        put("/v1/line-items", item(url, "bug", "evil", image_url="http://x/\N{RIGHT-TO-LEFT OVERRIDE}", title=EVIL))


def warm_up(api: httpx.Client) -> None:
    """Until the workers decide, and their decisions are served."""
    event = {"type": "player-event.v1", "session_id": "warm", "seq": 0, "event_id": "warm", "at": 1}
    body = {"events": [event | {"kind": "video_started", "video_id": "evil"}]}
    assert api.post("/v1/events", json=body, headers=PLAYER).status_code == 202
    wait_until(lambda: api.get("/v1/sessions/warm/decisions", headers=PLAYER).json()["last"], "the workers")


def item(url: str, kind: str, video: str = "", **more: Any) -> dict[str, Any]:
    creative = {"creative_id": kind, "type": kind, "length_s": 10, "title": f"A {kind}", "click_url": f"{url}/healthz"}
    only = {"criteria": {"op": "is", "field": "video_id", "value": video}} if video else {}
    return {"line_item_id": f"{kind}{video}", "creatives": [creative | {"skip_after_s": 1} | more]} | only

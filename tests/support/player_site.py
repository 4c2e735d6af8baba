"""What the player page is tested with: videos of test patterns, rules in seconds, line items of all kinds, and the
system that has them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
from api_server import ADMIN, KEYS, PLAYER
from console_server import serve
from pydantic import SecretStr
from stream_helpers import child, environment, wait_until

from cuepoint.ops.settings import Settings
from cuepoint.streams.topics_admin import create_topics

RUN_ROLE = str(Path(__file__).with_name("run_role.py"))


def rule(name: str, video: str, insertion: dict[str, Any], ad: dict[str, Any], **more: Any) -> dict[str, Any]:
    own = {"insertion": insertion, "format": {"length_s": 30} | ad, "scope": {"videos": [video]}}
    return {"rule_id": name, "name": name} | own | more


def action(kind: str, **more: Any) -> dict[str, Any]:
    return {"at": "action", "action": kind} | more


BETWEEN = {"at": "between_clips"}
EVENING = {"scope": {"playlists": ["evening"]}}
BUG = {"type": "bug", "screen": "bottom_right"}
CORNER = {"type": "bug", "screen": "top_left", "length_s": 120}
SIGN = {"type": "context", "screen": "top_right", "length_s": 1}
RULES = [
    rule("pre", "film", {"at": "start"}, {"type": "bumper"}),
    rule("mid", "film", {"at": "cue_points", "positions_s": [20, 30, 40]}, {"type": "spot"}, on_seek="last"),
    rule("every-break", "film", {"at": "cue_points", "positions_s": [24, 28]}, CORNER, on_seek="all"),
    rule("no-break", "film", {"at": "cue_points", "positions_s": [26]}, {"type": "spot"}, on_seek="none"),
    rule("long-stay", "film", {"at": "session_paced", "seconds": 8, "growth": 4}, SIGN),
    rule("mute-ticker", "film", action("muted"), {"type": "ticker", "screen": "bottom"}),
    rule("pause-curtain", "film", action("paused"), {"type": "curtain"}, limits={"per_session": 1}),
    rule("post", "film", {"at": "end"}, {"type": "interstitial"}),
    rule("long", "chain", {"at": "start"}, BUG | {"type": "telescoping"}),
    rule("form", "chain", action("ad_completed", value="long"), {"type": "form"}),
    rule("evil", "evil", {"at": "start"}, BUG),
    rule("stay", "stay", {"at": "session_paced", "seconds": 2, "growth": 60}, BUG | {"length_s": 1}),
    rule("bumper-in", "", BETWEEN, {"type": "bumper"}, priority=1, **EVENING),
    rule("between", "", BETWEEN, {"type": "interstitial", "pod_ads": 2}, priority=2, **EVENING),
    rule("bumper-out", "", BETWEEN, {"type": "bumper"}, priority=3, **EVENING),
    rule("spot", "hls", {"at": "seconds", "seconds": 3}, {"type": "bumper", "length_s": 2}),
]
VIDEOS = {"film": "film.webm", "chain": "clip.webm", "evil": "clip.webm", "stay": "film.webm", "hls": "film.m3u8"}
VIDEOS |= {"first": "clip.webm", "second": "news.webm"}
EVIL = "<img src=x onerror=window.hurt=1><b>ad</b>"


@contextmanager
def running(broker: str, redis_url: str, folder: Path) -> Iterator[tuple[str, Settings]]:
    """Address and settings of a system with what is below: the API and the workers of sessions."""
    settings = Settings(
        broker=broker,
        redis_url=SecretStr(redis_url),
        topic_prefix="player-",
        partitions=2,
        data_dir=folder,
        database_url=SecretStr(f"sqlite:///{folder}/cuepoint.db"),
        snapshot_interval_s=0.5,
        commit_interval_s=0.3,
        heartbeat_interval_s=0.2,
        broker_session_timeout_s=6.0 if os.environ.get("CUEPOINT_TEST_BROKER") == "kafka" else 3.0,
        console_open=True,
        access_log=False,
        rule_lead_ms=0,
        ad_refresh_s=0,
        manifest_hosts="127.0.0.1",
        manifest_private=True,
        **KEYS,
    )
    create_topics(broker, 2, prefix="player-")
    env = environment(settings)
    with ExitStack() as stack:
        for role in ("sessions", "counts", "views"):
            stack.enter_context(child([RUN_ROLE, role], env, folder / f"{role}.log"))
        url, end = serve(settings)
        stack.callback(end)
        fill(url)
        yield url, settings


def fill(url: str) -> None:
    with httpx.Client(base_url=url, headers=ADMIN, timeout=60) as api:
        wait_until(lambda: api.get("/v1/rules").status_code == 200, "the API's database")

        def put(path: str, body: dict[str, Any]) -> None:
            answer = api.post(path, json=body)
            assert answer.status_code in (201, 202), answer.text

        clips = f"{url}/static/clips/"
        for video, file in VIDEOS.items():
            put("/v1/media/videos", {"video_id": video, "title": video, "url": clips + file})
        put("/v1/media/playlists", {"playlist_id": "evening", "videos": ["first", "second"]})
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
        media = [{"url": f"{clips}interstitial.webm", "media_type": "video/webm"}]
        put("/v1/line-items", item(url, "interstitial", "second", media=media, title="Another"))
        warm_up(api)
        put("/v1/line-items", item(url, "bug", "film", image_url=f"{clips}bug.svg"))
        put("/v1/line-items", item(url, "context", image_url=f"{clips}bug.svg", length_s=1))
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

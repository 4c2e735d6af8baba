"""The player page and cuepoint-player.js in Chromium, against the real API, workers, broker and Redis: what the viewer
does, which ads come when, and whether what was told agrees with what the browser saw."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from api_server import ADMIN, KEYS, PLAYER
from console_server import serve
from playwright.sync_api import Page, expect
from pydantic import SecretStr
from stream_helpers import child, environment, read_topic, wait_until

from cuepoint.ops.settings import Settings
from cuepoint.schemas.topics import AD_EVENTS, PLAYER_EVENTS
from cuepoint.streams.topics_admin import create_topics

pytestmark = pytest.mark.browser
RUN_ROLE = str(Path(__file__).parents[1] / "support" / "run_role.py")


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
]
EVIL = "<img src=x onerror=window.hurt=1><b>ad</b>"


@pytest.fixture(scope="module")
def player_site(broker: str, redis_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Address and settings of a system with videos, rules and line items."""
    folder = tmp_path_factory.mktemp("player")
    settings = Settings(
        broker=broker,
        redis_url=SecretStr(f"{redis_server}/14"),
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
        for role in ("sessions", "counts"):
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
        for video, file in (("film", "film.webm"), ("chain", "clip.webm"), ("evil", "clip.webm"), ("hls", "film.m3u8")):
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


AS_SEEN = [
    ("session_started", None),
    ("video_started", None),
    ("ad_started", "pre"),
    ("ad_skipped", "pre"),
    ("muted", None),
    ("ad_started", "mute-ticker"),
    ("paused", None),
    ("ad_started", "pause-curtain"),
    ("ad_skipped", "pause-curtain"),
    ("resumed", None),
    ("seeked", None),
    ("ad_started", "mid"),
    ("ad_completed", "mid"),
    ("seeked", None),
    ("ad_started", "mid"),
    ("ad_skipped", "mid"),
    ("video_completed", None),
    ("ad_started", "post"),
    ("ad_skipped", "post"),
]


class Watching:
    """A page on which a video is watched, and what was told of it."""

    def __init__(self, page: Page, settings: Settings) -> None:
        self.page, self._settings = page, settings
        wait_until(lambda: page.evaluate("window.cuepointPlayer?.video.readyState > 0"), "the video's metadata")
        page.evaluate("cuepointPlayer.options.waitS = 20")  # the machine may be busy
        self.session: str = page.evaluate("cuepointPlayer.id")

    def js(self, script: str) -> Any:
        return self.page.evaluate(f"(() => {{ const player = cuepointPlayer, video = player.video; {script} }})()")

    def until(self, condition: str) -> None:
        wait_until(lambda: self.js(f"return {condition}"), condition)

    def ad(self, kind: str) -> Any:
        return self.page.locator(f".cp-ad[data-type={kind}]")

    def told(self, topic: Any) -> list[dict[str, Any]]:
        values = [json.loads(each.value()) for each in read_topic(self._settings, topic)]
        return [each for each in values if each.get("session_id") == self.session]

    def until_told(self, *kinds: str, topic: Any = PLAYER_EVENTS) -> list[dict[str, Any]]:
        """All that was told, once each of the kinds was."""

        def found() -> list[dict[str, Any]] | None:
            told = self.told(topic)
            return told if set(kinds) <= {each["kind"] for each in told} else None

        return list(wait_until(found, f"{kinds} on {topic.name}"))


@pytest.fixture
def watch(browser: Any, player_site: Any) -> Iterator[Callable[..., Watching]]:
    url, settings = player_site
    contexts = []

    def opened(video: str, query: str = "") -> Watching:
        context = browser.new_context(viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
        contexts.append(context)
        page = context.new_page()
        page.goto(f"{url}/player?video={video}{query}")
        return Watching(page, settings)

    yield opened
    for context in contexts:
        context.close()


def test_the_right_ads_show_at_the_right_times(watch: Callable[..., Watching]) -> None:
    seen = watch("film")
    seen.js("player.play()")
    expect(seen.ad("bumper")).to_be_visible()
    assert seen.js("return video.paused && video.currentTime < 1 && video.inert")
    seen.page.get_by_role("button", name="Skip", exact=True).click()
    expect(seen.ad("bumper")).to_have_count(0)
    seen.until("!video.paused && video.currentTime > 1")
    seen.js("video.muted = true")
    expect(seen.ad("ticker")).to_be_visible()
    seen.js("video.pause()")
    expect(seen.ad("curtain")).to_be_visible()
    seen.ad("curtain").get_by_role("button", name="Close advertisement").press("Enter")
    seen.js("video.currentTime = 35")
    seen.js("player.play()")
    expect(seen.ad("spot")).to_be_visible()  # of two breaks that were jumped over, the last
    assert abs(seen.js("return video.currentTime") - 35) < 2
    seen.js("document.querySelector('.cp-linear > video').currentTime = 9.5")
    expect(seen.ad("spot")).to_have_count(0)
    seen.js("video.currentTime = 59")
    expect(seen.ad("spot")).to_be_visible()  # the break at 40 s
    seen.page.get_by_role("button", name="Skip", exact=True).click()
    expect(seen.ad("interstitial")).to_be_visible()
    seen.page.get_by_role("button", name="Skip", exact=True).click()
    expect(seen.ad("interstitial")).to_have_count(0)
    told = seen.until_told("video_completed", "session_started")
    wait_until(lambda: seen.js("return player.out.events.length + player.out.hits.length") == 0, "all was told")
    told = [each for each in seen.told(PLAYER_EVENTS) if each["kind"] not in ("progressed", "hovered")]
    assert [(each["kind"], each.get("rule_id")) for each in told] == AS_SEEN
    assert [each["seq"] for each in seen.told(PLAYER_EVENTS)] == list(range(len(seen.told(PLAYER_EVENTS))))
    reports = [(each["rule_id"], each["kind"]) for each in seen.told(AD_EVENTS) if each.get("slot")]
    quartiles = ["start", "first_quartile", "midpoint", "third_quartile", "complete"]
    shown = {"pre": ["start", "skip"], "mute-ticker": [], "pause-curtain": ["close"], "post": ["start", "skip"]}
    expected = [(name, kind) for name, kinds in shown.items() for kind in ("impression", "creative_view", *kinds)]
    mids = ["impression", "creative_view"] * 2 + quartiles + ["start", "skip"]
    assert sorted(reports) == sorted(expected + [("mid", kind) for kind in mids])

"""The player page alone, without broker or workers: how ads of each type are shown, and what keyboard, captions, full
screen and a page that was kept have of it. The ads are handed to the client as an API's answer would be."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from api_server import with_keys
from console_server import console_settings, serve
from player_watch import Watching, agreed, open_player
from playwright.sync_api import expect
from stream_helpers import wait_until

from cuepoint.models.rule_check import SCREENS
from cuepoint.schemas.media import Video
from cuepoint.streams.database import open_engine, upgrade
from cuepoint.streams.document_store import VIDEOS, DocumentStore

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def page_site(tmp_path_factory: pytest.TempPathFactory, console_redis: str) -> Iterator[tuple[str, Any]]:
    """Address and settings of an API with one video."""
    redis_url = console_redis.rsplit("/", 1)[0] + "/6"
    settings = with_keys(console_settings(tmp_path_factory.mktemp("page"), redis_url), console_open=True)
    engine = open_engine(settings.database_url.get_secret_value())
    upgrade(engine)
    url, end = serve(settings)
    video = Video(video_id="stay", url=f"{url}/static/clips/film.webm")
    DocumentStore(engine).put(VIDEOS, video, None, time.time_ns() // 1_000_000)
    yield url, settings
    end()
    engine.dispose()


@pytest.fixture
def seen(browser: Any, page_site: tuple[str, Any]) -> Iterator[Watching]:
    """The page, whose viewer has agreed to be remembered."""
    url, settings = page_site
    given = {"viewport": {"width": 1280, "height": 900}, "reduced_motion": "reduce", "storage_state": agreed(url)}
    with browser.new_context(**given) as context:
        yield open_player(context, f"{url}/player?video=stay", settings)


LOOK = """() => {
    const player = cuepointPlayer, ad = document.querySelector(".cp-ad"), at = player.root.getBoundingClientRect();
    const [x, y] = [at.x + at.width / 2, at.y + at.height / 2];
    const centre = document.elementsFromPoint(x, y).find((each) => each.closest(".cp-ad, video"));
    return { still: player.video.inert, inside: player.root.contains(ad), video: Boolean(ad.querySelector("video")),
        centre: ad.contains(centre) ? "ad" : "clip" };
}"""


def insert(seen: Watching, kind: str, screen: str, given: dict[str, Any], duration_s: float = 60) -> Any:
    """Show an ad, and how it is shown."""
    ad = {"type": kind, "title": kind, "tracking": {}, "skip_after_s": 0, "media": []} | given
    decision = {"format": {"screen": screen}, "duration_s": duration_s}
    seen.page.evaluate("([decision, ad]) => void cuepointPlayer.insert(decision, { ads: [ad] })", [decision, ad])
    expect(seen.ad(kind)).to_be_visible()
    return seen.page.evaluate(LOOK)


def test_every_type_of_ad_has_its_place(seen: Watching) -> None:
    page, clips = seen.page, seen.page.url.partition("/player")[0] + "/static/clips/"
    film = [{"url": f"{clips}bumper.webm", "media_type": "video/webm"}]
    image = {"image_url": f"{clips}banner.svg", "media": []}
    seen.js("player.options.slots = {}; video.muted = true; player.play()")
    seen.until("!video.paused")

    for kind in ("spot", "bumper", "interstitial", "gateway", "roadblock", "interactive"):
        assert insert(seen, kind, "full", {"media": film}) == {
            "still": True,
            "inside": True,
            "centre": "ad",
            "video": True,
        }
        seen.skip()
        expect(seen.ad(kind)).to_have_count(0)
    for kind, screens in SCREENS.items():
        for screen in screens:
            found = insert(seen, kind, screen, image)
            still = screen == "full" and kind != "curtain"  # a form or map that covers the clip waits for an answer
            inside = screen not in ("page", "beside") and kind != "pop_under"
            covers = screen in ("full", "center", "window") and inside
            assert found == {
                "still": still, "inside": inside, "centre": "ad" if covers else "clip", "video": False
            }, (kind, screen)  # fmt: skip
            seen.ad(kind).locator(".cp-close").focus()
            page.keyboard.press("Escape")
            expect(seen.ad(kind)).to_have_count(0)
    seen.js(
        "window.faces = new Set(); new MutationObserver(() => { const face = document.querySelector('.cp-ad img');"
        " if (face) faces.add(face.getAttribute('src').split('/').pop()) })"
        ".observe(player.root, { subtree: true, childList: true, attributes: true })"
    )
    names = ["banner.svg", "curtain.svg", "bug.svg"]
    images = [{"url": clips + name, "media_type": "image/svg+xml"} for name in names]
    insert(seen, "tristitial", "full", {"media": images, "tracking": {"impression": [f"{clips}bug.svg?seen"]}}, 3)
    expect(seen.ad("tristitial")).to_have_count(0)  # after its three seconds
    assert seen.js("return [...faces]") == names
    assert seen.js("return player.out.hits") == [f"{clips}bug.svg?seen"]  # one impression of all three


def tabbed(seen: Watching, most: int) -> list[str]:
    """What the focus is on, one tab after another."""
    places = []
    for _ in range(most):
        seen.page.keyboard.press("Tab")
        named = "(document.activeElement.id || document.activeElement.textContent).trim()"
        places.append(str(seen.page.evaluate(named)))
    return places


def test_the_keyboard_reaches_all_and_captions_and_full_screen_stay(seen: Watching) -> None:
    page, clips = seen.page, seen.page.url.partition("/player")[0] + "/static/clips/"
    seen.js("video.muted = true; video.addTextTrack('captions', 'words', 'en').mode = 'showing'; player.play()")
    seen.until("!video.paused")
    page.locator("#fullscreen").focus()  # from where the ad takes it not
    film = {"media": [{"url": f"{clips}bumper.webm", "media_type": "video/webm"}], "click_url": clips}
    insert(seen, "spot", "full", film)
    wait_until(lambda: page.get_by_role("button", name="Skip", exact=True).is_enabled(), "it can be skipped")
    seen.ad("spot").focus()
    assert tabbed(seen, 4) == ["Pause", "Unmute", "Visit advertiser", "Skip"]
    assert seen.js("return video.textTracks[0].mode") == "showing"
    page.keyboard.press("Enter")
    seen.until("!video.paused")
    insert(seen, "ticker", "bottom", {"image_url": f"{clips}ticker.svg", "click_url": clips})
    assert seen.js("return video.textTracks[0].mode") == "showing"
    page.locator("#clip").focus()
    here = set(tabbed(seen, 25))
    assert {"ads", "video", "✕", "fullscreen", "next", "offers", "consent-change", "timeline"} <= here
    page.locator("#fullscreen").press("Enter")
    seen.until("document.fullscreenElement === player.root")
    expect(seen.ad("ticker")).to_be_in_viewport()  # the ads are there, too
    seen.js("void player.fullscreen()")
    seen.until("!document.fullscreenElement")
    seen.until("player.out.events.some((each) => each.kind === 'fullscreen_left')")
    assert "fullscreen_entered" in seen.js("return player.out.events.map((each) => each.kind)")


def test_a_page_that_the_browser_keeps_goes_on_when_it_comes_back(seen: Watching) -> None:
    kept = "dispatchEvent(new PageTransitionEvent('%s', { persisted: true }))"
    seen.until("player.stream.readyState === 1")
    seen.js("window.first = player.stream;" + kept % "pagehide")
    assert seen.js("return first.readyState") == 2
    seen.js(kept % "pageshow")
    seen.until("player.stream !== first && player.stream.readyState === 1")
    seen.js("player.act('/back')")
    said = seen.js("return player.out.events.map((each) => each.action || each.kind)")
    assert "/back" in said and "session_ended" not in said

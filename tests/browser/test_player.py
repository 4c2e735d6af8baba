"""The player page and cuepoint-player.js in Chromium, against the real API, workers, broker and Redis: what the viewer
does, which ads come when, and whether what was told agrees with what the browser saw."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from console_server import serve
from player_site import EVIL, running
from player_watch import Watching, agreed, open_player
from playwright.sync_api import Route, expect
from stream_helpers import wait_until

from cuepoint.schemas.topics import AD_EVENTS, PLAYER_EVENTS

pytestmark = pytest.mark.browser
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
    ("ad_skipped", "mute-ticker"),
    ("seeked", None),
    ("ad_started", "every-break"),
    ("ad_started", "every-break"),
    ("ad_started", "mid"),
    ("ad_completed", "mid"),
    ("ad_clicked", "every-break"),
    ("ad_skipped", "every-break"),
    ("ad_skipped", "every-break"),
    ("resumed", None),
    ("ad_started", "mid"),
    ("ad_skipped", "mid"),
    ("video_completed", None),
    ("ad_started", "post"),
    ("ad_skipped", "post"),
]
ITEMS = {"bug": "bugfilm"}  # of other types, the line item has the type's name


@pytest.fixture(scope="module")
def player_site(broker: str, redis_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Address and settings of a system with videos, rules and line items."""
    with running(broker, f"{redis_server}/14", tmp_path_factory.mktemp("player")) as site:
        yield site


@pytest.fixture
def watch(browser: Any, player_site: Any) -> Iterator[Callable[..., Watching]]:
    """Opens the page in a browser of its own, whose viewer has agreed to be remembered."""
    url, settings = player_site
    with ExitStack() as stack:

        def opened(video: str, query: str = "", **more: Any) -> Watching:
            given = {"viewport": {"width": 1280, "height": 900}, "reduced_motion": "reduce"}
            context = stack.enter_context(browser.new_context(**given, storage_state=agreed(url)))
            return open_player(context, f"{url}/player?video={video}{query}", settings, **more)

        yield opened


def test_the_right_ads_show_at_the_right_times_and_reports_agree(watch: Callable[..., Watching]) -> None:
    seen = watch("film")
    types = ("bumper", "ticker", "curtain", "spot", "interstitial", "bug", "context")
    before = {kind: seen.reported(ITEMS.get(kind, kind)) for kind in types}
    seen.js(
        "window.saw = []; player.addEventListener('adend', ({ detail }) => setTimeout(() =>"
        " saw.push([detail.ad.type, detail.decision.rule_id, [...detail.done]]))); player.play()"
    )
    expect(seen.ad("bumper")).to_be_visible()
    assert seen.js("return video.paused && video.currentTime < 1 && video.inert")
    seen.skip()
    expect(seen.ad("bumper")).to_have_count(0)
    seen.until("!video.paused && video.currentTime > 1")
    seen.js("video.muted = true")
    expect(seen.ad("ticker")).to_be_visible()
    seen.js("video.pause()")
    expect(seen.ad("curtain")).to_be_visible()
    for kind in ("curtain", "ticker"):
        seen.ad(kind).get_by_role("button", name="Close advertisement").press("Enter")
    seen.js("video.currentTime = 35")
    expect(seen.ad("spot")).to_be_visible()  # of two breaks that were jumped over, the last
    assert abs(seen.js("return video.currentTime") - 35) < 0.1
    expect(seen.ad("bug")).to_have_count(2)  # of this rule's two, both; of a third rule's, none
    seen.js("document.querySelector('.cp-linear > video').currentTime = 9.5")
    expect(seen.ad("spot")).to_have_count(0)
    with seen.page.expect_popup() as opened:
        seen.ad("bug").last.locator("a").click()
    opened.value.close()
    for _ in range(2):
        seen.ad("bug").last.get_by_role("button", name="Close advertisement").click()
    seen.js("player.options.heartbeatS = 0.25; video.playbackRate = 3; player.play()")  # it stays long
    expect(seen.ad("spot")).to_be_visible()  # the break at 40 s
    seen.skip()
    expect(seen.ad("interstitial")).to_be_visible()
    seen.skip()
    expect(seen.ad("interstitial")).to_have_count(0)
    expect(seen.ad("context")).to_have_count(0)
    seen.until_told("video_completed", "session_started")
    wait_until(lambda: seen.js("return player.out.events.length + player.out.hits.length") == 0, "all was told")
    told = [each for each in seen.told(PLAYER_EVENTS) if each["kind"] not in ("progressed", "hovered")]
    assert [pair for each in told if (pair := (each["kind"], each.get("rule_id")))[1] != "long-stay"] == AS_SEEN
    assert [each["seq"] for each in seen.told(PLAYER_EVENTS)] == list(range(len(seen.told(PLAYER_EVENTS))))
    reports = [(each["rule_id"], each["kind"]) for each in seen.told(AD_EVENTS) if each.get("slot")]
    saw = [(kind, rule, event) for kind, rule, events in seen.js("return saw") for event in events if event != "over"]
    assert sorted(reports) == sorted((rule, event) for _, rule, event in saw)
    assert {("pre", "skip"), ("pause-curtain", "close"), ("mid", "midpoint"), ("mid", "complete")} <= set(reports)
    assert ("every-break", "click") in reports
    assert len([rule for rule, event in reports if event == "impression" and rule != "long-stay"]) == 8
    stays = [each for each in seen.until_decided(10) if each["rule_id"] == "long-stay"]
    assert len(stays) == 2  # in half a minute; every 8 s it would have been three
    for kind, was in before.items():  # what reports say is what the browser saw
        shown = was + Counter(event for type_, _, event in saw if type_ == kind)
        wait_until(lambda kind=kind, shown=shown: seen.reported(ITEMS.get(kind, kind)) == shown, f"{kind}: {shown}")


def test_a_click_on_a_bug_opens_its_long_form_then_a_form_and_unlocks(watch: Callable[..., Watching]) -> None:
    seen = watch("chain")
    seen.js("player.play()")
    bug = seen.ad("telescoping")
    expect(bug).to_be_visible()
    seen.until("!video.paused")  # the clip goes on under a bug
    bug.locator(".cp-visit").focus()
    seen.page.keyboard.press("Enter")
    expect(bug.locator("video")).to_be_visible()
    assert seen.js("return video.paused")
    assert bug.evaluate("(ad) => ad === document.activeElement")
    seen.page.keyboard.press("Tab")
    seen.page.keyboard.press("Enter")  # the first button: pause
    assert bug.locator("video").evaluate("(film) => film.paused")
    seen.page.keyboard.press("Enter")
    bug.locator("video").evaluate("(film) => { film.currentTime = 5.5 }")
    form = seen.ad("form")
    expect(form).to_be_visible()
    expect(bug).to_have_count(0)
    assert seen.js("return video.paused")
    form.get_by_role("link", name="Continue").press("Enter")
    expect(seen.page.locator("#unlocked")).to_be_visible()
    seen.until("!video.paused && !video.inert")
    told = [(each["kind"], each["rule_id"]) for each in seen.until_told("ad_clicked") if each.get("rule_id")]
    assert told[:3] == [("ad_started", "long"), ("ad_clicked", "long"), ("ad_completed", "long")]
    wait_until(
        lambda: len([each for each in seen.told(PLAYER_EVENTS) if each.get("rule_id")]) == 6, "the form's events"
    )


def test_without_network_nothing_is_lost_and_a_long_stay_is_rewarded(watch: Callable[..., Watching]) -> None:
    seen = watch("stay")
    seen.js("player.options.heartbeatS = 0.2; video.playbackRate = 4; player.play()")
    seen.until("video.currentTime > 1")
    seen.page.context.set_offline(True)
    seen.until("video.currentTime > 12")
    seen.js("video.muted = true")
    seen.js("video.pause()")
    assert seen.js("return player.out.events.length") > 5
    assert "muted" not in {each["kind"] for each in seen.told(PLAYER_EVENTS)}
    seen.page.context.set_offline(False)
    told = seen.until_told("muted", "paused")
    assert [each["seq"] for each in told] == list(range(len(told)))
    decided = seen.until_decided(2)
    first, second = (each["position_s"] for each in decided)  # the longer the session, the rarer the ads
    assert second - first > 1.5 * first
    expect(seen.page.locator("#log")).to_contain_text(f"decision {len(decided)}")  # the stream has come back


def test_without_a_stream_it_polls_and_neither_a_broken_ad_nor_an_old_token_holds_it_up(
    watch: Callable[..., Watching],
) -> None:
    tokens: list[str] = []
    refusals = iter([401])

    def counted(route: Route) -> None:
        tokens.append(route.request.url)
        route.continue_()

    def refused_once(route: Route) -> None:
        status = next(refusals, 0)
        route.fulfill(status=status) if status else route.continue_()

    seen = watch(
        "film",
        answers={
            r"/player/session": counted,
            r"/v1/events\?": refused_once,
            r"/decisions/stream": lambda route: route.fulfill(status=503),
            r"/clips/bumper\.webm": lambda route: route.fulfill(status=404),
        },
    )
    seen.js("video.addTextTrack('captions', 'words', 'en').mode = 'showing'; player.play()")
    seen.until("!video.paused && video.currentTime > 0.5")
    assert seen.ad("bumper").count() == 0
    assert ("ad_failed", "pre") in [(each["kind"], each.get("rule_id")) for each in seen.until_told("ad_failed")]
    assert "pre" in [each["rule_id"] for each in seen.until_told("error", topic=AD_EVENTS) if each["kind"] == "error"]
    seen.js("video.muted = true")
    ticker = seen.ad("ticker").locator(".cp-visit")
    expect(ticker).to_be_visible()
    assert ticker.evaluate("(text) => getComputedStyle(text).animationName") == "none"  # motion is not wanted
    assert seen.js("return video.textTracks[0].mode") == "showing"
    assert len(tokens) == 2


def test_a_page_that_closes_tells_its_last_events(watch: Callable[..., Watching]) -> None:
    seen = watch("evil")
    seen.js("player.options.batchMs = 1e6; player.play()")
    seen.until("!video.paused")
    seen.js("video.muted = true")
    seen.until("player.out.events.some((each) => each.kind === 'muted')")
    address = seen.page.url
    elsewhere = address.partition("/player")[0] + "/static/LICENSES.md"  # Chromium lets no page of another site wait
    seen.page.goto(elsewhere)
    told = seen.until_told("muted", "session_ended")
    assert {each["seq"] for each in told} == set(range(max(each["seq"] for each in told) + 1))  # repeats do no harm
    seen.page.goto(address)
    again = Watching(seen.page, seen.settings)
    again.page.route(re.compile(r"/v1/events\?"), lambda route: route.abort())
    again.js("player.act('/last')")
    again.until("player.out.pause > 0")  # it was tried in vain
    again.page.goto(elsewhere)
    again.page.unroute_all()
    kept = "Object.keys(localStorage).filter((key) => key.startsWith('cuepoint.left.')).map((key) => localStorage[key])"
    assert "/last" in "".join(again.page.evaluate(kept))
    again.page.goto(address)  # the next visit tells it
    assert "/last" in [each.get("action") for each in again.until_told("site_action", "session_ended")]
    wait_until(lambda: again.page.evaluate(kept) == [], "nothing is kept")


PLAY = """const id = setInterval(() => {
    const player = window.cuepointPlayer;
    if (!player) return;
    clearInterval(id);
    %s player.play().then(() => console.log("tried"));  // before any evaluate(): that counts as a click
}, 20);"""


def test_where_the_browser_forbids_sound_it_starts_muted_or_asks(watch: Callable[..., Watching]) -> None:
    muted = watch("evil", script=PLAY % "")
    expect(muted.ad("bug")).to_be_visible()
    muted.until("!video.paused")
    assert muted.js("return video.muted")
    asked = watch("evil", script=PLAY % "player.options.mutedStart = false;")
    expect(asked.page.get_by_role("button", name="Play")).to_be_visible()
    assert asked.js("return video.paused && !video.muted")
    asked.page.get_by_role("button", name="Play").click()
    asked.until("!video.paused && !video.muted")
    assert {"muted", "paused"}.isdisjoint(each["kind"] for each in muted.told(PLAYER_EVENTS))


def test_texts_and_addresses_of_ads_do_no_harm(watch: Callable[..., Watching]) -> None:
    seen = watch("evil")
    seen.js("player.play()")
    expect(seen.ad("bug")).to_have_text(
        f"{EVIL}✕"
    )  # its image is not from here: the policy forbids it, the text remains
    forged = {"title": EVIL, "type": "banner", "media": [], "click_url": "javascript:hurt=1", "image_url": "data:x"}
    forged["tracking"] = {"impression": ["javascript:hurt=1", "file:///etc/passwd"]}
    decision = {"format": {"screen": "bottom"}, "duration_s": 30}
    seen.page.evaluate("([decision, ad]) => cuepointPlayer.insert(decision, { ads: [ad] })", [decision, forged])
    expect(seen.ad("banner")).to_have_text(f"{EVIL}✕")
    assert seen.ad("banner").locator("a, img").count() == 0
    seen.ad("banner").locator(".cp-visit").focus()
    seen.page.keyboard.press("Escape")
    expect(seen.ad("banner")).to_have_count(0)
    assert seen.js("return window.hurt === undefined && !player.out.hits.some((url) => !url.startsWith('http'))")
    seen.page.get_by_role("button", name="Next video").click()
    expect(seen.ad("bumper")).to_be_visible()  # before the next clip, which is the film
    told = seen.until_told("video_started", "ad_started")
    assert [each["video_id"] for each in told if each["kind"] == "video_started"] == ["evil", "film"]


def test_hls_js_plays_the_interstitial_of_our_manifest_and_its_deliveries_count_once(
    watch: Callable[..., Watching],
) -> None:
    seen = watch("hls")
    before, lists = seen.delivery("bumperhls")["impressions"], list[str]()
    seen.page.on("request", lambda request: lists.append(request.url) if "/assets?" in request.url else None)
    seen.js("video.muted = true; player.play()")
    log = seen.page.locator("#log")
    expect(log).to_contain_text("the clip goes on")
    lines = log.locator("li").all_text_contents()[::-1]
    said = [line.partition(": ")[2] for line in lines]
    at = said.index("an interstitial begins")
    assert said[at : at + 3] == ["an interstitial begins", "asset /static/clips/bumper.m3u8", "the clip goes on"]
    seen.until("video.currentTime > 3.5")
    assert len(lists) <= 1
    reports = seen.until_told("complete", "break_end", topic=AD_EVENTS)
    quarters = ["first_quartile", "midpoint", "third_quartile"]
    told = ["break_end", "break_start", "complete", *quarters, "handed_out", "impression", "start"]
    assert sorted(each["kind"] for each in reports) == sorted(told)
    own = [(each["kind"], each["rule_id"]) for each in seen.until_told("ad_completed") if each.get("rule_id")]
    assert own == [("ad_started", "spot"), ("ad_completed", "spot")]
    assert seen.delivery("bumperhls")["impressions"] == before + 1


def test_a_playlist_plays_on_with_a_pod_between_bumpers_between_its_clips(watch: Callable[..., Watching]) -> None:
    seen = watch("playlist/evening")
    seen.js(
        "window.saw = []; player.addEventListener('adstart', ({ detail }) =>"
        " saw.push([detail.decision.rule_id, detail.name, player.video.currentTime, detail.ad.title]));"
        "player.addEventListener('complete', () => { player.options.waitS = 20 }); player.play()"
    )
    seen.until("video.currentTime > 0.5")
    assert seen.ad("interstitial").count() == 0
    seen.js("video.currentTime = 19.5")
    for _ in range(4):
        seen.skip()
    seen.until("!video.paused && video.currentTime > 0.5")
    saw = seen.js("return saw")
    assert [name for name, *_ in saw] == ["bumper-in", "between", "between", "bumper-out"]
    assert [name for _, name, *_ in saw][1:3] == ["Advertisement 1 of 2", "Advertisement 2 of 2"]
    assert len({title for *_, title in saw[1:3]}) == 2
    assert all(position < 0.5 for _, _, position, _ in saw)
    seen.page.get_by_role("button", name="Next video").click()
    expect(seen.page.locator("#log")).to_contain_text("the playlist is over")
    begun = [each for each in seen.told(PLAYER_EVENTS) if each["kind"] == "video_started"]
    assert [(each["video_id"], each["playlist_id"], each["playlist_number"]) for each in begun] == [
        ("first", "evening", 1),
        ("second", "evening", 2),
    ]


def test_consent_is_asked_once_and_can_be_changed_and_a_refusal_still_plays(browser: Any, player_site: Any) -> None:
    url, settings = player_site
    with browser.new_context() as context:
        page, asked = context.new_page(), []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(f"{url}/player?video=stay")
        page.get_by_role("button", name="Yes, remember").click()
        first = Watching(page, settings)
        first.js("player.play()")
        page.get_by_role("button", name="Consent: given").click()
        (started,) = [each for each in first.until_told("session_started") if each["kind"] == "session_started"]
        assert started["consent"] is True and started["viewer_id"].startswith("p-")  # the pseudonym
        with page.expect_navigation():
            page.get_by_role("button", name="No, do not remember").click()
        second = Watching(page, settings)
        expect(page.locator("#consent")).to_be_hidden()  # it is not asked again
        second.js("player.play()")
        told = second.until_told("session_started", "video_started")
        assert second.session != first.session
        assert {each.get("consent") for each in told if each["kind"].endswith("_started")} == {False}
        assert not any("viewer_id" in each for each in told)
        assert page.evaluate("localStorage.getItem('cuepoint.viewer')") is None
        strict, end = serve(settings.model_copy(update={"consent_required": True, "player_media": url}))
        page.goto(f"{strict}/player?video=film")
        page.get_by_role("button", name="No, do not remember").click()
        asked.clear()
        watched = "(video) => { video.muted = true; if (video.readyState) video.play(); return video.currentTime > 1 }"
        wait_until(lambda: page.locator("video").evaluate(watched), "the video plays")
        assert not [address for address in asked if "/v1/" in address or "/session" in address]
        end()


def test_vast_client_reads_what_a_vmap_promises(watch: Callable[..., Watching]) -> None:
    seen = watch("film", "&ads=vast")
    seen.js("player.play()")
    expect(seen.page.locator("#log")).to_contain_text("the VMAP promises 8 breaks")
    expect(seen.ad("spot")).to_be_visible()
    seen.skip()
    seen.until("!video.paused")
    told = {(each["rule_id"], each["kind"]) for each in seen.until_told("impression", "skip", topic=AD_EVENTS)}
    assert {("pre", "impression"), ("pre", "start"), ("pre", "skip")} <= told

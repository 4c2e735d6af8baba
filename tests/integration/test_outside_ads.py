"""An outside ad server, good, late, broken or malicious, and what a break makes of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import vastlint
from aiohttp import web
from api_server import until
from hypothesis import given
from hypothesis import strategies as st

from cuepoint.models.vast_document import InlineAd, Tracking, vast_document
from cuepoint.models.vast_read import VastError, read_vast
from cuepoint.ops.outside_ads import OutsideAds
from cuepoint.ops.settings import Settings
from cuepoint.schemas.ads import Creative

pytestmark = pytest.mark.integration
TRACKING = Tracking("https://ads.example.org/v1/ads/track/{event}?t=a.1.b")


def vast(*ads: str, version: str = "4.2", errors: str = "") -> str:
    return f'<VAST version="{version}" xmlns="http://www.iab.com/VAST">{errors}{"".join(ads)}</VAST>'


def inline(name: str, length: str = "00:00:15", sequence: int = 1, media: str = "video/mp4") -> str:
    return f"""<Ad id="{name}" sequence="{sequence}"><InLine><AdSystem>o</AdSystem>
      <Error><![CDATA[HERE/error/{name}?c=[ERRORCODE]]]></Error><Impression><![CDATA[HERE/imp/{name}]]></Impression>
      <AdTitle>{name}</AdTitle><Creatives><Creative><Linear skipoffset="00:00:05"><Duration>{length}</Duration>
      <TrackingEvents><Tracking event="midpoint"><![CDATA[HERE/mid/{name}]]></Tracking></TrackingEvents>
      <MediaFiles><MediaFile type="{media}" width="640" height="360" delivery="progressive">HERE/{name}.mp4</MediaFile>
      </MediaFiles><VideoClicks><ClickThrough>HERE/land</ClickThrough></VideoClicks></Linear></Creative></Creatives>
      </InLine></Ad>"""


def wrapper(name: str, to: str, more: str = "") -> str:
    return f"""<Ad id="{name}"><Wrapper {more}><AdSystem>o</AdSystem><Error>HERE/error/{name}?c=[ERRORCODE]</Error>
      <Impression>HERE/imp/{name}</Impression><VASTAdTagURI><![CDATA[{to}]]></VASTAdTagURI><Creatives><Creative><Linear>
      <TrackingEvents><Tracking event="midpoint">HERE/mid/{name}</Tracking></TrackingEvents></Linear></Creative>
      </Creatives></Wrapper></Ad>"""


BOMB = '<!DOCTYPE v [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]><VAST version="4.2">&b;</VAST>'
PAGES = {
    "/inline": vast(inline("a")),
    "/pod": vast(inline("second", "00:00:10", 2), inline("first", "00:00:10", 1), inline("third", "00:00:20", 3)),
    "/wrapped": vast(wrapper("w1", "HERE/wrapped2"), version="3.0"),
    "/wrapped2": vast(wrapper("w2", "HERE/inline"), version="2.0"),
    "/loop": vast(wrapper("l1", "HERE/loop2")),
    "/loop2": vast(wrapper("l2", "HERE/loop")),
    **{f"/deep{n}": vast(wrapper(f"d{n}", f"HERE/deep{n + 1}")) for n in range(9)},
    "/alone": vast(wrapper("al", "HERE/inline", 'followAdditionalWrappers="false"')),
    "/forbids": vast(wrapper("f", "HERE/wrapped2", 'followAdditionalWrappers="false"')),
    "/half": vast(wrapper("gone", "HERE/nowhere"), inline("a", sequence=2)),
    "/empty": vast(errors="<Error>HERE/error/empty?c=[ERRORCODE]</Error>"),
    "/long": vast(inline("a", "00:01:00")),
    "/bomb": BOMB,
    "/garbage": "<VAST",
    "/page": "<html/>",
    "/old": vast(inline("a"), version="1.0"),
}


@pytest.fixture
async def server() -> AsyncIterator[Any]:
    asked: list[str] = []

    async def serve(request: web.Request) -> web.StreamResponse:
        asked.append(request.path_qs)
        if request.path == "/late":
            await asyncio.Event().wait()
        if request.path == "/away":
            raise web.HTTPFound("/inline")
        if request.path not in PAGES:
            raise web.HTTPNotFound
        host = f"http://{request.host}"
        return web.Response(text=PAGES[request.path].replace("HERE", host), content_type="application/xml")

    app = web.Application()
    app.router.add_get("/{path:.*}", serve)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    app_url = "http://{}:{}".format(*runner.addresses[0][:2])
    yield app_url, asked
    await runner.cleanup()


def asking(url: str, **more: Any) -> OutsideAds:
    return OutsideAds(Settings(ad_server_url=url, ad_server_private=True, **({"ad_server_timeout_s": 20.0} | more)))


async def test_an_ad_comes_through_its_wrappers_with_all_who_want_to_be_told(server):
    url, asked = server
    answer = await asking(url + "/wrapped?v=[CONTENTID]&l=[BREAKMAXDURATION]&r=[CACHEBUSTING]").ask("a b", 30.0)
    assert asked[0].startswith("/wrapped?v=a%20b&l=30&r=") and asked[0].rpartition("=")[2].isdecimal()
    (ad,) = answer.ads
    assert (ad.ad_id, ad.length_s, ad.skip_after_s, ad.click_url) == ("a", 15.0, 5.0, url + "/land")
    assert ad.trackers.impressions == [f"{url}/imp/{name}" for name in ("w1", "w2", "a")]
    assert [each for _, _, each in ad.trackers.events] == [f"{url}/mid/{name}" for name in ("w1", "w2", "a")]
    creative = Creative(creative_id="o", length_s=ad.length_s, media=ad.media, click_url=ad.click_url)
    document = vast_document([InlineAd("o", 1, ad.title, "", creative, ad.length_s, TRACKING, ad.trackers)])
    assert vastlint.validate(document).valid
    (again,) = read_vast(document).ads  # what we write, we read
    assert again.trackers.impressions == [TRACKING.url("impression"), *ad.trackers.impressions]
    assert {each for name, _, each in again.trackers.events if name == "midpoint"} == {
        TRACKING.url("midpoint"), *(f"{url}/mid/{name}" for name in ("w1", "w2", "a"))
    }  # fmt: skip


async def test_an_answer_beyond_the_settings_bytes_is_none(server):
    url, _ = server
    assert len((await asking(url + "/inline").ask("v", 30.0)).ads) == 1
    refused = await asking(url + "/inline", ad_server_bytes=64).ask("v", 30.0)
    assert (refused.ads, refused.code) == ([], 301)


async def test_a_pod_is_taken_in_its_order_as_far_as_there_is_room(server):
    url, _ = server
    answer = await asking(url + "/pod").ask("v", 30.0)
    assert [ad.ad_id for ad in answer.ads] == ["first", "second"]
    for path in ("/half", "/alone"):  # of the one, the other ad was lost; the other allows no second wrapper
        assert [ad.ad_id for ad in (await asking(url + path).ask("v", 30.0)).ads] == ["a"]


@pytest.mark.parametrize(
    ("path", "code", "told"),
    [
        ("/loop", 302, {"l1", "l2"}),
        ("/deep0", 302, {"d0", "d1", "d2", "d3", "d4", "d5"}),
        ("/forbids", 302, {"f", "w2"}),
        ("/empty", 303, {"empty"}),
        ("/long", 202, set()),
        ("/away", 301, set()),
        ("/nowhere", 301, set()),
        ("/bomb", 100, set()),
        ("/garbage", 100, set()),
        ("/page", 101, set()),
        ("/old", 102, set()),
    ],
)
async def test_what_goes_wrong_has_its_code_and_those_named_are_told(server, path, code, told):
    url, asked = server
    outside = asking(url + path, ad_server_wrappers=5)
    answer = await outside.ask("v", 30.0)
    assert (answer.ads, answer.code) == ([], code)
    assert len([each for each in asked if "/error" not in each]) <= 6
    wanted = {f"/error/{name}?c={code}" for name in told}

    async def heard() -> bool:
        return wanted <= set(asked)

    assert await until(heard, 60.0)


async def test_a_server_that_is_late_or_away_costs_no_more_than_its_time(server):
    url, _ = server
    assert await asking(url + "/late", ad_server_timeout_s=0.1).ask("v", 30.0) == ([], 301)
    assert await asking("http://127.0.0.1:1/").ask("v", 30.0) == ([], 301)
    closed = OutsideAds(Settings(ad_server_url=url + "/inline"))  # a private address, and plain HTTP
    assert await closed.ask("v", 30.0) == ([], 301)
    assert not OutsideAds(Settings()).wanted


@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: vast(f"<Ad>{text}</Ad>").encode()))
def test_whatever_comes_is_read_or_refused(body: bytes) -> None:
    try:
        found = read_vast(body)
    except VastError as error:
        assert error.code in (100, 101, 102)
    else:
        assert all(not ad.media for ad in found.ads)

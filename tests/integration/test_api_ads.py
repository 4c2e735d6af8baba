"""Breaks over HTTP as players get them: VMAP, VAST by vast-client over the wire, HLS, tracking, against real parts."""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest
import vastlint
from aiohttp import web
from api_server import ADMIN, PLAYER, READ, serving, until, with_keys
from judges import judged
from redis.asyncio import Redis
from topic_records import records_of

from cuepoint.schemas.ads import AdEvent
from cuepoint.schemas.codec import decoder
from cuepoint.schemas.playback import AdDecision, PlayerEvent
from cuepoint.schemas.rules import AdFormat
from cuepoint.schemas.topics import AD_EVENTS, PLAYER_EVENTS
from cuepoint.streams.decision_feed import DecisionFeed

pytestmark = pytest.mark.integration
MP4 = {"url": "https://m.example.org/a.mp4", "width": 1280, "height": 720}
HLS = {"url": "https://m.example.org/a.m3u8", "media_type": "application/vnd.apple.mpegurl"}

SIGNALED = {
    "impression",
    "clickTracking",
    "error",
    "podStart",
    "podEnd",
    "loaded",
    "start",
    "firstQuartile",
    "midpoint",
}
SIGNALED |= {"thirdQuartile", "complete", "mute", "unmute", "pause", "resume", "skip", "progress"}
SIGNALED |= {"playerCollapse", "playerExpand"}  # SVTA 2053-2: a closed list


def line_item(name: str, length_s: float = 15, **more: Any) -> dict[str, Any]:
    creative = {"creative_id": f"{name}-c", "length_s": length_s, "media": [MP4, HLS], "click_url": MP4["url"]}
    return {"line_item_id": name, "name": name, "creatives": [creative]} | more


@pytest.fixture
async def api(settings) -> AsyncIterator[Any]:
    more = {"rule_lead_ms": 0, "ad_refresh_s": 0, "ad_decision_wait_s": 0.05}
    more |= {"manifest_private": True, "manifest_hosts": "127.0.0.1"}
    async with serving(with_keys(settings, **more)) as client:
        await until(lambda: ready(client))
        client.settings = settings
        yield client


async def ready(client):
    return (await client.get("/v1/rules", headers=READ)).status_code == 200


async def put(api: Any, *rules: dict[str, Any], items: list[dict[str, Any]] | None = None) -> None:
    for each in rules:
        answer = await api.post("/v1/rules", json={"name": each["rule_id"]} | each, headers=ADMIN)
        assert answer.status_code == 201, answer.text
    for each in [line_item("a"), line_item("b")] if items is None else items:
        answer = await api.post("/v1/line-items", json=each, headers=ADMIN)
        assert answer.status_code == 201, answer.text


START = {"rule_id": "start", "insertion": {"at": "start"}, "format": {"type": "spot", "length_s": 30, "pod_ads": 2}}
MID = {"rule_id": "mid", "insertion": {"at": "seconds", "seconds": 60}, "format": {"type": "spot", "length_s": 15}}
LATE = MID | {"rule_id": "muted", "criteria": {"op": "is", "field": "muted", "value": True}}


async def promised(api: Any, session: str, **more: Any) -> list[dict[str, Any]]:
    ask = {"video_id": "v", "duration_s": 600} | more
    answer = await api.get(f"/v1/sessions/{session}/vmap", params=ask, headers=PLAYER)
    assert answer.status_code == 200, answer.text
    assert vastlint.validate(answer.content).valid
    (found,) = await asyncio.to_thread(judged, [{"kind": "vmap", "text": answer.text}])
    return list(found["breaks"])


async def fetched(*urls: str) -> list[Any]:
    return await asyncio.to_thread(judged, [{"kind": "fetched", "url": url} for url in urls])


async def test_a_player_follows_a_vmap_to_its_ads_and_what_it_tells_counts_once(api):
    await put(api, START, MID)
    start, mid = await promised(api, "s1", viewer_id="w")
    assert (start["offset"], mid["offset"]) == ("start", "00:01:00")
    pod, again = await fetched(start["uri"], start["uri"])
    assert [ad["sequence"] for ad in pod["ads"]] == ["1", "2"]
    assert [ad["title"] for ad in pod["ads"]] == [ad["title"] for ad in again["ads"]] == ["a", "b"]
    raw = await api.get(start["uri"])
    issues = {issue.id for issue in vastlint.validate(raw.content).issues if issue.severity != "info"}
    assert {name for name in issues if not name.endswith("-https")} == set()  # our test server speaks plain HTTP
    first = pod["ads"][0]
    (impression,), (tracking,) = first["impressions"], first["creatives"][0]["tracking"]["firstQuartile"]
    assert (await api.get("/v1/line-items/a/delivery", headers=READ)).json()["impressions"] == 0
    error = first["errors"][0].replace("[ERRORCODE]", "405")
    for url in (impression, tracking, first["creatives"][0]["clickTracking"][0], error):
        heard = await api.get(url)
        assert (heard.status_code, heard.headers["content-type"]) == (200, "image/gif")
        assert (await api.get(url)).status_code == 409
    delivery = (await api.get("/v1/line-items/a/delivery", headers=READ)).json()
    assert delivery == {"impressions": 1, "served": 1, "allowed": None, "goal": None, "days": {}}
    records = await asyncio.to_thread(records_of, api.settings, AD_EVENTS, 2 + 4)
    told = [decoder(AdEvent).decode(record.value()) for record in records]
    assert [(each.kind, each.slot, each.line_item_id, each.code) for each in told] == [
        ("handed_out", 0, "a", None),
        ("handed_out", 0, "b", None),
        ("impression", 1, "a", None),
        ("first_quartile", 1, "a", None),
        ("click", 1, "a", None),
        ("error", 1, "a", 405),
    ]


async def test_forged_tracking_and_foreign_tokens_are_refused(api):
    await put(api, START)
    ours, other = (await promised(api, "s2"))[0], (await promised(api, "s3"))[0]
    (found,) = await fetched(ours["uri"])
    url = found["ads"][0]["impressions"][0]
    token = parse_qs(urlsplit(url).query)["t"][0]
    body, expiry, signature = token.split(".")
    later = f"{body}.{int(expiry) + 60}.{signature}"
    for forged in (f"{body}.{expiry}.{signature[:-2]}AA", f"{body}x.{expiry}.{signature}", later, "x"):
        assert (await api.get("/v1/ads/track/impression", params={"t": forged})).status_code == 401
    session = parse_qs(urlsplit(ours["uri"]).query)["token"][0]
    assert (await api.get("/v1/ads/track/impression", params={"t": session})).status_code == 401  # of another purpose
    assert (await api.get("/v1/ads/track/party", params={"t": token})).status_code == 404
    foreign = ours["uri"].split("?")[0] + "?" + other["uri"].split("?")[1]
    assert (await api.get(foreign)).status_code == 403
    assert (await api.get(ours["uri"].split("?")[0])).status_code == 401
    assert (await api.get("/v1/sessions/s2/breaks/none/vast", headers=PLAYER)).status_code == 404
    assert (await api.get("/v1/sessions/s2/vmap", params={"video_id": "v"}, headers=READ)).status_code == 403
    assert (await api.get("/v1/ads/track/handed_out", params={"t": token})).status_code == 404  # ours alone to tell
    assert (await api.get(url)).status_code == 200  # nothing of the above reached the topic
    records = await asyncio.to_thread(records_of, api.settings, AD_EVENTS, 3)
    kinds = [decoder(AdEvent).decode(record.value()).kind for record in records]
    assert kinds == ["handed_out", "handed_out", "impression"]


async def test_a_promised_break_is_what_the_session_has_become_when_it_comes(api):
    """A rule that depends on the session is promised, and empty until the session earns it; a decision of another
    length is what is played; a rule that was retired since takes its break along."""
    await put(api, LATE, MID, items=[line_item("long", 20), line_item("short", 10)])
    mid, late = sorted(await promised(api, "s4"), key=lambda each: each["id"])
    (before,) = await fetched(late["uri"])
    assert before["ads"] == []
    async with contextlib.aclosing(Redis.from_url(api.settings.redis_url.get_secret_value())) as redis:
        assert await redis.get(f"cuepoint:break:s4:{late['id']}") is None  # who asks too early spoils nothing
    late2 = next(each for each in await promised(api, "s5") if each["id"].startswith("muted"))
    decision = AdDecision(
        decision_id="d1", session_id="s5", video_id="v", rule_id="muted", rule_version=1, event_id="e", number=1,
        decided_at=int(time.time() * 1000), position_s=60.4, format=AdFormat(length_s=10.0), duration_s=10.0,
        spot_load=1.0, reason="muted",
    )  # fmt: skip
    async with contextlib.aclosing(Redis.from_url(api.settings.redis_url.get_secret_value())) as redis:
        await DecisionFeed(redis).write([decision])
    (earned,) = await fetched(late2["uri"])
    assert [ad["title"] for ad in earned["ads"]] == ["short"]
    # a decision by its own id: it was inserted where it was promised, and is so once
    vast = await api.get("/v1/sessions/s5/breaks/d1/vast", headers=PLAYER)
    (same,) = await asyncio.to_thread(judged, [{"kind": "vast", "text": vast.text}])
    assert [ad["title"] for ad in same["ads"]] == ["short"]
    assert (await api.get(earned["ads"][0]["impressions"][0])).status_code == 200
    assert (await api.get(same["ads"][0]["impressions"][0])).status_code == 409
    assert (await api.delete("/v1/rules/mid", headers=ADMIN)).status_code == 200
    (withdrawn,) = await fetched(mid["uri"])
    assert (withdrawn["ads"], len(withdrawn["errors"])) == ([], 1)


async def test_each_video_of_a_session_has_breaks_of_its_own(api):
    await put(api, START)
    first, second = [(await promised(api, "s11", video_id=video))[0] for video in ("v", "w")]
    of_first, of_second = await fetched(first["uri"], second["uri"])
    for found in (of_first, of_second):
        assert [ad["title"] for ad in found["ads"]] == ["a", "b"]
        assert (await api.get(found["ads"][0]["impressions"][0])).status_code == 200


async def test_what_was_promised_and_filled_is_not_filled_again_by_the_decision_for_it(api):
    """The player asks for its break before the session's event has arrived; then the decision reaches it, too."""
    await put(api, MID)
    (mid,) = await promised(api, "s10")
    (filled,) = await fetched(mid["uri"])
    decision = AdDecision(
        decision_id="d2", session_id="s10", video_id="v", rule_id="mid", rule_version=1, event_id="e", number=1,
        decided_at=int(time.time() * 1000), position_s=60.4, format=AdFormat(length_s=15.0), duration_s=15.0,
        spot_load=1.0, reason="at 60 s",
    )  # fmt: skip
    async with contextlib.aclosing(Redis.from_url(api.settings.redis_url.get_secret_value())) as redis:
        await DecisionFeed(redis).write(
            [decision, msgspec.structs.replace(decision, decision_id="d3", number=2, position_s=90.0)]
        )
    told = (await api.get("/v1/sessions/s10/breaks/d2/ads", headers=PLAYER)).json()
    assert (told["break_id"], len(told["ads"])) == (mid["id"], 1)
    assert (await api.get(told["ads"][0]["tracking"]["impression"][0])).status_code == 200
    assert (await api.get(filled["ads"][0]["impressions"][0])).status_code == 409
    other = (await api.get("/v1/sessions/s10/breaks/d3/ads", headers=PLAYER)).json()
    assert (other["break_id"], len(other["ads"])) == ("d3", 1)  # elsewhere: a break of its own


async def test_a_session_told_by_tracking_reaches_the_rules_engine(api):
    await put(api, START)
    (entry,) = await promised(api, "s6", events="server", category="news")
    (found,) = await fetched(entry["uri"])
    tracking = found["ads"][0]["creatives"][0]["tracking"]
    for event in ("start", "midpoint", "complete"):
        assert (await api.get(tracking[event][0])).status_code == 200
    records = await asyncio.to_thread(records_of, api.settings, PLAYER_EVENTS, 3 + 2)  # the rule in both partitions
    values = [record.value() for record in records if b"player-event" in record.value()]
    told = sorted((decoder(PlayerEvent).decode(value) for value in values), key=lambda event: event.seq)
    assert [(event.seq, event.kind) for event in told] == [(0, "video_started"), (1, "ad_started"), (2, "ad_completed")]
    assert (told[0].category, told[0].duration_s, told[1].rule_id, told[1].ad_type) == ("news", 600.0, "start", "spot")


PLAYLISTS = {
    "/main.m3u8": "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1000\nlow/video.m3u8\n",
    "/low/video.m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:10\n" + "#EXTINF:10,\nseg.ts\n" * 12 + "#EXT-X-ENDLIST\n",
    "/page.html": "<html></html>",
}


@pytest.fixture
async def origin() -> AsyncIterator[str]:
    async def serve(request: web.Request) -> web.StreamResponse:
        if request.path == "/away.m3u8":
            raise web.HTTPFound("http://169.254.169.254/latest")
        pages = PLAYLISTS | {"/vast.xml": OUTSIDE}
        if request.path not in pages:
            raise web.HTTPNotFound
        return web.Response(text=pages[request.path])

    app = web.Application()
    app.router.add_get("/{path:.*}", serve)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    yield f"http://{host}:{port}"
    await runner.cleanup()


async def test_hls_players_get_interstitials_whose_assets_are_resolved_late(api, origin):
    await put(api, START, MID)
    ask = {"video_id": "v", "src": f"{origin}/main.m3u8"}
    main = await api.get("/v1/sessions/s7/hls", params=ask, headers=PLAYER)
    assert main.headers["content-type"].startswith("application/vnd.apple.mpegurl")
    (found,) = await asyncio.to_thread(judged, [{"kind": "hls", "text": main.text}])
    media = await api.get(found["variants"][0])  # the link carries the session's token
    (found,) = await asyncio.to_thread(judged, [{"kind": "hls", "text": media.text}])
    assert found["segments"][0] == f"{origin}/low/seg.ts"
    start, mid = (each["attributes"] for each in found["ranges"])
    assert re.search(r'CUE="PRE,ONCE"', media.text)
    assert (mid["X-RESUME-OFFSET"], mid["X-PLAYOUT-LIMIT"], mid["X-RESTRICT"]) == (0, 15, "SKIP,JUMP")
    assets = (await api.get(start["X-ASSET-LIST"])).json()
    assert [(each["URI"], each["DURATION"]) for each in assets["ASSETS"]] == [(HLS["url"], 15.0)] * 2
    slots = [signaled(each, "slot") for each in assets["ASSETS"]]
    pod = signaled(assets, "pod")
    assert [(slot["type"], slot["start"], slot["duration"]) for slot in slots] == [
        ("linear", 0, 15),
        ("linear", 15, 15),
    ]
    assert (pod["start"], pod["duration"]) == (0, 30)
    for told, status in ((slots, 200), (slots, 409)):  # once each
        for slot in told:
            urls = {each["type"]: each["urls"] for each in slot["tracking"]}
            assert set(urls) <= SIGNALED and {"impression", "clickTracking", "error", "complete"} <= set(urls)
            assert (await api.get(urls["impression"][0])).status_code == status
    assert [each["type"] for each in pod["tracking"]] == ["podStart", "podEnd"]
    assert (await api.get(pod["tracking"][0]["urls"][0])).status_code == 200


def signaled(holder: dict[str, Any], kind: str) -> Any:
    """The one payload of the ad creative signaling (SVTA 2053-2) that stands beside an asset or a list."""
    signaling = holder["X-AD-CREATIVE-SIGNALING"]
    assert (signaling["version"], signaling["type"]) == (2, kind)
    (payload,) = signaling["payload"]
    return payload


async def test_only_allowed_hosts_are_fetched_and_only_playlists_taken(api, origin):
    for src, status in (
        ("http://localhost:1/a.m3u8", 422),
        ("http://169.254.169.254/a.m3u8", 422),
        ("file:///etc/passwd", 422),
        ("http://user:pw@127.0.0.1/a.m3u8", 422),
        (f"{origin}/none.m3u8", 502),
        (f"{origin}/away.m3u8", 502),
        (f"{origin}/page.html", 400),
        ("http://127.0.0.1:1/a.m3u8", 502),
    ):
        answer = await api.get("/v1/sessions/s8/hls", params={"video_id": "v", "src": src}, headers=PLAYER)
        assert answer.status_code == status, (src, answer.text)
        assert answer.headers["content-type"] == "application/problem+json"


OUTSIDE = """<VAST version="4.2"><Ad id="o"><InLine><AdSystem>o</AdSystem><Impression>https://o.example.org/i</Impression>
<AdTitle>theirs</AdTitle><Creatives><Creative><Linear><Duration>00:00:10</Duration><MediaFiles>
<MediaFile type="video/mp4" delivery="progressive" width="1" height="1">https://o.example.org/o.mp4</MediaFile>
</MediaFiles></Linear></Creative></Creatives></InLine></Ad></VAST>"""


async def test_an_outside_ad_server_fills_what_line_items_leave(settings, origin):
    more = {"rule_lead_ms": 0, "ad_refresh_s": 0, "ad_server_url": f"{origin}/vast.xml", "ad_server_private": True}
    async with serving(with_keys(settings, **more, ad_server_timeout_s=20)) as api:
        await until(lambda: ready(api))
        await put(api, START, MID, items=[line_item("a", impressions=1)])
        first, second = await promised(api, "s9")
        ours, theirs = await fetched(first["uri"], second["uri"])
        assert [ad["title"] for ad in ours["ads"]] == ["a"]
        (ad,) = theirs["ads"]
        assert (ad["title"], ad["creatives"][0]["media"]) == ("theirs", [["https://o.example.org/o.mp4", "video/mp4"]])
        mine, other = ad["impressions"]
        assert other == "https://o.example.org/i"
        assert (await api.get(mine)).status_code == 200


async def test_a_line_item_is_paused_and_resumed(api):
    await put(api, MID, items=[line_item("a", 15)])

    async def switch(what: str, **more: str) -> tuple[int, str]:
        answer = await api.post(f"/v1/line-items/a/{what}", headers=ADMIN | more)
        return answer.status_code, answer.json().get("status", "active")

    async def given(session: str) -> list[str]:
        (found,) = await fetched((await promised(api, session))[0]["uri"])
        return [ad["title"] for ad in found["ads"]]

    assert (await api.post("/v1/line-items/a/pause", headers=READ)).status_code == 403
    assert (await api.post("/v1/line-items/none/pause", headers=ADMIN)).status_code == 404
    assert await switch("pause", **{"if-match": '"7"'}) == (412, 412)
    assert [await switch("pause"), await switch("pause")] == [(200, "paused")] * 2
    assert await given("s12") == []
    assert await switch("resume", **{"if-match": '"2"'}) == (200, "active")
    assert await given("s13") == ["a"]


async def test_line_items_that_cannot_be_are_refused(api):
    for change, field in (
        ({"creatives": []}, "$.creatives"),
        ({"creatives": [{"creative_id": "c", "length_s": 5}]}, "$.creatives[0]"),
        ({"starts": "2026-01-02T00:00:00Z", "ends": "2026-01-01T00:00:00Z"}, "$.ends"),
        ({"criteria": {"op": "is", "field": "hour", "is": ">", "value": 30}}, "$.criteria"),
        ({"criteria": {"op": "is", "field": "category", "is": "<", "value": 3}}, "$.criteria.value"),
        ({"frequency_day": 0}, "$.frequency_day"),
    ):
        answer = await api.post("/v1/line-items", json=line_item("x") | change, headers=ADMIN)
        assert answer.status_code == 422, change
        assert answer.json()["errors"][0]["field"].startswith(field), answer.text

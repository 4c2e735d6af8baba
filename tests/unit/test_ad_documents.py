"""VAST, VMAP and HLS interstitials, judged by vastlint and by the parsers of players."""

from __future__ import annotations

from functools import partial
from typing import Any
from urllib.parse import urljoin

import pytest
import vastlint
from hypothesis import given, settings
from hypothesis import strategies as st
from judges import judged
from playback_log import Player, book, run

from cuepoint.models.break_plan import plan_breaks
from cuepoint.models.hls_interstitials import Interstitial, with_interstitials, with_links
from cuepoint.models.vast_document import InlineAd, Tracking, WrapperAd, vast_document, vast_tree
from cuepoint.models.vmap_document import VmapBreak, vmap_document
from cuepoint.schemas.ads import Creative, MediaFile
from cuepoint.schemas.errors import ContractError
from cuepoint.schemas.media import Video
from cuepoint.schemas.rules import (
    AdFormat,
    AdRule,
    AnyOf,
    AtCuePoints,
    AtEnd,
    AtPercent,
    AtSeconds,
    AtStart,
    Compare,
    Every,
    Limits,
    OnAction,
    Scope,
)

TRACKING = Tracking("https://ads.example.org/v1/track/{event}?t=a.1.b")
MP4 = MediaFile(url="https://m.example.org/a.mp4?x=1&y=2", width=1280, height=720, bitrate_kbps=900)
HLS = MediaFile(url="https://m.example.org/a.m3u8", media_type="application/vnd.apple.mpegurl")
SPOT = Creative(
    creative_id="c1", length_s=15.5, media=[MP4, HLS], click_url="https://x.example.org/?a&b", skip_after_s=5
)
BUG = Creative(
    creative_id="c2", type="bug", length_s=10, image_url="https://m.example.org/a.png", click_url=SPOT.click_url
)
KNOWN = {"VAST-3.0-skip-event-no-skipoffset"}  # of a wrapper: the ad inside says whether it may be skipped


def inline(number: int = 1, creative: Creative = SPOT, title: str = "An ad") -> InlineAd:
    return InlineAd(f"ad-{number}", number, title, "Toys & Co", creative, creative.length_s, TRACKING)


def faults(document: bytes) -> list[tuple[str, str]]:
    return [
        (i.severity, i.id) for i in vastlint.validate(document).issues if i.severity != "info" and i.id not in KNOWN
    ]


def test_a_tristitial_of_images_is_an_overlay_of_its_first() -> None:
    images = [MediaFile(url=f"https://m.example.org/{name}", media_type="image/webp") for name in "abc"]
    document = vast_document([inline(creative=Creative(creative_id="t", type="tristitial", length_s=9, media=images))])
    assert faults(document) == []
    (found,) = judged([{"kind": "vast", "text": document.decode()}])
    (creative,) = found["ads"][0]["creatives"]
    assert (creative["type"], creative["images"], creative["media"]) == ("nonlinear", [images[0].url], [])


def test_an_ad_is_read_by_a_player_as_it_was_meant() -> None:
    document = vast_document([inline(title="A < B")])
    assert faults(document) == []
    (found,) = judged([{"kind": "vast", "text": document.decode()}])
    (ad,) = found["ads"]
    (creative,) = ad["creatives"]
    assert (found["version"], ad["id"], ad["sequence"], ad["title"]) == ("4.2", "ad-1", None, "A < B")
    assert ad["impressions"] == ["https://ads.example.org/v1/track/impression?t=a.1.b"]
    assert ad["errors"] == ["https://ads.example.org/v1/track/error?t=a.1.b&code=[ERRORCODE]"]
    assert (creative["type"], creative["duration"], creative["skipDelay"]) == ("linear", 15.5, 5)
    assert creative["media"] == [[MP4.url, "video/mp4"], [HLS.url, HLS.media_type]]
    assert (creative["click"], creative["clickTracking"]) == (SPOT.click_url, [TRACKING.url("click")])
    quartiles = {"start", "firstQuartile", "midpoint", "thirdQuartile", "complete", "progress-5"}
    assert set(creative["tracking"]) == quartiles | {
        *("mute", "unmute", "pause", "resume", "rewind", "skip", "playerExpand", "playerCollapse", "closeLinear")
    }
    assert creative["tracking"]["firstQuartile"] == [TRACKING.url("first_quartile")]


def test_pods_overlays_wrappers_and_the_empty_answer() -> None:
    documents = [
        vast_document([inline(1), inline(2), WrapperAd("w", 3, "https://o.example.org/tag?a&b", TRACKING)]),
        vast_document([inline(1, BUG)]),
        vast_document([], TRACKING.url("error") + "&code=[ERRORCODE]"),
        vast_document([]),
    ]
    assert [faults(document) for document in documents] == [[], [], [], []]
    pod, overlay, empty, silent = judged([{"kind": "vast", "text": document.decode()} for document in documents])
    assert [ad["sequence"] for ad in pod["ads"]] == ["1", "2", "3"]
    assert overlay["ads"][0]["creatives"][0]["images"] == [BUG.image_url]
    assert (empty["ads"], empty["errors"]) == ([], [TRACKING.url("error") + "&code=[ERRORCODE]"])
    assert (silent["ads"], silent["errors"]) == ([], [])


@given(st.text(max_size=30), st.text(max_size=30), st.floats(0.5, 7200))
@settings(max_examples=40)
def test_whatever_people_type_the_document_stays_valid(title: str, advertiser: str, length_s: float) -> None:
    creative = Creative(creative_id="c", length_s=length_s, media=[MP4], title=title)
    document = vast_document([InlineAd("a", 1, title, advertiser, creative, length_s, TRACKING)])
    assert [fault for fault in faults(document) if fault[0] == "error"] == []


def rule(insertion: Any, rule_id: str = "r", **more: Any) -> AdRule:
    return AdRule(rule_id=rule_id, name=rule_id, insertion=insertion, **more)


VIDEO = Video(video_id="v", duration_s=600, categories=["music"])


def offsets(rules: list[AdRule], video: Video = VIDEO, **facts: Any) -> list[tuple[str, bool]]:
    return [(each.offset, each.settled) for each in plan_breaks(rules, video, facts, 1000)]


def test_what_rules_promise_before_the_video_plays() -> None:
    muted, music = Compare(field="muted", value=True), Compare(field="category", value="music")
    rules = [
        rule(AtEnd(), "end", limits=Limits(per_hour=1)),
        rule(AtStart(), "start", criteria=muted),
        rule(AtSeconds(seconds=-60), "late"),
        rule(AtPercent(percent=50), "half", criteria=music),
        rule(AtCuePoints(positions_s=[90, 30, 700]), "cues", limits=Limits(per_video=1)),
        rule(Every(seconds=250), "every"),
        rule(OnAction(action="paused"), "pause"),
        rule(AtStart(), "news", criteria=Compare(field="category", value="news")),
        rule(AtStart(), "news or muted", criteria=AnyOf(of=[Compare(field="category", value="news"), muted])),
        rule(AtStart(), "elsewhere", scope=Scope(videos=["w"])),
        rule(AtStart(), "draft", status="draft"),
        rule(AtStart(), "tomorrow", effective_at=2000),
    ]
    assert offsets(rules) == [
        *(("start", False), ("start", False), ("00:00:30", True), ("00:04:10", True)),
        *(("00:05:00", True), ("00:08:20", True), ("00:09:00", True), ("end", False)),
    ]
    unknown = Video(video_id="v")
    assert offsets([rules[2], rules[3], rules[4]], unknown, category="music") == [("50%", True), ("00:00:30", True)]
    (repeated,) = plan_breaks([rules[5]], unknown, {}, 1000)
    assert (repeated.offset, repeated.repeat_s) == ("00:04:10", 250)


def test_bumpers_stand_round_a_pod() -> None:
    """Three rules of one place, in the order of their priorities: in the session's decisions, and in a VMAP."""
    bumper, pod = AdFormat(type="bumper", length_s=5), AdFormat(type="spot", length_s=45, pod_ads=3)
    place = AtCuePoints(positions_s=[60])
    rules = [
        rule(place, "out", format=bumper, priority=3),
        rule(place, "in", format=bumper, priority=1),
        rule(place, "pod", format=pod, priority=2),
    ]
    assert [each.rule.rule_id for each in plan_breaks(rules, VIDEO, {}, 1000)] == ["in", "pod", "out"]
    player = Player().begin().video("v", 600.0).play(70.0)
    decided = run(player.events, book(*rules)).decisions
    assert [(one.rule_id, one.position_s, one.pod_number) for one in decided] == [
        ("in", 60.0, 1), ("pod", 60.0, 2), ("out", 60.0, 3),
    ]  # fmt: skip


def test_a_vmap_is_read_by_a_player_as_it_was_meant() -> None:
    breaks = [
        VmapBreak("b1", "start", TRACKING, tag_url="https://ads.example.org/v1/breaks/b1/vast?a&b"),
        VmapBreak("b2", "00:01:00.500", TRACKING, vast=vast_tree([inline(1), inline(2)])),
        VmapBreak("b3", "50%", TRACKING, tag_url="https://ads.example.org/b3", linear=False),
        VmapBreak("b4", "#2", TRACKING, tag_url="https://ads.example.org/b4", repeat_after="00:02:00"),
        VmapBreak("b5", "end", TRACKING, tag_url="https://ads.example.org/b5"),
    ]
    documents = [vmap_document(breaks), vmap_document([])]
    assert [faults(document) for document in documents] == [[], []]
    found, empty = judged([{"kind": "vmap", "text": document.decode()} for document in documents])
    assert (found["version"], empty["breaks"]) == ("1.0", [])
    assert [(b["id"], b["offset"], b["type"], b["vast"]) for b in found["breaks"]] == [
        ("b1", "start", "linear", False),
        ("b2", "00:01:00.500", "linear", True),
        ("b3", "50%", "nonlinear", False),
        ("b4", "#2", "linear", False),
        ("b5", "end", "linear", False),
    ]
    first = found["breaks"][0]
    assert (first["uri"], first["template"]) == (breaks[0].tag_url, "vast4")
    assert [event for event, _ in first["events"]] == ["breakStart", "breakEnd", "error"]
    assert first["events"][2][1].endswith("/break_error?t=a.1.b&code=[ERROR_CODE]")
    assert found["breaks"][3]["repeatAfter"] == "00:02:00"


WHOLE = partial(urljoin, "https://m.example.org/x/y.m3u8")
_MORE = ["https://m.example.org/b.mp4", "https://m.example.org/x/c.mp4"]
MEDIA = """#EXTM3U
#EXT-X-VERSION:6
#EXT-X-TARGETDURATION:10
#EXT-X-MAP:URI="init.mp4"
#EXTINF:10,
a.mp4
#EXTINF:10,
../b.mp4
#EXTINF:5.5,
c.mp4
#EXT-X-ENDLIST
"""


def test_interstitials_are_read_by_a_player_as_they_were_meant() -> None:
    ads = [
        Interstitial("pre", 0.0, "https://ads.example.org/pre?t=1", cue="PRE"),
        Interstitial("mid", 12.5, "https://ads.example.org/mid", resume_offset_s=0.0, playout_limit_s=30,
                     planned_s=15, snap=("IN", "OUT"), restrict=("SKIP", "JUMP"), once=False),
        Interstitial("post", None, "https://ads.example.org/post", cue="POST"),
    ]  # fmt: skip
    text = with_interstitials(MEDIA, WHOLE, ads)
    dated = with_interstitials(text, WHOLE, [])
    found, again = judged([{"kind": "hls", "text": text}, {"kind": "hls", "text": dated}])
    assert found["segments"] == ["https://m.example.org/x/a.mp4", *_MORE]
    assert (found["began"], again["ranges"]) == ("2000-01-01T00:00:00.000Z", found["ranges"])
    pre, mid, post = found["ranges"]
    assert [each["start"][11:23] for each in (pre, mid, post)] == ["00:00:00.000", "00:00:12.500", "00:00:25.500"]
    assert {each["classId"] for each in (pre, mid, post)} == {"com.apple.hls.interstitial"}
    assert pre["attributes"]["X-ASSET-LIST"] == "https://ads.example.org/pre?t=1"
    assert 'CUE="PRE,ONCE"' in text and 'CUE="POST,ONCE"' in text and text.count("CUE=") == 2
    wanted = {"X-RESUME-OFFSET": 0, "X-PLAYOUT-LIMIT": 30, "X-SNAP": "IN,OUT", "X-RESTRICT": "SKIP,JUMP"}
    assert {name: mid["attributes"][name] for name in wanted} == wanted


def test_a_live_playlist_gets_only_what_has_a_place() -> None:
    ads = [
        Interstitial("mid", 12.5, "https://ads.example.org/mid"),
        Interstitial("post", None, "https://a.example.org/p"),
    ]
    growing = MEDIA.replace("#EXT-X-ENDLIST\n", "")
    sliding = growing.replace("#EXT-X-MAP", "#EXT-X-MEDIA-SEQUENCE:7\n#EXT-X-MAP")
    placed = [with_interstitials(text, WHOLE, ads).count("#EXT-X-DATERANGE") for text in (MEDIA, growing, sliding)]
    assert placed == [2, 1, 0]


def test_the_playlists_of_a_multivariant_one_are_linked() -> None:
    audio = '#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="a",URI="a.m3u8"'
    text = f'#EXTM3U\n{audio}\n#EXT-X-STREAM-INF:BANDWIDTH=1,AUDIO="a"\nv.m3u8\n'
    linked = with_links(text, WHOLE, lambda url: f"https://ads.example.org/?src={url}")
    (found,) = judged([{"kind": "hls", "text": linked}])
    assert (found["multivariant"], found["variants"]) == (
        True,
        ["https://ads.example.org/?src=https://m.example.org/x/v.m3u8"],
    )
    assert 'URI="https://ads.example.org/?src=https://m.example.org/x/a.m3u8"' in linked
    for broken in ("<MPD/>", "", "#EXTM3U\n", text, "#EXTM3U\n#EXTINF:x,\na.ts\n"):
        with pytest.raises(ContractError):
            with_interstitials(broken, WHOLE, [])

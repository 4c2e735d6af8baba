"""VAST 4.2 documents (IAB Tech Lab, 2019): ads in pods, wrappers, the empty answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple
from xml.dom.minidom import Document, Element

from cuepoint.models.vast_read import Trackers
from cuepoint.models.vast_times import clock
from cuepoint.models.xml_build import add, add_url, as_bytes, begin
from cuepoint.schemas.ads import Creative, MediaFile

NAMESPACE = "http://www.iab.com/VAST"
OVERLAY_TYPES = frozenset(
    (
        "bug",
        "ticker",
        "banner",
        "context",
        "shadow",
        "floating",
        "expanding",
        "wallpaper",
        "pop_up",
        "pop_under",
        "skin",
    )
)
# What a player tells of an ad, by the names of VAST's closed list; the values are ours (schemas/ads.py).
LINEAR_EVENTS = {
    "start": "start",
    "firstQuartile": "first_quartile",
    "midpoint": "midpoint",
    "thirdQuartile": "third_quartile",
    "complete": "complete",
    "mute": "mute",
    "unmute": "unmute",
    "pause": "pause",
    "resume": "resume",
    "rewind": "rewind",
    "skip": "skip",
    "playerExpand": "player_expand",
    "playerCollapse": "player_collapse",
    "closeLinear": "close",
}
OVERLAY_EVENTS = {"creativeView": "creative_view", "close": "close"}
_OVERLAY_SIZE = (480, 70)
_NOBODY = Trackers()


class Tracking(NamedTuple):
    """Where the player reports: ``base``, with the event's name in place of ``{event}``."""

    base: str

    def url(self, event: str) -> str:
        return self.base.replace("{event}", event)


class InlineAd(NamedTuple):
    """A creative of a line item, or one of somebody else's: then ``beside`` us they are told. ``sequence`` in its pod,
    from 1."""

    ad_id: str
    sequence: int
    title: str
    advertiser: str
    creative: Creative
    length_s: float
    tracking: Tracking
    beside: Trackers = Trackers()


class WrapperAd(NamedTuple):
    """An ad that somebody else's tag gives; we hear of it, too."""

    ad_id: str
    sequence: int
    tag_url: str
    tracking: Tracking


def vast_document(ads: Sequence[InlineAd | WrapperAd], error_url: str = "") -> bytes:
    """The document; without ads, the empty answer, whose Error the player may report to (code 303)."""
    return as_bytes(vast_tree(ads, error_url))


def vast_tree(ads: Sequence[InlineAd | WrapperAd], error_url: str = "") -> Document:
    """The same as a tree, for the inside of a VMAP."""
    document, root = begin("VAST", {"version": "4.2", "xmlns": NAMESPACE})
    if not ads and error_url:
        add_url(root, "Error", error_url)
    for ad in ads:
        pod = {"sequence": str(ad.sequence)} if len(ads) > 1 else {}  # a pod has two ads or more
        holder = add(root, "Ad", {"id": ad.ad_id} | pod)
        if isinstance(ad, InlineAd):
            _inline(holder, ad)
        else:
            _wrapper(holder, ad)
    return document


def _base(holder: Element, tracking: Tracking, beside: Trackers = _NOBODY) -> None:
    add(holder, "AdSystem", {"version": "1"}, text="Cuepoint")
    add_url(holder, "Error", tracking.url("error") + "&code=[ERRORCODE]")
    for url in beside.errors:
        add_url(holder, "Error", url)
    add_url(holder, "Impression", tracking.url("impression"), {"id": "cuepoint"})
    for url in beside.impressions:
        add_url(holder, "Impression", url)


def _inline(holder: Element, ad: InlineAd) -> None:
    inline, creative = add(holder, "InLine"), ad.creative
    _base(inline, ad.tracking, ad.beside)
    add(inline, "AdServingId", text=ad.ad_id)
    add(inline, "AdTitle", text=creative.title or ad.title or creative.creative_id)
    if ad.advertiser:
        add(inline, "Advertiser", text=ad.advertiser)
    entry = add(add(inline, "Creatives"), "Creative", {"id": creative.creative_id, "sequence": "1"})
    if is_linear(creative):
        _linear(entry, ad)
    else:
        _overlay(entry, ad)
    registry = "ad-id.org" if creative.ad_id else "unknown"
    add(entry, "UniversalAdId", {"idRegistry": registry}, text=creative.ad_id or creative.creative_id)


def is_linear(creative: Creative) -> bool:
    """Whether the video stands still while it is shown."""
    return creative.type not in OVERLAY_TYPES and bool(_films(creative))


def _films(creative: Creative) -> list[MediaFile]:
    """Its media that are no images (as a tristitial's are)."""
    return [media for media in creative.media if not media.media_type.startswith("image/")]


def _linear(entry: Element, ad: InlineAd) -> None:
    creative = ad.creative
    skip = {} if creative.skip_after_s is None else {"skipoffset": clock(creative.skip_after_s)}
    linear = add(entry, "Linear", skip)
    _events(linear, ad.tracking, {n: e for n, e in LINEAR_EVENTS.items() if n != "skip" or skip}, ad.length_s)
    _others(linear.getElementsByTagName("TrackingEvents")[0], ad.beside, set() if skip else {"skip"})
    add(linear, "Duration", text=clock(ad.length_s))
    files = add(linear, "MediaFiles")
    for number, media in enumerate(_films(creative)):
        hls = media.media_type.lower() in ("application/vnd.apple.mpegurl", "application/x-mpegurl")
        given = {
            "id": f"{creative.creative_id}-{number}",
            "delivery": "streaming" if hls else "progressive",
            "type": media.media_type,
            "width": str(media.width or 1280),
            "height": str(media.height or 720),
        }
        if media.bitrate_kbps:
            given["bitrate"] = str(media.bitrate_kbps)
        add_url(files, "MediaFile", media.url, given)
    clicks = add(linear, "VideoClicks")
    for url in (ad.tracking.url("click"), *ad.beside.clicks):
        add_url(clicks, "ClickTracking", url)
    if creative.click_url:
        add_url(clicks, "ClickThrough", creative.click_url)


def _others(entries: Element, beside: Trackers, left_out: set[str]) -> None:
    for name, offset, url in beside.events:
        if name in LINEAR_EVENTS and name not in left_out:
            add_url(entries, "Tracking", url, {"event": name})
        elif name == "progress" and offset:
            add_url(entries, "Tracking", url, {"event": name, "offset": offset})


def _overlay(entry: Element, ad: InlineAd) -> None:
    creative = ad.creative
    overlays = add(entry, "NonLinearAds")
    _events(overlays, ad.tracking, OVERLAY_EVENTS, 0.0)
    width, height = _OVERLAY_SIZE
    size = {"width": str(width), "height": str(height), "minSuggestedDuration": clock(ad.length_s)}
    overlay = add(overlays, "NonLinear", {"id": creative.creative_id} | size)
    image = creative.image_url or ""
    kind = "image/png" if image.lower().endswith(".png") else "image/jpeg"
    stills = [media for media in creative.media if media.media_type.startswith("image/")]
    if not image and stills:
        image, kind = stills[0].url, stills[0].media_type
    add_url(overlay, "StaticResource", image, {"creativeType": kind})
    if creative.click_url:
        add_url(overlay, "NonLinearClickThrough", creative.click_url)
    add_url(overlay, "NonLinearClickTracking", ad.tracking.url("click"))


def _wrapper(holder: Element, ad: WrapperAd) -> None:
    wrapper = add(holder, "Wrapper", {"followAdditionalWrappers": "true", "fallbackOnNoAd": "true"})
    _base(wrapper, ad.tracking)
    entry = add(add(wrapper, "Creatives"), "Creative", {"id": f"{ad.ad_id}-1"})
    linear = add(entry, "Linear")
    _events(linear, ad.tracking, LINEAR_EVENTS, 0.0)
    clicks = add(linear, "VideoClicks")
    add_url(clicks, "ClickTracking", ad.tracking.url("click"))
    add_url(wrapper, "VASTAdTagURI", ad.tag_url)


def _events(holder: Element, tracking: Tracking, events: dict[str, str], length_s: float) -> None:
    entries = add(holder, "TrackingEvents")
    for name, event in events.items():
        add_url(entries, "Tracking", tracking.url(event), {"event": name})
    if length_s > _PROGRESS_S:
        add_url(entries, "Tracking", tracking.url("progress"), {"event": "progress", "offset": clock(_PROGRESS_S)})


_PROGRESS_S = 5.0

"""Reading VAST of others, 2.0 to 4.x: what of it a break can use. Foreign XML is read by defusedxml."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal
from xml.etree.ElementTree import Element, ParseError

import msgspec
from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from cuepoint.models.vast_times import seconds_of_clock
from cuepoint.schemas.ads import MediaFile
from cuepoint.schemas.errors import CuepointError

_MOST_ADS, _MOST_URLS, _URL_CHARS = 20, 50, 2048


class VastError(CuepointError):
    """VAST's own error code (section 2.3.6 of 4.2) and why."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"VAST error {code}: {reason}")
        self.code, self.reason = code, reason


class Trackers(msgspec.Struct, frozen=True):
    """Whom to tell besides us. ``events``: name, offset (or empty) and address."""

    impressions: list[str] = []
    errors: list[str] = []
    events: list[tuple[str, str, str]] = []
    clicks: list[str] = []

    def with_outer(self, outer: Trackers) -> Trackers:
        """Those of a wrapper before those of what is in it."""
        return Trackers(
            outer.impressions + self.impressions,
            outer.errors + self.errors,
            outer.events + self.events,
            outer.clicks + self.clicks,
        )


class ForeignAd(msgspec.Struct, frozen=True):
    """An ad, or with ``next_url`` the way to it."""

    ad_id: str
    sequence: int
    trackers: Trackers
    next_url: str = ""
    follow: bool = True
    title: str = ""
    advertiser: str = ""
    length_s: float = 0.0
    skip_after_s: float | None = None
    media: list[MediaFile] = []
    click_url: str = ""


class ForeignVast(msgspec.Struct, frozen=True):
    """A document: its ads in their order, and whom to tell that there are none."""

    ads: list[ForeignAd]
    errors: list[str]


def read_vast(body: bytes) -> ForeignVast:
    """Raises VastError: 100 for what is no XML, 101 for what is no VAST, 102 for a version that is not read."""
    try:
        root = fromstring(body)
    except (ParseError, DefusedXmlException, ValueError, LookupError) as error:
        raise VastError(100, f"not read as XML: {type(error).__name__}") from None
    if _local(root) != "VAST":
        raise VastError(101, "not a VAST document")
    if root.get("version", "")[:2] not in ("2.", "3.", "4."):
        raise VastError(102, f"version {root.get('version', '')[:10]!r}")
    ads = [found for ad in _all(root, "Ad")[:_MOST_ADS] if (found := _ad(ad)) is not None]
    return ForeignVast(sorted(ads, key=lambda ad: ad.sequence), _urls(root, "Error"))


def _ad(ad: Element) -> ForeignAd | None:
    for kind in ("InLine", "Wrapper"):
        for body in _all(ad, kind):
            found = _body(ad, body, kind)
            return found if kind == "InLine" or found.next_url else None
    return None


def _body(ad: Element, body: Element, kind: Literal["InLine", "Wrapper"]) -> ForeignAd:
    linear = next((each for each in body.iter() if _local(each) == "Linear"), None)
    events, clicks, click_url = [], [], ""
    if linear is not None:
        for each in linear.iter():
            name, url = _local(each), _url(each)
            if name == "Tracking" and url:
                events.append((each.get("event", "")[:40], each.get("offset", "")[:20], url))
            elif name == "ClickTracking" and url:
                clicks.append(url)
            elif name == "ClickThrough":
                click_url = url
    trackers = Trackers(_urls(body, "Impression"), _urls(body, "Error"), events[:_MOST_URLS], clicks[:_MOST_URLS])
    sequence = ad.get("sequence", "")
    number = int(sequence) if sequence.isascii() and sequence.isdecimal() and len(sequence) < 6 else 0
    found = ForeignAd(ad_id=ad.get("id", "")[:64], sequence=number, trackers=trackers)
    if kind == "Wrapper":
        follow = body.get("followAdditionalWrappers", "true").lower() not in ("false", "0")
        return msgspec.structs.replace(found, next_url=(_urls(body, "VASTAdTagURI") or [""])[0], follow=follow)
    return msgspec.structs.replace(
        found,
        title=_text(body, "AdTitle"),
        advertiser=_text(body, "Advertiser"),
        length_s=_seconds(_text(linear, "Duration")) or 0.0,
        skip_after_s=None if linear is None else _seconds(linear.get("skipoffset", "")),
        media=[] if linear is None else list(_media(linear))[:_MOST_ADS],
        click_url=click_url,
    )


def _media(linear: Element) -> Iterator[MediaFile]:
    for each in linear.iter():
        if _local(each) == "MediaFile" and _url(each):
            value = {"url": _url(each), "media_type": each.get("type", ""), "width": _whole(each, "width")}
            more = {"height": _whole(each, "height"), "bitrate_kbps": _whole(each, "bitrate")}
            try:
                yield msgspec.convert(value | more, MediaFile)
            except msgspec.ValidationError:
                continue  # a rendition that no player of ours could be told of


def _local(element: Element) -> str:
    return str(element.tag).rpartition("}")[2]


def _all(parent: Element, name: str) -> list[Element]:
    return [child for child in parent if _local(child) == name]


def _url(element: Element) -> str:
    url = (element.text or "").strip()
    plain = len(url) <= _URL_CHARS and not any(each.isspace() or each in '<>"' for each in url)
    return url if plain and url.startswith(("https://", "http://")) else ""


def _urls(parent: Element, name: str) -> list[str]:
    return [url for child in _all(parent, name) if (url := _url(child))][:_MOST_URLS]


def _text(parent: Element | None, name: str) -> str:
    if parent is None:
        return ""
    return next(((child.text or "").strip()[:512] for child in _all(parent, name)), "")


def _seconds(text: str) -> float | None:
    try:
        return seconds_of_clock(text)
    except ValueError:
        return None


def _whole(element: Element, name: str) -> int:
    text = element.get(name, "").partition(".")[0]
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 9 else 0

"""Ads of an outside ad server: its VAST tag asked in bounded time, wrappers followed to a bounded depth."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple
from urllib.parse import quote

import aiohttp
from msgspec.structs import replace

from cuepoint.models.vast_read import ForeignAd, Trackers, VastError, read_vast
from cuepoint.ops.settings import Settings
from cuepoint.streams.metrics import OUTSIDE_ADS
from cuepoint.streams.webhook_sender import GuardedResolver, Refused, check_url

_log = logging.getLogger("cuepoint.api")


class OutsideAnswer(NamedTuple):
    """The ads, and the error (VAST's code; 0: none) where there are none."""

    ads: list[ForeignAd]
    code: int = 0


class OutsideAds:
    """Asks ``CUEPOINT_AD_SERVER_URL``. Nothing of it raises: a break is worth no error page."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._pings: set[asyncio.Task[None]] = set()

    @property
    def wanted(self) -> bool:
        """Whether there is such a server."""
        return bool(self._settings.ad_server_url)

    async def ask(self, video_id: str, length_s: float) -> OutsideAnswer:
        """What the server has for a break, at most ``length_s``; whoever is named for errors is told of them."""
        macros = _macros() | {
            "CONTENTID": quote(video_id, safe=""),
            "BREAKMAXDURATION": str(int(length_s)),
        }
        heard: list[str] = []
        try:
            async with asyncio.timeout(self._settings.ad_server_timeout_s), self._client() as client:
                ads = await self._follow(client, expand(self._settings.ad_server_url, macros), [], Trackers(), heard)
            fitting = _fitting(ads, length_s)
            if not fitting:
                raise VastError(303 if not ads else 202, "no ad for the break")
        except TimeoutError:
            return self._failed(VastError(301, "it did not answer in time"), heard)
        except VastError as error:
            return self._failed(error, heard)
        OUTSIDE_ADS.labels("0").inc()
        return OutsideAnswer(fitting)

    async def _follow(  # noqa: PLR0917
        self,
        client: aiohttp.ClientSession,
        url: str,
        chain: list[str],
        outer: Trackers,
        heard: list[str],
        follow: bool = True,
    ) -> list[ForeignAd]:
        """The ads behind an address. ``heard``: whom to tell should it fail; ``follow``: wrappers, too. Raises
        VastError."""
        if url in chain or len(chain) > self._settings.ad_server_wrappers:
            raise VastError(302, "wrappers go round" if url in chain else "too many wrappers")
        found = read_vast(await self._body(client, url))
        heard += found.errors
        ads: list[ForeignAd] = []
        fault: VastError | None = None
        for ad in found.ads:
            trackers = ad.trackers.with_outer(outer)
            if not ad.next_url:
                ads.append(replace(ad, trackers=trackers))
                continue
            heard += ad.trackers.errors
            if not follow:
                fault = VastError(302, "a wrapper before it allows no other")
                continue
            try:
                inner = await self._follow(client, ad.next_url, [*chain, url], trackers, heard, ad.follow)
                ads += [replace(each, sequence=ad.sequence or each.sequence) for each in inner]
            except VastError as error:
                fault = error  # of this one; the others of the pod may do
        if not ads and fault is not None:
            raise fault
        return ads

    async def _body(self, client: aiohttp.ClientSession, url: str) -> bytes:
        try:
            check_url(url, private=self._settings.ad_server_private)
            async with client.get(url, allow_redirects=False) as answer:
                if answer.status == 204:
                    raise VastError(303, "no ad")
                if answer.status != 200:
                    raise VastError(301, f"it answered {answer.status}")
                body = b""
                async for chunk in answer.content.iter_chunked(65_536):
                    body += chunk
                    if len(body) > self._settings.ad_server_bytes:
                        raise VastError(301, f"it has more than {self._settings.ad_server_bytes} bytes")
                return body
        except (Refused, aiohttp.ClientError, OSError, ValueError) as error:
            raise VastError(301, f"it cannot be reached: {type(error).__name__}") from None

    def _client(self) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(resolver=GuardedResolver(private=self._settings.ad_server_private))
        return aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())

    def _failed(self, error: VastError, heard: Sequence[str]) -> OutsideAnswer:
        _log.info("outside ad server: %s", error)
        OUTSIDE_ADS.labels(str(error.code)).inc()
        if heard:
            task = asyncio.create_task(self._tell([expand(url, _macros(error.code)) for url in heard]))
            self._pings.add(task)
            task.add_done_callback(self._pings.discard)
        return OutsideAnswer([], error.code)

    async def _tell(self, urls: Sequence[str]) -> None:
        """As far as they answer: nobody waits for them."""
        try:
            async with asyncio.timeout(self._settings.ad_server_timeout_s), self._client() as client:
                for url in dict.fromkeys(urls):
                    try:
                        await self._body(client, url)
                    except VastError:
                        continue
        except TimeoutError:
            return


def expand(url: str, macros: dict[str, str]) -> str:
    """The address with VAST's macros filled in.

    >>> expand("https://a.example/?c=[CACHEBUSTING]&e=[ERRORCODE]", {"CACHEBUSTING": "1"})
    'https://a.example/?c=1&e=[ERRORCODE]'
    """
    for name, value in macros.items():
        url = url.replace(f"[{name}]", value)
    return url


def _macros(code: int | None = None) -> dict[str, str]:
    now = datetime.fromtimestamp(time.time(), UTC).isoformat(timespec="milliseconds")
    macros = {"CACHEBUSTING": str(10_000_000 + secrets.randbelow(90_000_000)), "TIMESTAMP": quote(now, safe="")}
    return macros if code is None else macros | {"ERRORCODE": str(code)}


def _fitting(ads: Sequence[ForeignAd], length_s: float) -> list[ForeignAd]:
    """Those with something to play that fit, in the order of the pod, as long as there is room."""
    chosen, left_s = [], length_s
    for ad in sorted(ads, key=lambda ad: ad.sequence):
        if ad.media and 0 < ad.length_s <= left_s + 1e-9:
            chosen.append(ad)
            left_s -= ad.length_s
    return chosen

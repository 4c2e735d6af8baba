"""Fetching playlists of others, from the hosts that the settings name and nowhere else."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

import aiohttp

from cuepoint.ops.api_problems import Problem
from cuepoint.ops.settings import Settings
from cuepoint.streams.webhook_sender import GuardedResolver, Refused, check_url


class Fetcher:
    """A client that follows no redirect, keeps no cookie, and reads at most so many bytes in so much time."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._hosts = {host.strip().lower() for host in settings.manifest_hosts.split(",") if host.strip()}

    def check(self, url: str) -> None:
        """Raises 422 for an address that is not fetched."""
        try:
            check_url(url, private=self._settings.manifest_private)
        except Refused as error:
            raise _refused(str(error)) from None
        parts = urlsplit(url)
        names = {parts.hostname or "", parts.netloc.lower()}
        if not names & self._hosts:
            raise _refused("its host is none of CUEPOINT_MANIFEST_HOSTS")

    async def playlist(self, url: str) -> str:
        """Raises 422 (an address that is not fetched), 502 (what came is of no use), 504 (nothing came in time)."""
        self.check(url)
        most = self._settings.manifest_bytes
        connector = aiohttp.TCPConnector(resolver=GuardedResolver(private=self._settings.manifest_private))
        limit = aiohttp.ClientTimeout(total=self._settings.manifest_timeout_s)
        jar = aiohttp.DummyCookieJar()
        try:
            async with (
                aiohttp.ClientSession(connector=connector, timeout=limit, cookie_jar=jar) as client,
                client.get(url, allow_redirects=False) as answer,
            ):
                if answer.status != 200:
                    raise Problem(502, "bad-playlist", f"The playlist's server answered {answer.status}.")
                body = b""
                async for chunk in answer.content.iter_chunked(65_536):
                    body += chunk
                    if len(body) > most:
                        raise Problem(502, "bad-playlist", f"The playlist has more than {most} bytes.")
        except TimeoutError:
            raise Problem(504, "playlist-late", "The playlist did not come in time.") from None
        except (aiohttp.ClientError, OSError, asyncio.IncompleteReadError) as error:
            raise Problem(502, "bad-playlist", f"The playlist could not be read: {type(error).__name__}.") from None
        try:
            return body.decode("utf-8-sig")
        except UnicodeDecodeError:
            raise Problem(502, "bad-playlist", "The playlist is not UTF-8.") from None


def _refused(reason: str) -> Problem:
    return Problem(422, "invalid", "This address is not fetched.", errors=[{"field": "src", "reason": reason}])

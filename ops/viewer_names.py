"""Pseudonyms in place of players' ids of viewers: keyed, so that who lacks the key finds nobody by trying ids."""

from __future__ import annotations

import hmac
import json
import re

from cuepoint.ops.api_auth import token_secret
from cuepoint.ops.settings import Settings

_TOLD = re.compile(rb'("viewer_id"\s*:\s*)("(?:[^"\\]|\\.)*"?)')


class Pseudonyms:
    """The same in every replica that has the same secret.

    >>> names = Pseudonyms(Settings(viewer_secret="k"))
    >>> names.of("ann") == names.of("ann") != names.of("bob"), len(names.of("ann"))
    (True, 34)
    >>> names.redacted(b'{"viewer_id": "ann", "seq": "x"').decode() == f'{{"viewer_id": "{names.of("ann")}", "seq": "x"'
    True
    """

    def __init__(self, settings: Settings) -> None:
        own = settings.viewer_secret.get_secret_value().encode()
        self._key = own or hmac.digest(token_secret(settings), b"cuepoint viewers v1", "sha256")

    def of(self, viewer_id: str) -> str:
        """``p-`` and 32 hexadecimal digits."""
        return "p-" + hmac.digest(self._key, viewer_id.encode(errors="surrogatepass"), "sha256").hex()[:32]

    def redacted(self, original: bytes) -> bytes:
        """What was sent, whole or broken, with pseudonyms in place of the ids in it."""
        return _TOLD.sub(lambda found: found[1] + f'"{self.of(_read(found[2]))}"'.encode(), original)


def _read(told: bytes) -> str:
    try:
        return str(json.loads(told))
    except ValueError:  # of a body that breaks off, or is not UTF-8
        return told.decode(errors="replace").strip('"')

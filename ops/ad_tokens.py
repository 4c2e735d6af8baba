"""Tracking addresses: what an address stands for is in it, signed, so that nobody makes up an impression."""

from __future__ import annotations

import time
from urllib.parse import urlencode

import msgspec

from cuepoint.models.vast_document import Tracking
from cuepoint.ops.api_auth import Signer, unauthorised
from cuepoint.streams.ad_counters import reservation_of

_PURPOSE = "ad-tracking"


class AdClaim(msgspec.Struct, frozen=True, array_like=True):
    """What a tracking address speaks of; ``slot`` 0: the break itself. ``told``: who tells the session's events."""

    session_id: str
    break_id: str
    slot: int = 0
    rule_id: str = ""
    decision_id: str = ""
    line_item_id: str = ""
    creative_id: str = ""
    ad_type: str = ""
    told: str = "player"

    @property
    def reservation(self) -> str:
        """Under which the impression was reserved."""
        return reservation_of(self.session_id, self.break_id)


_decode = msgspec.json.Decoder(AdClaim).decode


class AdTokens:
    """Makes and reads them. ``base``: where players reach us, without a slash at its end."""

    def __init__(self, signer: Signer, life_s: int) -> None:
        self._signer, self._life_s = signer, life_s

    def tracking(self, base: str, claim: AdClaim) -> Tracking:
        expires_s = (int(time.time()) + self._life_s) // 60 * 60 + 60
        token = self._signer.sign(_PURPOSE, msgspec.json.encode(claim).decode(), expires_s)
        return Tracking(f"{base}/v1/ads/track/{{event}}?{urlencode({'t': token})}")

    def read(self, token: str) -> AdClaim:
        """Raises 401 for a token that is forged, broken or expired."""
        subject = self._signer.verify(_PURPOSE, token, time.time())
        if subject is None:
            raise unauthorised("The tracking token is not valid, or has expired.")
        return _decode(subject.encode())

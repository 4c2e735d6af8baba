"""Secrets, signatures and pauses of webhooks, after Standard Webhooks 1.0.0 (pure)."""

from __future__ import annotations

import base64
import hmac
from collections.abc import Sequence


def secret_of(master: bytes, webhook_id: str, salt: bytes) -> str:
    """The subscriber's secret. It is derived, so that it is stored nowhere: who reads the database alone cannot sign.

    >>> secret_of(b"k", "w1", b"s").startswith("whsec_")
    True
    """
    key = hmac.digest(master, b"cuepoint webhook v1\0" + webhook_id.encode() + b"\0" + salt, "sha256")
    return "whsec_" + base64.b64encode(key).decode()


def signature(secrets: Sequence[str], id: str, at_s: int, body: bytes) -> str:
    """The header ``webhook-signature``: one signature a secret (two for a while after a change of the secret)."""
    content = f"{id}.{at_s}.".encode() + body
    keys = [base64.b64decode(secret.removeprefix("whsec_")) for secret in secrets]
    return " ".join("v1," + base64.b64encode(hmac.digest(key, content, "sha256")).decode() for key in keys)


def pause_s(attempts: int, first_s: float, most_s: float, chance: float) -> float:
    """How long to wait after so many failed attempts: three times longer each time, of which a random half is jitter
    (``chance`` in 0..1).

    >>> [pause_s(n, 5.0, 100.0, 1.0) for n in (1, 2, 3, 4)], pause_s(1, 5.0, 100.0, 0.0)
    ([5.0, 15.0, 45.0, 100.0], 2.5)
    """
    return float(min(most_s, first_s * 3.0 ** min(attempts - 1, 40)) * (0.5 + chance / 2))

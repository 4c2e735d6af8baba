"""Who calls: API keys, session tokens for players, the console's login cookie."""

from __future__ import annotations

import base64
import hashlib
import hmac
import logging
import secrets
import time
from typing import Literal
from urllib.parse import urlencode

from starlette.exceptions import HTTPException
from starlette.requests import Request

from cuepoint.ops.api_problems import Problem
from cuepoint.ops.settings import Settings

Role = Literal["player", "read", "admin"]
CONSOLE_COOKIE = "cuepoint_console"
_log = logging.getLogger("cuepoint.api")


class Signer:
    """Time-limited signed tokens: ``subject.expiry.signature`` (HMAC-SHA256), one namespace a purpose.

    >>> signer = Signer(b"k")
    >>> token = signer.sign("session", "s1", expires_s=100)
    >>> signer.verify("session", token, now_s=99), signer.verify("session", token, now_s=100)
    ('s1', None)
    >>> signer.verify("console", token, now_s=99) is None
    True
    """

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def sign(self, purpose: str, subject: str, expires_s: int) -> str:
        return f"{_base64(subject.encode())}.{expires_s}.{self._signature(purpose, subject, expires_s)}"

    def verify(self, purpose: str, token: str, now_s: float) -> str | None:
        """The subject, or None for a token that is broken, forged, of another purpose or expired."""
        try:
            encoded, expiry, signature = token.split(".")
            subject = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode()
            expires_s = int(expiry)
            given = signature.encode("ascii")
        except ValueError:  # covers binascii.Error and UnicodeError
            return None
        if not hmac.compare_digest(given, self._signature(purpose, subject, expires_s).encode()):
            return None
        return subject if now_s < expires_s else None

    def _signature(self, purpose: str, subject: str, expires_s: int) -> str:
        text = f"{purpose}\x00{subject}\x00{expires_s}".encode()
        return _base64(hmac.digest(self._secret, text, "sha256"))


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Access:
    """What a request may do. Keys are compared as SHA-256 digests in constant time, all of them each time."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        keys: list[tuple[str, Role]] = [(key, "player") for key in settings.player_keys()]
        keys += [(key, "read") for key in _split(settings.read_keys.get_secret_value())]
        keys += [(key, "admin") for key in _split(settings.admin_key.get_secret_value())]
        self._keys = [(_digest(key), role) for key, role in keys]
        self.signer = Signer(token_secret(settings))

    def role_of_key(self, key: str) -> tuple[Role, str] | None:
        """Role of an API key and its public name (for limits and logs), or None."""
        digest, found = _digest(key), None
        for known, role in self._keys:
            if hmac.compare_digest(digest, known):
                found = role
        return None if found is None else (found, "key-" + digest.hex()[:8])

    def bearer(self, request: Request) -> tuple[Role, str] | None:
        """Role and name of the key in the Authorization header; None without one. Raises 401 for a key nobody knows."""
        header = request.headers.get("authorization")
        if header is None:
            return None
        scheme, _, key = header.partition(" ")
        found = self.role_of_key(key.strip()) if scheme.lower() == "bearer" else None
        if found is None:
            raise unauthorised("The API key is not known.")
        return found

    def require(self, request: Request, *roles: Role) -> None:
        """Raises 401 without a good key or login, 403 where it is not enough for this."""
        found = self.bearer(request)
        if found is None:
            if self.console_login(request) and "admin" in roles:
                return
            raise unauthorised("Send an API key: Authorization: Bearer KEY.")
        if found[0] not in roles:
            raise Problem(403, "forbidden", f"This key may not do this; it needs one of: {', '.join(roles)}.")

    def session_token(self, session_id: str, now_s: float) -> str:
        """A token for one session. The expiry is rounded up to a minute."""
        expires_s = (int(now_s + self._settings.session_token_s) // 60 + 1) * 60
        return self.signer.sign("session", session_id, expires_s)

    def session_of_token(self, token: str) -> str:
        """The session a token is for; raises 401 for a bad or expired one."""
        session_id = self.signer.verify("session", token, time.time())
        if session_id is None:
            raise unauthorised("The session token is not valid, or has expired.")
        return session_id

    def console_login(self, request: Request) -> bool:
        """Whether the request carries a good login cookie."""
        cookie = request.cookies.get(CONSOLE_COOKIE)
        return cookie is not None and self.signer.verify("console", cookie, time.time()) is not None

    def console_user(self, request: Request) -> str:
        """FastAPI dependency of the console's pages: the user's name, or a redirect to the login."""
        if self._settings.console_open or self.console_login(request):
            return "admin"
        if request.headers.get("hx-request"):
            raise HTTPException(401, "Sign in first.", headers={"HX-Redirect": "/login"})
        raise HTTPException(303, headers={"Location": "/login?" + urlencode({"next": request.url.path})})


def unauthorised(detail: str) -> Problem:
    return Problem(401, "unauthorised", detail, headers={"WWW-Authenticate": 'Bearer realm="cuepoint"'})


def _split(keys: str) -> list[str]:
    return [key.strip() for key in keys.split(",") if key.strip()]


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()


def token_secret(settings: Settings) -> bytes:
    """The same in every replica: the setting, else derived from the admin key."""
    if secret := settings.token_secret.get_secret_value():
        return secret.encode()
    if admin_key := settings.admin_key.get_secret_value():
        return hmac.digest(admin_key.encode(), b"cuepoint tokens v1", "sha256")
    _log.warning("neither CUEPOINT_TOKEN_SECRET nor CUEPOINT_ADMIN_KEY is set: tokens end with this process")
    return secrets.token_bytes(32)

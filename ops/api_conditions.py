"""If-Match and If-None-Match of what has versions."""

from __future__ import annotations

from starlette.requests import Request

from cuepoint.ops.api_problems import Problem


class Condition:
    """``expected``: the version the caller saw (0: none; None: whatever is there); ``given``: a condition was set;
    ``exists``: something must be there already. Raises 400 for what is no ETag of ours."""

    def __init__(self, request: Request) -> None:
        match, none_match = request.headers.get("if-match"), request.headers.get("if-none-match")
        self.given = match is not None or none_match is not None
        self.exists = match is not None
        self.expected: int | None = None
        if none_match is not None:
            if none_match.strip() != "*" or match is not None:
                raise Problem(400, "invalid", "If-None-Match takes only *, and not beside If-Match.")
            self.expected = 0
        elif match is not None and match.strip() != "*":
            version = match.strip().strip('"')
            if not (version.isascii() and version.isdecimal() and 0 < len(version) < 12):
                raise Problem(400, "invalid", 'If-Match takes one ETag, such as "3", or *.')
            self.expected = int(version)


def etag_of(version: int) -> dict[str, str]:
    """The version as a header."""
    return {"etag": f'"{version}"'}

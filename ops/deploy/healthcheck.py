"""The image's HEALTHCHECK: asks the process of this container, whose role its command names. Standard library only."""

from __future__ import annotations

import os
import sys
import urllib.error
import urllib.request
from pathlib import Path


def address(command: list[str], environment: dict[str, str]) -> str | None:
    """What to ask for ``cuepoint COMMAND...``; None for a command that ends by itself."""
    if "worker" in command:
        return f"http://127.0.0.1:{environment.get('CUEPOINT_METRICS_PORT', '9100')}/metrics"
    if "api" in command:
        return f"http://127.0.0.1:{environment.get('CUEPOINT_API_PORT', '8700')}/readyz"
    return None


def healthy(url: str | None, timeout_s: float = 4.0) -> bool:
    """Whether it answers 200; nothing to ask is well."""
    if url is None:
        return True
    try:
        with urllib.request.urlopen(url, timeout=timeout_s) as answer:  # noqa: S310 - address() says http
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


if __name__ == "__main__":
    command = Path("/proc/1/cmdline").read_bytes().decode().split("\0")
    sys.exit(0 if healthy(address(command, dict(os.environ))) else 1)

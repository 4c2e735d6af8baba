"""Waiting for the parts of an embedded run, and telling Prometheus where they are."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path

import redis

from cuepoint.ops.embedded_children import ROLES, Place, require_alive
from cuepoint.ops.status import StatusView
from cuepoint.ops.status_numbers import Numbers, read_numbers
from cuepoint.schemas.errors import Unavailable
from cuepoint.streams.embedded_parts import Part

READY_TIMEOUT_S = 300.0  # the first start compiles: 40 s on an idle machine, 115 s on a busy one
_POLL_S = 0.4


def wait_until_ready(
    parts: Sequence[Part], client: redis.Redis, place: Place, view: StatusView, stopping: Callable[[], bool]
) -> bool:
    """Until every role has a ready heartbeat and the API says it is ready; False when asked to stop before.

    Raises ChildDied, or Unavailable naming the parts that are not ready in time.
    """
    deadline = time.monotonic() + READY_TIMEOUT_S
    while not stopping():
        require_alive(parts)
        states = read_numbers(client, 1).states
        for role in ROLES:
            view.status.parts[role] = "ready" if states.get(role) == "ready" else "starting"
        view.status.parts["api"] = "ready" if _answers(place.console + "readyz") else "starting"
        view.show()
        missing = [name for name, state in view.status.parts.items() if state == "starting"]
        if not missing:
            return True
        if time.monotonic() > deadline:
            raise Unavailable(f"not ready after {READY_TIMEOUT_S:.0f} s: {', '.join(missing)}; see {place.folder}")
        time.sleep(_POLL_S)
    return False


def write_targets(path: Path, numbers: Numbers, place: Place) -> None:
    """Where Prometheus finds each process, in its file_sd form."""
    ports = {**numbers.metrics_ports, "api": place.api_port}
    targets = [
        {"targets": [f"127.0.0.1:{port}"], "labels": {"role": role}} for role, port in sorted(ports.items()) if port
    ]
    partial = path.with_suffix(".tmp")
    partial.write_text(json.dumps(targets, indent=1), encoding="utf-8")
    partial.replace(path)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=1.0) as answer:  # noqa: S310 - our own API
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False

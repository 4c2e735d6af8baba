"""The periodic fitting: ``cuepoint fit --publish`` in a process of its own, at low priority, when it is due."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import time

from cuepoint.ops.settings import Settings
from cuepoint.schemas.errors import Unavailable
from cuepoint.streams.topic_feed import read_trend_params

_LOG = logging.getLogger(__name__)
_NICE = 15
_DAY_S = 86_400.0


async def fit_when_due(settings: Settings) -> None:
    """Look every ``fit_look_s``, first after it. Never returns."""
    tried_s = 0.0
    while True:
        await asyncio.sleep(settings.fit_look_s)
        try:
            tried_s = await fit_if_due(settings, tried_s, time.time())
        except (Unavailable, OSError) as error:
            _LOG.warning("hyperparameters could not be fitted; trying again later: %s", error)


async def fit_if_due(settings: Settings, tried_s: float, now_s: float) -> float:
    """One look: a fit where the newest version, and this worker's last try, are older than ``fit_interval_days``.
    The time of the last try: of one that failed it is not told, so that the next look tries again.
    Raises Unavailable, OSError."""
    known = await asyncio.to_thread(
        read_trend_params, settings.broker, settings.topic_prefix, settings.broker_request_timeout_s
    )
    newest_s = known[-1].made_at / 1000 if known else 0.0
    if now_s - max(tried_s, newest_s) < settings.fit_interval_days * _DAY_S:
        return tried_s
    return now_s if await _fit() else tried_s


async def _fit() -> bool:
    """With this process's environment, and so its settings. Whether it ended as it should: with or without a better
    version, or with too little to fit to."""
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "cuepoint.ops.cli", "fit", "--publish"),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        os.setpriority(os.PRIO_PROCESS, child.pid, _NICE)
        said, _ = await child.communicate()
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    ended = child.returncode in {0, 2}
    for line in said.decode(errors="replace").splitlines():
        _LOG.log(logging.INFO if ended else logging.WARNING, "fit: %s", line)
    return ended

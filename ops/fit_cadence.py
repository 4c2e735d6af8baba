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
    """Look every ``fit_look_s``, first after it; fit where the newest version, and this worker's last try, are older
    than ``fit_interval_days``. Never returns."""
    tried = 0.0
    while True:
        await asyncio.sleep(settings.fit_look_s)
        try:
            known = await asyncio.to_thread(
                read_trend_params, settings.broker, settings.topic_prefix, settings.broker_request_timeout_s
            )
            newest = max(tried, known[-1].made_at / 1000 if known else 0.0)
            if time.time() - newest >= settings.fit_interval_days * _DAY_S:
                tried = time.time()
                await _fit()
        except (Unavailable, OSError) as error:
            _LOG.warning("hyperparameters could not be fitted; trying again later: %s", error)


async def _fit() -> None:
    """With this process's environment, and so its settings."""
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
    for line in said.decode(errors="replace").splitlines():
        _LOG.log(logging.INFO if child.returncode in {0, 2} else logging.WARNING, "fit: %s", line)

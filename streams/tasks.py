"""Ending background tasks for certain."""

from __future__ import annotations

import asyncio
from typing import Any

_AGAIN_S = 0.1


async def end(*tasks: asyncio.Task[Any]) -> None:
    """Cancel the tasks until all have ended; what they raised is nobody's any more.

    Once is not enough: a cancellation is lost where it comes while redis-py reads an answer or, in Python 3.11, as
    ``asyncio.wait_for`` ends; a task that goes round in a loop would then go on for ever.
    """
    while left := [task for task in tasks if not task.done()]:
        for task in left:
            task.cancel()
        await asyncio.wait(left, timeout=_AGAIN_S)
    await asyncio.gather(*tasks, return_exceptions=True)

"""How the inner loops that only read and write arrays are compiled.

Without numba's counting of references: handing an array on costs two atomic operations else, which was most of what
the session loop took (628 ns an event with them, 110 without). Such functions can make no arrays of their own, and call
only functions compiled likewise.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from numba import njit

F = TypeVar("F", bound=Callable[..., Any])
_UNCOUNTED: dict[str, Any] = {"_nrt": False}
inner: Callable[[F], F] = njit(**_UNCOUNTED)  # of a loop in this file or another, compiled with it
kept: Callable[[F], F] = njit(cache=True, **_UNCOUNTED)  # likewise, but also compiled and kept by itself
loop: Callable[[F], F] = njit(cache=True, nogil=True, **_UNCOUNTED)  # called from Python; compiled once, kept on disk

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
# Of loops over lanes (trend_lanes): no check whether a divisor is 0, since a branch keeps them from being vectorised.
_SIDE_BY_SIDE: dict[str, Any] = {"error_model": "numpy", **_UNCOUNTED}
lanes: Callable[[F], F] = njit(**_SIDE_BY_SIDE)
inlined: Callable[[F], F] = njit(forceinline=True, **_SIDE_BY_SIDE)  # small, and put in where it is called

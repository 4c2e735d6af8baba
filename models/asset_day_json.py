"""Scored days of many assets as JSON, byte for byte what our encoder makes of them, in a compiled loop.

Numbers that are no whole numbers are rounded to nine digits, and written as the encoder writes the nearest double:
plainly from 0.00001 to below 1e16, else with an exponent. It is one file: numba's cache looks at one file only.
"""
# ruff: noqa: PLR0917  (numba functions take arrays and scalars by position)

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cuepoint.models import trend_kernel
from cuepoint.models.compiled import kept
from cuepoint.models.report_kernel import Index
from cuepoint.schemas.codec import type_name
from cuepoint.schemas.trends import AssetDay

FIELDS = ("mean", "lower_80", "upper_80", "lower_95", "upper_95", "level", "trend", "p_same", "p_trend")
_COLUMNS = np.array(
    [
        trend_kernel.MEAN,
        trend_kernel.LOWER_80,
        trend_kernel.UPPER_80,
        trend_kernel.LOWER_95,
        trend_kernel.UPPER_95,
        trend_kernel.OUT_LEVEL,
        trend_kernel.OUT_TREND,
        trend_kernel.P_SAME,
        trend_kernel.P_TREND,
    ]
)
DIGITS, LONGEST = 9, 26  # of a number that is not whole; of any number, in bytes
LEAST = 1e-290  # what is smaller is 0
WHOLE = 2.0**53  # below this every whole number is written in full
ZERO, MINUS, POINT, EXPONENT = 48, 45, 46, 101
_TENS = 10.0 ** np.arange(309)
_NULL = np.frombuffer(b"null", dtype=np.uint8)


@kept
def _copy(source: Any, start: int, end: int, buffer: Any, at: int) -> int:
    for k in range(start, end):
        buffer[at] = source[k]
        at += 1
    return at


@kept
def _whole(number: int, width: int, buffer: Any, at: int) -> int:
    """The last ``width`` digits of ``number``."""
    for k in range(width):
        buffer[at + width - 1 - k] = ZERO + number % 10
        number //= 10
    return at + width


@kept
def _width(number: int) -> int:
    width = 1
    while number >= 10:
        number //= 10
        width += 1
    return width


@kept
def _scaled(x: float, power: int) -> int:
    """x * 10 ** power, rounded."""
    return int(np.rint(x * _TENS[power] if power >= 0 else x / _TENS[-power]))


@kept
def _plain(mantissa: int, width: int, power: int, buffer: Any, at: int) -> int:
    """mantissa * 10 ** power without an exponent, with a point."""
    if power >= 0:
        at = _whole(mantissa, width, buffer, at)
        for _ in range(power):
            buffer[at] = ZERO
            at += 1
        buffer[at], buffer[at + 1] = POINT, ZERO
        return at + 2
    behind = 1
    for _ in range(-power):
        behind *= 10
    before = mantissa // behind
    at = _whole(before, _width(before), buffer, at)
    buffer[at] = POINT
    return _whole(mantissa % behind, -power, buffer, at + 1)


@kept
def number(x: float, buffer: Any, at: int) -> int:
    """Write a finite number; returns where it ends."""
    if x <= -LEAST:
        buffer[at] = MINUS
        at += 1
    x = abs(x)
    if x < LEAST:
        return _plain(0, 1, 0, buffer, at)
    if x < WHOLE and x == math.floor(x):
        return _plain(int(x), _width(int(x)), 0, buffer, at)
    power = math.floor(math.log10(x)) - DIGITS + 1
    mantissa = _scaled(x, -power)
    while mantissa % 10 == 0:
        mantissa //= 10
        power += 1
    width = _width(mantissa)
    exponent = power + width - 1
    if -5 <= exponent < 16:
        return _plain(mantissa, width, power, buffer, at)
    first = mantissa
    for _ in range(width - 1):
        first //= 10
    buffer[at] = ZERO + first
    at += 1
    if width > 1:
        buffer[at] = POINT
        at = _whole(mantissa, width - 1, buffer, at + 1)
    buffer[at] = EXPONENT
    at += 1
    if exponent < 0:
        buffer[at] = MINUS
        at += 1
    return _whole(abs(exponent), _width(abs(exponent)), buffer, at)


@kept
def _write(
    rows: Any,
    counts: Any,
    values: Any,
    columns: Any,
    arena: Any,
    offsets: Any,
    text: Any,
    places: Any,
    buffer: Any,
    ends: Any,
) -> None:
    at = 0
    for i in range(rows.shape[0]):
        at = _copy(text, places[0], places[1], buffer, at)
        at = _copy(arena, offsets[rows[i]], offsets[rows[i] + 1], buffer, at)
        at = _copy(text, places[1], places[2], buffer, at)
        at = number(counts[i], buffer, at) if counts[i] >= 0.0 else _copy(_NULL, 0, 4, buffer, at)
        for k in range(columns.shape[0]):
            at = _copy(text, places[k + 2], places[k + 3], buffer, at)
            at = number(values[i, columns[k]], buffer, at)
        at = _copy(text, places[-2], places[-1], buffer, at)
        ends[i] = at


def asset_days(
    day: int,
    at_ms: int,
    rows: NDArray[np.int64],
    counts: NDArray[np.float64],
    filtered: NDArray[np.float64],
    names: Index,
) -> Sequence[bytes]:
    """The messages of a day (ordinal) of ``rows``: counts (k,), NaN or negative for none; filtered (k,
    trend_kernel.OUT_WIDTH) on the count scale; names as they stand in JSON."""
    head = f'{{"type":"{type_name(AssetDay)}","asset_id":"', f'","day":"{dt.date.fromordinal(day)}","count":'
    texts = [text.encode() for text in (*head, *(f',"{field}":' for field in FIELDS), f',"scored_at":{at_ms}}}')]
    places = np.cumsum([0, *map(len, texts)])
    sizes = names.offsets[rows + 1] - names.offsets[rows]
    buffer = np.empty(int(sizes.sum()) + len(rows) * (int(places[-1]) + LONGEST * (len(FIELDS) + 1)), dtype=np.uint8)
    ends, text = np.empty(len(rows), dtype=np.int64), np.frombuffer(b"".join(texts), dtype=np.uint8)
    _write(rows, counts, filtered, _COLUMNS, names.arena, names.offsets, text, places, buffer, ends)
    whole = buffer[: ends[-1] if len(ends) else 0].tobytes()
    borders = [0, *ends.tolist()]
    return [whole[start:end] for start, end in pairwise(borders)]

"""The compiled part of reading reports: records as our own encoder writes them, straight from bytes to numbers.

Only that form is read here: ``{"type":"trend-record.v1","asset_id":"`` + id + what stands between id and count in this
report + digits + what ends its records. At the first record of any other form it stops, and the strict decoder says
what that is; so nothing is accepted here that the contract would refuse. Ids are found by comparing bytes, the hash
only says where to look. It is one file: numba's cache looks at one file only.
"""
# ruff: noqa: PLR0917  (numba functions take arrays and scalars by position)

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import njit, types
from numba.extending import intrinsic
from numpy.typing import NDArray

from cuepoint.models.compiled import kept, loop

ONE, PADDING = np.uint64(1), 8  # bytes behind the last one of buffers that are read word by word
QUOTE, BACKSLASH, FIRST_PLAIN, LAST_PLAIN = 34, 92, 33, 126
LONGEST_ID, MOST_DIGITS = 128, 15  # 15 digits stay below the contract's 2**53
LOOK_AHEAD = 64  # records
TAG = 0xFFFFFFFF << 32  # of a slot: upper half the hash's, lower half row + 1; 0 is an empty slot


class Index(NamedTuple):
    """Ids and rows: arena (bytes,) uint8, offsets (rows + 1,) int64, table (2**k,) uint64, known (1,) int64.

    The arena holds ids as they stand in JSON, so that equal bytes are equal ids, whatever is in them.
    """

    arena: NDArray[np.uint8]
    offsets: NDArray[np.int64]
    table: NDArray[np.uint64]
    known: NDArray[np.int64]


def _read_word(_typing: Any, array: Any, at: Any) -> Any:
    """The 8 bytes from ``at`` on as one number, wherever they begin; numpy reads them only where aligned."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        kind = ir.IntType(64)
        pointer = builder.bitcast(builder.gep(data, [arguments[1]]), kind.as_pointer())
        return builder.load(pointer, align=1, typ=kind)

    return types.uint64(array, types.int64), generate


_word: Any = intrinsic(_read_word)


@kept
def _hash(buffer: Any, start: int, end: int) -> Any:
    h = np.uint64(end - start)
    for k in range(start, end, 8):
        word = _word(buffer, k)
        if end - k < 8:
            word &= (ONE << np.uint64(8 * (end - k))) - ONE
        h = (h ^ word) * np.uint64(0x9E3779B97F4A7C15)
        h ^= h >> np.uint64(32)
    return h


@kept
def _same(a: Any, i: int, b: Any, j: int, length: int) -> bool:
    k = 0
    while k + 8 <= length:
        if _word(a, i + k) != _word(b, j + k):
            return False
        k += 8
    differ = _word(a, i + k) ^ _word(b, j + k)
    return bool(differ & ((ONE << np.uint64(8 * (length - k))) - ONE) == 0)


@kept
def _row(arena: Any, offsets: Any, table: Any, known: Any, buffer: Any, start: int, end: int) -> Any:
    h = _hash(buffer, start, end)
    mask = np.uint64(table.shape[0] - 1)
    tag = h & np.uint64(TAG)
    slot = h & mask
    while table[slot] != 0:
        cell = table[slot]
        if cell & np.uint64(TAG) == tag:
            row = int(cell & np.uint64(0xFFFFFFFF)) - 1
            at = offsets[row]
            if offsets[row + 1] - at == end - start and _same(buffer, start, arena, at, end - start):
                return row
        slot = (slot + np.uint64(1)) & mask
    row = int(known[0])
    at = offsets[row]
    for k in range(end - start):
        arena[at + k] = buffer[start + k]
    offsets[row + 1] = at + end - start
    known[0] = row + 1
    table[slot] = tag | np.uint64(row + 1)
    return row


@njit(cache=True)
def row_of(index: Any, buffer: Any, start: int, end: int) -> int:
    """The row of the id ``buffer[start:end]``; a new one gets the next row. There must be room (Names.reserve)."""
    return int(_row(index.arena, index.offsets, index.table, index.known, buffer, start, end))


@njit(cache=True)
def fill(index: Any) -> None:
    """Enter all known ids into an empty table."""
    mask = np.uint64(index.table.shape[0] - 1)
    for row in range(index.known[0]):
        h = _hash(index.arena, index.offsets[row], index.offsets[row + 1])
        slot = h & mask
        while index.table[slot] != 0:
            slot = (slot + np.uint64(1)) & mask
        index.table[slot] = (h & np.uint64(TAG)) | np.uint64(row + 1)


@kept
def _id_end(buffer: Any, start: int, end: int, arena: Any, offsets: Any, known: int, guess: int) -> Any:
    """(where the id ends, its row if it is ``guess``, else -1); -1 for an id that is not plain ASCII.

    Reports name their assets in much the same order every day: the row after the last one is tried first.
    """
    if guess < known:
        at = offsets[guess]
        length = offsets[guess + 1] - at
        if start + length < end and buffer[start + length] == QUOTE and _same(buffer, start, arena, at, length):
            return start + length, guess
    for k in range(start, min(end, start + LONGEST_ID + 1)):
        c = buffer[np.uint64(k)]
        if c == QUOTE:
            return (k, -1) if k > start else (-1, -1)
        if c < FIRST_PLAIN or c > LAST_PLAIN or c == BACKSLASH:
            return -1, -1
    return -1, -1


@kept
def _count(buffer: Any, p: int, end: int, text: Any, forms: Any, form: int) -> int:
    """The count of a record of this form whose id ends at ``p``, -1 for another form."""
    middle, tail = forms[form, 1] - forms[form, 0], forms[form, 2] - forms[form, 1]
    digits = end - p - middle - tail
    if digits < 1 or digits > MOST_DIGITS:
        return -1
    if not (_same(buffer, p, text, forms[form, 0], middle) and _same(buffer, end - tail, text, forms[form, 1], tail)):
        return -1
    if digits > 1 and buffer[p + middle] == 48:  # JSON knows no leading zeros
        return -1
    count = 0
    for k in range(p + middle, end - tail):
        c = int(buffer[np.uint64(k)]) - 48
        if c < 0 or c > 9:
            return -1
        count = count * 10 + c
    return count


@kept
def _look_ahead(buffer: Any, starts: Any, ends: Any, first: int, last: int, head: int, index: Any, seen: Any) -> None:
    """Touch what finding the ids of the records ``first`` to ``last`` will need, so that the waits for memory overlap
    (1 M assets in no order: several times faster)."""
    mask = np.uint64(index.table.shape[0] - 1)
    for i in range(first, last):
        start, p, end = starts[i] + head, starts[i] + head, ends[i]
        while p < end and p <= start + LONGEST_ID and buffer[np.uint64(p)] != QUOTE:
            p += 1
        plain = start < end and p + PADDING <= buffer.shape[0]
        seen[i - first] = index.table[_hash(buffer, start, p) & mask] if plain else np.uint64(0)
    for i in range(last - first):
        seen[i] = index.offsets[seen[i] & np.uint64(0xFFFFFFFF)]
    for i in range(last - first):
        seen[i] = index.arena[seen[i]]


@loop
def parse(
    buffer: Any,
    starts: Any,
    ends: Any,
    first: int,
    text: Any,
    head: int,
    forms: Any,
    index: Any,
    rows: Any,
    counts: Any,
    which: Any,
    seen: Any,
) -> int:
    """Read records from ``first`` on; returns the first that is of no known form (or their number).

    buffer uint8: record i lies from starts[i] to ends[i], and at least PADDING bytes of something stand behind it, else
    it counts as of no known form; text uint8, padded: a head of ``head`` bytes, then what ``forms`` (k, 3) int64 points
    to: middle, tail and end of each open report's records; results in rows (n,) int64, counts (n,) int64 and which (n,)
    int64, the form; ``seen`` (LOOK_AHEAD,) uint64 is scratch. New ids are entered into ``index``.
    """
    form, row, looked = 0, -1, 0
    arena, offsets, table, known = index  # taken apart here, once: every look into a tuple counts references
    last = buffer.shape[0] - PADDING
    for i in range(first, ends.shape[0]):
        start, end = int(starts[i]), int(ends[i])
        if end - start <= head or end > last or not _same(buffer, start, text, 0, head):
            return i
        start += head
        p, row = _id_end(buffer, start, end, arena, offsets, known[0], row + 1)
        if p < 0:
            return i
        count, tried = -1, 0
        while count < 0 and tried < forms.shape[0]:  # the form of the record before first
            now = form + tried if form + tried < forms.shape[0] else form + tried - forms.shape[0]
            count = _count(buffer, p, end, text, forms, now)
            tried += 1
        if count < 0:
            return i
        form = now
        if row < 0:
            if i >= looked and i + 1 < ends.shape[0]:
                looked = min(i + LOOK_AHEAD, ends.shape[0])
                _look_ahead(buffer, starts, ends, i + 1, looked, head, index, seen)
            row = _row(arena, offsets, table, known, buffer, start, p)
        rows[i], counts[i], which[i] = row, count, form
    return int(ends.shape[0])


@loop
def add_up(rows: Any, counts: Any, totals: Any) -> None:
    """totals[rows[i]] += counts[i], where a total below 0 means none yet."""
    for i in range(rows.shape[0]):
        totals[rows[i]] = max(totals[rows[i]], 0) + counts[i]


@loop
def rows_of(index: Any, buffer: Any, spans: Any, length_bits: int, places: Any, rows: Any) -> None:
    """The rows of many ids at once, each a span of ``buffer`` (start << length_bits | length), into ``rows[places]``.
    There must be room (Names.reserve)."""
    arena, offsets, table, known = index
    mask = (1 << length_bits) - 1
    for i in range(spans.shape[0]):
        start = spans[i] >> length_bits
        rows[places[i]] = _row(arena, offsets, table, known, buffer, start, start + (spans[i] & mask))

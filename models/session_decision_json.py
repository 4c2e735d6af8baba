"""Decisions as JSON, byte for byte what our encoder makes of them, and their ids, in a compiled loop.

Whatever it cannot write in that form (a number that is tiny, huge or no number) it leaves to the encoder. It is one
file: numba's cache looks at one file only. Ids: RFC 7693, BLAKE2b of 16 bytes without a key.
"""
# ruff: noqa: PLR0917  (numba functions take arrays and scalars by position)

from __future__ import annotations

import math
from typing import Any

import numpy as np

from cuepoint.models.compiled import inner, loop

# how the value of a field is told
FLAG, DAY_PART, KIND, TEXT, WHOLE, AMOUNT = range(6)
# texts that all decisions share, by their place among the texts
(
    HEAD, SESSION, VIDEO, DECIDED_AT, NUMBER, ADAPTED, POD_NUMBER, SPOT_LOAD, CRITERIA, CLOSE, TRUE, FALSE, NULL, EMPTY,
    SHARED,
) = range(15)  # fmt: skip
# of a rule: places of its texts, how much they and all numbers take at most, its first field and those behind
RULE_ID, RULE, PLACE, ADS, KEYS, FIELDS, FIELDS_BEHIND, MOST, RULE_COLUMNS = range(9)
HEX, LONGEST = 32, 24  # of an id, and of any number, in bytes
LENGTH_BITS = 13  # of a span of an event, which is start << LENGTH_BITS | length
_ZERO, _POINT, _LINE, _COLON, _MINUS, _COMMA, _QUOTE = 48, 46, 10, 58, 45, 44, 34
_ONE, _LOW, _HALF = np.uint64(1), np.uint64(0xFFFFFFFF), np.uint64(32)
_MOST_BEHIND, _SHIFTS, _WHOLE_BELOW = 19, 62, 2.0**53
_TENS = np.array([10**k for k in range(_MOST_BEHIND + 1)], dtype=np.uint64)
_DIGITS = np.frombuffer(b"0123456789abcdef", dtype=np.uint8)
BLOCK, _STATE, _WORK, _MESSAGE, SCRATCH = 128, 0, 8, 24, 40  # bytes of a block; places in the scratch words
_IV = np.array(
    [0x6A09E667F3BCC908, 0xBB67AE8584CAA73B, 0x3C6EF372FE94F82B, 0xA54FF53A5F1D36F1,
     0x510E527FADE682D1, 0x9B05688C2B3E6C1F, 0x1F83D9ABFB41BD6B, 0x5BE0CD19137E2179], dtype=np.uint64,
)  # fmt: skip
_FIRST = np.uint64(0x01010000 ^ (HEX // 2))
_SIGMA = np.array(
    [[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15], [14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3],
     [11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4], [7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8],
     [9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13], [2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9],
     [12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11], [13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10],
     [6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5], [10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0]],
    dtype=np.int64,
)  # fmt: skip


@inner
def _copy(source: Any, start: int, end: int, buffer: Any, at: int) -> int:
    for k in range(end - start):
        buffer[at + k] = source[start + k]
    return at + end - start


@inner
def _digits(number: Any, width: int, buffer: Any, at: int) -> int:
    """The last ``width`` digits of a number (unsigned)."""
    for k in range(width):
        rest = number // np.uint64(10)
        buffer[at + width - 1 - k] = _ZERO + int(number - rest * np.uint64(10))
        number = rest
    return at + width


@inner
def _width(number: Any) -> int:
    width = 1
    while width <= _MOST_BEHIND and number >= _TENS[width]:
        width += 1
    return width


@inner
def _whole(number: int, buffer: Any, at: int) -> int:
    if number < 0:
        buffer[at] = _MINUS
        at, number = at + 1, -number
    return _digits(np.uint64(number), _width(np.uint64(number)), buffer, at)


@inner
def _times(a: Any, b: Any) -> Any:
    """The upper 64 bits of a product."""
    a0, a1, b0, b1 = a & _LOW, a >> _HALF, b & _LOW, b >> _HALF
    ab, ba = a0 * b1, a1 * b0
    middle = ((a0 * b0) >> _HALF) + (ab & _LOW) + (ba & _LOW)
    return a1 * b1 + (ab >> _HALF) + (ba >> _HALF) + (middle >> _HALF)


@inner
def amount(x: float, buffer: Any, at: int) -> int:  # noqa: PLR0911 - one way out for each form
    """The shortest digits that are read back as ``x``; returns where they end, or -1 where it is not for this loop.

    x is c / 2**s; for one digit more behind the point after the other, the nearest whole number to c * 10**k / 2**s is
    taken, exactly, until it lies within half a step of x.
    """
    if not 0.0 <= x < _WHOLE_BELOW or math.copysign(1.0, x) < 0.0:
        return -1
    if x == math.floor(x):
        at = _digits(np.uint64(x), _width(np.uint64(x)), buffer, at)
        buffer[at], buffer[at + 1] = _POINT, _ZERO
        return at + 2
    part, exponent = math.frexp(x)
    c, shift = np.uint64(part * _WHOLE_BELOW), 53 - exponent
    if shift > _SHIFTS:
        return -1
    s = np.uint64(shift)
    step, alone = _ONE << s, c == _ONE << np.uint64(52)  # a power of 2 has more room above: its own digits are few
    for k in range(1, _MOST_BEHIND + 1):
        ten = _TENS[k]
        high, low = _times(c, ten), c * ten
        if high >> s != np.uint64(0):
            return -1
        found, off = (high << (np.uint64(64) - s)) | (low >> s), low & (step - _ONE)
        tie = off + off == step
        if off + off > step:
            found, off = found + _ONE, step - off
        twice = off + off
        if (off == np.uint64(0)) if alone else (twice < ten or (twice == ten and c & _ONE == np.uint64(0))):
            if tie:
                return -1
            before = found // ten
            at = _digits(before, _width(before), buffer, at)
            buffer[at] = _POINT
            return _digits(found - before * ten, k, buffer, at + 1)
    return -1


@inner
def _turn(words: Any, a: int, b: int, c: int, d: int, x: Any, y: Any) -> None:
    va, vb, vc, vd = words[_WORK + a], words[_WORK + b], words[_WORK + c], words[_WORK + d]
    va = va + vb + x
    vd ^= va
    vd = (vd >> np.uint64(32)) | (vd << np.uint64(32))
    vc += vd
    vb ^= vc
    vb = (vb >> np.uint64(24)) | (vb << np.uint64(40))
    va = va + vb + y
    vd ^= va
    vd = (vd >> np.uint64(16)) | (vd << np.uint64(48))
    vc += vd
    vb ^= vc
    vb = (vb >> np.uint64(63)) | (vb << np.uint64(1))
    words[_WORK + a], words[_WORK + b], words[_WORK + c], words[_WORK + d] = va, vb, vc, vd


@inner
def _compress(words: Any, block: Any, start: int, length: int, done: int, last: bool) -> None:
    for k in range(16):
        word = np.uint64(0)
        for byte in range(8):
            place = 8 * k + byte
            if place < length:
                word |= np.uint64(block[start + place]) << np.uint64(8 * byte)
        words[_MESSAGE + k] = word
    for k in range(8):
        words[_WORK + k], words[_WORK + 8 + k] = words[_STATE + k], _IV[k]
    words[_WORK + 12] ^= np.uint64(done)
    if last:
        words[_WORK + 14] = ~words[_WORK + 14]
    for turn in range(12):
        m = _SIGMA[turn % 10]
        for k in range(4):
            _turn(words, k, 4 + k, 8 + k, 12 + k, words[_MESSAGE + m[2 * k]], words[_MESSAGE + m[2 * k + 1]])
        for k in range(4):
            x, y = words[_MESSAGE + m[8 + 2 * k]], words[_MESSAGE + m[9 + 2 * k]]
            _turn(words, k, 4 + (k + 1) % 4, 8 + (k + 2) % 4, 12 + (k + 3) % 4, x, y)
    for k in range(8):
        words[_STATE + k] ^= words[_WORK + k] ^ words[_WORK + 8 + k]


@inner
def digest(text: Any, start: int, length: int, words: Any, buffer: Any, at: int) -> int:
    """The id of the text, in hexadecimal digits."""
    for k in range(8):
        words[_STATE + k] = _IV[k]
    words[_STATE] ^= _FIRST
    done = 0
    while length - done > BLOCK:
        done += BLOCK
        _compress(words, text, start + done - BLOCK, BLOCK, done, False)
    _compress(words, text, start + done, length - done, length, True)
    for k in range(HEX // 2):
        byte = int((words[_STATE + k // 8] >> np.uint64(8 * (k % 8))) & np.uint64(255))
        buffer[at + 2 * k], buffer[at + 2 * k + 1] = _DIGITS[byte >> 4], _DIGITS[byte & 15]
    return at + HEX


@inner
def _said(text: Any, at: Any, which: int, buffer: Any, to: int) -> int:
    return _copy(text, at[which], at[which + 1], buffer, to)


@inner
def _value(  # noqa: PLR0911 - one way out for each form
    forms: Any, names: Any, way: int, value: float, buffer: Any, to: int
) -> int:
    """Write the value of a field; where it ends, or -1."""
    text, at = forms.text, forms.at
    if way == FLAG:
        return _said(text, at, TRUE if value != 0.0 else FALSE, buffer, to)
    if way == AMOUNT:
        return _said(text, at, NULL, buffer, to) if math.isnan(value) else amount(value, buffer, to)
    if not -_WHOLE_BELOW < value < _WHOLE_BELOW:
        return -1
    if way == WHOLE:
        return _whole(int(value), buffer, to)
    if way == DAY_PART:
        return _said(text, at, forms.day_parts + int(value), buffer, to)
    if way == KIND:
        return _said(text, at, forms.kinds + int(value) if value != 0.0 else EMPTY, buffer, to)
    buffer[to], row = _QUOTE, int(value)
    to = _copy(names.arena, names.offsets[row], names.offsets[row + 1], buffer, to + 1) if row >= 0 else to + 1
    buffer[to] = _QUOTE
    return to + 1


@inner
def _room(forms: Any, names: Any, d: Any, values: Any, event: int, session: int, said: int) -> int:
    """Bytes the decision takes at most, what its id is made of included."""
    rule, limit = forms.rules[d.rule], (1 << LENGTH_BITS) - 1
    most = int(rule[MOST]) + (event & limit) + 2 * (session & limit) + 2 * said
    if d.video_id >= 0:
        most += names.offsets[d.video_id + 1] - names.offsets[d.video_id]
    for k in range(rule[FIELDS], rule[FIELDS_BEHIND]):
        row = int(values[k - rule[FIELDS]]) if forms.ways[k] == TEXT else -1
        if row >= 0:
            most += names.offsets[row + 1] - names.offsets[row]
    return int(most)


@inner
def _id(forms: Any, d: Any, source: Any, session: int, says: Any, k: int, words: Any, buffer: Any, to: int) -> int:
    """Write the id of decision ``k``: what it is made of is gathered behind it first."""
    start, length = session >> LENGTH_BITS, session & ((1 << LENGTH_BITS) - 1)
    began = to + HEX
    end = _copy(source, start, start + length, buffer, began)
    buffer[end] = _LINE
    end = _said(forms.text, forms.at, forms.rules[d.rule][RULE_ID], buffer, end + 1)
    buffer[end] = _LINE
    end = _whole(d.since_seq, buffer, end + 1)
    buffer[end] = _COLON
    end = _copy(says.text, says.at[2 * k], says.at[2 * k + 1], buffer, end + 1)
    return digest(buffer, began, end - began, words, buffer, to)


@inner
def _criteria(forms: Any, names: Any, rule: Any, values: Any, buffer: Any, to: int) -> int:
    text, at, first = forms.text, forms.at, rule[FIELDS]
    if first == rule[FIELDS_BEHIND]:
        return to
    to = _said(text, at, CRITERIA, buffer, to)
    for k in range(first, rule[FIELDS_BEHIND]):
        if k > first:
            buffer[to] = _COMMA
            to += 1
        to = _said(text, at, rule[KEYS] + k - first, buffer, to)
        to = _value(forms, names, forms.ways[k], values[k - first], buffer, to)
        if to < 0:
            return -1
    return _said(text, at, CLOSE, buffer, to)


@inner
def _decision(
    forms: Any, names: Any, d: Any, values: Any, load: float, source: Any, event: int, session: int, says: Any, k: int,
    words: Any, buffer: Any, to: int,
) -> int:  # fmt: skip
    """Write decision ``k``; where it ends, or -1 where it is not for this loop."""
    text, at, rule, limit = forms.text, forms.at, forms.rules[d.rule], (1 << LENGTH_BITS) - 1
    to = _said(text, at, HEAD, buffer, to)
    to = _id(forms, d, source, session, says, k, words, buffer, to)
    to = _said(text, at, SESSION, buffer, to)
    to = _copy(source, session >> LENGTH_BITS, (session >> LENGTH_BITS) + (session & limit), buffer, to)
    to = _said(text, at, VIDEO, buffer, to)
    if d.video_id >= 0:
        to = _copy(names.arena, names.offsets[d.video_id], names.offsets[d.video_id + 1], buffer, to)
    to = _said(text, at, rule[RULE], buffer, to)
    to = _copy(source, event >> LENGTH_BITS, (event >> LENGTH_BITS) + (event & limit), buffer, to)
    to = _whole(d.at_ms, buffer, _said(text, at, DECIDED_AT, buffer, to))
    to = _whole(d.number, buffer, _said(text, at, NUMBER, buffer, to))
    to = amount(d.position_s, buffer, _said(text, at, rule[PLACE], buffer, to))
    if to < 0:
        return -1
    to = amount(d.length_s, buffer, _said(text, at, rule[ADS] + d.ad, buffer, to))
    if to < 0:
        return -1
    if d.ad:
        to = _whole(d.ad, buffer, _said(text, at, ADAPTED, buffer, to))
    if d.pod_number != 1:
        to = _whole(d.pod_number, buffer, _said(text, at, POD_NUMBER, buffer, to))
    to = amount(load, buffer, _said(text, at, SPOT_LOAD, buffer, to))
    if to < 0:
        return -1
    to = _copy(says.text, says.at[2 * k + 1], says.at[2 * k + 2], buffer, to)
    to = _criteria(forms, names, rule, values, buffer, to)
    return _said(text, at, CLOSE, buffer, to) if to >= 0 else -1


@loop
def write(
    forms: Any, names: Any, decisions: Any, values: Any, loads: Any, source: Any, cells: Any, says: Any, first: int,
    words: Any, buffer: Any, ends: Any,
) -> int:  # fmt: skip
    """Write decisions from the one at ``first`` on, as many as ``buffer`` has room for; returns how many are done.

    decisions (n,) DECISION, values (n, fields), loads (n,): see session_table; source and cells: the events; forms,
    says: see session_written; words (SCRATCH,) uint64; ends (n,) int64: where each ends, where it begins if it was not
    written.
    """
    to = 0
    for k in range(first, decisions.shape[0]):
        d = decisions[k]
        event, session = cells[d.event].event_id, cells[d.event].session_id
        ends[k] = to
        if d.fault or not event:
            continue
        said = says.at[2 * k + 2] - says.at[2 * k]
        if to + _room(forms, names, d, values[k], event, session, said) > buffer.shape[0]:
            return k
        end = _decision(forms, names, d, values[k], loads[k], source, event, session, says, k, words, buffer, to)
        if end >= 0:
            ends[k] = to = end
    return int(decisions.shape[0])

"""The compiled part of reading player events: records as our own encoder writes them, straight from bytes to columns.

Only that form is read here: the contract's fields in its order, texts of printable ASCII without escapes, numbers of
at most 15 digits. Of any other record is noted that it was not read, and the strict decoder says what it is; so
nothing is accepted here that the contract would refuse. It is one file: numba's cache looks at one file only.

Decimals: Clinger 1990, How to read floating point numbers accurately: digits below 2**53 over a power of ten up to
10**22 is the nearest double.
"""
# ruff: noqa: PLR0917  (numba functions take arrays and scalars by position)

from __future__ import annotations

from typing import Any, NamedTuple, get_args

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.extending import intrinsic
from numpy.typing import NDArray

from cuepoint.models.compiled import inner, loop
from cuepoint.schemas.playback import PlayerEventKind
from cuepoint.schemas.rules import AdType

TEXTS = (
    "session_id",
    "video_id",
    "category",
    "channel",
    "device",
    "country",
    "action",
    "rule_id",
    "playlist_id",
    "cue_points_s",  # as they stand between the brackets
    "affiliate",
    "region",
    "profile",
)  # columns of spans and texts
SESSION, VIDEO, CATEGORY, CHANNEL, DEVICE, COUNTRY, ACTION, RULE, PLAYLIST, CUES, AFFILIATE, REGION, PROFILE = range(
    len(TEXTS)
)
EXTRAS = (
    "playlist_number", "playlist_length", "views", "trend", "rating", "average_view_s", "average_session_s", "plays",
)  # fmt: skip
LENGTH_BITS = 13  # of a span, which is start << LENGTH_BITS | length
EVENT = np.dtype(
    [
        ("seq", "i8"), ("received_at", "i8"), ("position_s", "f8"),
        ("from_s", "f8"),  # negative: not given
        ("duration_s", "f8"),  # 0: not given
        ("event_id", "i8"), ("session_id", "i8"),  # spans
        ("kind", "u1"),
        ("ad", "u1"),  # which of the ad types, from 1 on; 0: not given
        ("registered", "?"), ("read", "?"),
        ("extra", "?"),  # whether any of EXTRAS is given: a row beside, so that all others stay within a cache line
    ],
    align=True,
)  # fmt: skip


class Told(NamedTuple):
    """The texts that the events of a part have, few of the many they may have: ``columns`` (event * texts + column) and
    ``spans``; ``used`` (2,): how many there are, and the first column of the event in hand."""

    columns: NDArray[np.int64]
    spans: NDArray[np.int64]
    used: NDArray[np.int64]

    @staticmethod
    def of(events: int) -> Told:
        most = events * len(TEXTS)
        return Told(np.empty(most, dtype=np.int64), np.empty(most, dtype=np.int64), np.zeros(2, dtype=np.int64))


_WORD, _PADDING = 8, 16
_QUOTE, _BACKSLASH, _BLANK, _LAST_PLAIN, _ZERO, _NINE, _POINT, _END, _COMMA, _BRACKET = (
    34, 92, 32, 126, 48, 57, 46, 125, 44, 93,
)  # fmt: skip
_LONGEST_ID, _LONGEST_TEXT, _MOST_DIGITS, _MOST_POSITIONS = 128, 512, 15, 100
_MAX_SEQ, _MAX_MS, _MAX_S, _MAX_AMOUNT, _MAX_NUMBER = 2**31, 253_402_300_799_999, 1e6, 1e9, 10**6
_POWERS = 10.0 ** np.arange(_MOST_DIGITS + 1)
_FIELDS = (
    '{"type":"player-event.v1","event_id":"', ',"session_id":"', ',"seq":', ',"kind":"', ',"at":', ',"received_at":',
    ',"video_id":"', ',"position_s":', ',"from_position_s":', ',"duration_s":', ',"category":"', ',"channel":"',
    ',"viewer_id":"', ',"registered":', ',"device":"', ',"country":"', ',"action":"', ',"decision_id":"',
    ',"rule_id":"', ',"ad_type":"',
    ',"playlist_id":"', ',"playlist_number":', ',"playlist_length":', ',"cue_points_s":[', ',"views":', ',"trend":',
    ',"rating":', ',"affiliate":"', ',"region":"', ',"profile":"', ',"average_view_s":', ',"average_session_s":',
    ',"plays":',
)  # fmt: skip
_NUMBER, _IDENTIFIER, _TEXT, _FLAG, _CHOICE, _LIST, _WHOLE, _SECONDS, _AMOUNT = range(9)
# of the optional fields, from received_at on: what they are, and their column of TEXTS (-1: only looked at)
_KIND_OF = np.array(
    [_NUMBER, _IDENTIFIER, _NUMBER, _NUMBER, _NUMBER, _TEXT, _TEXT, _IDENTIFIER, _FLAG, _TEXT, _TEXT, _TEXT,
     _IDENTIFIER, _IDENTIFIER, _CHOICE,
     _IDENTIFIER, _WHOLE, _WHOLE, _LIST, _AMOUNT, _AMOUNT, _AMOUNT, _TEXT, _TEXT, _TEXT, _SECONDS, _SECONDS, _AMOUNT]
)  # fmt: skip
_COLUMN_OF = np.array(
    [-1, VIDEO, -1, -1, -1, CATEGORY, CHANNEL, -1, -1, DEVICE, COUNTRY, ACTION, -1, RULE, -1,
     PLAYLIST, 0, 1, CUES, 2, 3, 4, AFFILIATE, REGION, PROFILE, 5, 6, 7]  # of numbers: which of the extras
)  # fmt: skip
_RECEIVED, _POSITION, _FROM, _DURATION = 0, 2, 3, 4  # of the optional fields, the numbers


def _literals(texts: tuple[str, ...]) -> tuple[Any, Any]:
    """All texts one after the other (padded), and where each begins."""
    starts = np.cumsum([0, *map(len, texts)])
    return np.frombuffer("".join(texts).encode() + bytes(_PADDING), dtype=np.uint8), starts


_FIELD_TEXT, _FIELD_AT = _literals(_FIELDS)
_FLAG_TEXT, _FLAG_AT = _literals(("false", "true"))
# not known to this file, so handed over at each call: what is frozen into a compiled function may be out of date
CHOICES = (
    *_literals(tuple(f'{kind}"' for kind in get_args(PlayerEventKind))),
    *_literals(tuple(f'{kind}"' for kind in get_args(AdType))),
)


def _read_word(_typing: Any, array: Any, at: Any) -> Any:
    """The 8 bytes from ``at`` on as one number, wherever they begin; numpy reads them only where aligned."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        kind = ir.IntType(64)
        pointer = builder.bitcast(builder.gep(data, [arguments[1]]), kind.as_pointer())
        return builder.load(pointer, align=1, typ=kind)

    return types.uint64(array, types.int64), generate


_word: Any = intrinsic(_read_word)


@inner
def _stands(buffer: Any, p: int, text: Any, at: Any, which: int) -> int:
    """The length of literal ``which`` if it stands at ``p``, else 0."""
    start, length, k = at[which], at[which + 1] - at[which], 0
    while k + 8 <= length:
        if _word(buffer, p + k) != _word(text, start + k):
            return 0
        k += 8
    differ = _word(buffer, p + k) ^ _word(text, start + k)
    same = differ & ((np.uint64(1) << np.uint64(8 * (length - k))) - np.uint64(1)) == 0
    return length if same else 0


@inner
def _one_of(buffer: Any, p: int, text: Any, at: Any) -> Any:
    """(which of the literals stands at ``p`` or -1, where it ends)."""
    for which in range(at.shape[0] - 1):
        length = _stands(buffer, p, text, at, which)
        if length:
            return which, p + length
    return -1, p


@inner
def _quoted(buffer: Any, p: int, end: int, first: int, longest: int) -> int:
    """Where the text from ``p`` on ends (its closing quote); -1 if it has anything but plain characters from ``first``
    on, or too many."""
    for k in range(p, min(end, p + longest + 1)):
        c = buffer[np.uint64(k)]
        if c == _QUOTE:
            return k
        if c < first or c > _LAST_PLAIN or c == _BACKSLASH:
            return -1
    return -1


@inner
def _number(buffer: Any, p: int, end: int) -> Any:
    """(whole digits, digits behind the point, end): the value is the first over ten to the second; end is -1 where no
    number in its plain form stands."""
    start, value, point = p, 0, -1
    while p < end:
        c = buffer[np.uint64(p)]
        if _ZERO <= c <= _NINE:
            value = value * 10 + (int(c) - _ZERO)
        elif c == _POINT and point < 0 and p > start:
            point = p
        else:
            break
        p += 1
        if p - start > _MOST_DIGITS:
            return 0, 0, -1
    whole = (p if point < 0 else point) - start
    behind = 0 if point < 0 else p - point - 1
    if whole == 0 or (whole > 1 and buffer[np.uint64(start)] == _ZERO) or (point >= 0 and behind == 0):
        return 0, 0, -1
    return value, behind, p


@inner
def _whole(buffer: Any, p: int, end: int, most: int) -> Any:
    value, behind, p = _number(buffer, p, end)
    return (0, -1) if p < 0 or behind or value > most else (value, p)


@inner
def _number_into(event: Any, option: int, buffer: Any, p: int, end: int) -> int:
    """Reads the number of an optional field; where it ends or -1."""
    if option == _RECEIVED:
        event.received_at, p = _whole(buffer, p, end, _MAX_MS)
        return p
    value, behind, p = _number(buffer, p, end)
    seconds = value / _POWERS[behind]
    if seconds > _MAX_S:
        return -1
    if option == _POSITION:
        event.position_s = seconds
    elif option == _FROM:
        event.from_s = seconds
    else:
        event.duration_s = seconds
    return p


@inner
def _extra_into(event: Any, extras: Any, kind: int, which: int, buffer: Any, p: int, end: int) -> int:
    """Reads one of EXTRAS; where it ends or -1."""
    if not event.extra:
        event.extra = True
        for k in range(extras.shape[0]):
            extras[k] = np.nan
    if kind == _WHOLE:
        whole, p = _whole(buffer, p, end, _MAX_NUMBER)
        extras[which] = float(whole)
        return p
    value, behind, p = _number(buffer, p, end)
    extras[which] = value / _POWERS[behind]
    return p if extras[which] <= (_MAX_AMOUNT if kind == _AMOUNT else _MAX_S) else -1


@inner
def _note(told: Any, column: int, start: int, end: int) -> None:
    """Enter a text of the event in hand."""
    n = told.used[0]
    told.columns[n], told.spans[n] = told.used[1] + column, start << LENGTH_BITS | (end - start)
    told.used[0] = n + 1


@inner
def _list(buffer: Any, p: int, end: int) -> int:
    """Where a list of plain positions ends (its bracket); -1 where it has anything else, or too much."""
    k, found = p, 0
    while k < min(end, p + _LONGEST_TEXT) and found < _MOST_POSITIONS:
        if buffer[np.uint64(k)] == _BRACKET:
            return k
        value, behind, q = _number(buffer, k, end)
        if q < 0 or value / _POWERS[behind] > _MAX_S:
            return -1
        if buffer[np.uint64(q)] == _COMMA and buffer[np.uint64(q + 1)] != _BRACKET:
            q += 1
        elif buffer[np.uint64(q)] != _BRACKET:
            return -1
        k, found = q, found + 1
    return -1


@inner
def _options(buffer: Any, p: int, end: int, event: Any, extras: Any, told: Any, ads: Any, ads_at: Any) -> int:  # noqa: PLR0912 - one for each kind
    """Read the optional fields from ``p`` on; where they end, -1 for what is not in its plain form."""
    for option in range(_KIND_OF.shape[0]):
        if buffer[np.uint64(p)] == _END:
            return p
        length = _stands(buffer, p, _FIELD_TEXT, _FIELD_AT, option + 5)
        if not length:
            continue
        p += length
        kind = _KIND_OF[option]
        if kind == _NUMBER:
            p = _number_into(event, option, buffer, p, end)
        elif kind == _FLAG:
            which, p = _one_of(buffer, p, _FLAG_TEXT, _FLAG_AT)
            event.registered = which == 1
            p = p if which >= 0 else -1
        elif kind == _CHOICE:
            which, p = _one_of(buffer, p, ads, ads_at)
            event.ad = which + 1
            p = p if which >= 0 else -1
        elif kind == _LIST:
            q = _list(buffer, p, end)
            if q < 0:
                return -1
            if q > p:
                _note(told, _COLUMN_OF[option], p, q)
            p = q + 1
        elif kind >= _WHOLE:
            p = _extra_into(event, extras, kind, _COLUMN_OF[option], buffer, p, end)
        else:
            an_id = kind == _IDENTIFIER
            q = _quoted(buffer, p, end, _BLANK + 1 if an_id else _BLANK, _LONGEST_ID if an_id else _LONGEST_TEXT)
            if q < 0 or (an_id and q == p):
                return -1
            if _COLUMN_OF[option] >= 0 and q > p:
                _note(told, _COLUMN_OF[option], p, q)
            p = q + 1
        if p < 0:
            return -1
    return p


@inner
def _event(buffer: Any, p: int, end: int, event: Any, extras: Any, told: Any, choices: Any) -> bool:
    """Read one record; whether it is in its plain form."""
    kinds, kinds_at, ads, ads_at = choices
    length = _stands(buffer, p, _FIELD_TEXT, _FIELD_AT, 0)
    q = _quoted(buffer, p + length, end, _BLANK + 1, _LONGEST_ID)
    if not length or q <= p + length:
        return False
    event.event_id = (p + length) << LENGTH_BITS | (q - p - length)
    p = q + 1
    length = _stands(buffer, p, _FIELD_TEXT, _FIELD_AT, 1)
    q = _quoted(buffer, p + length, end, _BLANK + 1, _LONGEST_ID)
    if not length or q <= p + length:
        return False
    event.session_id = (p + length) << LENGTH_BITS | (q - p - length)
    _note(told, SESSION, p + length, q)
    p = q + 1
    length = _stands(buffer, p, _FIELD_TEXT, _FIELD_AT, 2)
    if not length:
        return False
    event.seq, p = _whole(buffer, p + length, end, _MAX_SEQ)
    length = _stands(buffer, p, _FIELD_TEXT, _FIELD_AT, 3) if p >= 0 else 0
    if not length:
        return False
    kind, p = _one_of(buffer, p + length, kinds, kinds_at)
    length = _stands(buffer, p, _FIELD_TEXT, _FIELD_AT, 4)
    if kind < 0 or not length:
        return False
    event.kind = kind
    _, p = _whole(buffer, p + length, end, _MAX_MS)
    p = _options(buffer, p, end, event, extras, told, ads, ads_at) if p >= 0 else -1
    return p == end - 1 and buffer[np.uint64(p)] == _END


@loop
def parse_events(
    buffer: Any, starts: Any, ends: Any, first: int, choices: Any, events: Any, extras: Any, told: Any
) -> int:
    """Read as many records as ``events`` has room for, from record ``first`` on; how many were not in their plain form
    (``read`` is false).

    buffer uint8: record i begins at starts[i] and lies before ends[i]; CHOICES; events (n,) EVENT; extras (n, EXTRAS)
    float64, of events that have any; told: room for all their texts.
    """
    unread = 0
    for k in range(events.shape[0]):
        i = first + k
        event = events[k]
        event.received_at, event.position_s, event.from_s, event.duration_s = 0, 0.0, -1.0, 0.0
        event.registered, event.ad, event.extra = False, 0, False
        told.used[1] = k * len(TEXTS)
        noted = told.used[0]
        in_reach = ends[i] + _WORD <= buffer.shape[0]  # what is compared word by word may be looked at a word too far
        event.read = in_reach and _event(buffer, starts[i], ends[i], event, extras[k], told, choices)
        if not event.read:
            told.used[0] = noted
            unread += 1
    return unread

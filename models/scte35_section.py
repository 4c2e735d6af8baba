"""SCTE 35: what a splice information section says of breaks (ANSI/SCTE 35 2023, section 9)."""

from __future__ import annotations

import base64
import binascii
from typing import NamedTuple

_TICKS_PER_S = 90_000.0
_SPLICE_INSERT, _TIME_SIGNAL, _SEGMENTATION = 0x05, 0x06, 0x02
_CUEI = 0x43554549
# Segmentation types (table 23) at which advertising may begin, and end.
_STARTS = frozenset((0x22, 0x30, 0x32, 0x34, 0x36, 0x38, 0x3A, 0x44, 0x46))
_ENDS = frozenset(kind + 1 for kind in _STARTS)


class Splice(NamedTuple):
    """A break that begins (``out``) or ends. ``pts_s``: when, on the clock of the transport stream, adjusted; None: at
    once. ``duration_s``: of the break, where it is said."""

    event_id: int
    out: bool
    pts_s: float | None
    duration_s: float | None


class _Bits:
    """Reads big-endian fields off bytes."""

    def __init__(self, data: bytes) -> None:
        self._value, self._left = int.from_bytes(data), len(data) * 8

    def take(self, bits: int) -> int:
        self._left -= bits
        if self._left < 0:
            raise ValueError("the section ends early")
        return self._value >> self._left & ((1 << bits) - 1)


def section_of(text: str) -> bytes:
    """The bytes of a section written in base64 or hexadecimal (``0x...``). Raises ValueError.

    >>> section_of("0xFC30").hex(), section_of("/DA=").hex()
    ('fc30', 'fc30')
    """
    plain = text.strip().strip('"')
    try:
        if plain[:2].lower() == "0x":
            return bytes.fromhex(plain[2:])
        return base64.b64decode(plain, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("neither base64 nor hexadecimal") from None


def splices(section: bytes) -> list[Splice]:
    """What a section announces: splice_insert, or time_signal with segmentation descriptors; [] for other commands and
    for what was cancelled. Raises ValueError with the reason: cut short, encrypted, wrong check sum.
    """
    if len(section) < 17 or section[0] != 0xFC:
        raise ValueError("no splice information section")
    length = 3 + (int.from_bytes(section[1:3]) & 0xFFF)
    if len(section) < length:
        raise ValueError("the section ends early")
    if _crc32(section[:length]):
        raise ValueError("the check sum is wrong")
    bits = _Bits(section[4:length])
    if bits.take(1):
        raise ValueError("the section is encrypted")
    bits.take(6)
    adjustment, _cw, _tier, _length, command = (bits.take(n) for n in (33, 8, 12, 12, 8))
    found: list[Splice] = []
    if command == _SPLICE_INSERT:
        found += _insert(bits, adjustment)
    elif command == _TIME_SIGNAL:
        pts_s = _time_s(bits, adjustment)
        found += [splice._replace(pts_s=pts_s) for splice in _segmentations(bits)]
    return found


def _time_s(bits: _Bits, adjustment: int) -> float | None:
    if not bits.take(1):
        bits.take(7)
        return None
    bits.take(6)
    return (bits.take(33) + adjustment) % (1 << 33) / _TICKS_PER_S


def _insert(bits: _Bits, adjustment: int) -> list[Splice]:
    event_id, cancelled, _ = bits.take(32), bits.take(1), bits.take(7)
    if cancelled:
        return []
    out, whole_program, timed, at_once, _ = (bits.take(n) for n in (1, 1, 1, 1, 4))
    pts_s = None
    if whole_program:
        pts_s = None if at_once else _time_s(bits, adjustment)
    else:
        for _component in range(bits.take(8)):
            bits.take(8)
            pts_s = None if at_once else _time_s(bits, adjustment)
    duration_s = None
    if timed:
        bits.take(7)
        duration_s = bits.take(33) / _TICKS_PER_S
    return [Splice(event_id, bool(out), pts_s, duration_s)]


def _segmentations(bits: _Bits) -> list[Splice]:
    found = []
    left = bits.take(16)
    while left > 0:
        tag, size = bits.take(8), bits.take(8)
        body = bytes(bits.take(8) for _ in range(size))
        left -= 2 + size
        if tag == _SEGMENTATION and (splice := _segmentation(_Bits(body))):
            found.append(splice)
    return found


def _segmentation(bits: _Bits) -> Splice | None:
    identifier, event_id, cancelled, _ = (bits.take(n) for n in (32, 32, 1, 7))
    if identifier != _CUEI or cancelled:
        return None
    whole_program, timed, _ = bits.take(1), bits.take(1), bits.take(6)
    if not whole_program:
        for _component in range(bits.take(8)):
            bits.take(48)
    duration_s = bits.take(40) / _TICKS_PER_S if timed else None
    bits.take(8)
    for _byte in range(bits.take(8)):
        bits.take(8)
    kind = bits.take(8)
    if kind not in _STARTS | _ENDS:
        return None
    return Splice(event_id, kind in _STARTS, None, duration_s)


def _crc32(data: bytes) -> int:
    """CRC-32/MPEG-2; over a whole section, its own check sum included, 0."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte << 24
        for _ in range(8):
            crc = (crc << 1 ^ (0x04C11DB7 if crc >> 31 else 0)) & 0xFFFFFFFF
    return crc

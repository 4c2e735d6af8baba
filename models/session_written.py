"""Decisions as messages in JSON, made by a compiled loop: what each rule's say is laid out once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from itertools import accumulate
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cuepoint.models import session_decision_json as writer
from cuepoint.models.report_names import Names
from cuepoint.models.rule_fields import DAY_PARTS, FIELDS
from cuepoint.models.rule_says import KINDS, Says, Texts
from cuepoint.models.rule_tables import LaidOut
from cuepoint.models.session_events import Events
from cuepoint.models.session_results import Results, Written, build, spot_loads
from cuepoint.models.session_table import Out
from cuepoint.schemas.codec import encode, type_name
from cuepoint.schemas.playback import AdDecision
from cuepoint.schemas.rules import AdRule

_SHARED = {
    writer.HEAD: f'{{"type":"{type_name(AdDecision)}","decision_id":"',
    writer.SESSION: '","session_id":"',
    writer.VIDEO: '","video_id":"',
    writer.DECIDED_AT: '","decided_at":',
    writer.NUMBER: ',"number":',
    writer.ADAPTED: ',"adapted":',
    writer.POD_NUMBER: ',"pod_number":',
    writer.SPOT_LOAD: ',"spot_load":',
    writer.CRITERIA: ',"criteria":{',
    writer.CLOSE: "}",
    writer.TRUE: "true",
    writer.FALSE: "false",
    writer.NULL: "null",
    writer.EMPTY: '""',
}
_ID_AT = len(_SHARED[writer.HEAD])
_SESSION_AT = _ID_AT + writer.HEX + len(_SHARED[writer.SESSION])
_SAID_OF_A_RULE = 1024
_Speak = Callable[[int, float], tuple[bytes, bytes]]
_NUMBERS = 12  # of a decision, its criteria left out


class Forms(NamedTuple):
    """What the rules of a moment say: ``text`` uint8, where text k begins and ends ``at[k]`` and ``at[k + 1]``;
    ``rules`` (rules, RULE_COLUMNS); ``ways``: how the value of each field is told; texts from ``day_parts`` and
    ``kinds`` on."""

    text: NDArray[np.uint8]
    at: NDArray[np.int64]
    rules: NDArray[np.int64]
    ways: NDArray[np.int64]
    day_parts: int
    kinds: int


class _Spoken(NamedTuple):
    """Of decision k: the occasion's name from at[2k] on, what is said of it from at[2k + 1] on."""

    text: NDArray[np.uint8]
    at: NDArray[np.int64]


class DecisionWriter:
    """Writes decisions; what the rules say is kept for as long as the same rules are asked."""

    def __init__(self) -> None:
        self._said: tuple[LaidOut, Forms, list[_Speak]] | None = None
        self._words = np.zeros(writer.SCRATCH, dtype=np.uint64)
        self._buffer = np.empty(1 << 14, dtype=np.uint8)

    def write(  # noqa: PLR0917
        self, found: Out, rules: LaidOut, events: Events, names: Names, texts: Texts, out: Results
    ) -> None:
        """Append what was found to ``out.written`` and ``out.faults``; without decisions it only compiles."""
        rows = found.decisions
        if self._said is None or self._said[0] is not rules:
            self._said = rules, _forms(rules), list(map(_speak, rules.says))
        _, forms, speak = self._said
        spoken, loads, ends = _spoken(rows, speak), spot_loads(rows), np.empty(len(rows), dtype=np.int64)
        told = forms, names.table, rows, found.values, np.array(loads), events.records.buffer, events.cells, spoken
        done, parts = 0, list[Written | None]()
        while True:
            first = done
            done = writer.write(*told, first, self._words, self._buffer, ends)
            parts += self._cut(found, events, ends, range(first, done))
            if done == len(rows):
                break
            if done == first:
                self._buffer = np.empty(2 * len(self._buffer), dtype=np.uint8)
        for k, part in enumerate(parts):
            if part is not None:
                out.written.append(part)
                continue
            ids = events.ids(rows["event"][k : k + 1])[0]
            built = build(rows[k].item(), found.values[k].tolist(), rules, ids, loads[k], texts)
            if isinstance(built, AdDecision):
                out.written.append(Written(built.session_id, built.decision_id, encode(built), built.decided_at))
            else:
                out.faults.append(built)

    def _cut(self, found: Out, events: Events, ends: NDArray[np.int64], part: range) -> Iterator[Written | None]:
        """The decisions of this part out of the buffer; None for those that are not in it."""
        mine = slice(part.start, part.stop)
        rows, borders = found.decisions[mine], ends[mine].tolist()
        sizes = (events.cells["session_id"][rows["event"]] & ((1 << writer.LENGTH_BITS) - 1)).tolist()
        text, start = self._buffer[: borders[-1] if borders else 0].tobytes(), 0
        for end, size, at_ms in zip(borders, sizes, rows["at_ms"].tolist(), strict=True):
            if end == start:
                yield None
                continue
            id, session = start + _ID_AT, start + _SESSION_AT
            session_id = text[session : session + size].decode()
            yield Written(session_id, text[id : id + writer.HEX].decode(), text[start:end], at_ms)
            start = end


def _speak(says: Says) -> _Speak:
    """What is said of an occasion: its name, and the reason as it stands in the message."""

    def speak(how: int, where: float) -> tuple[bytes, bytes]:
        name, reason = says.named(how, where)
        return name.encode(), b',"reason":' + encode(reason)

    return lru_cache(_SAID_OF_A_RULE)(speak)


def _spoken(rows: NDArray[Any], speak: Sequence[_Speak]) -> _Spoken:
    parts: list[bytes] = []
    for rule, how, where in zip(rows["rule"].tolist(), rows["how"].tolist(), rows["where"].tolist(), strict=True):
        parts += speak[rule](how, where)
    at = np.fromiter(accumulate(map(len, parts), initial=0), dtype=np.int64, count=len(parts) + 1)
    return _Spoken(np.frombuffer(b"".join(parts), dtype=np.uint8), at)


def _forms(rules: LaidOut) -> Forms:
    texts = [_SHARED[k].encode() for k in range(writer.SHARED)]
    day_parts, kinds = len(texts), len(texts) + len(DAY_PARTS)
    texts += map(encode, (*DAY_PARTS, *KINDS))
    rows, ways = np.zeros((len(rules.rules), writer.RULE_COLUMNS), dtype=np.int64), list[int]()
    for row, rule, says in zip(rows, rules.rules, rules.says, strict=True):
        fields = [field for field, _ in says.asks]
        mine = [rule.rule_id.encode(), *_around(rule, says)]
        keys = [f'"{field}":'.encode() for field in fields]
        first = len(texts)
        row[writer.RULE_ID], row[writer.RULE], row[writer.PLACE], row[writer.ADS] = range(first, first + 4)
        row[writer.KEYS] = first + len(mine)
        row[writer.FIELDS], row[writer.FIELDS_BEHIND] = len(ways), len(ways) + len(fields)
        ways += map(_way, fields)
        texts += mine + keys
        most = sum(map(len, mine + keys)) + sum(map(len, texts[: writer.SHARED]))
        row[writer.MOST] = most + writer.LONGEST * (_NUMBERS + 2 * len(fields)) + 2 * writer.HEX
    at = np.cumsum([0, *map(len, texts)])
    return Forms(
        np.frombuffer(b"".join(texts), dtype=np.uint8), at, rows, np.array(ways, dtype=np.int64), day_parts, kinds
    )


def _around(rule: AdRule, says: Says) -> list[bytes]:
    """What stands between the values of the rule's decisions, as the encoder writes it: from behind the video, from
    behind the number, and before the length of each of its formats."""
    found: list[bytes] = []
    for format in says.formats:
        sample = AdDecision(
            decision_id="1", session_id="2", video_id="3", rule_id=rule.rule_id, rule_version=rule.version,
            event_id="4", decided_at=0, number=1, place=says.place, position_s=0.0, format=format, duration_s=0.0,
            spot_load=0.0, reason="",
        )  # fmt: skip
        before, behind = encode(sample).split(b'"event_id":"4","decided_at":0,"number":1', 1)  # no text has such quotes
        place, rest = behind.split(b'"position_s":0.0', 1)
        ad = rest.rsplit(b'"duration_s":0.0', 1)[0] + b'"duration_s":'
        said = before.split(b'"video_id":"3', 1)[1] + b'"event_id":"'
        found = [said, place + b'"position_s":', *found[2:], ad]
    return found


def _way(field: str) -> int:
    """As rule_says.say_of tells it."""
    kind = FIELDS[field]
    if kind.kind == "flag":
        return writer.FLAG
    if field in ("day_part", "last_action"):
        return writer.DAY_PART if field == "day_part" else writer.KIND
    return writer.TEXT if kind.kind in ("text", "words") else writer.WHOLE if kind.whole else writer.AMOUNT

"""A batch of player events as columns: compiled for the plain, exact for all."""

from __future__ import annotations

from math import nan
from typing import NamedTuple, get_args

import msgspec
import numpy as np
from numpy.typing import NDArray

from cuepoint.models.report_columns import Located
from cuepoint.models.report_kernel import rows_of
from cuepoint.models.report_names import Names
from cuepoint.models.rule_says import KINDS
from cuepoint.models.session_parser import CHOICES, EVENT, EXTRAS, LENGTH_BITS, TEXTS, VIDEO, Told, parse_events
from cuepoint.schemas.codec import decoder, encode, explain, type_name
from cuepoint.schemas.errors import ContractError
from cuepoint.schemas.playback import PlayerEvent
from cuepoint.schemas.rules import AdRule, AdType

_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
_RULE = f'{{"type":"{type_name(AdRule)}",'.encode()
_decode = decoder(PlayerEvent).decode
AD_TYPES: tuple[str, ...] = get_args(AdType)


class Events(NamedTuple):
    """``cells[k]`` is record ``first + k``.

    ``extras`` (n, EXTRAS) are NaN where not given, of events that have any. ``texts`` (n, TEXTS) int32 are rows of
    Names, 0 for an empty text, -1 for no video or rule. ``decoded`` has the events that the strict decoder read,
    ``refused`` the error of those it refused.
    """

    first: int
    records: Located
    cells: NDArray[np.void]
    extras: NDArray[np.float64]
    texts: NDArray[np.int32]
    decoded: dict[int, PlayerEvent]
    refused: list[tuple[int, ContractError]]

    def ids(self, places: NDArray[np.int32]) -> list[tuple[str, str]]:
        """(event_id, session_id) of the events at these places."""
        text = self.records.buffer.data
        spans = (self.cells["event_id"][places].tolist(), self.cells["session_id"][places].tolist())
        found = [(_cut(text, event), _cut(text, session)) for event, session in zip(*spans, strict=True)]
        if self.decoded:
            for k, place in enumerate(places.tolist()):
                event = self.decoded.get(place)
                if event is not None:
                    found[k] = event.event_id, event.session_id
        return found


def _decimal(position_s: float) -> str:
    """As our own encoder writes it, but never with an exponent."""
    text = encode(position_s).decode()
    return f"{position_s:.6f}" if "e" in text else text


def _cut(text: memoryview, span: int) -> str:
    start = span >> LENGTH_BITS
    return str(text[start : start + (span & ((1 << LENGTH_BITS) - 1))], "ascii")


def read_events(records: Located, part: range, names: Names) -> Events:
    """The records of ``part``, up to the first rule among them. What is accepted is exactly what the contract
    accepts."""
    cells, told = np.empty(len(part), dtype=EVENT), Told.of(len(part))
    extras = np.empty((len(part), len(EXTRAS)))
    unread = parse_events(*records, part.start, CHOICES, cells, extras, told)
    columns, spans = told.columns[: told.used[0]], told.spans[: told.used[0]]
    names.reserve(len(spans), int((spans & ((1 << LENGTH_BITS) - 1)).sum()))
    texts = np.zeros((len(part), len(TEXTS)), dtype=np.int32)
    texts[:, VIDEO] = -1
    rows_of(names.table, records.buffer, spans, LENGTH_BITS, columns, texts.reshape(-1))
    events = Events(part.start, records, cells, extras, texts, {}, [])
    for k in np.flatnonzero(~cells["read"]).tolist() if unread else ():
        at = part.start + k
        value = records.buffer[records.starts[at] : records.ends[at]].tobytes()
        if value.startswith(_RULE):
            return events._replace(cells=cells[:k], texts=texts[:k])
        _read_exactly(events, k, value, names)
    return events


def _read_exactly(events: Events, k: int, value: bytes, names: Names) -> None:
    try:
        event = _decode(value)
    except _UNREADABLE as error:
        events.refused.append((k, explain(error)))
        return
    events.decoded[k] = event
    cell = events.cells[k]
    cell["event_id"] = cell["session_id"] = 0
    cell["seq"], cell["received_at"], cell["position_s"] = event.seq, event.received_at, event.position_s
    cell["from_s"] = -1.0 if event.from_position_s is None else event.from_position_s
    cell["duration_s"], cell["registered"] = event.duration_s or 0.0, event.registered
    cell["ad"] = AD_TYPES.index(event.ad_type) + 1 if event.ad_type else 0
    cell["kind"], cell["read"] = KINDS.index(event.kind), True
    extras = [getattr(event, name) for name in EXTRAS]
    cell["extra"] = True
    events.extras[k] = [nan if value is None else value for value in extras]
    for column, name in enumerate(TEXTS):
        text = getattr(event, name)
        if isinstance(text, list):
            text = ",".join(map(_decimal, text))
        events.texts[k, column] = -1 if text is None else names.row(text)

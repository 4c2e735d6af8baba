"""A batch of player events as columns: compiled for the plain, exact for all."""

from __future__ import annotations

from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from cuepoint.models.report_columns import Packed
from cuepoint.models.report_kernel import rows_of
from cuepoint.models.report_names import Names
from cuepoint.models.rule_tables import KINDS
from cuepoint.models.session_parser import CHOICES, EVENT, LENGTH_BITS, TEXTS, VIDEO, parse_events
from cuepoint.schemas.codec import decoder, explain
from cuepoint.schemas.errors import ContractError
from cuepoint.schemas.playback import PlayerEvent

_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
_decode = decoder(PlayerEvent).decode


class Events(NamedTuple):
    """``cells[k]`` is record ``first + k``; ``texts`` (n, TEXTS) int32 are rows of Names, 0 for an empty text, -1 for no
    video. ``decoded`` has the events that the strict decoder read, ``refused`` the error of those it refused."""

    first: int
    packed: Packed
    cells: NDArray[np.void]
    texts: NDArray[np.int32]
    decoded: dict[int, PlayerEvent]
    refused: list[tuple[int, ContractError]]

    def event_id(self, k: int) -> str:
        """The id of event k."""
        if k in self.decoded:
            return self.decoded[k].event_id
        span = int(self.cells[k]["event_id"])
        start = span >> LENGTH_BITS
        return self.packed.buffer[start : start + (span & ((1 << LENGTH_BITS) - 1))].tobytes().decode()


def read_events(packed: Packed, first: int, behind: int, names: Names) -> Events:
    """The records from ``first`` up to ``behind``. What is accepted is exactly what the contract accepts."""
    cells = np.empty(behind - first, dtype=EVENT)
    spans = np.empty((behind - first, len(TEXTS)), dtype=np.int64)
    unread = parse_events(packed.buffer, packed.ends, first, CHOICES, cells, spans)
    names.reserve(int(np.count_nonzero(spans)), int((spans & ((1 << LENGTH_BITS) - 1)).sum()))
    texts = np.zeros(spans.shape, dtype=np.int32)
    texts[:, VIDEO] = -1
    rows_of(names.table, packed.buffer, spans, LENGTH_BITS, texts)
    events = Events(first, packed, cells, texts, {}, [])
    if unread:
        for k in np.flatnonzero(~cells["read"]).tolist():
            _read_exactly(events, k, names)
    return events


def _read_exactly(events: Events, k: int, names: Names) -> None:
    ends, at = events.packed.ends, events.first + k
    value = events.packed.buffer[int(ends[at - 1]) if at else 0 : int(ends[at])].tobytes()
    try:
        event = _decode(value)
    except _UNREADABLE as error:
        events.refused.append((k, explain(error)))
        return
    events.decoded[k] = event
    cell = events.cells[k]
    cell["seq"], cell["received_at"], cell["position_s"] = event.seq, event.received_at, event.position_s
    cell["from_s"] = -1.0 if event.from_position_s is None else event.from_position_s
    cell["duration_s"], cell["registered"] = event.duration_s or 0.0, event.registered
    cell["kind"], cell["read"] = KINDS.index(event.kind), True
    for column, name in enumerate(TEXTS):
        text = getattr(event, name)
        events.texts[k, column] = -1 if text is None else names.row(text)

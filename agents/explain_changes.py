"""Agent ``explain_changes``: changes in, their causes and the opportunities in them out (US 11,113,707; O6, O7).

What it says of a revision of a change depends on the consumption stored by then, and which revisions it speaks of on
the pace: of several in one batch, only the last. Each message names the revision it is about and, by a digest, what it
says of it: a repeat after a crash replaces, and no id ever has two contents.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Protocol

import msgspec
from numpy.typing import NDArray

from cuepoint.models.cause_explain import explain, withdrawn
from cuepoint.models.cause_model import HISTORY_DAYS
from cuepoint.models.growth_verdict import PRIOR, OpportunityWeights
from cuepoint.schemas.codec import UNREADABLE, decoder, encode
from cuepoint.schemas.opportunities import Explanation, Opportunity
from cuepoint.schemas.topics import CHANGES, EXPLANATIONS, OPPORTUNITIES, Topic
from cuepoint.schemas.trends import Change
from cuepoint.streams.batch import Batch
from cuepoint.streams.outgoing import Outgoing

Columns = Mapping[str, NDArray[Any]]
_decode = decoder(Change).decode
_AGAIN_AFTER_DAYS = frozenset({2, 6, 13, 27})  # an open region is looked at again when it is so old
_RECENT_DAYS = 7
_LOOK_EVERY_S = 0.25


class Consumption(Protocol):
    """What is stored. Methods raise Unavailable."""

    def cells(self, asset_id: str, first_day: dt.date, last_day: dt.date) -> Columns: ...

    def totals(self, first_day: dt.date, last_day: dt.date) -> Columns:
        """Of all assets, by day, dsp and territory."""

    def reports(self, first_day: dt.date, last_day: dt.date) -> frozenset[tuple[str, str, int]]:
        """(dsp, territory, ordinal day) of all reports that can be read."""


class ExplainChanges:
    """Keeps only which regions want another look, and may forget it. ``wait_s``: how long the store is given to have
    the reports of a change's day; then it is explained by what is there, what is missing being counted as missing.
    ``weights``: those of the verdicts, as they are learnt."""

    name: ClassVar[str] = "explain_changes"
    topics: ClassVar[tuple[Topic, ...]] = (CHANGES,)

    def __init__(
        self,
        store: Consumption,
        *,
        wait_s: float,
        weights: Callable[[], OpportunityWeights] = lambda: PRIOR,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store, self._wait_s, self._weights, self._clock = store, wait_s, weights, clock
        self._lacking: set[str] = set()  # open regions that were explained while reports had not come

    async def process(self, batch: Batch) -> Sequence[Outgoing]:
        """Explanations and opportunities of the batch's changes, in the order of their last revisions."""
        wanted: dict[str, Change] = {}
        due: set[str] = set()
        for value in batch.values:
            try:
                change = _decode(value)
            except UNREADABLE:  # record_history tells of them
                continue
            wanted.pop(change.change_id, None)
            wanted[change.change_id] = change
            aged = (change.day - change.start).days in _AGAIN_AFTER_DAYS
            if change.status != "updated" or aged or change.change_id in self._lacking:
                due.add(change.change_id)
        out: list[Outgoing] = []
        deadline = self._clock() + self._wait_s
        for change in wanted.values():
            if change.change_id in due:
                out += await self._explain(change, deadline)
        return out

    async def _explain(self, change: Change, deadline: float) -> list[Outgoing]:
        self._lacking.discard(change.change_id)
        if change.status == "withdrawn":
            return _messages(*withdrawn(change))
        last = change.end or change.day
        first = change.start - dt.timedelta(days=HISTORY_DAYS)
        cells = await asyncio.to_thread(self._store.cells, change.asset_id, first, last)
        reports = await asyncio.to_thread(self._store.reports, first, last)
        while _lacks(reports, last) and self._clock() < deadline:
            await asyncio.sleep(_LOOK_EVERY_S)
            now = await asyncio.to_thread(self._store.reports, first, last)
            if now != reports:
                reports = now
                cells = await asyncio.to_thread(self._store.cells, change.asset_id, first, last)
        if change.status != "closed" and _lacks(reports, last):
            self._lacking.add(change.change_id)
        if not len(cells["day"]):
            return []
        totals = await asyncio.to_thread(self._store.totals, first, last)
        said = await asyncio.to_thread(explain, change, cells, totals, reports, self._weights())
        return [] if said is None else _messages(*said)


def _lacks(reports: frozenset[tuple[str, str, int]], last: dt.date) -> bool:
    """A service that reported lately has not reported the day, or none has reported at all."""
    day = last.toordinal()
    lately = {(dsp, territory) for dsp, territory, seen in reports if day - _RECENT_DAYS <= seen < day}
    return not lately or any((*pair, day) not in reports for pair in lately)


def _messages(explanation: Explanation, opportunity: Opportunity) -> list[Outgoing]:
    """The same id, the same content: it holds a digest of it, since what is said hangs on what is stored by then."""
    place = f"{explanation.change_id}:{explanation.revision}"
    why = msgspec.structs.replace(explanation, edition=_edition(explanation))
    worth = msgspec.structs.replace(opportunity, edition=_edition(opportunity))
    return [
        Outgoing(EXPLANATIONS, why.asset_id, why, f"explanation:{place}:{why.edition}"),
        Outgoing(OPPORTUNITIES, worth.asset_id, worth, f"opportunity:{place}:{worth.edition}"),
    ]


def _edition(said: Explanation | Opportunity) -> str:
    return hashlib.blake2b(encode(said), digest_size=8).hexdigest()

"""Agents: rows of unknown assets wait here, and go where they belong when metadata names the asset."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import msgspec

from cuepoint.models.ingest_identity import names_of
from cuepoint.models.ingest_quarantine import Quarantine
from cuepoint.schemas.base import Contract
from cuepoint.schemas.codec import UNREADABLE, decoder, encode, explain
from cuepoint.schemas.consumption import ConsumptionAmendment
from cuepoint.schemas.errors import ContractError, SnapshotError
from cuepoint.schemas.faults import DeadLetter
from cuepoint.schemas.quarantine import Quarantined, QuarantineMessage
from cuepoint.schemas.topics import ASSETS, CONSUMPTION, DEAD_QUARANTINE, QUARANTINE, TREND_RECORDS, Topic
from cuepoint.schemas.trends import Asset, ReportCompleted, ReportWithdrawn, TrendAmendment
from cuepoint.streams.batch import Batch
from cuepoint.streams.outgoing import Outgoing

VERSION = 1
_decode = decoder(QuarantineMessage).decode
_decode_asset = decoder(Asset).decode
_saved = msgspec.msgpack.Decoder(tuple[int, list[Quarantined]])


class RelayAssets:
    """Stateless: copies metadata that has identifiers into the quarantine's own log, so that what is released, and
    when, is a function of that log alone. Broken records are told by the history."""

    name: ClassVar[str] = "relay_assets"
    topics: ClassVar[tuple[Topic, ...]] = (ASSETS,)

    async def process(self, batch: Batch) -> Sequence[Outgoing]:
        """Each asset that rows in quarantine might be of."""
        out = []
        for value, offset in zip(batch.values, batch.offsets, strict=True):
            try:
                asset = _decode_asset(value) if value is not None else None
            except UNREADABLE:
                continue
            if asset is not None and names_of(asset):
                out.append(Outgoing(QUARANTINE, asset.asset_id, asset, f"{batch.topic}/{batch.partition}/{offset}"))
        return out


class ReleaseQuarantine:
    """State: the rows that wait. A row is released as a TrendAmendment and a ConsumptionAmendment of its report, whose
    ``part`` (the row's first identifier) makes repeats harmless. Beyond ``rows_max`` the oldest become dead letters."""

    name: ClassVar[str] = "release_quarantine"
    topics: ClassVar[tuple[Topic, ...]] = (QUARANTINE,)

    def __init__(self, rows_max: int = 200_000) -> None:
        self._rows_max = rows_max
        self._partitions: dict[int, Quarantine] = {}

    @property
    def quarantined(self) -> int:
        """Counts of unknown assets that wait, over the partitions held."""
        return sum(map(len, self._partitions.values()))

    async def process(self, batch: Batch) -> Sequence[Outgoing]:
        """Amendments and dead letters of a batch, in log order."""
        held = self._partitions.setdefault(batch.partition, Quarantine(self._rows_max))
        out: list[Outgoing] = []
        for i, value in enumerate(batch.values):
            if value is None:
                continue
            try:
                message = _decode(value)
                if isinstance(message, Quarantined) and not message.identifiers:
                    raise ContractError("invalid", "$.identifiers", "Expected `array` of length >= 1")
            except UNREADABLE as error:
                out.append(_dead(batch, i, batch.dead_letter(i, explain(error))))
            except ContractError as error:
                out.append(_dead(batch, i, batch.dead_letter(i, error)))
            else:
                out += self._handle(held, message, batch, i)
        return out

    def restore(self, partition: int, blob: bytes | None) -> None:
        """Begin with a snapshot's state, or empty. Raises SnapshotError for a state it cannot read."""
        held = Quarantine(self._rows_max)
        if blob is not None:
            try:
                version, rows = _saved.decode(blob)
            except msgspec.MsgspecError as error:
                raise SnapshotError(f"release_quarantine: snapshot not readable ({error})") from error
            if version != VERSION:
                raise SnapshotError(f"release_quarantine: snapshot of version {version}, this program reads {VERSION}")
            for row in rows:
                held.add(row)
        self._partitions[partition] = held

    def snapshot(self, partition: int) -> bytes:
        return msgspec.msgpack.encode((VERSION, list(self._partitions.get(partition, ()))))

    def forget(self, partition: int) -> None:
        self._partitions.pop(partition, None)

    def _handle(self, held: Quarantine, message: Any, batch: Batch, i: int) -> list[Outgoing]:
        if isinstance(message, Asset):
            return [out for row in held.release(names_of(message)) for out in _released(row, message.asset_id)]
        if isinstance(message, Quarantined):
            full = ContractError("quarantine_full", "$", f"more than {self._rows_max} counts wait for metadata")
            letter = batch.dead_letter(i, full)
            refused = (msgspec.structs.replace(letter, original=encode(row)) for row in held.add(message))
            return [_dead(batch, i, each, n) for n, each in enumerate(refused)]
        below = message.version + isinstance(message, ReportWithdrawn)
        assert isinstance(message, ReportCompleted | ReportWithdrawn)
        held.forget_report(message.dsp, message.territory, message.day, below)
        return []


def _released(row: Quarantined, asset_id: str) -> list[Outgoing]:
    about = {name: getattr(row, name) for name in ("day", "dsp", "territory", "report_version")}
    part = row.identifiers[0]
    amendments: tuple[tuple[Topic, Contract], ...] = (
        (TREND_RECORDS, TrendAmendment(asset_id=asset_id, count=row.count, part=part, **about)),
        (CONSUMPTION, ConsumptionAmendment(asset_id=asset_id, part=part, cells=row.cells, **about)),
    )
    id = f"{row.dsp}:{row.territory}:{row.day}:{row.report_version}:{part}"
    return [Outgoing(topic, asset_id, amendment, id) for topic, amendment in amendments]


def _dead(batch: Batch, i: int, letter: DeadLetter, number: int = 0) -> Outgoing:
    place = f"{batch.topic}:{batch.partition}:{batch.offsets[i]}"
    return Outgoing(DEAD_QUARANTINE, batch.topic, letter, f"{place}:{number}" if number else place)
